package io.fastjob;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Executor;

/** Where to connect and as whom. Immutable; made by {@link #fromEnv} or {@link #builder}. */
public final class FastJobOptions {
    private final List<String> servers;
    private final String app;
    private final String token;
    private final Duration callTimeout;
    @Nullable private final Executor callbackExecutor;

    private FastJobOptions(Builder builder) {
        servers = Collections.unmodifiableList(new ArrayList<>(builder.servers));
        app = builder.app;
        token = builder.token;
        callTimeout = builder.callTimeout;
        callbackExecutor = builder.callbackExecutor;
        if (servers.isEmpty()) throw missing("servers", "FASTJOB_SERVERS, as 127.0.0.1:7180,127.0.0.1:7190");
        if (app.isEmpty()) throw missing("app", "FASTJOB_APP to the app's name");
        if (token.isEmpty()) throw missing("token", "FASTJOB_TOKEN to the app's token");
    }

    /**
     * Options from {@code FASTJOB_SERVERS} (host:port, several with commas between), {@code FASTJOB_APP} and
     * {@code FASTJOB_TOKEN}, or the file that {@code FASTJOB_TOKEN_FILE} names.
     *
     * @return the options
     * @throws FastJobException naming the variable that is missing, or the file that cannot be read
     */
    public static FastJobOptions fromEnv() {
        return builder().env(System.getenv()).build();
    }

    /**
     * An empty builder.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * The gRPC addresses.
     *
     * @return at least one host:port
     */
    public List<String> servers() {
        return servers;
    }

    /**
     * The app's name.
     *
     * @return the name
     */
    public String app() {
        return app;
    }

    /**
     * How long a call may take over all its attempts.
     *
     * @return the time
     */
    public Duration callTimeout() {
        return callTimeout;
    }

    /** Without the token: options are logged. */
    @Override
    public String toString() {
        return "FastJobOptions[servers=" + servers + ", app=" + app + ", callTimeout=" + callTimeout + "]";
    }

    String token() {
        return token;
    }

    @Nullable
    Executor callbackExecutor() {
        return callbackExecutor;
    }

    private static FastJobException missing(String field, String remedy) {
        return FastJobException.invalid("missing_setting", field, "is missing", "set " + remedy);
    }

    /** Collects options. */
    public static final class Builder {
        private List<String> servers = new ArrayList<>();
        private String app = "";
        private String token = "";
        private Duration callTimeout = Duration.ofSeconds(30);
        @Nullable private Executor callbackExecutor;

        private Builder() {}

        /**
         * The gRPC addresses; any server of the cluster will do, several survive the loss of one.
         *
         * @param addresses host:port each
         * @return this
         */
        public Builder servers(String... addresses) {
            List<String> given = new ArrayList<>();
            for (String address : addresses) {
                String trimmed = address.trim();
                if (!trimmed.isEmpty()) given.add(trimmed);
            }
            servers = given;
            return this;
        }

        /**
         * The app that owns jobs and workers.
         *
         * @param name its name
         * @return this
         */
        public Builder app(String name) {
            app = Objects.requireNonNull(name, "name");
            return this;
        }

        /**
         * The app's token.
         *
         * @param secret the token
         * @return this
         */
        public Builder token(String secret) {
            token = Objects.requireNonNull(secret, "secret").trim();
            return this;
        }

        /**
         * How long a call may take over all its attempts. Default 30 s.
         *
         * @param timeout 1 ms to 1 h
         * @return this
         */
        public Builder callTimeout(Duration timeout) {
            long millis = Durations.millis("callTimeout", timeout);
            if (millis < 1 || millis > 3_600_000) {
                throw FastJobException.invalid("out_of_range", "callTimeout", "is " + timeout, "give 1 ms to 1 h");
            }
            callTimeout = timeout;
            return this;
        }

        /**
         * Where futures complete. Default: a small pool of daemon threads that grows while callbacks wait for futures.
         *
         * @param executor not shut down by the client
         * @return this
         */
        public Builder callbackExecutor(Executor executor) {
            callbackExecutor = Objects.requireNonNull(executor, "executor");
            return this;
        }

        /**
         * The options.
         *
         * @return the options
         * @throws FastJobException if servers, app or token are missing
         */
        public FastJobOptions build() {
            return new FastJobOptions(this);
        }

        private static String read(Path file) {
            try {
                return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
            } catch (IOException e) {
                throw FastJobException.invalid("bad_token_file", "token", "failed to read " + file + ": " + e,
                    "let FASTJOB_TOKEN_FILE name a readable file");
            }
        }

        Builder env(Map<String, String> variables) {
            servers(variables.getOrDefault("FASTJOB_SERVERS", "").split(","));
            String secret = variables.getOrDefault("FASTJOB_TOKEN", "");
            String file = variables.getOrDefault("FASTJOB_TOKEN_FILE", "");
            return app(variables.getOrDefault("FASTJOB_APP", ""))
                .token(secret.trim().isEmpty() && !file.isEmpty() ? read(Paths.get(file)) : secret);
        }
    }
}
