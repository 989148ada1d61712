package io.fastjob;

import java.time.Duration;
import java.util.Objects;
import java.util.UUID;

/**
 * A connection to the servers of one app: the way to everything else. Make one per app and process, share it between
 * threads, close it at the end.
 *
 * <p>It owns daemon threads only: a program that never closes it ends all the same. Its futures complete on a pool of
 * its own ({@link FastJobOptions.Builder#callbackExecutor}), handlers run on the worker's executor, both free of native
 * frames. At most {@value #MAX_CALLS} calls wait at a time; more fail with code {@code too_many_calls}.
 */
public final class FastJob implements AutoCloseable {
    /** The most calls that wait for their answer. */
    public static final int MAX_CALLS = 10_000;

    private static final Duration DEFAULT_GRACE = Duration.ofSeconds(10);

    private final Engine engine;
    private final Jobs jobs;
    private final Runs runs;

    private FastJob(Engine engine) {
        this.engine = engine;
        this.jobs = new Jobs(engine);
        this.runs = new Runs(engine);
    }

    /**
     * Opens a connection. Servers that cannot be reached are tried again with each call, and by each worker until it
     * finds one: only what is wrong for ever is refused here.
     *
     * @param options where to, and as whom
     * @return the connection
     * @throws FastJobException if an option is malformed, or the native library cannot be loaded
     */
    public static FastJob connect(FastJobOptions options) {
        return new FastJob(Engine.open(Objects.requireNonNull(options, "options")));
    }

    /**
     * A worker to be built, and started at the end.
     *
     * @return the builder
     */
    public Worker.Builder worker() {
        return new Worker.Builder(engine);
    }

    /**
     * The jobs of the app.
     *
     * @return the jobs
     */
    public Jobs jobs() {
        return jobs;
    }

    /**
     * The runs of the app.
     *
     * @return the runs
     */
    public Runs runs() {
        return runs;
    }

    /**
     * A job to be fired.
     *
     * @param job the job's name
     * @return the request, to be sent by {@link TriggerRequest#now} or its like
     */
    public TriggerRequest trigger(String job) {
        return new TriggerRequest(engine, job, UUID.randomUUID());
    }

    /** Closes with a grace of 10 s; see {@link #close(Duration)}. */
    @Override
    public void close() {
        close(DEFAULT_GRACE);
    }

    /**
     * Stops the workers as {@link Worker#stop} does, fails the calls that still wait, and frees the connection. Waits
     * for that, unless called by a handler: then it only begins. A second call waits for the first.
     *
     * @param grace how long handlers may go on before they are cancelled, 0 or more
     */
    public void close(Duration grace) {
        engine.close(Durations.millis("grace", grace));
    }
}
