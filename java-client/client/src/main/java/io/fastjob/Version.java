package io.fastjob;

import io.fastjob.internal.NativeLibrary;

/** The version of this client. */
final class Version {
    static final String TEXT = NativeLibrary.clientVersion();

    private Version() {}
}
