package io.fastjob.examples;

import io.fastjob.FastJob;
import io.fastjob.FastJobOptions;
import io.fastjob.Job;
import io.fastjob.JobContext;
import io.fastjob.Run;
import io.fastjob.Worker;
import java.time.Duration;
import java.time.Instant;

/**
 * Three handlers and three jobs: one by cron every second, one with a fixed delay, one that this program fires itself.
 * Reads {@code FASTJOB_SERVERS}, {@code FASTJOB_APP} and {@code FASTJOB_TOKEN}; ends cleanly on SIGTERM and SIGINT.
 */
public final class Greet {
    private static final Duration GRACE = Duration.ofSeconds(5);
    private static final Duration BETWEEN_ORDERS = Duration.ofSeconds(3);

    private Greet() {}

    /**
     * Runs until the process is told to end.
     *
     * @param args none
     * @throws Exception if the jobs cannot be put
     */
    public static void main(String[] args) throws Exception {
        ExecutionLog log = ExecutionLog.fromEnv();
        try (FastJob fastjob = FastJob.connect(FastJobOptions.fromEnv())) {
            Worker worker = fastjob.worker()
                .slots(8)
                .handler("greet", log.around(ctx -> "hello " + ctx.params().asText() + " at " + ctx.tick()))
                .handler("sweep", log.around(Greet::sweep))
                .handler("order", log.around(ctx -> "order " + ctx.idempotencyKey() + " is packed"))
                .start();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> worker.stop(GRACE)));

            fastjob.jobs().put(Job.named("greet-every-second").handler("greet").cron("* * * * * ?").params("world"));
            fastjob.jobs().put(Job.named("sweep-after-two-seconds").handler("sweep").delay(Duration.ofSeconds(2)));
            fastjob.jobs().put(Job.named("order-on-call").handler("order").api()).get();
            order(fastjob, worker);
        }
    }

    /** Fires the job that only fires when called, until the worker has stopped. */
    private static void order(FastJob fastjob, Worker worker) throws InterruptedException {
        for (int number = 1; !worker.awaitShutdown(BETWEEN_ORDERS); number++) {
            String key = "order-" + Instant.now().getEpochSecond() + "-" + number;
            fastjob.trigger("order-on-call").idempotencyKey(key).now()
                .thenCompose(run -> fastjob.runs().await(run.id(), Duration.ofSeconds(10)))
                .whenComplete(Greet::show);
        }
    }

    private static String sweep(JobContext ctx) {
        ctx.progress(50, "half swept");
        return "swept";
    }

    private static void show(Run run, Throwable error) {
        if (error != null) {
            System.out.println("the order failed: " + error.getMessage());
        } else {
            System.out.println(run.job() + " " + run.state() + (run.result() == null ? "" : ": " + run.result()));
        }
    }
}
