package io.fastjob.child;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Runs a program of this package in a JVM of its own: what hangs there does not hang here. */
final class ChildJvm {
    private static final long KILL_AFTER_SECONDS = 90;

    private final Path home;
    private final List<String> jvmArgs = new ArrayList<>();
    private String classPath = System.getProperty("java.class.path");
    private Map<String, String> environment = Map.of();
    private List<String> prefix = List.of();

    private ChildJvm(Path home) {
        this.home = home;
    }

    /** How it ended. */
    record Ended(int exitCode, String output, boolean killed) {}

    static ChildJvm on(Path home) {
        return new ChildJvm(home);
    }

    /** The JDK that runs this test, and the newest one beside it. */
    static Stream<Path> jdks() throws IOException {
        Path own = Path.of(System.getProperty("java.home"));
        String named = System.getProperty("fastjob.test.jdks", "");
        if (!named.isEmpty()) return Arrays.stream(named.split(File.pathSeparator)).map(Path::of);
        Path parent = Path.of("/usr/lib/jvm");
        if (!Files.isDirectory(parent)) return Stream.of(own);
        try (Stream<Path> all = Files.list(parent)) {
            Stream<Path> newest = all.filter(home -> Files.isRegularFile(home.resolve("release")))
                .filter(home -> version(home) > Runtime.version().feature())
                .max((a, b) -> Integer.compare(version(a), version(b))).stream();
            return Stream.concat(Stream.of(own), newest).collect(Collectors.toList()).stream();
        }
    }

    ChildJvm with(String... args) {
        jvmArgs.addAll(List.of(args));
        return this;
    }

    /** A command that takes the JVM's command as its last arguments. */
    ChildJvm within(String... command) {
        prefix = List.of(command);
        return this;
    }

    ChildJvm environment(Map<String, String> variables) {
        environment = variables;
        return this;
    }

    ChildJvm classPath(String path) {
        classPath = path;
        return this;
    }

    Ended run(Class<?> program, String... args) throws IOException, InterruptedException {
        Path output = Files.createTempFile("fastjob-child-", ".out");
        Process process = start(program, output, args);
        boolean ended = process.waitFor(KILL_AFTER_SECONDS, TimeUnit.SECONDS);
        if (!ended) process.destroyForcibly().waitFor();
        String text = Files.readString(output, StandardCharsets.UTF_8);
        Files.delete(output);
        return new Ended(process.exitValue(), text, !ended);
    }

    Process start(Class<?> program, Path output, String... args) throws IOException {
        List<String> command = new ArrayList<>(prefix);
        command.add(home.resolve("bin/java").toString());
        command.addAll(List.of("-Xmx256m", "--enable-native-access=ALL-UNNAMED", "-cp", classPath));
        command.addAll(jvmArgs);
        command.add(program.getName());
        command.addAll(List.of(args));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
        builder.environment().putAll(environment);
        return builder.start();
    }

    private static int version(Path home) {
        try {
            for (String line : Files.readAllLines(home.resolve("release"))) {
                if (line.startsWith("JAVA_VERSION=")) return Integer.parseInt(line.replaceAll("[^0-9]*([0-9]+).*", "$1"));
            }
        } catch (IOException | NumberFormatException e) {
            return 0;
        }
        return 0;
    }
}
