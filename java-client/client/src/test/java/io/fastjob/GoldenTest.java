package io.fastjob;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.fastjob.internal.Link;
import java.io.IOException;
import java.io.InputStream;
import java.time.DayOfWeek;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The codec against bytes that prost wrote ({@code ffi/tests/golden.rs}). */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class GoldenTest {
    private static final UUID RUN = new UUID(0x0123456789abcdefL, 0x1032547698badcfeL);
    private static final UUID REQUEST = new UUID(0xffeeddccbbaa9988L, 0x7766554433221100L);
    private static final long TICK = 1_767_225_600_000L;

    @Test
    void a_put_is_written_as_prost_writes_it() throws Exception {
        List<Job> jobs = List.of(full(), small().every(Duration.ofSeconds(5)), small().delay(Duration.ZERO),
            small().at(at(TICK), at(TICK + 1)), small().api(),
            small().trigger(Trigger.cron("30 2 * * 1", "").dialect(Dialect.UNIX).gap(GapRule.SKIP)
                .overlap(OverlapRule.BOTH)),
            small().trigger(Trigger.every(Duration.ofSeconds(5)).phase(at(0))),
            small().trigger(Trigger.dailyWindow("09:00", "24:00", Duration.ofMinutes(20)).zone("Europe/Berlin")
                .weekdays(DayOfWeek.MONDAY, DayOfWeek.SUNDAY)));
        assertArrayEquals(golden("job_put_request"), JobWire.putRequest("demo", jobs));
    }

    @Test
    void a_stored_job_is_read_with_all_its_fields_and_written_back_the_same() throws Exception {
        PutResult result = JobWire.putReply(golden("job_put_reply")).get(0);
        StoredJob job = result.job();
        assertEquals(PutResult.Change.UNCHANGED, result.change());
        assertEquals(RUN, job.id());
        assertEquals("demo", job.app());
        assertEquals(7, job.revision());
        assertTrue(job.enabled());
        assertEquals(at(TICK), job.nextAt());
        assertEquals(at(TICK - 2), job.createdAt());
        assertEquals(at(TICK - 1), job.updatedAt());
        assertArrayEquals(JobWire.spec(full().fields()).toBytes(), JobWire.spec(job.definition().fields()).toBytes());
    }

    @Test
    void requests_about_jobs_are_written_as_prost_writes_them() throws Exception {
        assertArrayEquals(golden("job_list_request"), JobWire.listRequest("demo", "nightly", 500));
        assertArrayEquals(golden("job_next_request"), JobWire.nextRequest("demo", "nightly", Instant.EPOCH, 10));
    }

    @Test
    void packed_ticks_are_read_in_order() throws Exception {
        assertEquals(List.of(at(TICK), at(TICK + 1_000), at(-1), at(0)), JobWire.nextReply(golden("job_next_reply")));
    }

    @Test
    void a_trigger_is_written_as_prost_writes_it() throws Exception {
        TriggerRequest request = new TriggerRequest(null, "nightly", REQUEST).params(Payload.json("{}"))
            .idempotencyKey("order-42").overlap(Overlap.SKIP);
        assertArrayEquals(golden("trigger_request"),
            RunWire.triggerRequest("demo", request.bytes(TriggerRequest.DELAY, 0)));
    }

    @Test
    void a_refused_trigger_throws_what_the_server_said() throws Exception {
        byte[] reply = golden("trigger_reply_error");
        FastJobException e = assertThrows(FastJobException.class, () -> RunWire.triggerReply(reply));
        assertEquals("idempotency_conflict", e.code());
        assertEquals("triggers[0].idempotency_key", e.field());
        assertEquals("use another key", e.remedy());
        assertEquals(FastJobException.Kind.CONFLICT, e.kind());
        assertEquals("triggers[0].idempotency_key: the key was used with other parameters (use another key)",
            e.getMessage());
    }

    @Test
    void an_error_detail_is_read_with_the_kind_that_came_beside_it() throws Exception {
        FastJobException e = Link.error(5, golden("error_detail"));
        assertEquals("idempotency_conflict", e.code());
        assertEquals(FastJobException.Kind.NOT_PERMITTED, e.kind());
    }

    @Test
    void a_run_is_read_with_all_its_fields() throws Exception {
        Run run = RunWire.run(golden("run"));
        assertEquals(RUN, run.id());
        assertEquals("demo", run.app());
        assertEquals("nightly", run.job());
        assertEquals(Source.CRON, run.source());
        assertEquals(at(TICK), run.tick());
        assertEquals(at(TICK + 5), run.due());
        assertEquals(RunState.FAILED, run.state());
        assertTrue(run.isEnded());
        assertEquals("timeout", run.reason());
        assertEquals(2, run.attempt());
        assertEquals(4, run.maxAttempts());
        assertEquals("host:1", run.worker());
        assertEquals(1L << 40, run.epoch());
        assertEquals(7, run.revision());
        assertEquals(2, run.failCount());
        assertEquals(1, run.lostCount());
        assertEquals(REQUEST, run.retryOf());
        assertEquals(Payload.binary(new byte[] {0, -1}), run.params());
        assertEquals(Payload.NULL, run.result());
        assertEquals("java.io.IOException: broken", String.valueOf(run.error()));
        assertEquals("order-42", run.idempotencyKey());
        assertEquals(at(TICK - 1), run.createdAt());
        assertEquals(at(TICK + 6), run.dispatchedAt());
        assertEquals(at(TICK + 7), run.startedAt());
        assertEquals(at(TICK + 8), run.endedAt());
        assertEquals(0, run.progressPercent());
        assertEquals("half", run.progressNote());
    }

    @Test
    void the_attempts_of_a_run_are_read_with_all_their_fields() throws Exception {
        RunAttempt attempt = RunWire.run(golden("run")).attempts().get(0);
        assertEquals(1, attempt.number());
        assertEquals("host:1", attempt.worker());
        assertEquals(9, attempt.epoch());
        assertEquals(at(TICK), attempt.dispatchedAt());
        assertNull(attempt.startedAt());
        assertEquals(at(TICK + 1), attempt.endedAt());
        assertEquals("undelivered", attempt.outcome());
        assertNull(attempt.error());
    }

    @Test
    void the_run_in_a_trigger_reply_is_read() throws Exception {
        assertEquals(RUN, RunWire.triggerReply(golden("trigger_reply_run")).id());
    }

    @Test
    void requests_about_runs_are_written_as_prost_writes_them() throws Exception {
        assertArrayEquals(golden("run_get_by_key"), RunWire.keyRequest("demo", "nightly", "order-42"));
        assertArrayEquals(golden("run_list_request"), RunWire.listRequest("demo",
            RunQuery.ofJob("nightly").states(RunState.SKIPPED, RunState.SCHEDULED).limit(500).before(RUN)));
        assertArrayEquals(golden("run_wait_request"), RunWire.waitRequest("demo", RUN, 60_000));
        assertArrayEquals(golden("run_retry_request"), RunWire.retryRequest("demo", RUN, REQUEST));
    }

    @Test
    void a_dispatch_is_read_with_all_its_fields() throws Exception {
        JobContext context = new AttemptContext(null, 1, AttemptWire.dispatch(golden("dispatch")));
        assertEquals(RUN, context.runId());
        assertEquals(2, context.attempt());
        assertEquals(4, context.maxAttempts());
        assertEquals(1L << 40, context.epoch());
        assertEquals("nightly", context.job());
        assertEquals("report", context.handler());
        assertEquals("world", context.params().asText());
        assertEquals(at(TICK), context.tick());
        assertEquals(at(TICK + 5), context.due());
        assertEquals(at(-TICK), context.previousTick());
        assertEquals(Source.CRON, context.source());
        assertEquals("order-42", context.idempotencyKey());
        assertNull(context.cancelReason());
    }

    @Test
    void a_dispatch_without_tick_has_none() throws Exception {
        JobContext context = new AttemptContext(null, 1, AttemptWire.dispatch(golden("dispatch_small")));
        assertNull(context.tick());
        assertNull(context.previousTick());
        assertEquals(Payload.NULL, context.params());
        assertEquals("null", context.params().asJson());
    }

    @Test
    void a_cancel_is_read_with_its_reason() throws Exception {
        assertEquals(CancelReason.TIMEOUT, AttemptWire.cancel(golden("cancel")));
    }

    @Test
    void outcomes_are_written_as_prost_writes_them() throws Exception {
        assertArrayEquals(golden("outcome_succeeded"), AttemptWire.succeeded(Payload.text("done")));
        assertArrayEquals(golden("outcome_failed"),
            AttemptWire.failed(new Failure("java.io.IOException", "broken", "at x"), 0L, true));
    }

    private static Job full() {
        return Job.named("nightly").handler("report").cron("0 30 6 ? * MON-FRI").zone("Europe/Berlin").params("wörld")
            .enabled(false).overlap(Overlap.ALLOW_ALL)
            .catchUp(CatchUp.none().threshold(Duration.ZERO).window(Duration.ofHours(2)))
            .retries(3).backoff(Backoff.EXPONENTIAL, Duration.ofMillis(500), Duration.ofMinutes(1), 0.25)
            .timeout(Duration.ofNanos(1)).startDeadline(Duration.ofMinutes(5)).cancelGrace(Duration.ZERO)
            .workerLostAfter(Duration.ofSeconds(30)).atMostOnce().priority(-5).routing(Routing.ROUND_ROBIN)
            .managedByConsole().sourceVersion(0);
    }

    private static Job small() {
        return Job.named("j").handler("h");
    }

    private static Instant at(long millis) {
        return Instant.ofEpochMilli(millis);
    }

    private static byte[] golden(String name) throws IOException {
        try (InputStream in = GoldenTest.class.getResourceAsStream("/golden/" + name + ".bin")) {
            return in.readAllBytes();
        }
    }
}
