package io.fastjob;

import io.fastjob.internal.ProtoReader;
import io.fastjob.internal.ProtoWriter;
import java.time.DayOfWeek;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** JobSpec and Job of {@code fastjob.proto}, and the requests about jobs. Decides nothing. */
final class JobWire {
    private JobWire() {}

    static byte[] putRequest(String app, List<Job> jobs) {
        ProtoWriter out = new ProtoWriter().text(1, app);
        for (Job job : jobs) out.message(2, spec(job.fields()));
        return out.toBytes();
    }

    static List<PutResult> putReply(byte[] reply) {
        List<PutResult> results = new ArrayList<>();
        ProtoReader in = new ProtoReader(reply);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) results.add(putResult(in.message()));
        }
        return results;
    }

    /** A request of an app and one more text: JobGet, JobEnable, JobDisable, JobDelete. */
    static byte[] nameRequest(String app, String name) {
        return new ProtoWriter().text(1, app).text(2, name).toBytes();
    }

    static byte[] listRequest(String app, String after, int limit) {
        return new ProtoWriter().text(1, app).text(2, after).integer(3, limit).toBytes();
    }

    static List<StoredJob> listReply(byte[] reply) {
        List<StoredJob> jobs = new ArrayList<>();
        ProtoReader in = new ProtoReader(reply);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) jobs.add(stored(in.message()));
        }
        return jobs;
    }

    static byte[] nextRequest(String app, String name, @Nullable Instant from, int count) {
        ProtoWriter out = new ProtoWriter().text(1, app).text(2, name);
        if (from != null) out.integerPresent(3, Durations.millis("from", from));
        return out.integer(4, count).toBytes();
    }

    static List<Instant> nextReply(byte[] reply) {
        long[] ticks = {};
        ProtoReader in = new ProtoReader(reply);
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) ticks = in.integers(ticks);
        }
        return instants(ticks);
    }

    static StoredJob stored(byte[] job) {
        return stored(new ProtoReader(job));
    }

    private static PutResult putResult(ProtoReader in) {
        int change = 0;
        StoredJob job = null;
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) change = in.int32();
            if (tag == 2) job = stored(in.message());
        }
        if (job == null) throw new IllegalArgumentException("malformed message: a put result without job");
        return new PutResult(Enums.at(PutResult.Change.values(), change, PutResult.Change.UPDATED), job);
    }

    private static StoredJob stored(ProtoReader in) {
        byte[] id = {};
        String app = "";
        Job.Fields spec = new Job.Fields();
        long revision = 0;
        boolean enabled = false;
        Instant nextAt = null;
        Instant createdAt = Instant.EPOCH;
        Instant updatedAt = Instant.EPOCH;
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: id = in.bytes(); break;
                case 2: app = in.text(); break;
                case 3: spec = spec(in.message()); break;
                case 4: revision = in.integer(); break;
                case 5: enabled = in.bool(); break;
                case 6: nextAt = Instant.ofEpochMilli(in.integer()); break;
                case 7: createdAt = Instant.ofEpochMilli(in.integer()); break;
                case 8: updatedAt = Instant.ofEpochMilli(in.integer()); break;
                default: break;
            }
        }
        return new StoredJob(Ids.read(id), app, Job.of(spec), revision, enabled, nextAt, createdAt, updatedAt);
    }

    static ProtoWriter spec(Job.Fields f) {
        ProtoWriter out = new ProtoWriter().text(1, f.name).text(2, f.handler).message(3, trigger(f.trigger));
        out.message(4, Payloads.write(f.params));
        if (f.enabled != null) out.integerPresent(5, f.enabled ? 1 : 0);
        out.integer(6, f.overlap.ordinal());
        if (f.catchUp != null) out.message(7, catchUp(f.catchUp));
        out.message(8, retry(f));
        optional(out, 9, f.timeoutMs);
        optional(out, 10, f.startDeadlineMs);
        optional(out, 11, f.graceMs);
        optional(out, 12, f.lostAfterMs);
        out.bool(13, f.atMostOnce).integer(14, f.priority).integer(15, f.routing.ordinal()).text(16, f.managedBy);
        optional(out, 17, f.sourceVersion);
        if (f.startAtMs != null || f.endAtMs != null || f.tickJitterMs != 0) out.message(18, timing(f));
        return out;
    }

    private static Job.Fields spec(ProtoReader in) {
        Job.Fields f = new Job.Fields();
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: f.name = in.text(); break;
                case 2: f.handler = in.text(); break;
                case 3: f.trigger = trigger(in.message()); break;
                case 4: f.params = Payloads.read(in.message()); break;
                case 5: f.enabled = in.bool(); break;
                case 6: f.overlap = Enums.at(Overlap.values(), in.int32(), Overlap.SKIP); break;
                case 7: f.catchUp = catchUp(in.message()); break;
                case 8: retry(in.message(), f); break;
                case 9: f.timeoutMs = in.integer(); break;
                case 10: f.startDeadlineMs = in.integer(); break;
                case 11: f.graceMs = in.integer(); break;
                case 12: f.lostAfterMs = in.integer(); break;
                case 13: f.atMostOnce = in.bool(); break;
                case 14: f.priority = in.int32(); break;
                case 15: f.routing = Enums.at(Routing.values(), in.int32(), Routing.LEAST_BUSY); break;
                case 16: f.managedBy = in.text(); break;
                case 17: f.sourceVersion = in.integer(); break;
                case 18: timing(in.message(), f); break;
                default: break;
            }
        }
        return f;
    }

    private static ProtoWriter trigger(Trigger trigger) {
        ProtoWriter kind = new ProtoWriter();
        switch (trigger.kind()) {
            case CRON:
                kind.text(1, trigger.expression()).text(2, Enums.word(trigger.dialect())).text(3, trigger.zone())
                    .text(4, Enums.word(trigger.gap())).text(5, Enums.word(trigger.overlap()));
                break;
            case FIXED_RATE:
                kind.integer(1, trigger.period().toMillis());
                optional(kind, 2, trigger.phase() == null ? null : trigger.phase().toEpochMilli());
                break;
            case FIXED_DELAY: kind.integer(1, trigger.period().toMillis()); break;
            case DAILY_WINDOW:
                for (DayOfWeek day : trigger.weekdays()) kind.text(1, word(day));
                kind.text(2, trigger.from()).text(3, trigger.to()).integer(4, trigger.period().toMillis())
                    .text(5, trigger.zone());
                break;
            case AT: kind.packed(1, millis(trigger.instants())); break;
            default: break;
        }
        return new ProtoWriter().message(trigger.kind().ordinal() + 1, kind);
    }

    private static Trigger trigger(ProtoReader in) {
        Trigger trigger = Trigger.api();
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag > Trigger.Kind.values().length) continue;
            Trigger.Kind kind = Trigger.Kind.values()[tag - 1];
            ProtoReader one = in.message();
            switch (kind) {
                case CRON: trigger = cron(one); break;
                case FIXED_RATE: trigger = fixedRate(one); break;
                case DAILY_WINDOW: trigger = dailyWindow(one); break;
                default: trigger = trigger(kind, one); break;
            }
        }
        return trigger;
    }

    private static Trigger cron(ProtoReader in) {
        Trigger.Fields f = new Trigger.Fields();
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: f.expression = in.text(); break;
                case 2: f.dialect = Enums.named(Dialect.values(), in.text()); break;
                case 3: f.zone = in.text(); break;
                case 4: f.gap = Enums.named(GapRule.values(), in.text()); break;
                case 5: f.overlap = Enums.named(OverlapRule.values(), in.text()); break;
                default: break;
            }
        }
        return Trigger.cron(f.expression, f.zone).with(all -> {
            all.dialect = f.dialect;
            all.gap = f.gap;
            all.overlap = f.overlap;
        });
    }

    private static Trigger fixedRate(ProtoReader in) {
        long period = 0;
        Long phase = null;
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) {
                period = in.integer();
            } else if (tag == 2) {
                phase = in.integer();
            }
        }
        Trigger rate = Trigger.every(Duration.ofMillis(period));
        return phase == null ? rate : rate.phase(Instant.ofEpochMilli(phase));
    }

    private static Trigger dailyWindow(ProtoReader in) {
        List<DayOfWeek> days = new ArrayList<>();
        Trigger.Fields f = new Trigger.Fields();
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: days(in.text(), days); break;
                case 2: f.from = in.text(); break;
                case 3: f.to = in.text(); break;
                case 4: f.millis = in.integer(); break;
                case 5: f.zone = in.text(); break;
                default: break;
            }
        }
        return Trigger.dailyWindow(f.from, f.to, Duration.ofMillis(f.millis)).zone(f.zone)
            .weekdays(days.toArray(new DayOfWeek[0]));
    }

    private static void days(String word, List<DayOfWeek> days) {
        for (DayOfWeek day : DayOfWeek.values()) {
            if (word(day).equals(word)) days.add(day);
        }
    }

    /** Three small letters. */
    private static String word(DayOfWeek day) {
        return Enums.word(day).substring(0, 3);
    }

    private static Trigger trigger(Trigger.Kind kind, ProtoReader in) {
        long[] numbers = {};
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) numbers = in.integers(numbers);
        }
        Duration first = Duration.ofMillis(numbers.length == 0 ? 0 : numbers[0]);
        switch (kind) {
            case FIXED_DELAY: return Trigger.delay(first);
            case AT: return Trigger.at(instants(numbers));
            default: return Trigger.api();
        }
    }

    private static ProtoWriter catchUp(CatchUp catchUp) {
        ProtoWriter out = new ProtoWriter().integer(1, catchUp.policy().ordinal());
        optional(out, 2, catchUp.thresholdMs());
        optional(out, 3, catchUp.windowMs());
        optional(out, 4, catchUp.maxRuns());
        return out;
    }

    private static ProtoWriter timing(Job.Fields f) {
        ProtoWriter out = new ProtoWriter();
        optional(out, 1, f.startAtMs);
        optional(out, 2, f.endAtMs);
        return out.integer(3, f.tickJitterMs);
    }

    private static void timing(ProtoReader in, Job.Fields f) {
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) f.startAtMs = in.integer();
            if (tag == 2) f.endAtMs = in.integer();
            if (tag == 3) f.tickJitterMs = in.integer();
        }
    }

    private static CatchUp catchUp(ProtoReader in) {
        CatchUp.Policy policy = CatchUp.Policy.LATEST;
        Long threshold = null;
        Long window = null;
        Long maxRuns = null;
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) policy = Enums.at(CatchUp.Policy.values(), in.int32(), CatchUp.Policy.LATEST);
            if (tag == 2) threshold = in.integer();
            if (tag == 3) window = in.integer();
            if (tag == 4) maxRuns = in.integer();
        }
        return new CatchUp(policy, threshold, window, maxRuns);
    }

    private static ProtoWriter retry(Job.Fields f) {
        ProtoWriter out = new ProtoWriter().integer(1, f.retries).integer(2, f.backoff.ordinal());
        optional(out, 3, f.retryDelayMs);
        optional(out, 4, f.retryMaxDelayMs);
        return out.real(5, f.jitter);
    }

    private static void retry(ProtoReader in, Job.Fields f) {
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            switch (tag) {
                case 1: f.retries = in.int32(); break;
                case 2: f.backoff = Enums.at(Backoff.values(), in.int32(), Backoff.FIXED); break;
                case 3: f.retryDelayMs = in.integer(); break;
                case 4: f.retryMaxDelayMs = in.integer(); break;
                case 5: f.jitter = in.real(); break;
                default: break;
            }
        }
    }

    private static void optional(ProtoWriter out, int field, @Nullable Long value) {
        if (value != null) out.integerPresent(field, value);
    }

    private static long[] millis(List<Instant> instants) {
        long[] millis = new long[instants.size()];
        for (int i = 0; i < millis.length; i++) millis[i] = Durations.millis("instants", instants.get(i));
        return millis;
    }

    private static List<Instant> instants(long[] millis) {
        List<Instant> instants = new ArrayList<>(millis.length);
        for (long each : millis) instants.add(Instant.ofEpochMilli(each));
        return instants;
    }
}
