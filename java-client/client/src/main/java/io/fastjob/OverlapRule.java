package io.fastjob;

/** What becomes of a civil time that an overlap of the zone shows twice. */
public enum OverlapRule {
    /** It fires in the first pass. */
    FIRST,
    /** It fires in both. */
    BOTH
}
