package io.fastjob.internal;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * One thing that the native side says. Layout in a batch, big endian: {@code u32} length of the body, {@code u8} kind,
 * {@code u8} code, {@code u16} worker, {@code u64} id, body. The same layout is written by {@code ffi/src/jni/outbox.rs}.
 */
public final class Frame {
    /** An attempt to run: id is its ticket, body a Dispatch. */
    public static final int DISPATCH = 1;
    /** An attempt should stop: id is its ticket, body a Cancel. */
    public static final int CANCEL = 2;
    /** A call ended: id is the request's, code 0 and body the reply, or code an error kind and body an ErrorDetail. */
    public static final int COMPLETION = 3;
    /** Something for the log: code is the level (1 error to 5 trace), body a text in UTF-8. */
    public static final int LOG = 4;
    /** A worker changed: code is the state below. */
    public static final int STATE = 5;
    /** The last frame of a handle. */
    public static final int CLOSED = 6;

    /** Code of {@link #STATE}: the worker has stopped. */
    public static final int STOPPED = 3;

    static final int HEADER = 16;

    /** One of the constants above. */
    public final int kind;
    /** Meaning depends on the kind. */
    public final int code;
    /** The worker it is about, 0 if none. */
    public final int worker;
    /** Meaning depends on the kind. */
    public final long id;
    /** Meaning depends on the kind. */
    public final byte[] body;

    Frame(int kind, int code, int worker, long id, byte[] body) {
        this.kind = kind;
        this.code = code;
        this.worker = worker;
        this.id = id;
        this.body = body;
    }

    /** The frames in the first {@code length} bytes; the buffer's position is left where it was. */
    static List<Frame> read(ByteBuffer buffer, int length) {
        List<Frame> frames = new ArrayList<>();
        ByteBuffer in = buffer.duplicate();
        ((Buffer) in).limit(length).position(0);
        while (in.hasRemaining()) {
            if (in.remaining() < HEADER) throw new IllegalStateException("half a frame header");
            int size = in.getInt();
            int kind = in.get() & 0xFF;
            int code = in.get() & 0xFF;
            int worker = in.getShort() & 0xFFFF;
            long id = in.getLong();
            if (size < 0 || size > in.remaining()) throw new IllegalStateException("half a frame");
            byte[] body = new byte[size];
            in.get(body);
            frames.add(new Frame(kind, code, worker, id, body));
        }
        return frames;
    }
}
