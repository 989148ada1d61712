package io.fastjob.child;

import io.fastjob.FastJob;
import io.fastjob.FastJobOptions;
import io.fastjob.Job;
import java.util.concurrent.CountDownLatch;

/** Returns from main while a handler runs for ever, or leaves by System.exit inside the handler. */
public final class EndsInsideHandler {
    private EndsInsideHandler() {}

    public static void main(String[] args) throws Exception {
        boolean exit = args[0].equals("exit");
        CountDownLatch entered = new CountDownLatch(1);
        FastJob fastjob = FastJob.connect(FastJobOptions.fromEnv());
        fastjob.worker().handler("ends", ctx -> {
            System.out.println("entered");
            if (exit) System.exit(7);
            entered.countDown();
            new CountDownLatch(1).await();
            return null;
        }).start();
        fastjob.jobs().put(Job.named("ends-" + args[0]).handler("ends"));
        fastjob.trigger("ends-" + args[0]).now().get();
        entered.await();
    }
}
