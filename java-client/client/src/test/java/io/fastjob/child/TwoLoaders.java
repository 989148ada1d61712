package io.fastjob.child;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.Arrays;

/** Loads the client twice, each time by a class loader of its own, and lets both live at the same time. */
public final class TwoLoaders {
    private TwoLoaders() {}

    public static void main(String[] args) throws Exception {
        AutoCloseable first = connectIn(loader());
        AutoCloseable second = connectIn(loader());
        if (first.getClass() == second.getClass()) throw new IllegalStateException("one class, not two");
        first.close();
        second.close();
        System.out.println("both closed");
    }

    private static AutoCloseable connectIn(ClassLoader loader) throws Exception {
        Class<?> program = loader.loadClass(LeavesOpen.class.getName());
        java.lang.reflect.Method nowhere = program.getDeclaredMethod("nowhere");
        nowhere.setAccessible(true);
        Class<?> fastjob = loader.loadClass("io.fastjob.FastJob");
        Object options = nowhere.invoke(null);
        return (AutoCloseable) fastjob.getMethod("connect", options.getClass()).invoke(null, options);
    }

    private static ClassLoader loader() throws Exception {
        String[] path = System.getProperty("java.class.path").split(File.pathSeparator);
        URL[] urls = new URL[path.length];
        for (int i = 0; i < path.length; i++) urls[i] = new File(path[i]).toURI().toURL();
        return new URLClassLoader(Arrays.copyOf(urls, urls.length), ClassLoader.getPlatformClassLoader());
    }
}
