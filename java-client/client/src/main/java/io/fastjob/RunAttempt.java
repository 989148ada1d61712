package io.fastjob;

import java.time.Instant;

/** One dispatch of a run to one worker. Immutable. */
public final class RunAttempt {
    private final int number;
    private final String worker;
    private final long epoch;
    private final Instant dispatchedAt;
    @Nullable private final Instant startedAt;
    @Nullable private final Instant endedAt;
    private final String outcome;
    @Nullable private final Failure error;

    RunAttempt(int number, String worker, long epoch, Instant dispatchedAt, @Nullable Instant startedAt,
            @Nullable Instant endedAt, String outcome, @Nullable Failure error) {
        this.number = number;
        this.worker = worker;
        this.epoch = epoch;
        this.dispatchedAt = dispatchedAt;
        this.startedAt = startedAt;
        this.endedAt = endedAt;
        this.outcome = outcome;
        this.error = error;
    }

    /**
     * Which attempt it is.
     *
     * @return 1 for the first
     */
    public int number() {
        return number;
    }

    /**
     * The name of the worker that had it.
     *
     * @return the name
     */
    public String worker() {
        return worker;
    }

    /**
     * The fencing number of the server that sent it.
     *
     * @return the epoch
     */
    public long epoch() {
        return epoch;
    }

    /**
     * When it was decided.
     *
     * @return the instant
     */
    public Instant dispatchedAt() {
        return dispatchedAt;
    }

    /**
     * When the handler was entered.
     *
     * @return the instant, or null if it was not
     */
    @Nullable
    public Instant startedAt() {
        return startedAt;
    }

    /**
     * When it was over.
     *
     * @return the instant, or null while it runs
     */
    @Nullable
    public Instant endedAt() {
        return endedAt;
    }

    /**
     * How it ended: running, succeeded, failed, timeout, cancelled, lost or undelivered.
     *
     * @return the word
     */
    public String outcome() {
        return outcome;
    }

    /**
     * What the handler threw.
     *
     * @return the failure, or null if there was none
     */
    @Nullable
    public Failure error() {
        return error;
    }

    @Override
    public String toString() {
        return "RunAttempt[" + number + ", " + outcome + ", worker=" + worker + "]";
    }
}
