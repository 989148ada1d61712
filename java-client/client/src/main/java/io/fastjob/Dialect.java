package io.fastjob;

/** How a cron expression is read; never guessed. */
public enum Dialect {
    /** 6 or 7 fields, seconds first; 1 is Sunday; {@code ?} or {@code *} in one of the day fields. */
    QUARTZ,
    /** 5 fields, minutes first; 0 and 7 are Sunday; either day field is enough, unless one begins with {@code *}. */
    UNIX,
    /** 6 fields, seconds first; 0 and 7 are Sunday; both day fields must match. */
    SPRING
}
