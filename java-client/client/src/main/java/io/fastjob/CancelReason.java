package io.fastjob;

/** Why an attempt should stop. */
public enum CancelReason {
    /** A person or a program asked for it. */
    REQUESTED,
    /** The attempt's timeout passed. */
    TIMEOUT,
    /** The attempt is no longer the run's current one: its result will not count. */
    SUPERSEDED,
    /** No contact with the server for so long that the run may have been dispatched elsewhere: the result may not count. */
    LOST,
    /** This worker is stopping, and its grace is over. */
    STOPPING
}
