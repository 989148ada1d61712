package io.fastjob;

/** What happens to a tick while an earlier run of the job is alive, that is waiting or running. */
public enum Overlap {
    /** It is skipped. */
    SKIP,
    /** It runs beside the earlier ones. */
    ALLOW_ALL
}
