package io.fastjob.child;

import io.fastjob.FastJob;
import io.fastjob.FastJobException;

/** Connects twice, and prints what it is refused with: the second refusal must say the same. */
public final class Connects {
    private Connects() {}

    public static void main(String[] args) {
        for (int i = 0; i < 2; i++) {
            try (FastJob fastjob = FastJob.connect(LeavesOpen.nowhere())) {
                System.out.println("connected");
            } catch (FastJobException e) {
                System.out.println("REFUSED " + e.code() + " " + e.getMessage());
            }
        }
    }
}
