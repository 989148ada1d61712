package io.fastjob;

/** How the waits between attempts grow. */
public enum Backoff {
    /** All are equal. */
    FIXED,
    /** Each is twice the one before. */
    EXPONENTIAL
}
