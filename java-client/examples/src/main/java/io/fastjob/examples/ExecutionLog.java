package io.fastjob.examples;

import io.fastjob.Handler;
import io.fastjob.JobContext;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.time.Instant;

/**
 * Appends one JSON line per execution to the file that {@code FASTJOB_SAMPLE_LOG} names, for whoever wants to check from
 * the outside what was run; and prints a line with the lateness.
 */
final class ExecutionLog {
    private final Path file;
    private final String pid = ManagementFactory.getRuntimeMXBean().getName().replaceFirst("@.*", "");

    private ExecutionLog(Path file) {
        this.file = file;
    }

    static ExecutionLog fromEnv() {
        String name = System.getenv("FASTJOB_SAMPLE_LOG");
        return new ExecutionLog(name == null || name.isEmpty() ? null : Paths.get(name));
    }

    /** The handler, with a line for each of its executions, failed ones too. */
    Handler around(Handler handler) {
        return ctx -> {
            long start = System.currentTimeMillis();
            try {
                return handler.handle(ctx);
            } finally {
                append(ctx, start, System.currentTimeMillis());
            }
        };
    }

    private synchronized void append(JobContext ctx, long start, long end) throws IOException {
        Instant planned = ctx.tick() == null ? ctx.due() : ctx.tick();
        System.out.println(ctx.job() + " attempt " + ctx.attempt() + ", " + (start - planned.toEpochMilli()) + " ms late");
        if (file == null) return;
        String tick = ctx.tick() == null ? "null" : String.valueOf(ctx.tick().toEpochMilli());
        String line = "{\"run\":\"" + ctx.runId() + "\",\"attempt\":" + ctx.attempt() + ",\"tick\":" + tick
            + ",\"start_ms\":" + start + ",\"end_ms\":" + end + ",\"pid\":" + pid + "}\n";
        Files.write(file, line.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
}
