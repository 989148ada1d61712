package io.fastjob.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class ProtoReaderTest {
    @Test
    void what_is_written_is_read_back_whatever_its_size() {
        for (long value : new long[] {1, 127, 128, 1L << 31, 1L << 62, -1, Long.MIN_VALUE}) {
            byte[] bytes = new ProtoWriter().integer(1, value).fixed64(536_870_911, value).toBytes();
            ProtoReader in = new ProtoReader(bytes);
            assertEquals(1, in.next());
            assertEquals(value, in.integer());
            assertEquals(536_870_911, in.next());
            assertEquals(value, in.fixed64());
            assertEquals(0, in.next());
        }
    }

    @Test
    void fields_that_nobody_takes_are_skipped() {
        byte[] bytes = new ProtoWriter().integer(1, 300).text(2, "skipped").fixed64(3, 5).real(4, 0.5).text(9, "ß")
            .toBytes();
        ProtoReader in = new ProtoReader(bytes);
        int last = 0;
        for (int field = in.next(); field != 9; field = in.next()) last = field;
        assertEquals(4, last);
        assertEquals("ß", in.text());
        assertEquals(0, in.next());
    }

    @Test
    void repeated_integers_are_read_packed_and_unpacked() {
        byte[] bytes = new ProtoWriter().packed(1, new long[] {1, 300}).integer(1, 7).toBytes();
        ProtoReader in = new ProtoReader(bytes);
        long[] all = {};
        while (in.next() == 1) all = in.integers(all);
        assertArrayEquals(new long[] {1, 300, 7}, all);
    }

    @Test
    void cut_and_broken_messages_are_refused() {
        byte[][] broken = {
            {0x08}, {0x0a, 5, 1}, {0x0a, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1}, {0x00}, {0x0b}, {0x09, 1, 2},
            {0x08, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, {0x0d, 1}
        };
        for (byte[] each : broken) {
            assertThrows(IllegalArgumentException.class, () -> drain(new ProtoReader(each)));
        }
    }

    @Test
    void a_field_of_another_type_than_asked_for_is_refused() {
        ProtoReader in = new ProtoReader(new ProtoWriter().integer(1, 5).toBytes());
        in.next();
        assertThrows(IllegalArgumentException.class, in::text);
    }

    @Test
    void random_bytes_end_in_a_refusal_or_an_end_and_in_nothing_else() {
        Random random = new Random(42);
        int refused = 0;
        for (int round = 0; round < 20_000; round++) {
            byte[] bytes = new byte[random.nextInt(40)];
            random.nextBytes(bytes);
            try {
                drain(new ProtoReader(bytes));
            } catch (IllegalArgumentException e) {
                refused++;
            }
        }
        assertEquals(true, refused > 1_000 && refused < 20_000, "refused " + refused);
    }

    @Test
    void frames_are_read_in_order_and_the_buffer_stays_as_it_was() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(64);
        buffer.putInt(2).put((byte) Frame.DISPATCH).put((byte) 0).putShort((short) 65_535).putLong(-2).put(new byte[] {1, 2});
        buffer.putInt(0).put((byte) Frame.CLOSED).put((byte) 255).putShort((short) 0).putLong(1);
        int length = buffer.position();
        buffer.position(0);
        List<Frame> frames = Frame.read(buffer, length);
        assertEquals(2, frames.size());
        assertEquals(65_535, frames.get(0).worker);
        assertEquals(-2, frames.get(0).id);
        assertArrayEquals(new byte[] {1, 2}, frames.get(0).body);
        assertEquals(Frame.CLOSED, frames.get(1).kind);
        assertEquals(255, frames.get(1).code);
        assertEquals(0, buffer.position());
        assertThrows(IllegalStateException.class, () -> Frame.read(buffer, length - 1));
        assertThrows(IllegalStateException.class, () -> Frame.read(buffer, 17));
    }

    private static void drain(ProtoReader in) {
        int fields = 0;
        while (in.next() != 0) fields++;
        assertEquals(true, fields <= 40);
    }
}
