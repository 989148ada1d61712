import com.cronutils.model.definition.CronDefinition;
import com.cronutils.model.definition.CronDefinitionBuilder;
import com.cronutils.model.time.ExecutionTime;
import com.cronutils.parser.CronParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.Optional;
import java.util.StringJoiner;

/**
 * Says when cron-utils fires, with the definition that PowerJob gives it: fields as in Quartz, and both day fields may be
 * given. Each line in is "expression TAB zone TAB from TAB count", the instant in milliseconds; each line out is "ticks" and
 * up to so many instants after it, or "error" and a message.
 */
public class CronUtilsTicks {
    private static final CronDefinition POWERJOB = CronDefinitionBuilder.defineCron()
            .withSeconds().withValidRange(0, 59).and()
            .withMinutes().withValidRange(0, 59).and()
            .withHours().withValidRange(0, 23).and()
            .withDayOfMonth().withValidRange(1, 31).supportsL().supportsW().supportsLW().supportsQuestionMark().and()
            .withMonth().withValidRange(1, 12).and()
            .withDayOfWeek().withValidRange(1, 7).withMondayDoWValue(2).supportsHash().supportsL().supportsQuestionMark().and()
            .withYear().withValidRange(1970, 2099).withStrictRange().optional().and()
            .instance();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        for (String line; (line = in.readLine()) != null; ) {
            out.println(answer(line.split("\t")));
        }
        out.flush();
    }

    static String answer(String[] question) {
        try {
            ExecutionTime times = ExecutionTime.forCron(new CronParser(POWERJOB).parse(question[0]));
            ZonedDateTime at = Instant.ofEpochMilli(Long.parseLong(question[2])).atZone(ZoneId.of(question[1]));
            StringJoiner ticks = new StringJoiner("\t", "ticks\t", "");
            for (int left = Integer.parseInt(question[3]); left > 0; left--) {
                Optional<ZonedDateTime> next = times.nextExecution(at);
                if (next.isEmpty()) {
                    break;
                }
                at = next.get();
                ticks.add(Long.toString(at.toEpochSecond() * 1000));
            }
            return ticks.toString();
        } catch (Exception e) {
            return "error\t" + e.getClass().getSimpleName() + ": " + String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
        }
    }
}
