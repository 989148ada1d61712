package io.fastjob;

import io.fastjob.internal.ProtoWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** WorkerOptions and OpenOptions of {@code ffi/src/jni/messages.rs}. */
final class WorkerWire {
    private WorkerWire() {}

    static byte[] openOptions(FastJobOptions options) {
        ProtoWriter out = new ProtoWriter();
        for (String server : options.servers()) out.text(1, server);
        return out.text(2, options.app()).text(3, options.token()).toBytes();
    }

    static byte[] options(String name, int slots, Map<String, String> handlers, List<String> tags,
            Map<String, String> labels) {
        ProtoWriter out = new ProtoWriter().text(1, name).integer(2, slots);
        handlers.forEach((handler, version) -> out.message(3, new ProtoWriter().text(1, handler).text(2, version)));
        for (String tag : tags) out.bytesPresent(4, tag.getBytes(StandardCharsets.UTF_8));
        labels.forEach((key, value) -> out.message(5, new ProtoWriter().text(1, key).text(2, value)));
        return out.text(6, "java/" + Version.TEXT).toBytes();
    }
}
