package io.fastjob.internal;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Writes one message in protobuf's wire format, byte for byte as prost does: fields in the order of the calls, proto3
 * defaults left out unless the method says {@code Present}. Knows no message: the caller names the fields.
 */
public final class ProtoWriter {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int LENGTH = 2;

    private byte[] bytes = new byte[128];
    private int size;

    /** A signed or unsigned integer or an enum; left out when 0. */
    public ProtoWriter integer(int field, long value) {
        return value == 0 ? this : integerPresent(field, value);
    }

    /** An integer that is written even when 0: an {@code optional} field, or one of a {@code oneof}. */
    public ProtoWriter integerPresent(int field, long value) {
        tag(field, VARINT);
        varint(value);
        return this;
    }

    /** Left out when false. */
    public ProtoWriter bool(int field, boolean value) {
        return integer(field, value ? 1 : 0);
    }

    /** Left out when 0. */
    public ProtoWriter fixed64(int field, long value) {
        if (value == 0) return this;
        tag(field, FIXED64);
        reserve(8);
        for (int i = 0; i < 8; i++) bytes[size++] = (byte) (value >>> (8 * i));
        return this;
    }

    /** Left out when it is positive zero. */
    public ProtoWriter real(int field, double value) {
        return fixed64(field, Double.doubleToRawLongBits(value));
    }

    /** Left out when empty. */
    public ProtoWriter text(int field, String value) {
        return value.isEmpty() ? this : bytesPresent(field, value.getBytes(StandardCharsets.UTF_8));
    }

    /** Left out when empty. */
    public ProtoWriter bytes(int field, byte[] value) {
        return value.length == 0 ? this : bytesPresent(field, value);
    }

    /** Bytes, text or an encoded message that is written even when empty. */
    public ProtoWriter bytesPresent(int field, byte[] value) {
        tag(field, LENGTH);
        varint(value.length);
        reserve(value.length);
        System.arraycopy(value, 0, bytes, size, value.length);
        size += value.length;
        return this;
    }

    /** An inner message, present. */
    public ProtoWriter message(int field, ProtoWriter inner) {
        return bytesPresent(field, inner.toBytes());
    }

    /** Integers one after another in one field; left out when there are none. */
    public ProtoWriter packed(int field, long[] values) {
        if (values.length == 0) return this;
        ProtoWriter inner = new ProtoWriter();
        for (long value : values) inner.varint(value);
        return message(field, inner);
    }

    /** A copy of what was written. */
    public byte[] toBytes() {
        return Arrays.copyOf(bytes, size);
    }

    private void tag(int field, int type) {
        varint((long) field << 3 | type);
    }

    private void varint(long value) {
        reserve(10);
        long rest = value;
        while ((rest & ~0x7FL) != 0) {
            bytes[size++] = (byte) (rest & 0x7F | 0x80);
            rest >>>= 7;
        }
        bytes[size++] = (byte) rest;
    }

    private void reserve(int more) {
        if (bytes.length - size < more) bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, size + more));
    }
}
