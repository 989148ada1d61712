package io.fastjob;

import java.time.Instant;
import java.util.UUID;

/** What a handler gets: one attempt of one run. Safe for use by several threads, also after the handler returned. */
public interface JobContext {
    /**
     * The job's name.
     *
     * @return the name
     */
    String job();

    /**
     * The name of the handler that was chosen.
     *
     * @return the name
     */
    String handler();

    /**
     * The parameters of this run.
     *
     * @return the parameters, {@link Payload#NULL} if the job has none
     */
    Payload params();

    /**
     * The instant that the schedule produced.
     *
     * @return the tick, or null unless a schedule fired the run
     */
    @Nullable
    Instant tick();

    /**
     * The tick before {@link #tick}: together they name the half-open interval of data this run stands for.
     *
     * @return the earlier tick, or null if there is none
     */
    @Nullable
    Instant previousTick();

    /**
     * When the run was due, in the database's time.
     *
     * @return the instant
     */
    Instant due();

    /**
     * What fired the run.
     *
     * @return the source
     */
    Source source();

    /**
     * Whether the tick is run again on demand: its data may be old.
     *
     * @return true for a run of a backfill
     */
    boolean backfilled();

    /**
     * The job's revision that the run follows.
     *
     * @return 1 or more
     */
    long revision();

    /**
     * Which attempt of the run this is.
     *
     * @return 1 for the first
     */
    int attempt();

    /**
     * How often the run may be tried, lost attempts aside.
     *
     * @return 1 or more
     */
    int maxAttempts();

    /**
     * The run's id, the same in each attempt.
     *
     * @return the id
     */
    UUID runId();

    /**
     * Names this run's effect: the same in each attempt. Give it to whatever must not happen twice.
     *
     * @return the trigger's idempotency key, or else the run's id as text
     */
    String idempotencyKey();

    /**
     * The fencing number of the server that sent this attempt; later ones are never lower.
     *
     * @return the epoch
     */
    long epoch();

    /**
     * Says how far the handler is. Not durable, never blocks, and of several in quick succession only the last counts.
     *
     * @param percent 0 to 100; what is outside is moved to the nearer end
     * @param note for people, cut to 1,024 characters
     */
    void progress(int percent, String note);

    /**
     * Whether the handler should stop.
     *
     * @return true from the moment of the cancel on
     */
    boolean isCancelled();

    /**
     * Why the handler should stop.
     *
     * @return the reason, or null while it may go on
     */
    @Nullable
    CancelReason cancelReason();
}
