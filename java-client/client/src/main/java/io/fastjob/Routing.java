package io.fastjob;

/** How a run's worker is chosen among those that are capable and have a free slot. */
public enum Routing {
    /** The one with the smallest share of its slots in use. */
    LEAST_BUSY,
    /** Each in turn. */
    ROUND_ROBIN
}
