package io.fastjob;

/** What happens to a run that is due while an earlier run of its job is alive, that is waiting or running. */
public enum Overlap {
    /** It is skipped. */
    SKIP,
    /** It runs beside the earlier ones. */
    ALLOW_ALL,
    /** One waits for the end of the earlier one; further ones are skipped. */
    BUFFER_ONE,
    /** All wait, at most 1,000, and run one after the other; further ones are skipped. */
    BUFFER_ALL,
    /** The earlier one is cancelled; the newest of those that wait starts once that has ended. */
    CANCEL_OTHER,
    /** The earlier one is cancelled, and it starts at once, whether or not the handler gives way. */
    TERMINATE_OTHER
}
