package io.fastjob.internal;

import java.nio.ByteBuffer;

/**
 * The entries of the native library; see {@code ffi/src/jni.rs}. All are safe to call at any time with any handle: a
 * stale one answers as closed. A {@code byte[]} returned is null if all is well, else an error: one byte of kind, then
 * an ErrorDetail. Only {@link #poll}, {@link #workerStop} and {@link #close} block; an interrupt does not wake them.
 */
final class Native {
    private Native() {}

    /** Major version in the upper 16 bits: must equal {@link NativeLibrary#ABI_MAJOR}. */
    static native int abiVersion();

    /** The version of FastJob that the library was built from. */
    static native String version();

    /** Makes a handle from OpenOptions and puts it into {@code handle[0]}. */
    static native byte[] open(byte[] options, long[] handle);

    /** Calls {@code /fastjob.v1.Client/<method>}; its COMPLETION carries {@code id}. */
    static native byte[] call(long handle, long id, String method, byte[] request, long timeoutMs);

    /** Starts a worker from WorkerOptions and puts its number into {@code worker[0]}. */
    static native byte[] workerStart(long handle, byte[] options, int[] worker);

    /** Takes nothing more, cancels what runs after the grace, says STATE stopped; waits for that. */
    static native byte[] workerStop(long handle, int worker, long graceMs);

    /**
     * Waits for frames, at most one second: each call is the proof that this side is alive. Answers how many bytes of
     * the direct buffer hold frames, 0 for none, -1 for a closed handle, or -n if the next frame needs n bytes.
     */
    static native int poll(long handle, ByteBuffer buffer);

    /** The handler of this attempt is about to be called. */
    static native void entered(long handle, long ticket);

    /** How far the attempt is. */
    static native byte[] progress(long handle, long ticket, int percent, byte[] note);

    /** The handler has returned; {@code outcome} is an Outcome without key and times. */
    static native byte[] complete(long handle, long ticket, byte[] outcome);

    /** Stops all workers, then says CLOSED; waits for that. */
    static native void close(long handle, long graceMs);

    /** Forgets the handle and ends its threads; polls return -1. */
    static native void free(long handle);
}
