package io.fastjob;

import java.time.Duration;

/**
 * Thrown by a handler that needs a longer wait before the next attempt than the job's backoff gives: the longer of the
 * two counts. The attempt has failed: the job's {@link Job#retries(int) retries} bound how often it helps.
 */
public class RetryLaterException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** See {@link #delay()}. */
    private final Duration delay;

    /**
     * With a wait.
     *
     * @param delay how long to wait at least, 0 to 30 days
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
