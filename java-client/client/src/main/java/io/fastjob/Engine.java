package io.fastjob;

import io.fastjob.internal.Frame;
import io.fastjob.internal.Link;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The Java half of one connection: a daemon thread takes frames from the native half and hands them on, to the handlers'
 * executor and the callbacks' pool. That thread runs no user code, so its polls prove that this side is alive; a worker
 * whose JVM stands still for long is given up by its server.
 */
final class Engine {
    private static final Logger LOG = LoggerFactory.getLogger(FastJob.class);
    private static final AtomicLong ORDINAL = new AtomicLong();

    /** Beyond a grace, the native half waits 10 s for cancelled handlers, 5 s for acknowledgements, and its own tasks. */
    private static final long STOP_MARGIN_MS = 30_000;

    private final Link link;
    private final FastJobOptions options;
    private final Executor callbacks;
    @Nullable private final ExecutorService ownedCallbacks;
    private final Map<Long, CompletableFuture<byte[]>> calls = new ConcurrentHashMap<>();
    private final Map<Integer, Worker> workers = new ConcurrentHashMap<>();
    private final Map<Long, AttemptContext> attempts = new ConcurrentHashMap<>();
    private final AtomicLong lastId = new AtomicLong();
    private final CountDownLatch closed = new CountDownLatch(1);
    private final AtomicBoolean closing = new AtomicBoolean();
    private CompletableFuture<?> lastEdit = CompletableFuture.completedFuture(null);

    private Engine(Link link, FastJobOptions options) {
        this.link = link;
        this.options = options;
        ownedCallbacks = options.callbackExecutor() == null ? Threads.callbackPool() : null;
        callbacks = ownedCallbacks == null ? options.callbackExecutor() : ownedCallbacks;
    }

    static Engine open(FastJobOptions options) {
        Engine engine = new Engine(Link.open(WorkerWire.openOptions(options)), options);
        ClassLoader loader = Engine.class.getClassLoader();
        Threads.daemon(engine::poll, "fastjob-poll-" + ORDINAL.incrementAndGet(), loader).start();
        return engine;
    }

    String app() {
        return options.app();
    }

    CompletableFuture<byte[]> call(String method, byte[] request) {
        return call(method, request, 0);
    }

    /** A call that may take so much longer than others. */
    CompletableFuture<byte[]> call(String method, byte[] request, long moreMs) {
        CompletableFuture<byte[]> reply = new CompletableFuture<>();
        if (closed.getCount() == 0) {
            reply.completeExceptionally(FastJobException.closed());
            return reply;
        }
        if (calls.size() >= FastJob.MAX_CALLS) {
            reply.completeExceptionally(new FastJobException(FastJobException.Kind.UNAVAILABLE, "too_many_calls",
                FastJob.MAX_CALLS + " calls are waiting", "", "wait for some of them before making more"));
            return reply;
        }
        long id = lastId.incrementAndGet();
        calls.put(id, reply);
        try {
            link.call(id, method, request, options.callTimeout().toMillis() + moreMs);
        } catch (FastJobException e) {
            calls.remove(id);
            reply.completeExceptionally(e);
        }
        return reply;
    }

    /** Makes a call that changes jobs: after the changes made before it. */
    synchronized <T> CompletableFuture<T> edit(Supplier<CompletableFuture<T>> change) {
        CompletableFuture<T> reply = afterEdits(change);
        lastEdit = reply;
        return reply;
    }

    /** Makes a call that sees the changes made before it. */
    synchronized <T> CompletableFuture<T> afterEdits(Supplier<CompletableFuture<T>> call) {
        if (lastEdit.isDone()) return call.get();
        return lastEdit.handle((reply, error) -> null).thenCompose(ignored -> call.get());
    }

    void start(Worker worker, byte[] workerOptions) {
        // Its first frame may come before its number is known: the poll thread waits for this lock then.
        synchronized (workers) {
            int number = link.workerStart(workerOptions);
            worker.started(number);
            workers.put(number, worker);
        }
    }

    void stop(Worker worker, long graceMs) {
        if (worker.beginStop()) inBackground("fastjob-stop", () -> link.workerStop(worker.number(), graceMs));
        if (!calledByHandler()) {
            await(graceMs, () -> worker.awaitShutdown(Duration.ofMillis(graceMs + STOP_MARGIN_MS)));
        }
    }

    void close(long graceMs) {
        if (closing.compareAndSet(false, true)) inBackground("fastjob-close", () -> link.close(graceMs));
        if (!calledByHandler()) await(graceMs, () -> closed.await(graceMs + STOP_MARGIN_MS, TimeUnit.MILLISECONDS));
    }

    void entered(long ticket) {
        link.entered(ticket);
    }

