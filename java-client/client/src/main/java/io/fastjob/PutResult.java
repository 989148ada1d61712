package io.fastjob;

/** What a put did. Immutable. */
public final class PutResult {
    /** What became of the stored job. */
    public enum Change {
        /** It is new. */
        CREATED,
        /** It was changed. */
        UPDATED,
        /** It was equal: nothing was written. */
        UNCHANGED
    }

    private final Change change;
    private final StoredJob job;

    PutResult(Change change, StoredJob job) {
        this.change = change;
        this.job = job;
    }

    /**
     * What became of the stored job.
     *
     * @return the change
     */
    public Change change() {
        return change;
    }

    /**
     * The job as it is stored now.
     *
     * @return the job
     */
    public StoredJob job() {
        return job;
    }

    @Override
    public String toString() {
        return change + " " + job;
    }
}
