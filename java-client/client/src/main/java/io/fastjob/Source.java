package io.fastjob;

/** What fired a run. */
public enum Source {
    /** A cron tick. */
    CRON,
    /** A tick of a fixed rate. */
    FIXED_RATE,
    /** The end of the previous run. */
    FIXED_DELAY,
    /** A tick of a daily window. */
    DAILY_WINDOW,
    /** A one-off instant. */
    AT,
    /** A program. */
    API,
    /** A person. */
    MANUAL,
    /** A past tick that is run on demand. */
    BACKFILL,
    /** Something this version of the client does not know. */
    UNKNOWN
}
