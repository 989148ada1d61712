import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Date;
import java.util.StringJoiner;
import java.util.TimeZone;
import org.quartz.CronExpression;

/**
 * Says when Quartz fires. Each line in is "expression TAB zone TAB from TAB count", the instant in milliseconds; each line
 * out is "ticks" and up to so many instants after it, or "error" and a message.
 */
public class QuartzTicks {
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
            CronExpression expression = new CronExpression(question[0]);
            expression.setTimeZone(TimeZone.getTimeZone(question[1]));
            Date at = new Date(Long.parseLong(question[2]));
            StringJoiner ticks = new StringJoiner("\t", "ticks\t", "").setEmptyValue("ticks");
            for (int left = Integer.parseInt(question[3]); left > 0; left--) {
                at = expression.getNextValidTimeAfter(at);
                if (at == null) {
                    break;
                }
                ticks.add(Long.toString(at.getTime()));
            }
            return ticks.toString();
        } catch (Exception e) {
            return "error\t" + e.getClass().getSimpleName() + ": " + String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
        }
    }
}
