import io.fastjob.FastJob;
import io.fastjob.FastJobOptions;
import io.fastjob.Worker;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * The Java worker of the benches: a handler that does nothing but note its run.
 *
 * <p>{@code BenchWorker --ready FILE --out FILE}: the file of --ready is written once it takes runs, that of --out at
 * SIGTERM: {@code {"executions":N,"distinct":N}}.
 */
public final class BenchWorker {
    private static final int SLOTS = 8_000;
    private static final int THREADS = 2;
    private static final Duration GRACE = Duration.ofSeconds(5);

    private BenchWorker() {}

    public static void main(String[] args) throws Exception {
        if (args.length != 4 || !args[0].equals("--ready") || !args[2].equals("--out")) {
            System.err.println("usage: BenchWorker --ready FILE --out FILE");
            System.exit(2);
        }
        List<UUID> runs = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch written = new CountDownLatch(1);
        CountDownLatch asked = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            asked.countDown();
            try {
                written.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        try (FastJob fastjob = FastJob.connect(FastJobOptions.fromEnv())) {
            Worker worker = fastjob.worker().slots(SLOTS).executor(threads).handler("bench", context -> {
                runs.add(context.runId());
                return null;
            }).start();
            write(Paths.get(args[1]), "");
            asked.await();
            worker.stop(GRACE);
            worker.awaitShutdown();
            int executions = runs.size();
            int distinct = new HashSet<>(runs).size();
            write(Paths.get(args[3]), "{\"executions\":" + executions + ",\"distinct\":" + distinct + "}\n");
        } finally {
            threads.shutdown();
            written.countDown();
        }
    }

    private static void write(Path file, String text) throws IOException {
        Files.write(file, text.getBytes(StandardCharsets.UTF_8));
    }
}
