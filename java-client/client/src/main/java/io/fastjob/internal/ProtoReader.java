package io.fastjob.internal;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads one message in protobuf's wire format: {@link #next} moves to a field, then one getter takes its value; a field
 * that nobody takes is skipped. Whatever is malformed throws {@link IllegalArgumentException}, never reads beyond its
 * bounds and never loops for ever. Groups, unused by this protocol, count as malformed.
 */
public final class ProtoReader {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int LENGTH = 2;
    private static final int FIXED32 = 5;

    private final byte[] bytes;
    private final int end;
    private int at;
    private int type = -1;

    /** Reads all of the bytes. */
    public ProtoReader(byte[] bytes) {
        this(bytes, 0, bytes.length);
    }

    private ProtoReader(byte[] bytes, int from, int end) {
        this.bytes = bytes;
        this.at = from;
        this.end = end;
    }

    /** The number of the next field, or 0 at the end. */
    public int next() {
        skip();
        if (at == end) return 0;
        long tag = varint();
        int field = (int) (tag >>> 3);
        type = (int) (tag & 7);
        if (field <= 0 || tag >>> 3 > 0x1FFFFFFF) throw malformed("field number");
        return field;
    }

    /** The value of an integer or enum field. */
    public long integer() {
        expect(VARINT);
        return varint();
    }

    /** The value of an integer field that fits in 32 bits. */
    public int int32() {
        return (int) integer();
    }

    /** The value of a boolean field. */
    public boolean bool() {
        return integer() != 0;
    }

    /** The value of a fixed64 field. */
    public long fixed64() {
        expect(FIXED64);
        require(8);
        long value = 0;
        for (int i = 0; i < 8; i++) value |= (bytes[at++] & 0xFFL) << (8 * i);
        return value;
    }

    /** The value of a double field. */
    public double real() {
        return Double.longBitsToDouble(fixed64());
    }

    /** The value of a string field. */
    public String text() {
        int length = length();
        String text = new String(bytes, at, length, StandardCharsets.UTF_8);
        at += length;
        return text;
    }

    /** A copy of the value of a bytes field. */
    public byte[] bytes() {
        int length = length();
        at += length;
        return Arrays.copyOfRange(bytes, at - length, at);
    }

    /** A reader over an inner message. */
    public ProtoReader message() {
        int length = length();
        at += length;
        return new ProtoReader(bytes, at - length, at);
    }

    /** One more of a repeated integer field, packed or not, appended to those before. */
    public long[] integers(long[] before) {
        if (type == VARINT) {
            long[] all = Arrays.copyOf(before, before.length + 1);
            all[before.length] = integer();
            return all;
        }
        ProtoReader inner = message();
        long[] all = before;
        int count = before.length;
        while (inner.at < inner.end) {
            if (count == all.length) all = Arrays.copyOf(all, Math.max(8, count * 2));
            all[count++] = inner.varint();
        }
        return Arrays.copyOf(all, count);
    }

    private int length() {
        expect(LENGTH);
        long length = varint();
        if (length < 0 || length > end - at) throw malformed("length");
        return (int) length;
    }

    private void skip() {
        switch (type) {
            case -1: return;
            case VARINT: varint(); break;
            case FIXED64: require(8); at += 8; break;
            case LENGTH: message(); break;
            case FIXED32: require(4); at += 4; break;
            default: throw malformed("wire type");
        }
        type = -1;
    }

    private void expect(int wanted) {
        if (type != wanted) throw malformed("wire type");
        type = -1;
    }

    private long varint() {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            require(1);
            byte next = bytes[at++];
            value |= (next & 0x7FL) << shift;
            if (next >= 0) return value;
        }
        throw malformed("varint");
    }

    private void require(int more) {
        if (end - at < more) throw malformed("end");
    }

    private IllegalArgumentException malformed(String what) {
        return new IllegalArgumentException("malformed message: bad " + what + " at byte " + at);
    }
}
