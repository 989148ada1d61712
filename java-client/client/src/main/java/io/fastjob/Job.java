package io.fastjob;

import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * What a job does and when, to be given to {@link Jobs#put}. Immutable: each method returns a changed copy. What is not
 * said has the server's default; bounds are checked by the server, which names the field at fault.
 */
public final class Job {
    private final Fields fields;

    private Job(Fields fields) {
        this.fields = fields;
    }

    /**
     * A job that fires only when called, until a trigger is given, with a handler of its own name.
     *
     * @param name 1 to 128 characters, unique within the app
     * @return the job
     */
    public static Job named(String name) {
        Fields fields = new Fields();
        fields.name = Objects.requireNonNull(name, "name");
        fields.handler = name;
        return new Job(fields);
    }

    /**
     * Which of the workers' functions runs it.
     *
     * @param handlerName as in {@link Worker.Builder#handler(String, Handler)}
     * @return a copy with it
     */
    public Job handler(String handlerName) {
        Objects.requireNonNull(handlerName, "handlerName");
        return with(f -> f.handler = handlerName);
    }

    /**
     * When it fires.
     *
     * @param trigger replaces the one before
     * @return a copy with it
     */
    public Job trigger(Trigger trigger) {
        Objects.requireNonNull(trigger, "trigger");
        return with(f -> f.trigger = trigger);
    }

    /**
     * Fires by a cron expression, in the dialect given by {@link #dialect} or else Quartz, and the zone given by
     * {@link #zone} or else UTC.
     *
     * @param expression as {@code "0 30 6 ? * MON-FRI"}: in Quartz 6 or 7 fields, seconds first
     * @return a copy with it
     */
    public Job cron(String expression) {
        return trigger(fields.trigger.expression(expression));
    }

    /**
     * How the cron expression is read.
     *
     * @param dialect {@link Dialect#QUARTZ} if it is not given
     * @return a copy with it
     */
    public Job dialect(Dialect dialect) {
        return trigger(fields.trigger.dialect(dialect));
    }

    /**
     * Fires at an even pace within a window of each day, in the zone given by {@link #zone} or else UTC. For some weekdays
     * only, see {@link Trigger#dailyWindow}.
     *
     * @param from the first time of the day, as {@code 09:00}
     * @param to no tick is later: up to {@code 24:00}
     * @param every whole seconds, 1 s to 24 h
     * @return a copy with it
     */
    public Job dailyWindow(String from, String to, Duration every) {
        return trigger(Trigger.dailyWindow(from, to, every).zone(fields.trigger.zone()));
    }

    /**
     * The zone of the cron expression or the daily window.
     *
     * @param zone IANA name, as {@code "Europe/Berlin"}
     * @return a copy with it
     */
    public Job zone(String zone) {
        return trigger(fields.trigger.zone(zone));
    }

    /**
     * Fires at a fixed rate.
     *
     * @param period 1 s or more
     * @return a copy with it
     */
    public Job every(Duration period) {
        return trigger(Trigger.every(period));
    }

    /**
     * Fires a fixed delay after the end of the previous run.
     *
     * @param delay 0 or more
     * @return a copy with it
     */
    public Job delay(Duration delay) {
        return trigger(Trigger.delay(delay));
    }

    /**
     * Fires once at each instant.
     *
     * @param instants 1 to 1,000, rising
     * @return a copy with it
     */
    public Job at(Instant... instants) {
        return trigger(Trigger.at(instants));
    }

    /**
     * Fires only when called: the default.
     *
     * @return a copy with it
     */
    public Job api() {
        return trigger(Trigger.api());
    }

    /**
     * What its runs get unless a trigger gives others, as text.
     *
     * @param text at most 64 KiB
     * @return a copy with it
     */
    public Job params(String text) {
        return params(Payload.text(text));
    }

    /**
     * What its runs get unless a trigger gives others.
     *
     * @param params at most 64 KiB
     * @return a copy with it
     */
    public Job params(Payload params) {
        Objects.requireNonNull(params, "params");
        return with(f -> f.params = params);
    }

    /**
     * How long an attempt may take, counted from its dispatch. Default 1 h.
     *
     * @param timeout 1 ms to 30 days
     * @return a copy with it
     */
    public Job timeout(Duration timeout) {
        long millis = Durations.millis("timeout", timeout);
        return with(f -> f.timeoutMs = millis);
    }

    /**
     * How long a handler may take to give way to a cancel or timeout. Default 10 s.
     *
     * @param grace 0 to 1 h
     * @return a copy with it
     */
    public Job cancelGrace(Duration grace) {
        long millis = Durations.millis("cancelGrace", grace);
        return with(f -> f.graceMs = millis);
    }

    /**
     * How often a failed run is tried again. Default 0.
     *
     * @param retries 0 to 1,000
     * @return a copy with it
     */
    public Job retries(int retries) {
        if (retries < 0) {
            throw FastJobException.invalid("out_of_range", "retries", "is " + retries, "give 0 to 1,000");
        }
        return with(f -> f.retries = retries);
    }

    /**
     * How long the retries wait. Default: fixed, 1 s.
     *
     * @param backoff how the waits grow
     * @param first the first wait
     * @param longest the longest wait of an exponential backoff
     * @param jitter each wait is drawn from [1 - jitter, 1] of it; 0.0 to 1.0
     * @return a copy with it
     */
    public Job backoff(Backoff backoff, Duration first, Duration longest, double jitter) {
        Objects.requireNonNull(backoff, "backoff");
        long firstMs = Durations.millis("backoff.first", first);
        long longestMs = Durations.millis("backoff.longest", longest);
        return with(f -> {
            f.backoff = backoff;
            f.retryDelayMs = firstMs;
            f.retryMaxDelayMs = longestMs;
            f.jitter = jitter;
        });
    }

    /**
     * What happens to a run that is due while an earlier one is alive. Default: skip.
     *
     * @param overlap the policy
     * @return a copy with it
     */
    public Job overlap(Overlap overlap) {
        Objects.requireNonNull(overlap, "overlap");
        return with(f -> f.overlap = overlap);
    }

    /**
     * What becomes of missed ticks. Default: the latest fires.
     *
     * @param catchUp the policy
     * @return a copy with it
     */
    public Job catchUp(CatchUp catchUp) {
        Objects.requireNonNull(catchUp, "catchUp");
        return with(f -> f.catchUp = catchUp);
    }

    /**
     * No tick lies before this instant. Default: no such bound.
     *
     * @param instant the first instant of its life
     * @return a copy with it
     */
    public Job startAt(Instant instant) {
        long millis = Durations.millis("startAt", instant);
        return with(f -> f.startAtMs = millis);
    }

    /**
     * No tick lies at this instant or after it. Default: no such bound.
     *
     * @param instant the end of its life
     * @return a copy with it
     */
    public Job endAt(Instant instant) {
        long millis = Durations.millis("endAt", instant);
        return with(f -> f.endAtMs = millis);
    }

    /**
     * The run of a tick is due up to this much later, but before the next tick. Default 0.
     *
     * @param most 0 to 24 h
     * @return a copy with it
     */
    public Job tickJitter(Duration most) {
        long millis = Durations.millis("tickJitter", most);
        return with(f -> f.tickJitterMs = millis);
    }

    /**
     * Which of the waiting runs goes first: the one with the higher priority. Default 0.
     *
     * @param priority -100 to 100
     * @return a copy with it
     */
    public Job priority(int priority) {
        return with(f -> f.priority = priority);
    }

    /**
     * How a worker is chosen. Default: the least busy.
     *
     * @param routing the rule
     * @return a copy with it
     */
    public Job routing(Routing routing) {
        Objects.requireNonNull(routing, "routing");
        return with(f -> f.routing = routing);
    }

    /**
     * A run not dispatched this long after it was due is skipped. Default: it waits.
     *
     * @param deadline more than 0
     * @return a copy with it
     */
    public Job startDeadline(Duration deadline) {
        long millis = Durations.millis("startDeadline", deadline);
        return with(f -> f.startDeadlineMs = millis);
    }

    /**
     * Without contact to its worker for this long an attempt is lost. Default: the server's.
     *
     * @param time 1 s to 24 h
     * @return a copy with it
     */
    public Job workerLostAfter(Duration time) {
        long millis = Durations.millis("workerLostAfter", time);
        return with(f -> f.lostAfterMs = millis);
    }

    /**
     * A run whose worker was lost is not dispatched again. Default: it is.
     *
     * @return a copy with it
     */
    public Job atMostOnce() {
        return with(f -> f.atMostOnce = true);
    }

    /**
     * Whether it makes ticks. Default: true for a new job, unchanged for a known one.
     *
     * @param enabled false stops its ticks
     * @return a copy with it
     */
    public Job enabled(boolean enabled) {
        return with(f -> f.enabled = enabled);
    }

    /**
     * The version of the source that puts it: a put with a lower one than stored is refused, so that an old instance
     * cannot undo a newer one's definition. Default: not compared.
     *
     * @param version 0 or more
     * @return a copy with it
     */
    public Job sourceVersion(long version) {
        return with(f -> f.sourceVersion = version);
    }

    /**
     * People own it: later puts by code are refused.
     *
     * @return a copy with it
     */
    public Job managedByConsole() {
        return with(f -> f.managedBy = "console");
    }

    /**
     * Its name.
     *
     * @return the name
     */
    public String name() {
        return fields.name;
    }

    /**
     * Which function runs it.
     *
     * @return the handler's name
     */
    public String handler() {
        return fields.handler;
    }

    /**
     * When it fires.
     *
     * @return the trigger
     */
    public Trigger trigger() {
        return fields.trigger;
    }

    /**
     * What its runs get.
     *
     * @return the parameters
     */
    public Payload params() {
        return fields.params;
    }

    @Override
    public String toString() {
        return "Job[" + fields.name + ", handler=" + fields.handler + ", " + fields.trigger + "]";
    }

    Fields fields() {
        return fields;
    }

    static Job of(Fields fields) {
        return new Job(fields);
    }

    private Job with(Consumer<Fields> change) {
        Fields copy = fields.copy();
        change.accept(copy);
        return new Job(copy);
    }

    /** Everything a put can say; null means the server's default. Not changed once a Job holds it. */
    static final class Fields implements Cloneable {
        String name = "";
        String handler = "";
        Trigger trigger = Trigger.api();
        Payload params = Payload.NULL;
        @Nullable Boolean enabled;
        Overlap overlap = Overlap.SKIP;
        @Nullable CatchUp catchUp;
        int retries;
        Backoff backoff = Backoff.FIXED;
        @Nullable Long retryDelayMs;
        @Nullable Long retryMaxDelayMs;
        double jitter;
        @Nullable Long timeoutMs;
        @Nullable Long startDeadlineMs;
        @Nullable Long graceMs;
        @Nullable Long lostAfterMs;
        boolean atMostOnce;
        int priority;
        Routing routing = Routing.LEAST_BUSY;
        String managedBy = "";
        @Nullable Long sourceVersion;
        @Nullable Long startAtMs;
        @Nullable Long endAtMs;
        long tickJitterMs;

        Fields copy() {
            try {
                return (Fields) clone();
            } catch (CloneNotSupportedException e) {
                throw new AssertionError(e);
            }
        }
    }
}
