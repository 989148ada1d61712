package io.fastjob;

import io.fastjob.internal.ProtoReader;
import io.fastjob.internal.ProtoWriter;

/** Payload and Failure of {@code fastjob.proto}. */
final class Payloads {
    private Payloads() {}

    static ProtoWriter write(Payload payload) {
        return new ProtoWriter().integer(1, payload.encoding().ordinal()).bytes(2, payload.data());
    }

    static Payload read(ProtoReader in) {
        Encoding encoding = Encoding.JSON;
        byte[] data = {};
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) encoding = Enums.at(Encoding.values(), in.int32(), Encoding.BINARY);
            if (tag == 2) data = in.bytes();
        }
        return Payload.trusted(encoding, data);
    }

    static ProtoWriter write(Failure failure) {
        return new ProtoWriter().text(1, failure.className()).text(2, failure.message()).text(3, failure.trace());
    }

    static Failure readFailure(ProtoReader in) {
        String className = "";
        String message = "";
        String trace = "";
        for (int tag = in.next(); tag != 0; tag = in.next()) {
            if (tag == 1) className = in.text();
            if (tag == 2) message = in.text();
            if (tag == 3) trace = in.text();
        }
        return new Failure(className, message, trace);
    }
}
