package io.fastjob;

/** What becomes of a civil time that a gap of the zone swallows. */
public enum GapRule {
    /** It fires at the first instant after the gap. */
    NEXT,
    /** It does not fire. */
    SKIP
}
