package io.fastjob.child;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Exit, leaks and loading, without a server. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
class ChildJvmTest {
    /** Far below what 100 leaked connections would take, far above the noise of a JVM. */
    private static final long MEMORY_KIB = 24 * 1024;

    static Stream<Path> jdks() throws IOException {
        return ChildJvm.jdks();
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void a_program_that_never_closes_its_client_ends_all_the_same(Path jdk) throws Exception {
        ChildJvm.Ended ended = ChildJvm.on(jdk).run(LeavesOpen.class);
        assertFalse(ended.killed(), ended.output());
        assertEquals(0, ended.exitCode(), ended.output());
        assertTrue(ended.output().contains("main returns"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void two_hundred_times_open_and_close_leave_no_threads_and_no_memory(Path jdk) throws Exception {
        ChildJvm.Ended ended = ChildJvm.on(jdk).run(OpensAndCloses.class, "200");
        assertEquals(0, ended.exitCode(), ended.output());
        List<long[]> reports = ended.output().lines().filter(line -> line.startsWith("REPORT "))
            .map(line -> Arrays.stream(line.substring(7).split(" ")).mapToLong(Long::parseLong).toArray())
            .collect(Collectors.toList());
        assertEquals(2, reports.size(), ended.output());
        // The JVM may start a compiler or collector thread of its own in between.
        assertTrue(reports.get(1)[0] <= reports.get(0)[0] + 4, ended.output());
        assertTrue(reports.get(1)[1] <= reports.get(0)[1] + MEMORY_KIB, ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void the_jvms_own_check_of_jni_finds_nothing(Path jdk) throws Exception {
        ChildJvm.Ended ended = ChildJvm.on(jdk).with("-Xcheck:jni").run(OpensAndCloses.class, "10");
        assertEquals(0, ended.exitCode(), ended.output());
        List<String> findings = ended.output().lines()
            .filter(line -> line.contains("WARNING") || line.contains("FATAL") || line.contains("JNI"))
            .collect(Collectors.toList());
        assertEquals(List.of(), findings);
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void two_class_loaders_of_one_jvm_each_have_their_own_client(Path jdk) throws Exception {
        ChildJvm.Ended ended = ChildJvm.on(jdk).run(TwoLoaders.class);
        assertEquals(0, ended.exitCode(), ended.output());
        assertTrue(ended.output().contains("both closed"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void two_class_loaders_share_a_library_that_a_property_names(Path jdk, @TempDir Path dir) throws Exception {
        String path = "-Dfastjob.native.path=" + library(dir);
        ChildJvm.Ended ended = ChildJvm.on(jdk).with(path).run(TwoLoaders.class);
        assertEquals(0, ended.exitCode(), ended.output());
        assertTrue(ended.output().contains("both closed"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void a_library_of_another_version_is_refused_with_both_versions(Path jdk, @TempDir Path dir) throws Exception {
        Path properties = dir.resolve("META-INF/fastjob/client.properties");
        Files.createDirectories(properties.getParent());
        Files.writeString(properties, "version=9.9.9\n");
        String classPath = dir + File.pathSeparator + System.getProperty("java.class.path");
        ChildJvm.Ended ended = ChildJvm.on(jdk).classPath(classPath).run(Connects.class);
        List<String> refused = refusals(ended);
        assertEquals(2, refused.size(), ended.output());
        assertEquals(refused.get(0), refused.get(1));
        assertTrue(refused.get(0).contains("this jar of version 9.9.9"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void a_library_that_is_not_ours_is_refused_as_such(Path jdk) throws Exception {
        Path other = Stream.of("/lib/x86_64-linux-gnu/libz.so.1", "/lib/aarch64-linux-gnu/libz.so.1").map(Path::of)
            .filter(Files::exists).findFirst().orElse(null);
        assumeTrue(other != null);
        ChildJvm.Ended ended = ChildJvm.on(jdk).with("-Dfastjob.native.path=" + other).run(Connects.class);
        assertEquals(2, refusals(ended).size(), ended.output());
        assertTrue(refusals(ended).get(0).contains("not one of FastJob"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void a_missing_file_is_refused_with_its_name(Path jdk) throws Exception {
        ChildJvm.Ended ended = ChildJvm.on(jdk).with("-Dfastjob.native.path=/none/libfastjob.so").run(Connects.class);
        assertTrue(refusals(ended).get(0).contains("there is no file /none/libfastjob.so"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void a_temporary_directory_that_cannot_be_used_is_refused_with_the_way_out(Path jdk) throws Exception {
        ChildJvm.Ended ended = ChildJvm.on(jdk).with("-Djava.io.tmpdir=/none/tmp").run(Connects.class);
        assertEquals(2, refusals(ended).size(), ended.output());
        assertTrue(refusals(ended).get(0).contains("-Dfastjob.native.path=FILE"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void a_temporary_directory_mounted_noexec_is_refused_with_the_way_out(Path jdk, @TempDir Path dir) throws Exception {
        // A mount name space of its own, in which only the child sees the file system; that needs root.
        String mount = "mount -t tmpfs -o noexec tmpfs " + dir;
        assumeTrue(new ProcessBuilder("unshare", "-m", "sh", "-c", mount).start().waitFor() == 0, "mounting is not allowed");
        ChildJvm.Ended ended = ChildJvm.on(jdk).within("unshare", "-m", "sh", "-c", mount + " && exec \"$@\"", "sh")
            .with("-Djava.io.tmpdir=" + dir).run(Connects.class);
        assertEquals(2, refusals(ended).size(), ended.output());
        assertTrue(refusals(ended).get(0).contains("mounted noexec"), ended.output());
        assertTrue(refusals(ended).get(0).contains("-Dfastjob.native.path=FILE"), ended.output());
    }

    @ParameterizedTest
    @MethodSource("jdks")
    void the_unpacked_library_is_deleted_once_it_is_loaded(Path jdk, @TempDir Path dir) throws Exception {
        ChildJvm.Ended ended = ChildJvm.on(jdk).with("-Djava.io.tmpdir=" + dir).run(Connects.class);
        assertEquals(0, ended.exitCode(), ended.output());
        assertTrue(ended.output().contains("connected"), ended.output());
        try (Stream<Path> left = Files.list(dir)) {
            assertTrue(left.noneMatch(file -> file.getFileName().toString().startsWith("fastjob-native-")));
        }
    }

    private static List<String> refusals(ChildJvm.Ended ended) {
        return ended.output().lines().filter(line -> line.startsWith("REFUSED native_library ")).collect(Collectors.toList());
    }

    /** The library of the jar under test, in a file. */
    private static Path library(Path dir) throws IOException {
        Path file = dir.resolve("libfastjob.so");
        try (java.util.jar.JarFile jar = new java.util.jar.JarFile(System.getProperty("fastjob.test.jar"))) {
            java.util.jar.JarEntry entry = jar.stream().filter(e -> e.getName().endsWith(".so")).findFirst().orElseThrow();
            Files.copy(jar.getInputStream(entry), file);
        }
        return file;
    }
}
