package io.fastjob;

import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;

/** Which runs to list, newest first. Immutable: each method returns a changed copy. */
public final class RunQuery {
    private static final RunQuery ALL = new RunQuery("", Collections.<RunState>emptySet(), 100, null);

    private final String job;
    private final Set<RunState> states;
    private final int limit;
    @Nullable private final UUID before;

    private RunQuery(String job, Set<RunState> states, int limit, @Nullable UUID before) {
        this.job = job;
        this.states = states;
        this.limit = limit;
        this.before = before;
    }

    /**
     * The newest 100 runs of the app.
     *
     * @return the query
     */
    public static RunQuery all() {
        return ALL;
    }

    /**
     * The newest 100 runs of a job.
     *
     * @param name the job's name
     * @return the query
     */
    public static RunQuery ofJob(String name) {
        return new RunQuery(Objects.requireNonNull(name, "name"), ALL.states, ALL.limit, null);
    }

    /**
     * Only runs in these states.
     *
     * @param wanted none means all
     * @return a copy with them
     */
    public RunQuery states(RunState... wanted) {
        Set<RunState> set = EnumSet.noneOf(RunState.class);
        set.addAll(Arrays.asList(wanted));
        return new RunQuery(job, Collections.unmodifiableSet(set), limit, before);
    }

    /**
     * At most so many.
     *
     * @param count 1 to 500
     * @return a copy with it
     */
    public RunQuery limit(int count) {
        if (count < 1 || count > 500) {
            throw FastJobException.invalid("out_of_range", "limit", "is " + count, "give 1 to 500");
        }
        return new RunQuery(job, states, count, before);
    }

    /**
     * Only runs older than this one: for the next page give the last run of the page before.
     *
     * @param run the id of a run
     * @return a copy with it
     */
    public RunQuery before(UUID run) {
        return new RunQuery(job, states, limit, Objects.requireNonNull(run, "run"));
    }

    String job() {
        return job;
    }

    Set<RunState> states() {
        return states;
    }

    int limit() {
        return limit;
    }

    @Nullable
    UUID before() {
        return before;
    }
}
