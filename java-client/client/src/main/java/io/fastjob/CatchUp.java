package io.fastjob;

import java.time.Duration;

/** What becomes of ticks that no server saw in time, as after an outage. Immutable. */
public final class CatchUp {
    /** Which of the missed ticks fire. */
    public enum Policy {
        /** The newest; the others become one recorded gap. */
        LATEST,
        /** None: all become one recorded gap. */
        NONE,
        /** All, one after the other, up to a bound; the older ones become one recorded gap. */
        ALL
    }

    private final Policy policy;
    @Nullable private final Long thresholdMs;
    @Nullable private final Long windowMs;
    @Nullable private final Long maxRuns;

    CatchUp(
            Policy policy, @Nullable Long thresholdMs, @Nullable Long windowMs, @Nullable Long maxRuns) {
        this.policy = policy;
        this.thresholdMs = thresholdMs;
        this.windowMs = windowMs;
        this.maxRuns = maxRuns;
    }

    /**
     * The newest missed tick fires: the default.
     *
     * @return the policy
     */
    public static CatchUp latest() {
        return new CatchUp(Policy.LATEST, null, null, null);
    }

    /**
     * No missed tick fires.
     *
     * @return the policy
     */
    public static CatchUp none() {
        return new CatchUp(Policy.NONE, null, null, null);
    }

    /**
     * All missed ticks fire, one after the other; of more than so many the newest.
     *
     * @param maxRuns 1 to 1,000
     * @return the policy
     */
    public static CatchUp all(int maxRuns) {
        return new CatchUp(Policy.ALL, null, null, (long) maxRuns);
    }

    /**
     * A missed tick no later than this simply fires late.
     *
     * @param threshold 0 or more; the server's default is 60 s
     * @return a copy with it
     */
    public CatchUp threshold(Duration threshold) {
        return new CatchUp(policy, Durations.millis("catchUp.threshold", threshold), windowMs, maxRuns);
    }

    /**
     * Older ticks are never made up for.
     *
     * @param window 0 or more; the server's default is 1 h for periods under a day, else 24 h
     * @return a copy with it
     */
    public CatchUp window(Duration window) {
        return new CatchUp(policy, thresholdMs, Durations.millis("catchUp.window", window), maxRuns);
    }

    /**
     * Which of the missed ticks fire.
     *
     * @return the policy
     */
    public Policy policy() {
        return policy;
    }

    @Nullable
    Long thresholdMs() {
        return thresholdMs;
    }

    @Nullable
    Long windowMs() {
        return windowMs;
    }

    @Nullable
    Long maxRuns() {
        return maxRuns;
    }
}
