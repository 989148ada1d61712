package io.fastjob;

/** Thrown by a handler to say that another attempt would be useless: the run fails without further retries. */
public class GiveUpException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /**
     * With a message.
     *
     * @param message why it is useless; at most 4 KiB of it are kept
     */
    public GiveUpException(String message) {
        super(message);
    }

    /**
     * With a message and what caused it.
     *
     * @param message why it is useless; at most 4 KiB of it are kept
     * @param cause what caused it, may be null
     */
    public GiveUpException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
