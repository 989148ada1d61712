package io.fastjob;

import io.fastjob.internal.ProtoWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * A job about to be fired by this program; sent by {@link #now}, {@link #at} or {@link #delay}. Sending the same
 * request again is the same trigger: it yields the same run. Not for use by several threads.
 */
public final class TriggerRequest {
    static final int NOW = 0;
    static final int AT = 3;
    static final int DELAY = 4;

    private final Engine engine;
    private final String job;
    private final UUID requestId;
    @Nullable private Payload params;
    @Nullable private Overlap overlap;
    private String idempotencyKey = "";

    TriggerRequest(Engine engine, String job, UUID requestId) {
        this.engine = engine;
        this.job = Objects.requireNonNull(job, "job");
        this.requestId = requestId;
    }

    /**
     * What the run gets in place of the job's parameters, as text.
     *
     * @param text at most 64 KiB
     * @return this
     */
    public TriggerRequest params(String text) {
        return params(Payload.text(text));
    }

    /**
     * What the run gets in place of the job's parameters.
     *
     * @param payload at most 64 KiB
     * @return this
     */
    public TriggerRequest params(Payload payload) {
        params = Objects.requireNonNull(payload, "payload");
        return this;
    }

    /**
     * Makes the trigger safe to repeat: a second one of the job with this key yields the same run if its parameters are
     * the same, and else fails as a conflict. A key is kept as long as its run.
     *
     * @param key 1 to 256 characters
     * @return this
     */
    public TriggerRequest idempotencyKey(String key) {
        idempotencyKey = Objects.requireNonNull(key, "key");
        return this;
    }

    /**
     * What happens if an earlier run is alive, in place of the job's own policy.
     *
     * @param policy the policy
     * @return this
     */
    public TriggerRequest overlap(Overlap policy) {
        overlap = Objects.requireNonNull(policy, "policy");
        return this;
    }

    /**
     * Fires at once.
     *
     * @return the run, written durably when the future completes
     */
    public CompletableFuture<Run> now() {
        return send(bytes(NOW, 0));
    }

    /**
     * Fires at an instant; one in the past means at once.
     *
     * @param instant when the run is due
     * @return the run, written durably when the future completes
     */
    public CompletableFuture<Run> at(Instant instant) {
        return send(bytes(AT, Durations.millis("at", instant)));
    }

    /**
     * Fires after a while.
     *
     * @param time from the server's receipt on, 0 or more
     * @return the run, written durably when the future completes
     */
    public CompletableFuture<Run> delay(Duration time) {
        return send(bytes(DELAY, Durations.millis("delay", time)));
    }

    /** TriggerSpec of {@code fastjob.proto}; {@code when} is the field that says when, or {@link #NOW}. */
    ProtoWriter bytes(int when, long millis) {
        ProtoWriter out = new ProtoWriter().text(1, job);
        if (params != null) out.message(2, Payloads.write(params));
        if (when != NOW) out.integerPresent(when, millis);
        out.text(5, idempotencyKey).bytes(6, Ids.write(requestId));
        return overlap == null ? out : out.integerPresent(7, overlap.ordinal());
    }

    private CompletableFuture<Run> send(ProtoWriter spec) {
        byte[] request = RunWire.triggerRequest(engine.app(), spec);
        return engine.afterEdits(() -> engine.call("Trigger", request).thenApply(RunWire::triggerReply));
    }
}
