package io.fastjob;

/** How a handler failed. Immutable. */
public final class Failure {
    private final String className;
    private final String message;
    private final String trace;

    Failure(String className, String message, String trace) {
        this.className = className;
        this.message = message;
        this.trace = trace;
    }

    /**
     * Kind of the error, as {@code java.io.IOException}.
     *
     * @return at most 256 characters
     */
    public String className() {
        return className;
    }

    /**
     * What it said.
     *
     * @return at most 4 KiB
     */
    public String message() {
        return message;
    }

    /**
     * Its stack or chain of causes.
     *
     * @return at most 16 KiB, may be empty
     */
    public String trace() {
        return trace;
    }

    @Override
    public String toString() {
        return message.isEmpty() ? className : className + ": " + message;
    }
}
