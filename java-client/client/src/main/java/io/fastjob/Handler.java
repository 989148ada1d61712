package io.fastjob;

/** What runs an attempt: a user's function. It is called by several threads at a time. */
@FunctionalInterface
public interface Handler {
    /**
     * Runs one attempt. Returning means success, whatever is thrown (Errors too) means failure; see
     * {@link GiveUpException} and {@link RetryLaterException}. When the attempt is cancelled or out of time,
     * {@link JobContext#isCancelled} turns true and the thread is interrupted; after the job's cancel grace the attempt
     * is settled without the handler, whose slot stays taken until it returns.
     *
     * @param context what to do, and the way to report
     * @return the result: null, a String, a byte[] or a {@link Payload}; at most 64 KiB
     * @throws Exception the attempt failed
     */
    @Nullable
    Object handle(JobContext context) throws Exception;
}
