package io.fastjob;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchService;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The real server in a process of its own, with its data in a folder. */
public final class DevServer implements AutoCloseable {
    private static final long START_SECONDS = 30;

    private final Path dir;
    private Process process;
    private String ready = "";

    private DevServer(Path dir) {
        this.dir = dir;
    }

    /** Whether there is a binary to run. */
    public static boolean isBuilt() {
        return Files.isExecutable(binary());
    }

    /** Starts a server on free ports. */
    public static DevServer start(Path dir) throws IOException, InterruptedException {
        DevServer server = new DevServer(dir);
        server.start("127.0.0.1:0");
        return server;
    }

    /** Options for its app. */
    public FastJobOptions options() {
        return FastJobOptions.builder().servers(rpc()).app(field("app")).token(field("token")).build();
    }

    /** Its gRPC address. */
    public String rpc() {
        return field("rpc");
    }

    /** A string of its ready file. */
    public String field(String name) {
        Matcher matcher = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]*)\"").matcher(ready);
        if (!matcher.find()) throw new IllegalStateException("no " + name + " in " + ready);
        return matcher.group(1);
    }

    /** Kills it without warning. */
    public void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** Starts it again, on its data and its address. */
    public void restart() throws IOException, InterruptedException {
        start(rpc());
    }

    @Override
    public void close() throws InterruptedException {
        process.destroy();
        if (!process.waitFor(10, TimeUnit.SECONDS)) kill();
    }

    private void start(String rpc) throws IOException, InterruptedException {
        Path readyFile = dir.resolve("ready.json");
        Files.deleteIfExists(readyFile);
        try (WatchService watch = FileSystems.getDefault().newWatchService()) {
            dir.register(watch, StandardWatchEventKinds.ENTRY_CREATE);
            process = new ProcessBuilder(binary().toString(), "dev", "--data", dir.resolve("data").toString(),
                "--rpc", rpc, "--http", "127.0.0.1:0", "--ready-file", readyFile.toString())
                .redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.appendTo(dir.resolve("server.log").toFile()))
                .start();
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
            while (!Files.exists(readyFile)) {
                if (!process.isAlive() || System.nanoTime() > deadline) {
                    String log = Files.readString(dir.resolve("server.log"), StandardCharsets.UTF_8);
                    throw new IllegalStateException("the server did not start: " + log);
                }
                java.nio.file.WatchKey key = watch.poll(1, TimeUnit.SECONDS);
                if (key != null) key.reset();
            }
        }
        ready = Files.readString(readyFile, StandardCharsets.UTF_8);
    }

    private static Path binary() {
        return Path.of(System.getProperty("fastjob.test.server", "none"));
    }
}