    void progress(long ticket, int percent, String note) {
        byte[] text = note.getBytes(StandardCharsets.UTF_8);
        quietly(() -> link.progress(ticket, percent, text));
    }

    void complete(long ticket, byte[] outcome) {
        attempts.remove(ticket);
        quietly(() -> link.complete(ticket, outcome));
    }

    static Throwable unwrap(Throwable error) {
        return error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
    }

    private void poll() {
        try {
            for (List<Frame> frames = link.poll(); frames != null; frames = link.poll()) {
                for (Frame frame : frames) {
                    if (frame.kind == Frame.CLOSED) return;
                    take(frame);
                }
            }
        } catch (Throwable e) {
            // Frames may be lost: the server has to learn that this worker is no more.
            LOG.error("the connection ends because of a defect or a lack of memory", e);
        } finally {
            finish();
        }
    }

    private void take(Frame frame) {
        switch (frame.kind) {
            case Frame.DISPATCH: dispatch(frame); break;
            case Frame.CANCEL: cancel(frame); break;
            case Frame.COMPLETION: completion(frame); break;
            case Frame.LOG: log(frame); break;
            case Frame.STATE: state(frame); break;
            default: LOG.debug("a frame of unknown kind {}", frame.kind); break;
        }
    }

    private void dispatch(Frame frame) {
        Worker worker = worker(frame.worker);
        AttemptContext attempt = new AttemptContext(this, frame.id, AttemptWire.dispatch(frame.body));
        Handler handler = worker == null ? null : worker.handlers().get(attempt.handler());
        if (handler == null) {
            attempt.fail(new IllegalStateException("this worker has no handler \"" + attempt.handler() + "\""));
            return;
        }
        attempts.put(frame.id, attempt);
        try {
            worker.executor().execute(() -> attempt.run(handler));
        } catch (RejectedExecutionException | OutOfMemoryError e) {
            attempt.fail(e);
        }
    }

    private void cancel(Frame frame) {
        AttemptContext attempt = attempts.get(frame.id);
        if (attempt != null) attempt.cancel(AttemptWire.cancel(frame.body));
    }

    private void completion(Frame frame) {
        CompletableFuture<byte[]> reply = calls.remove(frame.id);
        if (reply == null) return;
        if (frame.code == 0) {
            onCallbackThread(() -> reply.complete(frame.body));
        } else {
            FastJobException error = Link.error(frame.code, frame.body);
            onCallbackThread(() -> reply.completeExceptionally(error));
        }
    }

    private void log(Frame frame) {
        String text = new String(frame.body, StandardCharsets.UTF_8);
        switch (frame.code) {
            case 1: LOG.error(text); break;
            case 2: LOG.warn(text); break;
            case 3: LOG.info(text); break;
            case 4: LOG.debug(text); break;
            default: LOG.trace(text); break;
        }
    }

    private void state(Frame frame) {
        Worker worker = worker(frame.worker);
        if (frame.code != Frame.STOPPED || worker == null) return;
        workers.remove(frame.worker);
        worker.ended();
    }

    @Nullable
    private Worker worker(int number) {
        Worker worker = workers.get(number);
        if (worker != null) return worker;
        synchronized (workers) {
            return workers.get(number);
        }
    }

    /** User code hangs on futures: it must not run on the polling thread. */
    private void onCallbackThread(Runnable completion) {
        try {
            callbacks.execute(completion);
        } catch (RejectedExecutionException e) {
            ForkJoinPool.commonPool().execute(completion);
        }
    }

    private void finish() {
        closed.countDown();
        link.free();
        synchronized (workers) {
            workers.values().forEach(Worker::ended);
            workers.clear();
        }
        for (Long id : calls.keySet()) {
            CompletableFuture<byte[]> reply = calls.remove(id);
            if (reply != null) onCallbackThread(() -> reply.completeExceptionally(FastJobException.closed()));
        }
        if (ownedCallbacks != null) ownedCallbacks.shutdown();
    }

    private boolean calledByHandler() {
        return attempts.values().stream().anyMatch(AttemptContext::runsHere);
    }

    /** On a thread that may be stuck in the native half for as long as a grace lasts. */
    private void inBackground(String name, Runnable call) {
        Threads.daemon(() -> quietly(call), name, Engine.class.getClassLoader()).start();
    }

    private void quietly(Runnable call) {
        try {
            call.run();
        } catch (FastJobException e) {
            LOG.debug("too late for the native half: {}", e.getMessage());
        }
    }

    private void await(long graceMs, Wait wait) {
        try {
            if (!wait.ended()) LOG.warn("not stopped {} ms after its grace of {} ms", STOP_MARGIN_MS, graceMs);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private interface Wait {
        boolean ended() throws InterruptedException;
    }
}
