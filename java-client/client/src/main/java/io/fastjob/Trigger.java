package io.fastjob;

import java.time.DayOfWeek;
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
        API,
        /** At an even pace within a window of the day. */
        DAILY_WINDOW
    }

    private final Fields fields;

    private Trigger(Fields fields) {
        this.fields = fields;
    }

    /**
     * At the instants of a cron expression, of the dialect quartz unless {@link #dialect(Dialect)} is given.
     *
     * @param expression at most 256 characters; checked by the server
     * @param zone IANA name, as {@code Europe/Berlin}; empty means UTC
     * @return the trigger
     */
    public static Trigger cron(String expression, String zone) {
        return of(Kind.CRON).expression(expression).zone(zone);
    }

    /**
     * How the cron expression is read.
     *
     * @param dialect quartz if it is not given
     * @return a copy with it
     */
    public Trigger dialect(Dialect dialect) {
        Objects.requireNonNull(dialect, "dialect");
        return with(f -> f.dialect = dialect);
    }

    /**
     * What becomes of civil times that a gap of the zone swallows, for a cron expression without {@code *}, range and step
     * in seconds, minutes and hours.
     *
     * @param gap {@link GapRule#NEXT} if it is not given
     * @return a copy with it
     */
    public Trigger gap(GapRule gap) {
        Objects.requireNonNull(gap, "gap");
        return with(f -> f.gap = gap);
    }

    /**
     * In which passes of an overlap of the zone it fires, for a cron expression without {@code *}, range and step in
     * seconds, minutes and hours.
     *
     * @param overlap {@link OverlapRule#FIRST} if it is not given
     * @return a copy with it
     */
    public Trigger overlap(OverlapRule overlap) {
        Objects.requireNonNull(overlap, "overlap");
        return with(f -> f.overlap = overlap);
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
     * An instant of a fixed rate, instead of the job's creation.
     *
     * @param phase any instant at which the rate would fire
     * @return a copy with it
     */
    public Trigger phase(Instant phase) {
        Objects.requireNonNull(phase, "phase");
        return with(f -> f.phase = phase);
    }

    /**
     * At an even pace within a window of each day, in UTC unless {@link #zone(String)} is given, on all days unless
     * {@link #weekdays(DayOfWeek...)} are.
     *
     * @param from the first time of the day, as {@code 09:00} or {@code 09:00:30}
     * @param to no tick is later: up to {@code 24:00}
     * @param every whole seconds, 1 s to 24 h
     * @return the trigger
     */
    public static Trigger dailyWindow(String from, String to, Duration every) {
        Objects.requireNonNull(from, "from");
        Objects.requireNonNull(to, "to");
        return of(Kind.DAILY_WINDOW, Durations.millis("every", every)).with(f -> {
            f.from = from;
            f.to = to;
        });
    }

    /**
     * The days of a daily window.
     *
     * @param days all if none is given
     * @return a copy with them
     */
    public Trigger weekdays(DayOfWeek... days) {
        List<DayOfWeek> copy = new ArrayList<>(Arrays.asList(days));
        return with(f -> f.weekdays = Collections.unmodifiableList(copy));
    }

    /**
     * The zone of a cron expression or a daily window.
     *
     * @param zone IANA name, as {@code Europe/Berlin}; empty means UTC
     * @return a copy with it
     */
    public Trigger zone(String zone) {
        Objects.requireNonNull(zone, "zone");
        return with(f -> f.zone = zone);
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
        return of(Kind.API);
    }

    /**
     * What sort of trigger it is.
     *
     * @return the kind
     */
    public Kind kind() {
        return fields.kind;
    }

    /**
     * The cron expression.
     *
     * @return as it was given; empty unless the kind is cron
     */
    public String expression() {
        return fields.expression;
    }

    /**
     * How the cron expression is read.
     *
     * @return null if it was not given
     */
    public @Nullable Dialect dialect() {
        return fields.dialect;
    }

    /**
     * The zone of the cron expression or the daily window.
     *
     * @return IANA name; empty means UTC
     */
    public String zone() {
        return fields.zone;
    }

    /**
     * What becomes of civil times in a gap.
     *
     * @return null if it was not given
     */
    public @Nullable GapRule gap() {
        return fields.gap;
    }

    /**
     * In which passes of an overlap it fires.
     *
     * @return null if it was not given
     */
    public @Nullable OverlapRule overlap() {
        return fields.overlap;
    }

    /**
     * The period of a fixed rate or a daily window, or the delay of a fixed delay.
     *
     * @return zero for the other kinds
     */
    public Duration period() {
        return Duration.ofMillis(fields.millis);
    }

    /**
     * An instant of a fixed rate.
     *
     * @return null if it was not given
     */
    public @Nullable Instant phase() {
        return fields.phase;
    }

    /**
     * The first time of a daily window.
     *
     * @return empty for the other kinds
     */
    public String from() {
        return fields.from;
    }

    /**
     * The end of a daily window.
     *
     * @return empty for the other kinds
     */
    public String to() {
        return fields.to;
    }

    /**
     * The days of a daily window.
     *
     * @return empty for all
     */
    public List<DayOfWeek> weekdays() {
        return fields.weekdays;
    }

    /**
     * The instants of a trigger at instants.
     *
     * @return empty for the other kinds
     */
    public List<Instant> instants() {
        return fields.instants;
    }

    @Override
    public String toString() {
        switch (fields.kind) {
            case CRON: return "cron " + fields.expression + in(fields.zone);
            case FIXED_RATE: return "every " + period();
            case FIXED_DELAY: return "delay " + period();
            case DAILY_WINDOW: return "every " + period() + " " + fields.from + "-" + fields.to + in(fields.zone);
            case AT: return "at " + fields.instants;
            default: return "api";
        }
    }

    static Trigger at(List<Instant> instants) {
        List<Instant> copy = Collections.unmodifiableList(new ArrayList<>(instants));
        return of(Kind.AT).with(f -> f.instants = copy);
    }

    static Trigger of(Kind kind) {
        Fields fields = new Fields();
        fields.kind = kind;
        return new Trigger(fields);
    }

    /** A cron trigger with this expression, and all else as it is. */
    Trigger expression(String expression) {
        Objects.requireNonNull(expression, "expression");
        return with(f -> {
            f.kind = Kind.CRON;
            f.expression = expression;
        });
    }

    Trigger with(Consumer<Fields> change) {
        Fields copy = fields.copy();
        change.accept(copy);
        return new Trigger(copy);
    }

    private static Trigger of(Kind kind, long millis) {
        return of(kind).with(f -> f.millis = millis);
    }

    private static String in(String zone) {
        return zone.isEmpty() ? "" : " " + zone;
    }

    /** What a trigger says; changed only before a trigger has it. */
    static final class Fields {
        Kind kind = Kind.API;
        String expression = "";
        @Nullable Dialect dialect;
        String zone = "";
        @Nullable GapRule gap;
        @Nullable OverlapRule overlap;
        long millis;
        @Nullable Instant phase;
        String from = "";
        String to = "";
        List<DayOfWeek> weekdays = Collections.emptyList();
        List<Instant> instants = Collections.emptyList();

        Fields copy() {
            Fields copy = new Fields();
            copy.kind = kind;
            copy.expression = expression;
            copy.dialect = dialect;
            copy.zone = zone;
            copy.gap = gap;
            copy.overlap = overlap;
            copy.millis = millis;
            copy.phase = phase;
            copy.from = from;
            copy.to = to;
            copy.weekdays = weekdays;
            copy.instants = instants;
            return copy;
        }
    }
}
