package io.fastjob;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/** A started worker: it takes runs whose handler it has, at most as many at a time as it has slots. */
public final class Worker {
    private final Engine engine;
    private final Map<String, Handler> handlers;
    private final Executor executor;
    @Nullable private final ExecutorService owned;
    private final CountDownLatch stopped = new CountDownLatch(1);
    private final AtomicBoolean stopping = new AtomicBoolean();
    private volatile int number;

    private Worker(Engine engine, Map<String, Handler> handlers, Executor executor, @Nullable ExecutorService owned) {
        this.engine = engine;
        this.handlers = handlers;
        this.executor = executor;
        this.owned = owned;
    }

    /**
     * Takes no more runs, lets handlers finish, cancels those that have not after the grace, and leaves. Waits for
     * that, unless called by a handler: then it only begins. A second call changes nothing and waits as well.
     *
     * @param grace how long handlers may go on before they are cancelled, 0 or more
     */
    public void stop(Duration grace) {
        engine.stop(this, Durations.millis("grace", grace));
    }

    /**
     * Waits until the worker has stopped.
     *
     * @throws InterruptedException if the thread was interrupted
     */
    public void awaitShutdown() throws InterruptedException {
        stopped.await();
    }

    /**
     * Waits until the worker has stopped, or a while.
     *
     * @param timeout how long at most
     * @return whether it has stopped
     * @throws InterruptedException if the thread was interrupted
     */
    public boolean awaitShutdown(Duration timeout) throws InterruptedException {
        return stopped.await(Durations.millis("timeout", timeout), TimeUnit.MILLISECONDS);
    }

    Map<String, Handler> handlers() {
        return handlers;
    }

    Executor executor() {
        return executor;
    }

    int number() {
        return number;
    }

    void started(int workerNumber) {
        number = workerNumber;
    }

    /** True for the first caller. */
    boolean beginStop() {
        return stopping.compareAndSet(false, true);
    }

    /** The native side said STOPPED, or never will. */
    void ended() {
        if (owned != null) owned.shutdown();
        stopped.countDown();
    }

    /** Collects what a worker is; {@link #start} makes it. Not for use by several threads. */
    public static final class Builder {
        private final Engine engine;
        private final Map<String, Handler> handlers = new LinkedHashMap<>();
        private final Map<String, String> versions = new LinkedHashMap<>();
        private final List<String> tags = new ArrayList<>();
        private final Map<String, String> labels = new LinkedHashMap<>();
        private String name = "";
        private int slots = Runtime.getRuntime().availableProcessors();
        @Nullable private Executor executor;

        Builder(Engine engine) {
            this.engine = engine;
        }

        /**
         * How many runs it takes at a time. Default: one per processor.
         *
         * @param count 1 to 100,000
         * @return this
         */
        public Builder slots(int count) {
            if (count < 1 || count > 100_000) {
                throw FastJobException.invalid("out_of_range", "slots", "is " + count, "give 1 to 100,000");
            }
            slots = count;
            return this;
        }

        /**
         * Adds a handler.
         *
         * @param handlerName 1 to 128 characters, as {@link Job#handler(String)} gives it
         * @param handler the function
         * @return this
         * @throws FastJobException if the name was added before
         */
        public Builder handler(String handlerName, Handler handler) {
            return handler(handlerName, "", handler);
        }

        /**
         * Adds a handler with a version for people to see.
         *
         * @param handlerName 1 to 128 characters
         * @param version may be empty
         * @param handler the function
         * @return this
         * @throws FastJobException if the name was added before
         */
        public Builder handler(String handlerName, String version, Handler handler) {
            Objects.requireNonNull(version, "version");
            Objects.requireNonNull(handler, "handler");
            if (handlers.putIfAbsent(Objects.requireNonNull(handlerName, "handlerName"), handler) != null) {
                throw FastJobException.invalid("handler_twice", "handlers", "\"" + handlerName + "\" was added before",
                    "give each handler its own name");
            }
            versions.put(handlerName, version);
            return this;
        }

        /**
         * Where handlers run; virtual threads are fine. It needs as many threads as there are slots: what it holds back
         * is running in the server's eyes. Default: daemon threads of the worker's own, as many as are needed.
         *
         * @param userExecutor not shut down by the worker
         * @return this
         */
        public Builder executor(Executor userExecutor) {
            executor = Objects.requireNonNull(userExecutor, "userExecutor");
            return this;
        }

        /**
         * How people see it. Default: host and process id.
         *
         * @param workerName at most 128 characters
         * @return this
         */
        public Builder name(String workerName) {
            name = Objects.requireNonNull(workerName, "workerName");
            return this;
        }

        /**
         * Adds tags, by which jobs may choose workers.
         *
         * @param names the tags
         * @return this
         */
        public Builder tags(String... names) {
            Collections.addAll(tags, names);
            return this;
        }

        /**
         * Adds a label for people to see.
         *
         * @param key its key
         * @param value its value
         * @return this
         */
        public Builder label(String key, String value) {
            labels.put(Objects.requireNonNull(key, "key"), Objects.requireNonNull(value, "value"));
            return this;
        }

        /**
         * Starts the worker. It connects in the background, and again by itself whenever it loses its server.
         *
         * @return the worker
         * @throws FastJobException if a name is malformed, there is no handler, or the client is closed
         */
        public Worker start() {
            if (handlers.isEmpty()) {
                throw FastJobException.invalid("no_handler", "handlers", "there is none", "add one by handler(name, function)");
            }
            ExecutorService owned = executor == null ? Threads.handlerPool() : null;
            Worker worker = new Worker(engine, Collections.unmodifiableMap(new LinkedHashMap<>(handlers)),
                owned == null ? executor : owned, owned);
            try {
                engine.start(worker, WorkerWire.options(name, slots, versions, tags, labels));
                return worker;
            } catch (RuntimeException e) {
                worker.ended();
                throw e;
            }
        }
    }
}
