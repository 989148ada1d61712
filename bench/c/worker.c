/*
 * The C worker of the benches: polls attempts of a handler that does nothing, and notes their runs.
 *   worker --ready FILE --out FILE
 * FILE of --ready is written once it takes runs; that of --out at SIGTERM: {"executions":N,"distinct":N}.
 */
#define _POSIX_C_SOURCE 200809L

#include <fastjob.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 8000, POLL_MS = 50, GRACE_MS = 5000, ID_SIZE = 37 };

typedef char run_id[ID_SIZE];

static run_id *runs;
static size_t noted, room;

static int failed(const char *what) {
    char text[512];
    fj_last_error(text, sizeof text);
    fprintf(stderr, "worker: %s: %s\n", what, text);
    return 1;
}

static int by_text(const void *one, const void *other) {
    return strcmp((const char *)one, (const char *)other);
}

/* The handler: notes the run, and succeeds. */
static int execute(fj_attempt attempt) {
    if (noted == room) {
        size_t more = room == 0 ? 65536 : room * 2;
        run_id *grown = (run_id *)realloc(runs, more * sizeof *runs);
        if (grown == NULL) return -1;
        runs = grown;
        room = more;
    }
    if (fj_attempt_run_id(attempt, runs[noted], sizeof runs[noted], NULL) != FJ_OK) return -1;
    noted++;
    if (fj_attempt_complete(attempt, FJ_OK) != FJ_OK) return -1;
    return fj_attempt_free(attempt) == FJ_OK ? 0 : -1;
}

/* Polls until SIGTERM has come and nothing waits. */
static int work(fj_worker worker, const sigset_t *ends) {
    const struct timespec at_once = {0, 0};
    for (;;) {
        fj_attempt attempt = {0};
        fj_status status = fj_worker_poll(worker, POLL_MS, &attempt);
        if (status == FJ_OK) {
            if (execute(attempt) != 0) return failed("execute");
        } else if (status != FJ_E_TIMEOUT) {
            return failed("poll");
        } else if (sigtimedwait(ends, NULL, &at_once) > 0) {
            return 0;
        }
    }
}

static int write_file(const char *name, const char *text) {
    FILE *file = fopen(name, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(name);
        return 1;
    }
    return 0;
}

static int write_noted(const char *name) {
    char text[96];
    size_t index, distinct = 0;
    if (noted > 0) qsort(runs, noted, sizeof *runs, by_text);
    for (index = 0; index < noted; index++) distinct += index == 0 || strcmp(runs[index - 1], runs[index]) != 0;
    snprintf(text, sizeof text, "{\"executions\":%zu,\"distinct\":%zu}\n", noted, distinct);
    return write_file(name, text);
}

int main(int argc, char **argv) {
    fj_client client = {0};
    fj_worker worker = {0};
    fj_worker_config config;
    sigset_t ends;
    int status;

    if (argc != 5 || strcmp(argv[1], "--ready") != 0 || strcmp(argv[3], "--out") != 0) {
        fprintf(stderr, "usage: worker --ready FILE --out FILE\n");
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    fj_worker_config_init(&config, sizeof config);
    config.slots = SLOTS;
    if (fj_client_open(NULL, &client) != FJ_OK || fj_worker_new(client, &config, &worker) != FJ_OK
        || fj_worker_handle(worker, "bench", NULL, NULL, NULL) != FJ_OK || fj_worker_start(worker) != FJ_OK) {
        return failed("start");
    }
    status = write_file(argv[2], "");
    if (status == 0) status = work(worker, &ends);
    if (status == 0 && fj_worker_stop(worker, GRACE_MS) != FJ_OK) status = failed("stop");
    if (status == 0) status = write_noted(argv[4]);
    fj_worker_free(worker);
    fj_client_free(client);
    free(runs);
    return status;
}
