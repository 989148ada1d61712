/* A worker and a client outlive their server: run a job, wait for a line while the server is killed and started again, and
 * run the job once more. Nothing is done about SIGPIPE, which must not end the program. */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <time.h>

enum { TRIES = 600, WAIT_MS = 60000 };

static fj_status succeed(fj_attempt attempt, void *user) {
    (void)user;
    return fj_attempt_set_result(attempt, "text", "ok", 2);
}

/* Fires the job and waits for its end, as long as no server is there again. */
static void run_once(fj_client client) {
    const struct timespec pause = {0, 100 * 1000 * 1000};
    fj_trigger_config trigger;
    fj_status status = FJ_E_UNAVAILABLE;
    fj_run run, ended;
    char id[37];
    int32_t state = 0;
    int tries;
    ANSWERS(FJ_OK, fj_trigger_config_init(&trigger, sizeof trigger));
    trigger.job = "c-survive";
    for (tries = 0; tries < TRIES && status == FJ_E_UNAVAILABLE; tries++) {
        status = fj_trigger(client, &trigger, &run);
        if (status == FJ_E_UNAVAILABLE) nanosleep(&pause, NULL);
    }
    ANSWERS(FJ_OK, status);
    ANSWERS(FJ_OK, fj_run_id(run, id, sizeof id, NULL));
    ANSWERS(FJ_OK, fj_run_free(run));
    ANSWERS(FJ_OK, fj_run_wait(client, id, WAIT_MS, &ended));
    ANSWERS(FJ_OK, fj_run_state(ended, &state));
    CHECK(state == FJ_RUN_SUCCEEDED);
    ANSWERS(FJ_OK, fj_run_free(ended));
}

int main(void) {
    char line[16];
    fj_client client;
    fj_worker worker;
    fj_job job;
    ANSWERS(FJ_OK, fj_client_open(NULL, &client));
    ANSWERS(FJ_OK, fj_worker_new(client, NULL, &worker));
    ANSWERS(FJ_OK, fj_worker_handle(worker, "c-survive", succeed, NULL, NULL));
    ANSWERS(FJ_OK, fj_worker_start(worker));
    ANSWERS(FJ_OK, fj_job_init(&job, sizeof job));
    job.name = "c-survive";
    job.handler = "c-survive";
    job.api = 1;
    job.overlap = "allow_all";
    ANSWERS(FJ_OK, fj_job_put(client, &job, NULL));
    run_once(client);
    printf("ready\n");
    fflush(stdout);
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    run_once(client);
    ANSWERS(FJ_OK, fj_worker_free(worker));
    ANSWERS(FJ_OK, fj_client_free(client));
    printf("survived\n");
    return 0;
}
