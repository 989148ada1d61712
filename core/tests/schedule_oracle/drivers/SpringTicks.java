import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.StringJoiner;
import org.springframework.scheduling.support.CronExpression;

/**
 * Says when Spring fires. Each line in is "expression TAB zone TAB from TAB count", the instant in milliseconds; each line
 * out is "ticks" and up to so many instants after it, or "error" and a message.
 */
public class SpringTicks {
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
            CronExpression expression = CronExpression.parse(question[0]);
            ZonedDateTime at = Instant.ofEpochMilli(Long.parseLong(question[2])).atZone(ZoneId.of(question[1]));
            StringJoiner ticks = new StringJoiner("\t", "ticks\t", "").setEmptyValue("ticks");
            for (int left = Integer.parseInt(question[3]); left > 0; left--) {
                at = expression.next(at);
                if (at == null) {
                    break;
                }
                ticks.add(Long.toString(at.toInstant().toEpochMilli()));
            }
            return ticks.toString();
        } catch (Exception e) {
            return "error\t" + e.getClass().getSimpleName() + ": " + String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
        }
    }
}
