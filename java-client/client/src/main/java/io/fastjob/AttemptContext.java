package io.fastjob;

import java.time.Instant;
import java.util.Objects;
import java.util.UUID;

/**
 * One attempt from its dispatch to its outcome. The handler's thread is interrupted only while it is inside the handler,
 * and given back without a leftover interrupt.
 */
final class AttemptContext implements JobContext {
    private static final int MAX_NOTE_CHARS = 1_024;

    private final Engine engine;
    private final long ticket;
    private final AttemptWire.Dispatch dispatch;
    private final Object lock = new Object();
    @Nullable private Thread inside;
    @Nullable private volatile CancelReason cancelReason;

    AttemptContext(Engine engine, long ticket, AttemptWire.Dispatch dispatch) {
        this.engine = engine;
        this.ticket = ticket;
        this.dispatch = dispatch;
    }

    /** Calls the handler and reports how it ended, whatever it throws. */
    void run(Handler handler) {
        byte[] outcome;
        try {
            enter();
            outcome = AttemptWire.succeeded(Payload.of(handler.handle(this)));
        } catch (Throwable e) {
            outcome = outcomeOf(e);
        } finally {
            leave();
        }
        engine.complete(ticket, outcome);
    }

    /** Reports a failure before the handler was called. */
    void fail(Throwable cause) {
        engine.complete(ticket, outcomeOf(cause));
    }

    void cancel(CancelReason reason) {
        synchronized (lock) {
            if (cancelReason == null) cancelReason = reason;
            if (inside != null) inside.interrupt();
        }
    }

    boolean runsHere() {
        synchronized (lock) {
            return inside == Thread.currentThread();
        }
    }

    private void enter() throws InterruptedException {
        synchronized (lock) {
            if (cancelReason != null) throw new InterruptedException("cancelled before it was started");
            inside = Thread.currentThread();
        }
        engine.entered(ticket);
    }

    private void leave() {
        synchronized (lock) {
            inside = null;
        }
        // An interrupt of ours that came too late must not hit what the executor's thread does next.
        if (cancelReason != null) Thread.interrupted();
    }

    private static byte[] outcomeOf(Throwable thrown) {
        Long retryAfterMs = thrown instanceof RetryLaterException
            ? (Long) Durations.millis("delay", ((RetryLaterException) thrown).delay()) : null;
        return AttemptWire.failed(Failures.of(thrown), retryAfterMs, thrown instanceof GiveUpException);
    }

    @Override
    public String job() {
        return dispatch.job;
    }

    @Override
    public String handler() {
        return dispatch.handler;
    }

    @Override
    public Payload params() {
        return dispatch.params;
    }

    @Override
    @Nullable
    public Instant tick() {
        return dispatch.tick;
    }

    @Override
    @Nullable
    public Instant previousTick() {
        return dispatch.previousTick;
    }

    @Override
    public Instant due() {
        return dispatch.due;
    }

    @Override
    public Source source() {
        return dispatch.source;
    }

    @Override
    public boolean backfilled() {
        return dispatch.source == Source.BACKFILL;
    }

    @Override
    public long revision() {
        return dispatch.revision;
    }

    @Override
    public int attempt() {
        return dispatch.attempt;
    }

    @Override
    public int maxAttempts() {
        return dispatch.maxAttempts;
    }

    @Override
    public UUID runId() {
        return dispatch.run;
    }

    @Override
    public String idempotencyKey() {
        return dispatch.idempotencyKey;
    }

    @Override
    public long epoch() {
        return dispatch.epoch;
    }

    @Override
    public void progress(int percent, String note) {
        Objects.requireNonNull(note, "note");
        String cut = note.codePointCount(0, note.length()) <= MAX_NOTE_CHARS
            ? note : note.substring(0, note.offsetByCodePoints(0, MAX_NOTE_CHARS));
        engine.progress(ticket, Math.max(0, Math.min(100, percent)), cut);
    }

    @Override
    public boolean isCancelled() {
        return cancelReason != null;
    }

    @Override
    @Nullable
    public CancelReason cancelReason() {
        return cancelReason;
    }

    @Override
    public String toString() {
        return "JobContext[job=" + dispatch.job + ", run=" + dispatch.run + ", attempt=" + dispatch.attempt + "]";
    }
}
