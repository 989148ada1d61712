package io.fastjob;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class ValuesTest {
    @Test
    void options_come_from_the_environment() {
        FastJobOptions options = FastJobOptions.builder()
            .env(Map.of("FASTJOB_SERVERS", " a:1, b:2,", "FASTJOB_APP", "demo", "FASTJOB_TOKEN", "secret\n")).build();
        assertEquals(java.util.List.of("a:1", "b:2"), options.servers());
        assertEquals("demo", options.app());
        assertEquals("secret", options.token());
        assertFalse(options.toString().contains("secret"));
    }

    @Test
    void the_token_may_stand_in_a_file(@TempDir Path dir) throws Exception {
        Path file = Files.writeString(dir.resolve("token"), "secret\n");
        Map<String, String> env = Map.of("FASTJOB_SERVERS", "a:1", "FASTJOB_APP", "demo", "FASTJOB_TOKEN_FILE", file.toString());
        assertEquals("secret", FastJobOptions.builder().env(env).build().token());
        Files.delete(file);
        assertEquals("bad_token_file",
            assertThrows(FastJobException.class, () -> FastJobOptions.builder().env(env)).code());
    }

    @Test
    void a_missing_setting_is_named_with_its_remedy() {
        FastJobException e = assertThrows(FastJobException.class,
            () -> FastJobOptions.builder().env(Map.of("FASTJOB_SERVERS", "a:1", "FASTJOB_TOKEN", "t")).build());
        assertEquals("missing_setting", e.code());
        assertEquals("app", e.field());
        assertTrue(e.remedy().contains("FASTJOB_APP"), e.remedy());
    }

    @Test
    void what_a_handler_returns_becomes_a_payload_of_its_kind() {
        assertEquals(Payload.NULL, Payload.of(null));
        assertEquals(Payload.text("a"), Payload.of("a"));
        assertEquals(Payload.binary(new byte[] {1}), Payload.of(new byte[] {1}));
        assertEquals(Payload.json("[1]"), Payload.of(Payload.json("[1]")));
        assertEquals("unknown_payload_type", assertThrows(FastJobException.class, () -> Payload.of(5)).code());
    }

    @Test
    void a_payload_of_64_KiB_is_taken_and_one_byte_more_is_refused() {
        assertEquals(Payload.MAX_BYTES, Payload.text("x".repeat(Payload.MAX_BYTES)).size());
        FastJobException e = assertThrows(FastJobException.class, () -> Payload.text("x".repeat(Payload.MAX_BYTES + 1)));
        assertEquals("payload_too_large", e.code());
    }

    @Test
    void text_is_quoted_as_json() {
        assertEquals("\"a\\\"\\\\\\u000a\"", Payload.text("a\"\\\n").asJson());
        assertThrows(IllegalStateException.class, () -> Payload.binary(new byte[1]).asJson());
    }

    @Test
    void impossible_durations_and_numbers_are_refused_where_they_are_given() {
        Job job = Job.named("j");
        assertEquals("period", assertThrows(FastJobException.class, () -> job.every(Duration.ofMillis(-1))).field());
        assertEquals("retries", assertThrows(FastJobException.class, () -> job.retries(-1)).field());
        assertThrows(FastJobException.class, () -> job.timeout(Duration.ofSeconds(Long.MAX_VALUE)));
        assertThrows(FastJobException.class, () -> RunQuery.all().limit(0));
        assertThrows(FastJobException.class, () -> Durations.millis("at", Instant.MAX));
    }

    @Test
    void a_job_is_not_changed_by_what_is_derived_from_it() {
        Job job = Job.named("j");
        Job changed = job.handler("h").cron("* * * * * ?").priority(5);
        assertEquals("j", job.handler());
        assertEquals(Trigger.Kind.API, job.trigger().kind());
        assertEquals("h", changed.handler());
        assertEquals("Europe/Berlin",
            job.zone("Europe/Berlin").cron("0 0 6 * * ?").trigger().zone());
    }

    @Test
    void a_failure_keeps_class_message_and_the_users_frames() {
        Failure failure = Failures.of(new IllegalStateException("outer", new java.io.IOException("inner")));
        assertEquals("java.lang.IllegalStateException", failure.className());
        assertEquals("outer", failure.message());
        assertTrue(failure.trace().contains("Caused by: java.io.IOException: inner"), failure.trace());
        assertTrue(failure.trace().contains("ValuesTest"), failure.trace());
    }

    @Test
    void a_failure_is_cut_to_its_bounds_between_characters() {
        Failure failure = Failures.of(new RuntimeException("ß\ud83d\ude00".repeat(5_000)));
        assertTrue(failure.message().getBytes(StandardCharsets.UTF_8).length <= 4 * 1024);
        assertFalse(Character.isHighSurrogate(failure.message().charAt(failure.message().length() - 1)));
        assertTrue(failure.trace().getBytes(StandardCharsets.UTF_8).length <= 16 * 1024);
    }

    @Test
    void a_throwable_that_throws_and_one_that_is_its_own_cause_are_described_all_the_same() {
        Failure failure = Failures.of(new RuntimeException() {
            private static final long serialVersionUID = 1;

            @Override
            public String getMessage() {
                throw new IllegalStateException("nested");
            }
        });
        assertTrue(failure.className().contains("ValuesTest"), failure.className());
        RuntimeException a = new RuntimeException("a");
        a.initCause(new RuntimeException("b", a));
        assertTrue(Failures.of(a).trace().contains("Caused by: java.lang.RuntimeException: b"));
    }
}
