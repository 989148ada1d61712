/* What the test programs share: checks that say where they failed, and a line for each test that passed. */
#ifndef CHECK_H
#define CHECK_H

#include <fastjob.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) check_failed(__FILE__, __LINE__, #condition, FJ_OK, FJ_OK); \
    } while (0)

/* The call must answer this status. */
#define ANSWERS(expected, call)                                                                \
    do {                                                                                       \
        fj_status answered = (call);                                                           \
        if (answered != (expected)) check_failed(__FILE__, __LINE__, #call, expected, answered); \
    } while (0)

/* The text of the last error must contain this. */
#define ERROR_SAYS(part)                                                                \
    do {                                                                                \
        char said[1024];                                                                \
        fj_last_error(said, sizeof said);                                               \
        if (strstr(said, part) == NULL) check_failed(__FILE__, __LINE__, part, FJ_OK, FJ_OK); \
    } while (0)

#define RUN(test)                    \
    do {                             \
        test();                      \
        printf("passed %s\n", #test); \
        fflush(stdout);              \
    } while (0)

static void check_failed(const char *file, int line, const char *what, fj_status expected, fj_status answered) {
    char said[1024];
    fj_last_error(said, sizeof said);
    fprintf(stderr, "%s:%d: %s: expected %ld, got %ld; last error: %s\n", file, line, what, (long)expected,
            (long)answered, said);
    exit(1);
}

#endif
