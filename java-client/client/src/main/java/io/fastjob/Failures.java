package io.fastjob;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/** Makes a {@link Failure} of whatever a handler threw. Never throws, whatever the Throwable's own methods do. */
final class Failures {
    private static final int MAX_CLASS_BYTES = 256;
    private static final int MAX_MESSAGE_BYTES = 4 * 1024;
    private static final int MAX_TRACE_BYTES = 16 * 1024;
    private static final int MAX_CAUSES = 20;

    /** Made in advance, for the time when there is no memory. */
    private static final Failure OUT_OF_MEMORY =
        new Failure("java.lang.OutOfMemoryError", "no memory was left to describe the failure", "");

    private Failures() {}

    static Failure of(Throwable thrown) {
        try {
            return new Failure(cut(thrown.getClass().getName(), MAX_CLASS_BYTES), cut(message(thrown), MAX_MESSAGE_BYTES),
                cut(trace(thrown), MAX_TRACE_BYTES));
        } catch (OutOfMemoryError e) {
            return OUT_OF_MEMORY;
        } catch (Throwable e) {
            return new Failure(thrown.getClass().getName(), "its message and stack could not be read", "");
        }
    }

    /** At most so many bytes of UTF-8, cut between characters. */
    static String cut(String text, int maxBytes) {
        if (text.length() * 3L <= maxBytes) return text;
        int bytes = 0;
        for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
            if (bytes > maxBytes) return text.substring(0, i);
            i += Character.charCount(c);
        }
        return text;
    }

    private static String message(Throwable thrown) {
        String message = thrown.getMessage();
        return message == null ? "" : message;
    }

    /** The causes outermost first, their frames without those that every handler has below it. */
    private static String trace(Throwable thrown) {
        StringBuilder text = new StringBuilder();
        Set<Throwable> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        Throwable each = thrown;
        while (each != null && seen.add(each) && seen.size() <= MAX_CAUSES && text.length() < MAX_TRACE_BYTES) {
            text.append(each == thrown ? "" : "Caused by: ").append(each.getClass().getName());
            if (each.getMessage() != null) text.append(": ").append(each.getMessage());
            text.append('\n');
            for (StackTraceElement frame : each.getStackTrace()) {
                if (frame.getClassName().equals(AttemptContext.class.getName())) break;
                text.append("\tat ").append(frame).append('\n');
                if (text.length() >= MAX_TRACE_BYTES) break;
            }
            each = each.getCause();
        }
        return text.toString();
    }
}
