package io.fastjob.internal;

import io.fastjob.FastJobException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import java.util.Properties;

/**
 * Finds and loads {@code libfastjob}: from the path that the property {@value #PATH_PROPERTY} or the variable
 * {@value #PATH_VARIABLE} names, else from this jar, else from {@code java.library.path}. Loads once per class loader;
 * nothing happens in a static initializer, so that a failure is reported as itself each time.
 */
public final class NativeLibrary {
    static final String PATH_PROPERTY = "fastjob.native.path";
    static final String PATH_VARIABLE = "FASTJOB_NATIVE_PATH";
    static final int ABI_MAJOR = 1;

    private static boolean loaded;

    private NativeLibrary() {}

    /** Loads the library unless this class loader has it. */
    public static synchronized void load() {
        if (loaded) return;
        String path = System.getProperty(PATH_PROPERTY, env(PATH_VARIABLE));
        if (!path.isEmpty()) {
            loadFile(Paths.get(path));
        } else {
            loadResource();
        }
        checkVersion();
        loaded = true;
    }

    /** The version of this jar, or "unknown" outside a jar. */
    public static String clientVersion() {
        try (InputStream in = NativeLibrary.class.getResourceAsStream("/META-INF/fastjob/client.properties")) {
            if (in == null) return "unknown";
            Properties properties = new Properties();
            properties.load(in);
            return properties.getProperty("version", "unknown");
        } catch (IOException | RuntimeException e) {
            return "unknown";
        }
    }

    /** A folder of {@code META-INF/native}: {@code <os>-<arch>}, with {@code -musl} where that is the C library. */
    static String platform(String osName, String osArch, boolean musl) {
        String os = osName.toLowerCase(Locale.ROOT);
        String family = os.contains("linux") ? "linux" : os.contains("mac") ? "macos" : os.contains("windows")
            ? "windows" : os.replaceAll("[^a-z0-9]", "");
        String arch = osArch.equals("amd64") ? "x86_64" : osArch.equals("arm64") ? "aarch64" : osArch;
        return family + "-" + arch + (musl ? "-musl" : "");
    }

    private static void loadResource() {
        String platform = platform(System.getProperty("os.name", ""), System.getProperty("os.arch", ""), isMusl());
        String resource = "/META-INF/native/" + platform + "/" + System.mapLibraryName("fastjob");
        try (InputStream in = NativeLibrary.class.getResourceAsStream(resource)) {
            if (in == null) {
                loadFromLibraryPath(platform);
            } else {
                extractAndLoad(in);
            }
        } catch (IOException e) {
            throw failed("failed to unpack the native library into " + temporary() + ": " + e, remedyForTemporary(), e);
        }
    }

    private static void loadFile(Path path) {
        if (!Files.isRegularFile(path)) {
            throw failed("there is no file " + path, "let " + PATH_PROPERTY + " or " + PATH_VARIABLE + " name libfastjob.so", null);
        }
        try {
            System.load(path.toAbsolutePath().toString());
        } catch (UnsatisfiedLinkError e) {
            if (!isTakenByAnotherLoader(e)) throw failed("failed to load " + path + ": " + e.getMessage(), "", e);
            loadCopy(path);
        }
    }

    /** A file belongs to one class loader at a time: a second one needs a copy. */
    private static void loadCopy(Path path) {
        try (InputStream in = Files.newInputStream(path)) {
            extractAndLoad(in);
        } catch (IOException e) {
            throw failed("failed to copy " + path + " into " + temporary() + ": " + e, remedyForTemporary(), e);
        }
    }

    private static void loadFromLibraryPath(String platform) {
        try {
            System.loadLibrary("fastjob");
        } catch (UnsatisfiedLinkError e) {
            throw failed("this jar holds no native library for " + platform + ", and java.library.path neither: "
                + e.getMessage(), "let " + PATH_PROPERTY + " name libfastjob", e);
        }
    }

    /** Into a directory that nobody else may enter; on POSIX the file is not needed once it is loaded. */
    private static void extractAndLoad(InputStream in) throws IOException {
        Path dir = Files.createTempDirectory("fastjob-native-");
        Path file = dir.resolve(System.mapLibraryName("fastjob"));
        try {
            Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
            System.load(file.toAbsolutePath().toString());
        } catch (UnsatisfiedLinkError e) {
            throw failed("failed to load the native library from " + dir + ": " + e.getMessage(), remedyForTemporary(), e);
        } finally {
            delete(file);
            delete(dir);
        }
    }

    private static void checkVersion() {
        String ours = clientVersion();
        int abi;
        String theirs;
        try {
            abi = Native.abiVersion() >>> 16;
            theirs = Native.version();
        } catch (UnsatisfiedLinkError e) {
            throw failed("the library is not one of FastJob, or of another version: " + e.getMessage(), remedyForVersion(ours), e);
        }
        if (abi != ABI_MAJOR || !(ours.equals(theirs) || ours.equals("unknown"))) {
            throw failed("the native library is of version " + theirs + " (ABI " + abi + "), this jar of version " + ours
                + " (ABI " + ABI_MAJOR + ")", remedyForVersion(ours), null);
        }
    }

    private static void delete(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // Windows keeps a loaded library's file.
            path.toFile().deleteOnExit();
        }
    }

    private static boolean isTakenByAnotherLoader(UnsatisfiedLinkError e) {
        return String.valueOf(e.getMessage()).contains("already loaded in another classloader");
    }

    private static boolean isMusl() {
        String arch = System.getProperty("os.arch", "").equals("amd64") ? "x86_64" : "aarch64";
        return new File("/lib/ld-musl-" + arch + ".so.1").exists() && !new File("/lib/" + arch + "-linux-gnu").exists();
    }

    private static String temporary() {
        return System.getProperty("java.io.tmpdir", "the temporary directory");
    }

    private static String remedyForTemporary() {
        return "if " + temporary() + " is read-only or mounted noexec, start Java with -Djava.io.tmpdir=DIR, or unpack the "
            + "library once and start with -D" + PATH_PROPERTY + "=FILE";
    }

    private static String remedyForVersion(String ours) {
        return "use libfastjob of version " + ours + ", or leave out " + PATH_PROPERTY + " and " + PATH_VARIABLE;
    }

    private static String env(String name) {
        String value = System.getenv(name);
        return value == null ? "" : value;
    }

    private static FastJobException failed(String message, String remedy, Throwable cause) {
        FastJobException e = new FastJobException(FastJobException.Kind.INTERNAL, "native_library", message, "", remedy);
        if (cause != null) e.initCause(cause);
        return e;
    }
}
