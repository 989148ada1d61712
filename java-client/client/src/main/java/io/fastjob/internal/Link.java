package io.fastjob.internal;

import io.fastjob.FastJobException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** One open native handle. Turns errors into exceptions and bytes into frames; knows no message but ErrorDetail. */
public final class Link {
    /** Large enough for any Dispatch; longer replies make it grow. */
    private static final int BUFFER_BYTES = 256 * 1024;
    /** No reply is longer: the native side refuses it. */
    private static final int MAX_BUFFER_BYTES = 64 * 1024 * 1024;

    private final long handle;
    private ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);

    private Link(long handle) {
        this.handle = handle;
    }

    /** Opens a handle; loads the library if this is the first. */
    public static Link open(byte[] options) {
        NativeLibrary.load();
        long[] handle = new long[1];
        check(Native.open(options, handle));
        return new Link(handle[0]);
    }

    /** Waits at most about a second for frames; for one thread alone. Null once the handle is closed. */
    public List<Frame> poll() {
        int length = Native.poll(handle, buffer);
        if (length > 0) return Frame.read(buffer, length);
        if (length == -1) return null;
        if (length < 0) grow(-length);
        return Collections.emptyList();
    }

    /** Begins a call; its completion carries the id. */
    public void call(long id, String method, byte[] request, long timeoutMs) {
        check(Native.call(handle, id, method, request, timeoutMs));
    }

    /** Starts a worker and answers its number. */
    public int workerStart(byte[] options) {
        int[] worker = new int[1];
        check(Native.workerStart(handle, options, worker));
        return worker[0];
    }

    /** Stops a worker; blocks, deaf to interrupts. */
    public void workerStop(int worker, long graceMs) {
        check(Native.workerStop(handle, worker, graceMs));
    }

    /** Says that a handler is about to be called. */
    public void entered(long ticket) {
        Native.entered(handle, ticket);
    }

    /** Says how far an attempt is. */
    public void progress(long ticket, int percent, byte[] note) {
        check(Native.progress(handle, ticket, percent, note));
    }

    /** Says how an attempt ended. */
    public void complete(long ticket, byte[] outcome) {
        check(Native.complete(handle, ticket, outcome));
    }

    /** Closes, the last frame is CLOSED; blocks, deaf to interrupts. */
    public void close(long graceMs) {
        Native.close(handle, graceMs);
    }

    /** Forgets the handle. */
    public void free() {
        Native.free(handle);
    }

    /** The exception in a kind, 0 if unknown, and an encoded ErrorDetail. */
    public static FastJobException error(int kind, byte[] detail) {
        String code = "internal";
        String message = "the call failed";
        String field = "";
        String remedy = "";
        ProtoReader in = new ProtoReader(detail);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: code = in.text(); break;
                case 2: message = in.text(); break;
                case 3: field = in.text(); break;
                case 4: remedy = in.text(); break;
                default: break;
            }
        }
        return new FastJobException(kind == 0 ? kindOf(code) : kind(kind), code, message, field, remedy);
    }

    /** An error inside a reply has no kind but what its code says. */
    private static FastJobException.Kind kindOf(String code) {
        if (code.endsWith("not_found")) return FastJobException.Kind.NOT_FOUND;
        return code.endsWith("conflict") ? FastJobException.Kind.CONFLICT : FastJobException.Kind.INVALID;
    }

    private static FastJobException.Kind kind(int kind) {
        switch (kind) {
            case 1: return FastJobException.Kind.INVALID;
            case 2: return FastJobException.Kind.NOT_FOUND;
            case 3: return FastJobException.Kind.CONFLICT;
            case 4: return FastJobException.Kind.UNAUTHENTICATED;
            case 5: return FastJobException.Kind.NOT_PERMITTED;
            case 6: return FastJobException.Kind.UNAVAILABLE;
            case 8: return FastJobException.Kind.TIMEOUT;
            default: return FastJobException.Kind.INTERNAL;
        }
    }

    private static void check(byte[] error) {
        if (error != null) throw error(error[0], Arrays.copyOfRange(error, 1, error.length));
    }

    private void grow(int needed) {
        if (needed > MAX_BUFFER_BYTES) throw new IllegalStateException("a frame of " + needed + " bytes");
        buffer = ByteBuffer.allocateDirect(Math.max(needed, buffer.capacity() * 2));
    }
}
