package consumer;

import io.fastjob.FastJob;
import io.fastjob.FastJobException;
import io.fastjob.FastJobOptions;
import io.fastjob.Job;
import java.util.concurrent.ExecutionException;

/** What a user's program needs at the least: the artifact resolves, its library loads, and a call comes back. */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws Exception {
        FastJobOptions options = FastJobOptions.builder().servers("127.0.0.1:9").app("demo").token("none")
            .callTimeout(java.time.Duration.ofMillis(200)).build();
        try (FastJob fastjob = FastJob.connect(options)) {
            fastjob.jobs().put(Job.named("hello").cron("0 0 6 * * ?")).get();
            throw new IllegalStateException("nobody listens on port 9");
        } catch (ExecutionException e) {
            FastJobException refused = (FastJobException) e.getCause();
            System.out.println("consumer: " + refused.kind());
        }
    }
}
