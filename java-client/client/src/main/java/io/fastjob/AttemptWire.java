package io.fastjob;

import io.fastjob.internal.ProtoReader;
import io.fastjob.internal.ProtoWriter;
import java.time.Instant;
import java.util.UUID;

/** Dispatch, Cancel and Outcome of {@code fastjob.proto}. Decides nothing. */
final class AttemptWire {
    private static final int SUCCEEDED = 1;
    private static final int FAILED = 2;

    private AttemptWire() {}

    /** What a Dispatch says; not changed once it is read. */
    static final class Dispatch {
        UUID run = new UUID(0, 0);
        int attempt = 1;
        long epoch;
        String job = "";
        String handler = "";
        Payload params = Payload.NULL;
        @Nullable Instant tick;
        Instant due = Instant.EPOCH;
        @Nullable Instant previousTick;
        int maxAttempts = 1;
        long revision;
        Source source = Source.UNKNOWN;
        String idempotencyKey = "";
    }

    static Dispatch dispatch(byte[] message) {
        Dispatch d = new Dispatch();
        ProtoReader in = new ProtoReader(message);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: key(in.message(), d); break;
                case 2: d.epoch = in.integer(); break;
                case 3: d.job = in.text(); break;
                case 4: d.handler = in.text(); break;
                case 5: d.params = Payloads.read(in.message()); break;
                case 6: d.tick = Instant.ofEpochMilli(in.integer()); break;
                case 7: d.due = Instant.ofEpochMilli(in.integer()); break;
                case 8: d.previousTick = Instant.ofEpochMilli(in.integer()); break;
                case 11: d.maxAttempts = in.int32(); break;
                case 12: d.revision = in.integer(); break;
                case 13: d.source = RunWire.source(in.int32()); break;
                case 14: d.idempotencyKey = in.text(); break;
                default: break;
            }
        }
        return d;
    }

    static CancelReason cancel(byte[] message) {
        int reason = 0;
        ProtoReader in = new ProtoReader(message);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 2) reason = in.int32();
        }
        switch (reason) {
            case 1: return CancelReason.REQUESTED;
            case 2: return CancelReason.TIMEOUT;
            case 3: return CancelReason.SUPERSEDED;
            // Beyond what a server says: what the worker itself knows. See ffi/src/jni/connection.rs.
            case 4: return CancelReason.LOST;
            default: return CancelReason.STOPPING;
        }
    }

    static byte[] succeeded(Payload result) {
        return new ProtoWriter().integer(2, SUCCEEDED).message(3, Payloads.write(result)).toBytes();
    }

    static byte[] failed(Failure failure, @Nullable Long retryAfterMs, boolean giveUp) {
        ProtoWriter out = new ProtoWriter().integer(2, FAILED).message(4, Payloads.write(failure));
        if (retryAfterMs != null) out.integerPresent(7, retryAfterMs);
        return out.bool(8, giveUp).toBytes();
    }

    private static void key(ProtoReader in, Dispatch d) {
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 2) d.run = Ids.read(in.bytes());
            if (tag == 3) d.attempt = in.int32();
        }
    }
}
