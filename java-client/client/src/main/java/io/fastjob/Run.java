package io.fastjob;

import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.UUID;

/** One firing of one job, as the server held it when it answered. Immutable. */
public final class Run {
    private final Fields fields;

    Run(Fields fields) {
        this.fields = fields;
    }

    /**
     * Its id.
     *
     * @return the id
     */
    public UUID id() {
        return fields.id;
    }

    /**
     * The app that owns it.
     *
     * @return the app's name
     */
    public String app() {
        return fields.app;
    }

    /**
     * The job that fired.
     *
     * @return the job's name
     */
    public String job() {
        return fields.job;
    }

    /**
     * What fired it.
     *
     * @return the source
     */
    public Source source() {
        return fields.source;
    }

    /**
     * The instant that the schedule produced.
     *
     * @return the tick, or null unless a schedule fired it
     */
    @Nullable
    public Instant tick() {
        return fields.tick;
    }

    /**
     * When it may start, or may start next.
     *
     * @return the instant
     */
    public Instant due() {
        return fields.due;
    }

    /**
     * Where it stands.
     *
     * @return the state
     */
    public RunState state() {
        return fields.state;
    }

    /**
     * Whether nothing more happens to it.
     *
     * @return true once it ended
     */
    public boolean isEnded() {
        return fields.state.isEnded();
    }

    /**
     * Why it failed, was skipped or cancelled.
     *
     * @return a word as {@code timeout}, empty while there is none
     */
    public String reason() {
        return fields.reason;
    }

    /**
     * Attempts so far, the current one included.
     *
     * @return 0 before the first
     */
    public int attempt() {
        return fields.attempt;
    }

    /**
     * The most attempts it may have, lost ones aside.
     *
     * @return 1 or more
     */
    public int maxAttempts() {
        return fields.maxAttempts;
    }

    /**
     * The worker of the current or last attempt.
     *
     * @return the name, empty before the first attempt
     */
    public String worker() {
        return fields.worker;
    }

    /**
     * The fencing number of the server that sent the current or last attempt.
     *
     * @return 0 before the first attempt
     */
    public long epoch() {
        return fields.epoch;
    }

    /**
     * The job's revision that it follows.
     *
     * @return the revision
     */
    public long revision() {
        return fields.revision;
    }

    /**
     * Attempts that ended in error or timeout.
     *
     * @return 0 or more
     */
    public int failCount() {
        return fields.failCount;
    }

    /**
     * Attempts whose worker was lost.
     *
     * @return 0 or more
     */
    public int lostCount() {
        return fields.lostCount;
    }

    /**
     * The run that this one repeats.
     *
     * @return its id, or null
     */
    @Nullable
    public UUID retryOf() {
        return fields.retryOf;
    }

    /**
     * What the handler gets.
     *
     * @return the parameters
     */
    public Payload params() {
        return fields.params;
    }

    /**
     * What the handler returned.
     *
     * @return the result, or null unless it succeeded
     */
    @Nullable
    public Payload result() {
        return fields.result;
    }

    /**
     * How the last failed attempt failed.
     *
     * @return the failure, or null if none failed
     */
    @Nullable
    public Failure error() {
        return fields.error;
    }

    /**
     * The key its trigger gave.
     *
     * @return the key, or null if there was none
     */
    @Nullable
    public String idempotencyKey() {
        return fields.idempotencyKey;
    }

    /**
     * When its row was written.
     *
     * @return the instant
     */
    public Instant createdAt() {
        return fields.createdAt;
    }

    /**
     * When the current or last attempt was decided.
     *
     * @return the instant, or null before the first
     */
    @Nullable
    public Instant dispatchedAt() {
        return fields.dispatchedAt;
    }

    /**
     * When the handler of the last attempt was entered.
     *
     * @return the instant, or null if it was not
     */
    @Nullable
    public Instant startedAt() {
        return fields.startedAt;
    }

    /**
     * When it ended.
     *
     * @return the instant, or null while it is open
     */
    @Nullable
    public Instant endedAt() {
        return fields.endedAt;
    }

    /**
     * Its attempts, oldest first; filled by {@link Runs#get(UUID)} alone.
     *
     * @return the attempts
     */
    public List<RunAttempt> attempts() {
        return fields.attempts;
    }

    /**
     * What the running attempt last said of its progress; filled by {@link Runs#get(UUID)} alone.
     *
     * @return 0 to 100, or null if it said nothing
     */
    @Nullable
    public Integer progressPercent() {
        return fields.progressPercent;
    }

    /**
     * The note that came with {@link #progressPercent}.
     *
     * @return the note, may be empty
     */
    public String progressNote() {
        return fields.progressNote;
    }

    @Override
    public String toString() {
        String why = fields.reason.isEmpty() ? "" : " (" + fields.reason + ")";
        return "Run[" + fields.id + ", job=" + fields.job + ", " + fields.state + why + ", attempt=" + fields.attempt
            + "]";
    }

    /** What a run has; not changed once a Run holds it. */
    static final class Fields {
        UUID id = new UUID(0, 0);
        String app = "";
        String job = "";
        Source source = Source.UNKNOWN;
        @Nullable Instant tick;
        Instant due = Instant.EPOCH;
        RunState state = RunState.UNKNOWN;
        String reason = "";
        int attempt;
        int maxAttempts;
        String worker = "";
        long epoch;
        long revision;
        int failCount;
        int lostCount;
        @Nullable UUID retryOf;
        Payload params = Payload.NULL;
        @Nullable Payload result;
        @Nullable Failure error;
        @Nullable String idempotencyKey;
        Instant createdAt = Instant.EPOCH;
        @Nullable Instant dispatchedAt;
        @Nullable Instant startedAt;
        @Nullable Instant endedAt;
        List<RunAttempt> attempts = Collections.emptyList();
        @Nullable Integer progressPercent;
        String progressNote = "";
    }
}
