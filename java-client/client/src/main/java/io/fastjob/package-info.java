/**
 * The Java client and worker of FastJob.
 *
 * <p>Begin with {@link io.fastjob.FastJob#connect}. Reference values are never null unless {@link io.fastjob.Nullable}
 * says so; passing null where it does not throws {@link NullPointerException}. Instants are rounded to milliseconds.
 * Nothing here exposes the native library underneath, and no user code ever runs below a native frame.
 */
package io.fastjob;
