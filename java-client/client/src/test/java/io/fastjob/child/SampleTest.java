package io.fastjob.child;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.fastjob.DevServer;
import io.fastjob.FastJob;
import io.fastjob.Run;
import io.fastjob.RunQuery;
import io.fastjob.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The sample as it is shipped: the built jar, started with {@code -jar}. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@EnabledIf("io.fastjob.DevServer#isBuilt")
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class SampleTest {
    private static final List<String> JOBS = List.of("greet-every-second", "sweep-after-two-seconds", "order-on-call");
    /** What a JVM answers that was ended by SIGTERM. */
    private static final int TERMINATED = 143;

    @TempDir
    Path dir;

    static Stream<Path> jdks() throws IOException {
        return ChildJvm.jdks();
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void its_three_jobs_run_each_execution_is_logged_once_and_it_ends_cleanly(Path jdk) throws Exception {
        try (DevServer server = DevServer.start(dir); FastJob fastjob = FastJob.connect(server.options())) {
            Process sample = sample(jdk, server);
            try {
                List<Run> seen = new ArrayList<>();
                for (String job : JOBS) seen.add(firstSucceeded(fastjob, job, sample));
                sample.destroy();
                assertTrue(sample.waitFor(20, TimeUnit.SECONDS), output());
                assertEquals(TERMINATED, sample.exitValue(), output());
                assertFalse(output().contains("WARNING"), output());
                List<String> log = Files.readAllLines(dir.resolve("executions"));
                for (Run run : seen) {
                    assertEquals(1, log.stream().filter(line -> line.contains(run.id().toString())).count(), run.toString());
                }
                assertEquals(log.size(), new HashSet<>(log).size());
                assertTrue(log.stream().allMatch(line -> line.matches("\\{\"run\":\"[-0-9a-f]{36}\",\"attempt\":1,"
                    + "\"tick\":(null|\\d+),\"start_ms\":\\d+,\"end_ms\":\\d+,\"pid\":" + sample.pid() + "}")), log.toString());
            } finally {
                sample.destroyForcibly().waitFor();
            }
        }
    }

    private Process sample(Path jdk, DevServer server) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(jdk.resolve("bin/java").toString(), "-Xmx128m", "-jar",
            System.getProperty("fastjob.test.sample")).redirectErrorStream(true)
            .redirectOutput(dir.resolve("sample.out").toFile());
        builder.environment().putAll(Map.of("FASTJOB_SERVERS", server.rpc(), "FASTJOB_APP", server.field("app"),
            "FASTJOB_TOKEN", server.field("token"), "FASTJOB_SAMPLE_LOG", dir.resolve("executions").toString()));
        return builder.start();
    }

    private Run firstSucceeded(FastJob fastjob, String job, Process sample) throws Exception {
        for (;;) {
            List<Run> runs = fastjob.runs().list(RunQuery.ofJob(job).states(RunState.SUCCEEDED)).get();
            if (!runs.isEmpty()) return runs.get(0);
            // A wait that ends early with the process, and else is the pace of asking.
            assertFalse(sample.waitFor(50, TimeUnit.MILLISECONDS), output());
        }
    }

    private String output() throws IOException {
        return Files.readString(dir.resolve("sample.out"));
    }
}
