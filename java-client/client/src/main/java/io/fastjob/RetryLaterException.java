package io.fastjob;

import java.time.Duration;

/**
 * Thrown by a handler to choose how long the next attempt waits, in place of the job's backoff. It counts as a failed
 * attempt: the job's {@link Job#retries(int) retries} bound how often it helps.
 */
public class RetryLaterException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** See {@link #delay()}. */
    private final Duration delay;

    /**
     * With a wait.
     *
     * @param delay how long to wait at least, 0 or more
     * @param message why; at most 4 KiB of it are kept
     */
    public RetryLaterException(Duration delay, String message) {
        super(message);
        this.delay = Durations.atLeastZero("delay", delay);
    }

    /**
     * How long the next attempt waits at least.
     *
     * @return the wait
     */
    public Duration delay() {
        return delay;
    }
}
