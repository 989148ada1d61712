package io.fastjob;

/** Where a run stands. */
public enum RunState {
    /** Written; not due yet, or waiting for a worker or for its next attempt. */
    SCHEDULED,
    /** An attempt is with a worker. */
    DISPATCHED,
    /** Its handler returned. */
    SUCCEEDED,
    /** Out of attempts; {@link Run#reason} is error, timeout, lost or quarantined. */
    FAILED,
    /** Somebody asked for it. */
    CANCELLED,
    /** Never started; {@link Run#reason} is overlap, catch_up, disabled, deleted or start_deadline. */
    SKIPPED,
    /** Something this version of the client does not know. */
    UNKNOWN;

    /**
     * Whether nothing more happens to the run.
     *
     * @return true for succeeded, failed, cancelled and skipped
     */
    public boolean isEnded() {
        return this == SUCCEEDED || this == FAILED || this == CANCELLED || this == SKIPPED;
    }
}
