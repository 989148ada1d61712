package io.fastjob;

import io.fastjob.internal.Link;
import io.fastjob.internal.ProtoReader;
import io.fastjob.internal.ProtoWriter;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.UUID;

/** Run of {@code fastjob.proto}, and the requests about runs. Decides nothing. */
final class RunWire {
    private static final Source[] SOURCES = {
        Source.UNKNOWN, Source.CRON, Source.FIXED_RATE, Source.FIXED_DELAY, Source.AT, Source.API, Source.MANUAL,
        Source.BACKFILL, Source.DAILY_WINDOW
    };
    private static final RunState[] STATES = {
        RunState.UNKNOWN, RunState.SCHEDULED, RunState.DISPATCHED, RunState.SUCCEEDED, RunState.FAILED,
        RunState.CANCELLED, RunState.SKIPPED
    };

    private RunWire() {}

    static Source source(int number) {
        return Enums.at(SOURCES, number, Source.UNKNOWN);
    }

    /** TriggerRequest of one trigger. */
    static byte[] triggerRequest(String app, ProtoWriter trigger) {
        return new ProtoWriter().text(1, app).message(2, trigger).toBytes();
    }

    /** The run of the only result, or its error. */
    static Run triggerReply(byte[] reply) {
        ProtoReader in = new ProtoReader(reply);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) return triggerResult(in.message());
        }
        throw new IllegalArgumentException("malformed message: a trigger without result");
    }

    /** RunGet by id, RunCancel: an app and an id. */
    static byte[] idRequest(String app, UUID id) {
        return new ProtoWriter().text(1, app).bytes(2, Ids.write(id)).toBytes();
    }

    static byte[] keyRequest(String app, String job, String key) {
        return new ProtoWriter().text(1, app).message(3, new ProtoWriter().text(1, job).text(2, key)).toBytes();
    }

    static byte[] waitRequest(String app, UUID id, long timeoutMs) {
        return new ProtoWriter().text(1, app).bytes(2, Ids.write(id)).integer(3, timeoutMs).toBytes();
    }

    static byte[] retryRequest(String app, UUID id, UUID request) {
        return new ProtoWriter().text(1, app).bytes(2, Ids.write(id)).bytes(3, Ids.write(request)).toBytes();
    }

    static byte[] listRequest(String app, RunQuery query) {
        long[] states = query.states().stream().mapToLong(RunWire::number).toArray();
        ProtoWriter out = new ProtoWriter().text(1, app).text(2, query.job()).packed(3, states)
            .integer(4, query.limit());
        UUID before = query.before();
        return (before == null ? out : out.bytes(5, Ids.write(before))).toBytes();
    }

    static List<Run> listReply(byte[] reply) {
        List<Run> runs = new ArrayList<>();
        ProtoReader in = new ProtoReader(reply);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) runs.add(run(in.message()));
        }
        return runs;
    }

    static Run run(byte[] run) {
        return run(new ProtoReader(run));
    }

    private static Run triggerResult(ProtoReader in) {
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) return run(in.message());
            if (tag == 2) throw Link.error(0, in.bytes());
        }
        throw new IllegalArgumentException("malformed message: a trigger result without run");
    }

    private static Run run(ProtoReader in) {
        Run.Fields f = new Run.Fields();
        List<RunAttempt> attempts = new ArrayList<>();
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: f.id = Ids.read(in.bytes()); break;
                case 2: f.app = in.text(); break;
                case 3: f.job = in.text(); break;
                case 4: f.source = source(in.int32()); break;
                case 5: f.tick = instant(in); break;
                case 6: f.due = instant(in); break;
                case 7: f.state = Enums.at(STATES, in.int32(), RunState.UNKNOWN); break;
                case 8: f.reason = in.text(); break;
                case 9: f.attempt = in.int32(); break;
                case 10: f.maxAttempts = in.int32(); break;
                case 11: f.worker = in.text(); break;
                case 13: f.epoch = in.integer(); break;
                case 14: f.revision = in.integer(); break;
                case 15: f.failCount = in.int32(); break;
                case 16: f.lostCount = in.int32(); break;
                case 17: f.retryOf = Ids.readOptional(in.bytes()); break;
                case 18: f.params = Payloads.read(in.message()); break;
                case 19: f.result = Payloads.read(in.message()); break;
                case 20: f.error = Payloads.readFailure(in.message()); break;
                case 21: f.idempotencyKey = in.text(); break;
                case 22: f.createdAt = instant(in); break;
                case 23: f.dispatchedAt = instant(in); break;
                case 24: f.startedAt = instant(in); break;
                case 25: f.endedAt = instant(in); break;
                case 26: attempts.add(attempt(in.message())); break;
                case 27: f.progressPercent = in.int32(); break;
                case 28: f.progressNote = in.text(); break;
                default: break;
            }
        }
        f.attempts = Collections.unmodifiableList(attempts);
        return new Run(f);
    }

    private static RunAttempt attempt(ProtoReader in) {
        int number = 0;
        String worker = "";
        long epoch = 0;
        Instant dispatchedAt = Instant.EPOCH;
        Instant startedAt = null;
        Instant endedAt = null;
        String outcome = "";
        Failure error = null;
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: number = in.int32(); break;
                case 3: worker = in.text(); break;
                case 5: epoch = in.integer(); break;
                case 6: dispatchedAt = instant(in); break;
                case 7: startedAt = instant(in); break;
                case 8: endedAt = instant(in); break;
                case 9: outcome = in.text(); break;
                case 10: error = Payloads.readFailure(in.message()); break;
                default: break;
            }
        }
        return new RunAttempt(number, worker, epoch, dispatchedAt, startedAt, endedAt, outcome, error);
    }

    private static Instant instant(ProtoReader in) {
        return Instant.ofEpochMilli(in.integer());
    }

    private static long number(RunState state) {
        for (int i = 1; i < STATES.length; i++) {
            if (STATES[i] == state) return i;
        }
        throw FastJobException.invalid("unknown_state", "states", "has " + state, "leave it out");
    }
}
