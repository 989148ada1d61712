/** The native library, and the wire format spoken with it. Not exported: only {@code io.fastjob} uses it. */
package io.fastjob.internal;
