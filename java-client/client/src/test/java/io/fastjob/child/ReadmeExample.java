package io.fastjob.child;

import io.fastjob.FastJob;
import io.fastjob.FastJobOptions;
import io.fastjob.Job;
import io.fastjob.Run;
import io.fastjob.Worker;
import java.time.Duration;

/** The README's first page, as written there, with somebody who stops it after the first result. */
public final class ReadmeExample {
    private ReadmeExample() {}

    public static void main(String[] args) throws Exception {
        try (FastJob fastjob = FastJob.connect(FastJobOptions.fromEnv())) {
            Worker worker = fastjob.worker()
                .slots(8)
                .handler("greet", ctx -> "hello " + ctx.params().asText() + " at " + ctx.tick())
                .start();
            fastjob.jobs().put(Job.named("greet-every-second").handler("greet").cron("* * * * * ?").params("world"));
            Run run = fastjob.trigger("greet-every-second").idempotencyKey("order-42").now().get();
            fastjob.runs().await(run.id(), Duration.ofSeconds(30)).thenAccept(ended -> {
                System.out.println(ended.state() + " " + ended.result());
                worker.stop(Duration.ofSeconds(1));
            });
            worker.awaitShutdown();
        }
    }
}
