package io.fastjob;

import java.util.Objects;

/**
 * A refused or failed call. {@link #code} is for programs, the message, {@link #field} and {@link #remedy} are for
 * people. Futures complete with it as the cause of their {@link java.util.concurrent.ExecutionException}.
 */
public class FastJobException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** See {@link #kind()}. */
    private final Kind kind;
    /** See {@link #code()}. */
    private final String code;
    /** See {@link #field()}. */
    private final String field;
    /** See {@link #remedy()}. */
    private final String remedy;

    /** Sorts of refusal. */
    public enum Kind {
        /** The request is wrong and stays so. */
        INVALID,
        /** What it names does not exist. */
        NOT_FOUND,
        /** It contradicts what is there. */
        CONFLICT,
        /** The token is missing, unknown or revoked. */
        UNAUTHENTICATED,
        /** The token does not allow it. */
        NOT_PERMITTED,
        /** Not now; the same call may succeed later. */
        UNAVAILABLE,
        /** A server was reached but did not answer in time: whether it did what was asked is not known. */
        TIMEOUT,
        /** A defect on our side. */
        INTERNAL
    }

    /**
     * An exception from its parts.
     *
     * @param kind what sort of refusal it is
     * @param code a stable word in snake_case
     * @param message what is wrong, as a sentence fragment
     * @param field the field at fault, empty if none
     * @param remedy what to do about it, may be empty
     */
    public FastJobException(Kind kind, String code, String message, String field, String remedy) {
        super(sentence(message, field, remedy));
        this.kind = Objects.requireNonNull(kind, "kind");
        this.code = Objects.requireNonNull(code, "code");
        this.field = field;
        this.remedy = remedy;
    }

    /**
     * What sort of refusal it is.
     *
     * @return the kind
     */
    public Kind kind() {
        return kind;
    }

    /**
     * A stable word in snake_case, as {@code job_not_found}.
     *
     * @return the code
     */
    public String code() {
        return code;
    }

    /**
     * The field at fault, as {@code jobs[3].trigger.cron.expression}; empty if none.
     *
     * @return the field
     */
    public String field() {
        return field;
    }

    /**
     * What to do about it; may be empty.
     *
     * @return the remedy
     */
    public String remedy() {
        return remedy;
    }

    static FastJobException invalid(String code, String field, String message, String remedy) {
        return new FastJobException(Kind.INVALID, code, message, field, remedy);
    }

    static FastJobException closed() {
        return new FastJobException(Kind.UNAVAILABLE, "closed", "the client is closed", "", "connect again");
    }

    private static String sentence(String message, String field, String remedy) {
        String start = field.isEmpty() ? message : field + ": " + message;
        return remedy.isEmpty() ? start : start + " (" + remedy + ")";
    }
}
