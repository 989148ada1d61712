package io.fastjob.child;

import io.fastjob.FastJob;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** Opens and closes so often, and prints threads and resident memory half way and at the end. */
public final class OpensAndCloses {
    private OpensAndCloses() {}

    public static void main(String[] args) throws Exception {
        int rounds = Integer.parseInt(args[0]);
        for (int round = 1; round <= rounds; round++) {
            try (FastJob fastjob = FastJob.connect(LeavesOpen.nowhere())) {
                fastjob.worker().handler("h", ctx -> null).start();
                fastjob.jobs().get("none");
                fastjob.close(Duration.ZERO);
            }
            if (round == rounds / 2 || round == rounds) report();
        }
    }

    private static void report() throws IOException {
        System.gc();
        String threads = "";
        String memory = "";
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("Threads:")) threads = line.replaceAll("[^0-9]", "");
            if (line.startsWith("VmRSS:")) memory = line.replaceAll("[^0-9]", "");
        }
        System.out.println("REPORT " + threads + " " + memory);
    }
}
