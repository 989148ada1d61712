package io.fastjob;

/** What the bytes of a {@link Payload} are. */
public enum Encoding {
    /** JSON text; no bytes mean {@code null}. */
    JSON,
    /** UTF-8 text. */
    TEXT,
    /** Anything. */
    BINARY
}
