package io.fastjob.child;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.fastjob.DevServer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Ends of a JVM that has work to do. A server for each program: what one leaves behind must not reach the next. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@EnabledIf("io.fastjob.DevServer#isBuilt")
@Timeout(value = 180, unit = TimeUnit.SECONDS)
class ServerChildJvmTest {
    @TempDir
    Path dir;

    static Stream<Path> jdks() throws IOException {
        return ChildJvm.jdks();
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void main_returns_inside_a_handler_and_the_jvm_ends(Path jdk) throws Exception {
        ChildJvm.Ended ended = run(jdk, EndsInsideHandler.class, "return");
        assertFalse(ended.killed(), ended.output());
        assertEquals(0, ended.exitCode(), ended.output());
        assertTrue(ended.output().contains("entered"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void a_handler_that_exits_the_jvm_gets_its_exit_code(Path jdk) throws Exception {
        ChildJvm.Ended ended = run(jdk, EndsInsideHandler.class, "exit");
        assertFalse(ended.killed(), ended.output());
        assertEquals(7, ended.exitCode(), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void the_example_of_the_readme_runs_as_written_and_jni_has_nothing_to_say(Path jdk) throws Exception {
        ChildJvm.Ended ended = run(jdk, ReadmeExample.class, "-Xcheck:jni");
        assertEquals(0, ended.exitCode(), ended.output());
        // A trigger obeys the job's overlap policy: beside a tick's run that is still alive, it is skipped.
        boolean skipped = ended.output().contains("SKIPPED null");
        assertTrue(skipped || ended.output().contains("SUCCEEDED hello world at null"), ended.output());
        assertFalse(ended.output().contains("WARNING") || ended.output().contains("FATAL"), ended.output());
    }

    private ChildJvm.Ended run(Path jdk, Class<?> program, String arg) throws Exception {
        try (DevServer server = DevServer.start(dir)) {
            ChildJvm child = ChildJvm.on(jdk).environment(Map.of("FASTJOB_SERVERS", server.rpc(), "FASTJOB_APP",
                server.field("app"), "FASTJOB_TOKEN", server.field("token")));
            return arg.startsWith("-X") ? child.with(arg).run(program) : child.run(program, arg);
        }
    }
}
