package io.fastjob;

import java.util.Locale;

/** Reads enums whose numbers are their order, or whose words are their names in small letters. */
final class Enums {
    private Enums() {}

    /** The value with this number, or another for a number that this version does not know. */
    static <E> E at(E[] values, int number, E otherwise) {
        return number >= 0 && number < values.length ? values[number] : otherwise;
    }

    /** The value with this word; null for an empty one, and for one that this version does not know. */
    @Nullable
    static <E extends Enum<E>> E named(E[] values, String word) {
        for (E value : values) {
            if (word(value).equals(word)) return value;
        }
        return null;
    }

    /** The word of a value; empty for null. */
    static String word(@Nullable Enum<?> value) {
        return value == null ? "" : value.name().toLowerCase(Locale.ROOT);
    }
}
