package io.fastjob;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The jobs of the app. Changes take effect in the order in which this client made them, and triggers come after the
 * changes made before them: no need to wait in between. A change that fails is also logged, since its future is often
 * dropped.
 */
public final class Jobs {
    private static final Logger LOG = LoggerFactory.getLogger(Jobs.class);

    private final Engine engine;

    Jobs(Engine engine) {
        this.engine = engine;
    }

    /**
     * Creates a job, or replaces the one of its name; writes nothing if it is equal.
     *
     * @param job what it does and when
     * @return what the put did
     */
    public CompletableFuture<PutResult> put(Job job) {
        return putAll(Collections.singletonList(job)).thenApply(results -> results.get(0));
    }

    /**
     * Creates or replaces jobs; all are checked first, and if one is refused none is put.
     *
     * @param jobs 1 to 1,000
     * @return what the put did with each, in order
     */
    public CompletableFuture<List<PutResult>> putAll(Collection<Job> jobs) {
        byte[] request = JobWire.putRequest(engine.app(), new ArrayList<>(jobs));
        int count = jobs.size();
        return edit("put " + names(jobs), "JobPut", request).thenApply(reply -> {
            List<PutResult> results = JobWire.putReply(reply);
            if (results.size() != count) throw new IllegalArgumentException("malformed message: results are missing");
            return results;
        });
    }

    /**
     * Reads a job.
     *
     * @param name its name
     * @return the job; fails with kind {@code NOT_FOUND} if there is none
     */
    public CompletableFuture<StoredJob> get(String name) {
        byte[] request = JobWire.nameRequest(engine.app(), name);
        return engine.afterEdits(() -> engine.call("JobGet", request).thenApply(JobWire::stored));
    }

    /**
     * Lists jobs in order of name.
     *
     * @param after names after this one; empty for the first page, then the last name seen
     * @param limit 1 to 500
     * @return at most so many jobs
     */
    public CompletableFuture<List<StoredJob>> list(String after, int limit) {
        byte[] request = JobWire.listRequest(engine.app(), after, limit);
        return engine.afterEdits(() -> engine.call("JobList", request).thenApply(JobWire::listReply));
    }

    /**
     * Lets a job make ticks again, from now on.
     *
     * @param name its name
     * @return the job as it is then
     */
    public CompletableFuture<StoredJob> enable(String name) {
        return edit("enable " + name, "JobEnable", JobWire.nameRequest(engine.app(), name)).thenApply(JobWire::stored);
    }

    /**
     * Stops a job's ticks; runs that were dispatched go on.
     *
     * @param name its name
     * @return the job as it is then
     */
    public CompletableFuture<StoredJob> disable(String name) {
        return edit("disable " + name, "JobDisable", JobWire.nameRequest(engine.app(), name)).thenApply(JobWire::stored);
    }

    /**
     * Deletes a job; its runs stay readable.
     *
     * @param name its name
     * @return completes when it is done
     */
    public CompletableFuture<Void> delete(String name) {
        return edit("delete " + name, "JobDelete", JobWire.nameRequest(engine.app(), name)).thenApply(reply -> null);
    }

    /**
     * The coming ticks of a job.
     *
     * @param name its name
     * @param from strictly after this instant, or null for now
     * @param count 1 to 500
     * @return at most so many ticks, rising
     */
    public CompletableFuture<List<Instant>> next(String name, @Nullable Instant from, int count) {
        byte[] request = JobWire.nextRequest(engine.app(), name, from, count);
        return engine.afterEdits(() -> engine.call("JobNext", request).thenApply(JobWire::nextReply));
    }

    private static String names(Collection<Job> jobs) {
        String first = jobs.isEmpty() ? "no job" : jobs.iterator().next().name();
        return jobs.size() < 2 ? first : first + " and " + (jobs.size() - 1) + " more";
    }

    private CompletableFuture<byte[]> edit(String what, String method, byte[] request) {
        CompletableFuture<byte[]> reply = engine.edit(() -> engine.call(method, request));
        reply.whenComplete((bytes, error) -> {
            if (error != null) LOG.warn("failed to {}: {}", what, Engine.unwrap(error).getMessage());
        });
        return reply;
    }
}
