package io.fastjob;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/** When a job should fire. Immutable. */
public final class Trigger {
    /** Sorts of trigger. */
    public enum Kind {
        /** At the instants that a cron expression names in a zone. */
        CRON,
        /** At a fixed rate. */
        FIXED_RATE,
        /** A fixed delay after the end of the previous run. */
        FIXED_DELAY,
        /** Once at each of some instants. */
        AT,
        /** Only when called. */
        API
    }

    private final Kind kind;
    private final String expression;
    private final String zone;
    private final long millis;
    private final List<Instant> instants;

    private Trigger(Kind kind, String expression, String zone, long millis, List<Instant> instants) {
        this.kind = kind;
        this.expression = expression;
        this.zone = zone;
        this.millis = millis;
        this.instants = instants;
    }

    /**
     * At the instants of a cron expression.
     *
     * @param expression Quartz dialect, 6 or 7 fields, at most 256 characters; checked by the server
     * @param zone IANA name, as {@code Europe/Berlin}; empty means UTC
     * @return the trigger
     */
    public static Trigger cron(String expression, String zone) {
        return new Trigger(Kind.CRON, Objects.requireNonNull(expression, "expression"),
            Objects.requireNonNull(zone, "zone"), 0, Collections.<Instant>emptyList());
    }

    /**
     * Every so often, counted from the job's creation.
     *
     * @param period 1 s or more
     * @return the trigger
     */
    public static Trigger every(Duration period) {
        return of(Kind.FIXED_RATE, Durations.millis("period", period));
    }

    /**
     * So long after the end of the previous run.
     *
     * @param delay 0 or more
     * @return the trigger
     */
    public static Trigger delay(Duration delay) {
        return of(Kind.FIXED_DELAY, Durations.millis("delay", delay));
    }

    /**
     * Once at each instant.
     *
     * @param instants 1 to 1,000, rising
     * @return the trigger
     */
    public static Trigger at(Instant... instants) {
        return at(Arrays.asList(instants));
    }

    /**
     * Only when called.
     *
     * @return the trigger
     */
    public static Trigger api() {
        return of(Kind.API, 0);
    }

    /**
     * What sort of trigger it is.
     *
     * @return the kind
     */
    public Kind kind() {
        return kind;
    }

    /**
     * The cron expression.
     *
     * @return as it was given; empty unless the kind is cron
     */
    public String expression() {
        return expression;
    }

    /**
     * The zone of the cron expression.
     *
     * @return IANA name; empty means UTC
     */
    public String zone() {
        return zone;
    }

    /**
     * The period of a fixed rate, or the delay of a fixed delay.
     *
     * @return zero for the other kinds
     */
    public Duration period() {
        return Duration.ofMillis(millis);
    }

    /**
     * The instants of a trigger at instants.
     *
     * @return empty for the other kinds
     */
    public List<Instant> instants() {
        return instants;
    }

    @Override
    public String toString() {
        switch (kind) {
            case CRON: return "cron " + expression + (zone.isEmpty() ? "" : " " + zone);
            case FIXED_RATE: return "every " + period();
            case FIXED_DELAY: return "delay " + period();
            case AT: return "at " + instants;
            default: return "api";
        }
    }

    static Trigger at(List<Instant> instants) {
        return new Trigger(Kind.AT, "", "", 0, Collections.unmodifiableList(new ArrayList<>(instants)));
    }

    private static Trigger of(Kind kind, long millis) {
        return new Trigger(kind, "", "", millis, Collections.<Instant>emptyList());
    }
}
