package io.fastjob;

import java.time.Instant;
import java.util.UUID;

/** A job as the server holds it. Immutable. */
public final class StoredJob {
    private final UUID id;
    private final String app;
    private final Job definition;
    private final long revision;
    private final boolean enabled;
    @Nullable private final Instant nextAt;
    private final Instant createdAt;
    private final Instant updatedAt;

    StoredJob(UUID id, String app, Job definition, long revision, boolean enabled, @Nullable Instant nextAt,
            Instant createdAt, Instant updatedAt) {
        this.id = id;
        this.app = app;
        this.definition = definition;
        this.revision = revision;
        this.enabled = enabled;
        this.nextAt = nextAt;
        this.createdAt = createdAt;
        this.updatedAt = updatedAt;
    }

    /**
     * Its id: another job that takes its name later has another.
     *
     * @return the id
     */
    public UUID id() {
        return id;
    }

    /**
     * The app that owns it.
     *
     * @return the app's name
     */
    public String app() {
        return app;
    }

    /**
     * Its name.
     *
     * @return the name
     */
    public String name() {
        return definition.name();
    }

    /**
     * What it does and when.
     *
     * @return the definition
     */
    public Job definition() {
        return definition;
    }

    /**
     * Rises by one with each change.
     *
     * @return 1 or more
     */
    public long revision() {
        return revision;
    }

    /**
     * Whether it makes ticks.
     *
     * @return false for a disabled job
     */
    public boolean enabled() {
        return enabled;
    }

    /**
     * The next tick that is not yet written as a run.
     *
     * @return the tick, or null if there is none
     */
    @Nullable
    public Instant nextAt() {
        return nextAt;
    }

    /**
     * When it was put first.
     *
     * @return the instant
     */
    public Instant createdAt() {
        return createdAt;
    }

    /**
     * When this revision was put.
     *
     * @return the instant
     */
    public Instant updatedAt() {
        return updatedAt;
    }

    @Override
    public String toString() {
        return "StoredJob[" + definition + ", revision=" + revision + ", enabled=" + enabled + ", next=" + nextAt + "]";
    }
}
