package io.fastjob;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;

/** Against the real server: each test has its own client and job names. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@EnabledIf("io.fastjob.DevServer#isBuilt")
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class ScenarioTest {
    private static final Duration LONG = Duration.ofSeconds(30);

    @TempDir
    static Path dir;

    private static DevServer server;

    private FastJob fastjob;
    private String name;

    @BeforeAll
    static void startServer() throws Exception {
        server = DevServer.start(dir);
    }

    @AfterAll
    static void stopServer() throws Exception {
        if (server != null) server.close();
    }

    @BeforeEach
    void connect(TestInfo test) {
        fastjob = FastJob.connect(server.options());
        name = test.getTestMethod().orElseThrow().getName();
        name = name.substring(0, Math.min(100, name.length()));
    }

    @AfterEach
    void close() {
        fastjob.close(Duration.ZERO);
    }

    @Test
    void a_triggered_run_comes_back_with_what_the_handler_returned() throws Exception {
        start(ctx -> "hello " + ctx.params().asText());
        fastjob.jobs().put(Job.named(name).params("world"));
        Run run = ended(fastjob.trigger(name).now());
        assertEquals(RunState.SUCCEEDED, run.state(), run.toString());
        assertEquals(Payload.text("hello world"), run.result());
        assertEquals(Source.API, run.source());
        assertNull(run.tick());
        assertEquals(1, run.attempts().size());
    }

    @Test
    void a_cron_job_fires_with_its_tick() throws Exception {
        CompletableFuture<JobContext> first = new CompletableFuture<>();
        start(ctx -> first.complete(ctx) ? null : null);
        fastjob.jobs().put(Job.named(name).cron("* * * * * ?"));
        JobContext context = first.get();
        assertNotNull(context.tick());
        assertEquals(0, context.tick().toEpochMilli() % 1_000);
        assertEquals(name, context.job());
        assertEquals(context.runId().toString(), context.idempotencyKey());
        Run run = fastjob.runs().await(context.runId(), LONG).get();
        assertEquals(Source.CRON, run.source());
        assertEquals(context.tick(), run.tick());
        fastjob.jobs().delete(name).get();
    }

    @Test
    void a_failing_handler_is_tried_again_and_its_error_kept() throws Exception {
        AtomicInteger calls = new AtomicInteger();
        start(ctx -> {
            if (calls.incrementAndGet() < 3) throw new java.io.IOException("no " + ctx.attempt());
            return "third";
        });
        fastjob.jobs().put(Job.named(name).retries(2).backoff(Backoff.FIXED, Duration.ofMillis(10), Duration.ofMillis(10), 0));
        Run run = ended(fastjob.trigger(name).now());
        assertEquals(RunState.SUCCEEDED, run.state(), run.toString());
        assertEquals(3, run.attempt());
        assertEquals(2, run.failCount());
        Failure first = run.attempts().get(0).error();
        assertEquals("java.io.IOException: no 1", String.valueOf(first));
        assertTrue(first.trace().contains("ScenarioTest"), first.trace());
    }

    @Test
    void giving_up_ends_the_run_although_retries_are_left() throws Exception {
        start(ctx -> {
            throw new GiveUpException("useless");
        });
        fastjob.jobs().put(Job.named(name).retries(5));
        Run run = ended(fastjob.trigger(name).now());
        assertEquals(RunState.FAILED, run.state());
        assertEquals("error", run.reason());
        assertEquals(1, run.attempt());
    }

    @Test
    void a_handler_may_ask_for_a_longer_wait_than_the_backoff() throws Exception {
        start(ctx -> {
            if (ctx.attempt() == 1) throw new RetryLaterException(Duration.ofMillis(400), "later");
            return null;
        });
        fastjob.jobs().put(Job.named(name).retries(1).backoff(Backoff.FIXED, Duration.ofMillis(1), Duration.ofMillis(1), 0));
        Run run = ended(fastjob.trigger(name).now());
        assertEquals(RunState.SUCCEEDED, run.state(), run.toString());
        assertEquals(2, run.attempt());
        Duration waited = Duration.between(run.attempts().get(0).endedAt(), run.attempts().get(1).dispatchedAt());
        // The server's clock on one side, the worker's estimate of it on the other.
        assertTrue(waited.toMillis() >= 350, waited.toString());
    }

    @Test
    void errors_are_failures_like_exceptions_and_the_worker_goes_on() throws Exception {
        AtomicInteger calls = new AtomicInteger();
        start(ctx -> {
            switch (calls.incrementAndGet()) {
                case 1: throw new OutOfMemoryError("pretended");
                case 2: return endless(0);
                default: return 5;
            }
        });
        fastjob.jobs().put(Job.named(name).overlap(Overlap.ALLOW_ALL));
        assertEquals("java.lang.OutOfMemoryError: pretended", String.valueOf(ended(fastjob.trigger(name).now()).error()));
        assertEquals("java.lang.StackOverflowError", String.valueOf(ended(fastjob.trigger(name).now()).error()));
        assertTrue(String.valueOf(ended(fastjob.trigger(name).now()).error()).contains("java.lang.Integer is no payload"));
    }

    @Test
    void a_timeout_interrupts_the_handler_and_fails_the_run() throws Exception {
        CompletableFuture<CancelReason> seen = new CompletableFuture<>();
        start(ctx -> {
            try {
                new CountDownLatch(1).await();
                return null;
            } finally {
                seen.complete(ctx.cancelReason());
            }
        });
        fastjob.jobs().put(Job.named(name).timeout(Duration.ofMillis(50)));
        Run run = ended(fastjob.trigger(name).now());
        assertEquals(RunState.FAILED, run.state());
        assertEquals("timeout", run.reason());
        assertEquals(CancelReason.TIMEOUT, seen.get());
    }

    @Test
    void a_cancel_reaches_the_running_handler() throws Exception {
        CompletableFuture<JobContext> entered = new CompletableFuture<>();
        CompletableFuture<CancelReason> seen = new CompletableFuture<>();
        start(ctx -> {
            entered.complete(ctx);
            try {
                new CountDownLatch(1).await();
                return null;
            } finally {
                seen.complete(ctx.cancelReason());
            }
        });
        fastjob.jobs().put(Job.named(name));
        Run open = fastjob.trigger(name).now().get();
        entered.get();
        fastjob.runs().cancel(open.id()).get();
        assertEquals(CancelReason.REQUESTED, seen.get());
        assertEquals(RunState.CANCELLED, fastjob.runs().await(open.id(), LONG).get().state());
    }

    @Test
    void a_handler_that_ignores_its_cancel_is_settled_without_it_and_keeps_its_slot() throws Exception {
        CompletableFuture<JobContext> entered = new CompletableFuture<>();
        CountDownLatch let = new CountDownLatch(1);
        AtomicInteger calls = new AtomicInteger();
        fastjob.worker().slots(1).handler(name, ctx -> {
            calls.incrementAndGet();
            entered.complete(ctx);
            while (let.getCount() > 0) Thread.onSpinWait();
            return "late";
        }).start();
        fastjob.jobs().put(Job.named(name).cancelGrace(Duration.ofMillis(10)).overlap(Overlap.ALLOW_ALL));
        Run first = fastjob.trigger(name).now().get();
        entered.get();
        fastjob.runs().cancel(first.id()).get();
        assertEquals(RunState.CANCELLED, fastjob.runs().await(first.id(), LONG).get().state());
        Run second = fastjob.trigger(name).now().get();
        assertFalse(fastjob.runs().await(second.id(), Duration.ofMillis(300)).get().isEnded());
        assertEquals(1, calls.get());
        let.countDown();
        assertEquals(RunState.SUCCEEDED, fastjob.runs().await(second.id(), LONG).get().state());
    }

    @Test
    void an_idempotency_key_makes_one_run_and_other_parameters_a_conflict() throws Exception {
        fastjob.jobs().put(Job.named(name));
        Run first = fastjob.trigger(name).params("a").idempotencyKey("k").now().get();
        Run again = fastjob.trigger(name).params("a").idempotencyKey("k").now().get();
        assertEquals(first.id(), again.id());
        FastJobException refused = refused(fastjob.trigger(name).params("b").idempotencyKey("k").now());
        assertEquals(FastJobException.Kind.CONFLICT, refused.kind(), refused.toString());
        assertEquals(first.id(), fastjob.runs().get(name, "k").get().id());
        fastjob.runs().cancel(first.id()).get();
    }

    @Test
    void the_same_request_sent_again_is_the_same_run_and_another_is_another() throws Exception {
        fastjob.jobs().put(Job.named(name).overlap(Overlap.ALLOW_ALL));
        TriggerRequest request = fastjob.trigger(name);
        UUID first = request.now().get().id();
        assertEquals(first, request.now().get().id());
        assertNotEquals(first, fastjob.trigger(name).now().get().id());
    }

    @Test
    void jobs_are_put_read_listed_switched_and_deleted() throws Exception {
        Job job = Job.named(name).handler("h").cron("0 0 6 ? * MON").zone("Europe/Berlin").priority(7);
        assertEquals(PutResult.Change.CREATED, fastjob.jobs().put(job).get().change());
        assertEquals(PutResult.Change.UNCHANGED, fastjob.jobs().put(job).get().change());
        assertEquals(PutResult.Change.UPDATED, fastjob.jobs().put(job.priority(8)).get().change());
        StoredJob stored = fastjob.jobs().get(name).get();
        assertEquals("0 0 6 ? * MON", stored.definition().trigger().expression());
        assertEquals("Europe/Berlin", stored.definition().trigger().zone());
        assertNotNull(stored.nextAt());
        List<Instant> next = fastjob.jobs().next(name, Instant.parse("2026-07-01T00:00:00Z"), 2).get();
        assertEquals(List.of(Instant.parse("2026-07-06T04:00:00Z"), Instant.parse("2026-07-13T04:00:00Z")), next);
        assertFalse(fastjob.jobs().disable(name).get().enabled());
        assertTrue(fastjob.jobs().enable(name).get().enabled());
        assertTrue(fastjob.jobs().list("", 500).get().stream().anyMatch(each -> each.name().equals(name)));
        fastjob.jobs().delete(name).get();
        assertEquals(FastJobException.Kind.NOT_FOUND, refused(fastjob.jobs().get(name)).kind());
    }

    @Test
    void a_refused_put_names_the_field_and_what_to_do() {
        FastJobException refused = refused(fastjob.jobs().put(Job.named(name).cron("not a cron")));
        assertEquals(FastJobException.Kind.INVALID, refused.kind());
        assertTrue(refused.field().contains("cron"), refused.toString());
        assertEquals(FastJobException.Kind.INVALID, refused(fastjob.jobs().put(Job.named(""))).kind());
        assertEquals(FastJobException.Kind.INVALID, refused(fastjob.jobs().put(Job.named("x".repeat(129)))).kind());
    }

    @Test
    void a_trigger_of_an_unknown_job_is_not_found() {
        assertEquals(FastJobException.Kind.NOT_FOUND, refused(fastjob.trigger(name).now()).kind());
    }

    @Test
    void a_wrong_token_is_refused_as_such() {
        FastJobOptions wrong = FastJobOptions.builder().servers(server.rpc()).app(server.field("app")).token("wrong").build();
        try (FastJob stranger = FastJob.connect(wrong)) {
            assertEquals(FastJobException.Kind.UNAUTHENTICATED, refused(stranger.jobs().list("", 1)).kind());
        } catch (FastJobException refusedAtOnce) {
            assertEquals(FastJobException.Kind.UNAUTHENTICATED, refusedAtOnce.kind());
        }
    }

    @Test
    void a_run_without_a_worker_waits_and_is_visible() throws Exception {
        fastjob.jobs().put(Job.named(name).handler("nobody-has-it"));
        Run run = fastjob.trigger(name).now().get();
        Run after = fastjob.runs().await(run.id(), Duration.ofMillis(100)).get();
        assertEquals(RunState.SCHEDULED, after.state());
        List<Run> listed = fastjob.runs().list(RunQuery.ofJob(name).states(RunState.SCHEDULED)).get();
        assertEquals(1, listed.size());
        assertEquals(RunState.CANCELLED, fastjob.runs().cancel(run.id()).get().state());
    }

    @Test
    void progress_is_seen_while_the_handler_runs() throws Exception {
        CountDownLatch let = new CountDownLatch(1);
        CompletableFuture<JobContext> entered = new CompletableFuture<>();
        start(ctx -> {
            ctx.progress(40, "ö".repeat(2_000));
            entered.complete(ctx);
            let.await();
            return null;
        });
        fastjob.jobs().put(Job.named(name));
        Run run = fastjob.trigger(name).now().get();
        entered.get();
        Run seen = fastjob.runs().get(run.id()).get();
        while (seen.progressPercent() == null) seen = fastjob.runs().get(run.id()).get();
        assertEquals(40, seen.progressPercent());
        assertEquals(1_024, seen.progressNote().length());
        let.countDown();
    }

    @Test
    void handlers_run_on_the_users_executor_and_get_no_leftover_interrupt() throws Exception {
        ExecutorService one = Executors.newSingleThreadExecutor(task -> new Thread(task, "the-users"));
        AtomicReference<String> problem = new AtomicReference<>();
        fastjob.worker().slots(1).executor(one).handler(name, ctx -> {
            if (!Thread.currentThread().getName().equals("the-users")) problem.set(Thread.currentThread().getName());
            if (Thread.currentThread().isInterrupted()) problem.set("interrupted");
            if (ctx.params().asText().equals("hang")) while (!ctx.isCancelled()) Thread.onSpinWait();
            return null;
        }).start();
        fastjob.jobs().put(Job.named(name).timeout(Duration.ofMillis(50)).overlap(Overlap.ALLOW_ALL));
        ended(fastjob.trigger(name).params("hang").now());
        assertEquals(RunState.SUCCEEDED, ended(fastjob.trigger(name).params("go").now()).state());
        assertNull(problem.get());
        one.shutdownNow();
    }

    @Test
    void stopping_lets_the_handler_finish_within_the_grace() throws Exception {
        CompletableFuture<JobContext> entered = new CompletableFuture<>();
        CountDownLatch let = new CountDownLatch(1);
        Worker worker = fastjob.worker().handler(name, ctx -> {
            entered.complete(ctx);
            let.await();
            return "finished";
        }).start();
        fastjob.jobs().put(Job.named(name));
        Run run = fastjob.trigger(name).now().get();
        entered.get();
        Thread stop = new Thread(() -> worker.stop(LONG));
        stop.start();
        let.countDown();
        stop.join();
        worker.awaitShutdown();
        Run done = fastjob.runs().await(run.id(), LONG).get();
        assertEquals(RunState.SUCCEEDED, done.state(), done.toString());
    }

    @Test
    void a_handler_may_stop_its_worker_and_close_its_client() throws Exception {
        FastJob own = FastJob.connect(server.options());
        AtomicReference<Worker> worker = new AtomicReference<>();
        CountDownLatch started = new CountDownLatch(1);
        worker.set(own.worker().handler(name, ctx -> {
            started.await();
            worker.get().stop(LONG);
            own.close(LONG);
            return null;
        }).start());
        started.countDown();
        own.jobs().put(Job.named(name));
        own.trigger(name).now().get();
        worker.get().awaitShutdown();
        own.close(LONG);
    }

    @Test
    void calls_after_the_close_fail_as_closed() {
        fastjob.close(Duration.ZERO);
        assertEquals("closed", refused(fastjob.jobs().get(name)).code());
        assertThrows(FastJobException.class, () -> fastjob.worker().handler("h", ctx -> null).start());
    }

    @Test
    void callbacks_may_wait_for_other_futures_of_the_client() throws Exception {
        fastjob.jobs().put(Job.named(name)).get();
        List<CompletableFuture<Long>> all = new java.util.ArrayList<>();
        for (int i = 0; i < 16; i++) {
            all.add(fastjob.jobs().get(name).thenApply(job -> fastjob.jobs().get(name).join().revision()));
        }
        for (CompletableFuture<Long> each : all) assertEquals(1L, each.get());
    }

    @Test
    void a_worker_goes_on_after_its_server_was_killed_and_started_again(@TempDir Path own) throws Exception {
        try (DevServer mortal = DevServer.start(own); FastJob client = FastJob.connect(mortal.options())) {
            client.worker().handler("h", ctx -> "alive").start();
            client.jobs().put(Job.named("j").handler("h")).get();
            assertEquals(RunState.SUCCEEDED,
                client.runs().await(client.trigger("j").now().get().id(), LONG).get().state());
            mortal.kill();
            mortal.restart();
            Run run = client.trigger("j").now().get();
            assertEquals(RunState.SUCCEEDED, client.runs().await(run.id(), LONG).get().state());
        }
    }

    private void start(Handler handler) {
        fastjob.worker().slots(4).handler(name, handler).start();
    }

    private Run ended(CompletableFuture<Run> trigger) throws Exception {
        UUID id = trigger.get().id();
        Run run = fastjob.runs().await(id, LONG).get();
        assertTrue(run.isEnded(), run.toString());
        return fastjob.runs().get(id).get();
    }

    private static Object endless(int depth) {
        return endless(depth + 1) + "";
    }

    private static FastJobException refused(CompletableFuture<?> call) {
        ExecutionException e = assertThrows(ExecutionException.class, () -> call.get(30, TimeUnit.SECONDS));
        return (FastJobException) e.getCause();
    }
}
