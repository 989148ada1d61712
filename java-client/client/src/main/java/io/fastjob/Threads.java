package io.fastjob;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinWorkerThread;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The threads that the client makes: all of them daemons, with the maker's class loader. */
final class Threads {
    private static final int CALLBACK_THREADS = 4;
    private static final long IDLE_SECONDS = 10;

    private Threads() {}

    /** Grows with what it is given: the native side bounds that by the worker's slots. */
    static ExecutorService handlerPool() {
        AtomicInteger ordinal = new AtomicInteger();
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        return new ThreadPoolExecutor(0, Integer.MAX_VALUE, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(),
            task -> daemon(task, "fastjob-handler-" + ordinal.incrementAndGet(), loader));
    }

    /** Grows while its threads wait for futures, so that callbacks may do so. */
    static ExecutorService callbackPool() {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        return new ForkJoinPool(CALLBACK_THREADS, pool -> new CallbackThread(pool, loader), null, true);
    }

    static Thread daemon(Runnable task, String name, ClassLoader loader) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.setContextClassLoader(loader);
        return thread;
    }

    private static final class CallbackThread extends ForkJoinWorkerThread {
        CallbackThread(ForkJoinPool pool, ClassLoader loader) {
            super(pool);
            setName("fastjob-callback-" + getPoolIndex());
            setDaemon(true);
            setContextClassLoader(loader);
        }
    }
}
