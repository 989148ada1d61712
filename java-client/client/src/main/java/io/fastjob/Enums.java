package io.fastjob;

/** Reads enums whose numbers are their order. */
final class Enums {
    private Enums() {}

    /** The value with this number, or another for a number that this version does not know. */
    static <E> E at(E[] values, int number, E otherwise) {
        return number >= 0 && number < values.length ? values[number] : otherwise;
    }
}
