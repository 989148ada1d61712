package io.fastjob;

import java.time.Duration;
import java.time.Instant;

/** Checks lengths of time and turns them into milliseconds. */
final class Durations {
    private Durations() {}

    static Duration atLeastZero(String field, Duration duration) {
        if (duration.isNegative()) {
            throw FastJobException.invalid("negative_duration", field, "is " + duration, "give 0 or more");
        }
        return duration;
    }

    /** Milliseconds of a duration of 0 or more; a part of a millisecond counts as a whole one. */
    static long millis(String field, Duration duration) {
        atLeastZero(field, duration);
        try {
            return duration.plusNanos(999_999).toMillis();
        } catch (ArithmeticException e) {
            throw FastJobException.invalid("duration_too_long", field, "is " + duration, "give less");
        }
    }

    /** Milliseconds since 1970 of an instant. */
    static long millis(String field, Instant instant) {
        try {
            return instant.toEpochMilli();
        } catch (ArithmeticException e) {
            throw FastJobException.invalid("instant_out_of_range", field, "is " + instant, "give a nearer one");
        }
    }
}
