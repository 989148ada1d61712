package io.fastjob;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;

/** Parameters or a result: at most 64 KiB, and what they are. Immutable. */
public final class Payload {
    /** The largest payload in bytes. */
    public static final int MAX_BYTES = 64 * 1024;

    /** JSON {@code null}: what a handler returns that returns nothing. */
    public static final Payload NULL = new Payload(Encoding.JSON, new byte[0]);

    private final Encoding encoding;
    private final byte[] data;

    private Payload(Encoding encoding, byte[] data) {
        this.encoding = encoding;
        this.data = data;
    }

    /**
     * A payload of text.
     *
     * @param text at most {@link #MAX_BYTES} in UTF-8
     * @return the payload
     * @throws FastJobException if it is too large
     */
    public static Payload text(String text) {
        return checked(Encoding.TEXT, text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * A payload of JSON text. Whether it is JSON is checked by the server.
     *
     * @param json at most {@link #MAX_BYTES} in UTF-8
     * @return the payload
     * @throws FastJobException if it is too large
     */
    public static Payload json(String json) {
        return checked(Encoding.JSON, json.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * A payload of bytes, which are copied.
     *
     * @param data at most {@link #MAX_BYTES}
     * @return the payload
     * @throws FastJobException if it is too large
     */
    public static Payload binary(byte[] data) {
        return checked(Encoding.BINARY, data.clone());
    }

    /**
     * What a handler's return value becomes: null is {@link #NULL}, a String text, a byte[] binary, a Payload itself.
     *
     * @param value null, a String, a byte[] or a Payload
     * @return the payload
     * @throws FastJobException if it is too large or of another type
     */
    public static Payload of(@Nullable Object value) {
        if (value == null) return NULL;
        if (value instanceof Payload) return (Payload) value;
        if (value instanceof String) return text((String) value);
        if (value instanceof byte[]) return binary((byte[]) value);
        throw FastJobException.invalid("unknown_payload_type", "", "a " + value.getClass().getName() + " is no payload",
            "return null, a String, a byte[] or a Payload such as Payload.json(...)");
    }

    /**
     * What the bytes are.
     *
     * @return the encoding
     */
    public Encoding encoding() {
        return encoding;
    }

    /**
     * The bytes as UTF-8 text, whatever the encoding; malformed bytes become U+FFFD.
     *
     * @return the text, empty if there are no bytes
     */
    public String asText() {
        return new String(data, StandardCharsets.UTF_8);
    }

    /**
     * JSON text: as it is if the encoding is JSON, and as a JSON string if it is text.
     *
     * @return the JSON text, {@code "null"} if there are no bytes
     * @throws IllegalStateException if the encoding is binary
     */
    public String asJson() {
        switch (encoding) {
            case JSON: return data.length == 0 ? "null" : asText();
            case TEXT: return quote(asText());
            default: throw new IllegalStateException("a binary payload is not JSON: use asBytes()");
        }
    }

    /**
     * A copy of the bytes.
     *
     * @return the bytes
     */
    public byte[] asBytes() {
        return data.clone();
    }

    /**
     * How many bytes there are.
     *
     * @return 0 to {@link #MAX_BYTES}
     */
    public int size() {
        return data.length;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Payload && ((Payload) other).encoding == encoding
            && Arrays.equals(((Payload) other).data, data);
    }

    @Override
    public int hashCode() {
        return Objects.hash(encoding, Arrays.hashCode(data));
    }

    @Override
    public String toString() {
        return encoding == Encoding.BINARY ? data.length + " bytes" : encoding == Encoding.JSON ? asJson() : asText();
    }

    /** Wraps bytes that nobody else holds; what comes from a server is not judged again. */
    static Payload trusted(Encoding encoding, byte[] data) {
        return new Payload(encoding, data);
    }

    /** The bytes themselves: not to be changed. */
    byte[] data() {
        return data;
    }

    private static Payload checked(Encoding encoding, byte[] data) {
        if (data.length > MAX_BYTES) {
            throw FastJobException.invalid("payload_too_large", "", "the payload has " + data.length + " bytes",
                "at most " + MAX_BYTES + " are allowed: pass a reference to the data instead");
        }
        return new Payload(encoding, data);
    }

    private static String quote(String text) {
        StringBuilder json = new StringBuilder(text.length() + 2).append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < 0x20) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }
}
