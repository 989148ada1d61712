package io.fastjob;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;

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
    private final Cron cron;
    private final long millis;
    private final List<Instant> instants;

    private Trigger(Kind kind, Cron cron, long millis, List<Instant> instants) {
        this.kind = kind;
        this.cron = cron;
        this.millis = millis;
        this.instants = instants;
    }

    /**
     * At the instants of a cron expression, of the dialect quartz unless {@link #dialect(Dialect)} is given.
     *
     * @param expression at most 256 characters; checked by the server
     * @param zone IANA name, as {@code Europe/Berlin}; empty means UTC
     * @return the trigger
     */
    public static Trigger cron(String expression, String zone) {
        Cron cron = new Cron();
        cron.expression = Objects.requireNonNull(expression, "expression");
        cron.zone = Objects.requireNonNull(zone, "zone");
        return of(cron);
    }

    /**
     * How the cron expression is read.
     *
     * @param dialect quartz if it is not given
     * @return a cron trigger with it
     */
    public Trigger dialect(Dialect dialect) {
        Objects.requireNonNull(dialect, "dialect");
        return withCron(c -> c.dialect = dialect);
    }

    /**
     * What becomes of civil times that a gap of the zone swallows, for a cron expression without {@code *}, range and step
     * in seconds, minutes and hours.
     *
     * @param gap {@link GapRule#NEXT} if it is not given
     * @return a cron trigger with it
     */
    public Trigger gap(GapRule gap) {
        Objects.requireNonNull(gap, "gap");
        return withCron(c -> c.gap = gap);
    }

    /**
     * In which passes of an overlap of the zone it fires, for a cron expression without {@code *}, range and step in
     * seconds, minutes and hours.
     *
     * @param overlap {@link OverlapRule#FIRST} if it is not given
     * @return a cron trigger with it
     */
    public Trigger overlap(OverlapRule overlap) {
        Objects.requireNonNull(overlap, "overlap");
        return withCron(c -> c.overlap = overlap);
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
        return cron.expression;
    }

    /**
     * How the cron expression is read.
     *
     * @return null if it was not given
     */
    public @Nullable Dialect dialect() {
        return cron.dialect;
    }

    /**
     * The zone of the cron expression.
     *
     * @return IANA name; empty means UTC
     */
    public String zone() {
        return cron.zone;
    }

    /**
     * What becomes of civil times in a gap.
     *
     * @return null if it was not given
     */
    public @Nullable GapRule gap() {
        return cron.gap;
    }

    /**
     * In which passes of an overlap it fires.
     *
     * @return null if it was not given
     */
    public @Nullable OverlapRule overlap() {
        return cron.overlap;
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
            case CRON: return "cron " + cron.expression + (cron.zone.isEmpty() ? "" : " " + cron.zone);
            case FIXED_RATE: return "every " + period();
            case FIXED_DELAY: return "delay " + period();
            case AT: return "at " + instants;
            default: return "api";
        }
    }

    static Trigger at(List<Instant> instants) {
        return new Trigger(Kind.AT, new Cron(), 0, Collections.unmodifiableList(new ArrayList<>(instants)));
    }

    static Trigger of(Cron cron) {
        return new Trigger(Kind.CRON, cron, 0, Collections.<Instant>emptyList());
    }

    /** A cron trigger with another expression, and all else as it is. */
    Trigger expression(String expression) {
        Objects.requireNonNull(expression, "expression");
        return withCron(c -> c.expression = expression);
    }

    /** A cron trigger with another zone, and all else as it is. */
    Trigger zone(String zone) {
        Objects.requireNonNull(zone, "zone");
        return withCron(c -> c.zone = zone);
    }

    private Trigger withCron(Consumer<Cron> change) {
        Cron copy = new Cron();
        copy.expression = cron.expression;
        copy.dialect = cron.dialect;
        copy.zone = cron.zone;
        copy.gap = cron.gap;
        copy.overlap = cron.overlap;
        change.accept(copy);
        return of(copy);
    }

    private static Trigger of(Kind kind, long millis) {
        return new Trigger(kind, new Cron(), millis, Collections.<Instant>emptyList());
    }

    /** What a cron trigger says; changed only before a trigger has it. */
    static final class Cron {
        String expression = "";
        @Nullable Dialect dialect;
        String zone = "";
        @Nullable GapRule gap;
        @Nullable OverlapRule overlap;
    }
}
