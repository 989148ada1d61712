package io.fastjob.child;

import io.fastjob.FastJob;
import io.fastjob.FastJobOptions;

/** Returns from main with an open client, a started worker and a call on its way. */
public final class LeavesOpen {
    private LeavesOpen() {}

    public static void main(String[] args) {
        FastJob fastjob = FastJob.connect(nowhere());
        fastjob.worker().handler("h", ctx -> null).start();
        fastjob.jobs().get("none");
        System.out.println("main returns");
    }

    static FastJobOptions nowhere() {
        return FastJobOptions.builder().servers("127.0.0.1:9").app("demo").token("none").build();
    }
}
