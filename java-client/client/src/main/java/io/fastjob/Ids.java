package io.fastjob;

import java.nio.ByteBuffer;
import java.util.UUID;

/** Ids as the wire has them: 16 bytes, big endian. */
final class Ids {
    private Ids() {}

    static byte[] write(UUID id) {
        return ByteBuffer.allocate(16).putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits())
            .array();
    }

    static UUID read(byte[] bytes) {
        if (bytes.length != 16) throw new IllegalArgumentException("malformed message: an id of " + bytes.length + " bytes");
        ByteBuffer in = ByteBuffer.wrap(bytes);
        return new UUID(in.getLong(), in.getLong());
    }

    @Nullable
    static UUID readOptional(byte[] bytes) {
        return bytes.length == 0 ? null : read(bytes);
    }
}
