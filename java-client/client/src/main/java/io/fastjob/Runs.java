package io.fastjob;

import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** The runs of the app. */
public final class Runs {
    /** The longest wait of one call; longer ones are made of several. */
    private static final long MAX_WAIT_MS = 60_000;

    private final Engine engine;

    Runs(Engine engine) {
        this.engine = engine;
    }

    /**
     * Reads a run with its attempts.
     *
     * @param id the run's id
     * @return the run; fails with kind {@code NOT_FOUND} if there is none
     */
    public CompletableFuture<Run> get(UUID id) {
        return engine.call("RunGet", RunWire.idRequest(engine.app(), id)).thenApply(RunWire::run);
    }

    /**
     * Reads the run that a trigger with this key made.
     *
     * @param job the job's name
     * @param idempotencyKey the key
     * @return the run; fails with kind {@code NOT_FOUND} if there is none
     */
    public CompletableFuture<Run> get(String job, String idempotencyKey) {
        byte[] request = RunWire.keyRequest(engine.app(), job, idempotencyKey);
        return engine.call("RunGet", request).thenApply(RunWire::run);
    }

    /**
     * Lists runs, newest first.
     *
     * @param query which
     * @return the runs
     */
    public CompletableFuture<List<Run>> list(RunQuery query) {
        return engine.call("RunList", RunWire.listRequest(engine.app(), query)).thenApply(RunWire::listReply);
    }

    /**
     * Waits until a run has ended. Cancelling the future ends the wait, not the run.
     *
     * @param id the run's id
     * @param timeout how long at most, 0 or more
     * @return the run once it has ended, or as it is after the timeout: see {@link Run#isEnded}
     */
    public CompletableFuture<Run> await(UUID id, Duration timeout) {
        CompletableFuture<Run> ended = new CompletableFuture<>();
        long now = System.nanoTime();
        long nanos = Math.min(Durations.millis("timeout", timeout), Long.MAX_VALUE / 4_000_000) * 1_000_000;
        waitOn(id, now + nanos, ended);
        return ended;
    }

    /**
     * Asks for a run to be cancelled. A waiting run is cancelled at once; a running one when its handler gives way, or
     * after the job's cancel grace.
     *
     * @param id the run's id
     * @return the run as it is then
     */
    public CompletableFuture<Run> cancel(UUID id) {
        return engine.call("RunCancel", RunWire.idRequest(engine.app(), id)).thenApply(RunWire::run);
    }

    /**
     * Makes a new run of one that has ended.
     *
     * @param id the ended run's id
     * @return the new run; fails with kind {@code CONFLICT} if the old one is open
     */
    public CompletableFuture<Run> retry(UUID id) {
        byte[] request = RunWire.retryRequest(engine.app(), id, UUID.randomUUID());
        return engine.call("RunRetry", request).thenApply(RunWire::run);
    }

    private void waitOn(UUID id, long deadline, CompletableFuture<Run> ended) {
        long left = Math.max(0, (deadline - System.nanoTime()) / 1_000_000);
        long timeoutMs = Math.min(left, MAX_WAIT_MS);
        engine.call("RunWait", RunWire.waitRequest(engine.app(), id, timeoutMs), timeoutMs).thenApply(RunWire::run)
            .whenComplete((run, error) -> {
                if (error != null) {
                    ended.completeExceptionally(Engine.unwrap(error));
                } else if (run.isEnded() || deadline - System.nanoTime() <= 0) {
                    ended.complete(run);
                } else if (!ended.isDone()) {
                    waitOn(id, deadline, ended);
                }
            });
    }
}
