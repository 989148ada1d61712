/* What C does with a server: the environment names it (FASTJOB_SERVERS, FASTJOB_APP, FASTJOB_TOKEN). */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>

enum { WAIT_MS = 60000 };

typedef struct {
    fj_client client;
    fj_worker worker;
} bench;

/* A client and a worker of one handler, which runs. A NULL handler means that its attempts are polled. */
static bench begin(const char *handler_name, fj_handler handler, void *user, fj_drop drop) {
    bench b;
    ANSWERS(FJ_OK, fj_client_open(NULL, &b.client));
    ANSWERS(FJ_OK, fj_worker_new(b.client, NULL, &b.worker));
    ANSWERS(FJ_OK, fj_worker_handle(b.worker, handler_name, handler, user, drop));
    ANSWERS(FJ_OK, fj_worker_start(b.worker));
    return b;
}

static void end(bench b) {
    ANSWERS(FJ_OK, fj_worker_stop(b.worker, 1000));
    ANSWERS(FJ_OK, fj_worker_join(b.worker));
    ANSWERS(FJ_OK, fj_worker_free(b.worker));
    ANSWERS(FJ_OK, fj_client_free(b.client));
}

/* A job of the handler's own name that fires when it is called, with what `change` makes of it. */
static void put_job(fj_client client, const char *name, void (*change)(fj_job *)) {
    fj_job job;
    ANSWERS(FJ_OK, fj_job_init(&job, sizeof job));
    job.name = name;
    job.handler = name;
    job.api = 1;
    job.overlap = "allow_all";
    job.retry_delay_ms = 1;
    if (change != NULL) change(&job);
    ANSWERS(FJ_OK, fj_job_put(client, &job, NULL));
}

static fj_run fire(fj_client client, const char *job, const char *params, const char *key) {
    fj_trigger_config config;
    fj_run run;
    ANSWERS(FJ_OK, fj_trigger_config_init(&config, sizeof config));
    config.job = job;
    config.idempotency_key = key;
    if (params != NULL) {
        config.params = params;
        config.params_size = strlen(params);
        config.params_encoding = "text";
    }
    ANSWERS(FJ_OK, fj_trigger(client, &config, &run));
    return run;
}

/* Waits for the end of the run, whose handle it frees; the answer is the caller's. */
static fj_run await(fj_client client, fj_run run) {
    char id[37];
    fj_run ended;
    ANSWERS(FJ_OK, fj_run_id(run, id, sizeof id, NULL));
    ANSWERS(FJ_OK, fj_run_free(run));
    ANSWERS(FJ_OK, fj_run_wait(client, id, WAIT_MS, &ended));
    return ended;
}

static int32_t state_of(fj_run run) {
    int32_t state = 0;
    ANSWERS(FJ_OK, fj_run_state(run, &state));
    return state;
}

static void must_say(fj_run run, fj_status (*what)(fj_run, char *, size_t, size_t *), const char *expected) {
    char text[256];
    ANSWERS(FJ_OK, what(run, text, sizeof text, NULL));
    if (strcmp(text, expected) != 0) {
        fprintf(stderr, "expected \"%s\", got \"%s\"\n", expected, text);
        exit(1);
    }
}

/* ---- a handler that succeeds ---- */

static fj_status echo(fj_attempt attempt, void *user) {
    char text[64], word[64];
    size_t size;
    uint32_t number, most;
    int64_t due, tick, epoch;
    ANSWERS(FJ_OK, fj_attempt_handler(attempt, word, sizeof word, NULL));
    CHECK(strcmp(word, "c-echo") == 0);
    ANSWERS(FJ_OK, fj_attempt_job(attempt, word, sizeof word, NULL));
    CHECK(strcmp(word, "c-echo") == 0);
    ANSWERS(FJ_OK, fj_attempt_run_id(attempt, word, sizeof word, &size));
    CHECK(size == 36);
    ANSWERS(FJ_OK, fj_attempt_params_encoding(attempt, word, sizeof word, NULL));
    CHECK(strcmp(word, "text") == 0);
    ANSWERS(FJ_OK, fj_attempt_idempotency_key(attempt, word, sizeof word, &size));
    CHECK(size > 0);
    ANSWERS(FJ_OK, fj_attempt_number(attempt, &number));
    ANSWERS(FJ_OK, fj_attempt_max_attempts(attempt, &most));
    CHECK(number == 1 && most == 1);
    ANSWERS(FJ_OK, fj_attempt_due(attempt, &due));
    ANSWERS(FJ_OK, fj_attempt_epoch(attempt, &epoch));
    CHECK(due > 0 && epoch > 0);
    ANSWERS(FJ_E_NONE, fj_attempt_tick(attempt, &tick));
    CHECK(!fj_attempt_is_cancelled(attempt));
    ANSWERS(FJ_OK, fj_attempt_progress(attempt, 50, "half"));
    ANSWERS(FJ_E_ARGUMENT, fj_attempt_progress(attempt, 101, NULL));
    ANSWERS(FJ_E_STATE, fj_attempt_complete(attempt, FJ_OK));
    ANSWERS(FJ_E_STATE, fj_attempt_free(attempt));

    ANSWERS(FJ_OK, fj_attempt_params(attempt, NULL, 0, &size));
    CHECK(size == 5);
    ANSWERS(FJ_E_TOO_SMALL, fj_attempt_params(attempt, text, 4, &size));
    CHECK(size == 5);
    ANSWERS(FJ_OK, fj_attempt_params(attempt, text, sizeof text, &size));
    *(fj_attempt *)user = attempt;
    return fj_attempt_set_result(attempt, "text", text, size);
}

static void a_handler_gets_its_parameters_and_its_result_comes_back(void) {
    fj_attempt seen = {0};
    char text[64], encoding[16];
    size_t size;
    bench b = begin("c-echo", echo, &seen, NULL);
    fj_run run;
    put_job(b.client, "c-echo", NULL);
    run = await(b.client, fire(b.client, "c-echo", "world", NULL));
    CHECK(state_of(run) == FJ_RUN_SUCCEEDED);
    ANSWERS(FJ_OK, fj_run_result(run, text, sizeof text, &size));
    CHECK(size == 5 && strcmp(text, "world") == 0);
    ANSWERS(FJ_OK, fj_run_result_encoding(run, encoding, sizeof encoding, NULL));
    CHECK(strcmp(encoding, "text") == 0);
    ANSWERS(FJ_E_NONE, fj_run_error_message(run, text, sizeof text, NULL));
    must_say(run, fj_run_job, "c-echo");
    must_say(run, fj_run_reason, "");
    ANSWERS(FJ_OK, fj_run_free(run));
    ANSWERS(FJ_E_CLOSED, fj_run_free(run));
    end(b);
    /* The attempt ended with its handler. */
    ANSWERS(FJ_E_CLOSED, fj_attempt_set_result(seen, "text", "x", 1));
    CHECK(fj_attempt_is_cancelled(seen) == 1);
}

/* ---- handlers that fail ---- */

static void retry_three_times(fj_job *job) { job->retries = 3; }

static fj_status fail_then_succeed(fj_attempt attempt, void *user) {
    uint32_t number = 0;
    (void)user;
    ANSWERS(FJ_OK, fj_attempt_number(attempt, &number));
    if (number == 3) return FJ_OK;
    ANSWERS(FJ_OK, fj_attempt_set_error(attempt, "test.early", "too early"));
    ANSWERS(FJ_OK, fj_attempt_retry_after(attempt, 1));
    return FJ_E_FAILED;
}

static void a_failed_attempt_is_repeated_until_it_succeeds(void) {
    bench b = begin("c-again", fail_then_succeed, NULL, NULL);
    uint32_t attempt = 0;
    fj_run run;
    put_job(b.client, "c-again", retry_three_times);
    run = await(b.client, fire(b.client, "c-again", NULL, NULL));
    CHECK(state_of(run) == FJ_RUN_SUCCEEDED);
    ANSWERS(FJ_OK, fj_run_attempt(run, &attempt));
    CHECK(attempt == 3);
    ANSWERS(FJ_OK, fj_run_free(run));
    end(b);
}

static fj_status give_up(fj_attempt attempt, void *user) {
    (void)user;
    ANSWERS(FJ_OK, fj_attempt_set_error(attempt, "test.hopeless", "no use: \xC3\xA9"));
    ANSWERS(FJ_OK, fj_attempt_give_up(attempt));
    return FJ_E_FAILED;
}

static void a_handler_that_gives_up_fails_at_once_with_its_error(void) {
    bench b = begin("c-hopeless", give_up, NULL, NULL);
    uint32_t attempt = 0;
    fj_run run;
    put_job(b.client, "c-hopeless", retry_three_times);
    run = await(b.client, fire(b.client, "c-hopeless", NULL, NULL));
    CHECK(state_of(run) == FJ_RUN_FAILED);
    ANSWERS(FJ_OK, fj_run_attempt(run, &attempt));
    CHECK(attempt == 1);
    must_say(run, fj_run_reason, "error");
    must_say(run, fj_run_error_class, "test.hopeless");
    must_say(run, fj_run_error_message, "no use: \xC3\xA9");
    ANSWERS(FJ_E_NONE, fj_run_result(run, NULL, 0, NULL));
    ANSWERS(FJ_OK, fj_run_free(run));
    end(b);
}

static fj_status answer_nonsense(fj_attempt attempt, void *user) {
    (void)attempt;
    (void)user;
    return -12345;
}

static void a_status_that_is_none_is_a_failure_that_names_it(void) {
    bench b = begin("c-nonsense", answer_nonsense, NULL, NULL);
    char text[256];
    fj_run run;
    put_job(b.client, "c-nonsense", NULL);
    run = await(b.client, fire(b.client, "c-nonsense", NULL, NULL));
    CHECK(state_of(run) == FJ_RUN_FAILED);
    ANSWERS(FJ_OK, fj_run_error_message(run, text, sizeof text, NULL));
    CHECK(strstr(text, "-12345") != NULL);
    ANSWERS(FJ_OK, fj_run_free(run));
    end(b);
}

/* ---- cancel and timeout ---- */

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int entered;
} gate;

static gate new_gate(void) {
    gate g;
    pthread_mutex_init(&g.lock, NULL);
    pthread_cond_init(&g.changed, NULL);
    g.entered = 0;
    return g;
}

static void pass(gate *g) {
    pthread_mutex_lock(&g->lock);
    g->entered++;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void await_gate(gate *g, int entered) {
    pthread_mutex_lock(&g->lock);
    while (g->entered < entered) pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static fj_status until_cancelled(fj_attempt attempt, void *user) {
    const struct timespec step = {0, 5 * 1000 * 1000};
    pass((gate *)user);
    while (!fj_attempt_is_cancelled(attempt)) nanosleep(&step, NULL);
    ANSWERS(FJ_OK, fj_attempt_set_error(attempt, "test.gave-way", "told to end"));
    return FJ_E_FAILED;
}

static void a_cancelled_handler_is_told_and_its_run_is_cancelled(void) {
    gate entered = new_gate();
    bench b = begin("c-cancel", until_cancelled, &entered, NULL);
    char id[37];
    fj_run run, after, early;
    put_job(b.client, "c-cancel", NULL);
    run = fire(b.client, "c-cancel", NULL, NULL);
    await_gate(&entered, 1);
    ANSWERS(FJ_OK, fj_run_id(run, id, sizeof id, NULL));
    ANSWERS(FJ_E_TIMEOUT, fj_run_wait(b.client, id, 1, &early));
    CHECK(state_of(early) == FJ_RUN_DISPATCHED);
    ANSWERS(FJ_OK, fj_run_free(early));
    ANSWERS(FJ_OK, fj_run_cancel(b.client, id, &after));
    ANSWERS(FJ_OK, fj_run_free(after));
    run = await(b.client, run);
    CHECK(state_of(run) == FJ_RUN_CANCELLED);
    ANSWERS(FJ_OK, fj_run_free(run));
    end(b);
}

static void timeout_soon(fj_job *job) { job->timeout_ms = 200; }

static void a_handler_past_its_timeout_is_told_and_its_run_fails_of_it(void) {
    gate entered = new_gate();
    bench b = begin("c-timeout", until_cancelled, &entered, NULL);
    fj_run run;
    put_job(b.client, "c-timeout", timeout_soon);
    run = await(b.client, fire(b.client, "c-timeout", NULL, NULL));
    CHECK(state_of(run) == FJ_RUN_FAILED);
    must_say(run, fj_run_reason, "timeout");
    ANSWERS(FJ_OK, fj_run_free(run));
    end(b);
}

/* ---- what a handler may call ---- */

static fj_status call_everything(fj_attempt attempt, void *user) {
    const bench *b = (const bench *)user;
    fj_run run;
    (void)attempt;
    ANSWERS(FJ_E_DEADLOCK, fj_worker_join(b->worker));
    ANSWERS(FJ_E_DEADLOCK, fj_worker_stop(b->worker, 0));
    ANSWERS(FJ_E_DEADLOCK, fj_worker_free(b->worker));
    ANSWERS(FJ_E_DEADLOCK, fj_client_close(b->client));
    ANSWERS(FJ_E_DEADLOCK, fj_client_free(b->client));
    put_job(b->client, "c-inner", NULL);
    run = fire(b->client, "c-inner", NULL, NULL);
    return fj_run_free(run);
}

static void a_handler_may_call_all_but_what_would_wait_for_it(void) {
    bench b;
    fj_run run;
    ANSWERS(FJ_OK, fj_client_open(NULL, &b.client));
    ANSWERS(FJ_OK, fj_worker_new(b.client, NULL, &b.worker));
    ANSWERS(FJ_OK, fj_worker_handle(b.worker, "c-calls", call_everything, &b, NULL));
    ANSWERS(FJ_OK, fj_worker_start(b.worker));
    put_job(b.client, "c-calls", NULL);
    run = await(b.client, fire(b.client, "c-calls", NULL, NULL));
    CHECK(state_of(run) == FJ_RUN_SUCCEEDED);
    ANSWERS(FJ_OK, fj_run_free(run));
    end(b);
}

/* ---- polling ---- */

static void a_polled_attempt_ends_as_it_is_completed(void) {
    bench b = begin("c-poll", NULL, NULL, NULL);
    fj_attempt attempt;
    char text[16];
    fj_run run;
    put_job(b.client, "c-poll", NULL);
    run = fire(b.client, "c-poll", NULL, NULL);
    ANSWERS(FJ_OK, fj_worker_poll(b.worker, WAIT_MS, &attempt));
    ANSWERS(FJ_OK, fj_attempt_set_result(attempt, NULL, "{}", 2));
    ANSWERS(FJ_OK, fj_attempt_complete(attempt, FJ_OK));
    ANSWERS(FJ_E_STATE, fj_attempt_complete(attempt, FJ_OK));
    ANSWERS(FJ_OK, fj_attempt_free(attempt));
    ANSWERS(FJ_E_CLOSED, fj_attempt_free(attempt));
    run = await(b.client, run);
    CHECK(state_of(run) == FJ_RUN_SUCCEEDED);
    ANSWERS(FJ_OK, fj_run_result(run, text, sizeof text, NULL));
    CHECK(strcmp(text, "{}") == 0);
    ANSWERS(FJ_OK, fj_run_free(run));

    /* One that is freed without an end has failed. */
    run = fire(b.client, "c-poll", NULL, NULL);
    ANSWERS(FJ_OK, fj_worker_poll(b.worker, WAIT_MS, &attempt));
    ANSWERS(FJ_OK, fj_attempt_free(attempt));
    run = await(b.client, run);
    CHECK(state_of(run) == FJ_RUN_FAILED);
    ANSWERS(FJ_OK, fj_run_free(run));
    end(b);
}

/* ---- triggers ---- */

static void a_second_trigger_with_the_same_key_yields_the_same_run(void) {
    fj_attempt seen = {0};
    bench b = begin("c-echo", echo, &seen, NULL);
    fj_trigger_config other;
    char first_id[37], second_id[37], key[64];
    int32_t existed = 7;
    fj_run first, second;
    put_job(b.client, "c-echo", NULL);
    snprintf(key, sizeof key, "key-%ld", (long)time(NULL));
    first = fire(b.client, "c-echo", "world", key);
    ANSWERS(FJ_OK, fj_run_existed(first, &existed));
    CHECK(existed == 0);
    second = fire(b.client, "c-echo", "world", key);
    ANSWERS(FJ_OK, fj_run_existed(second, &existed));
    CHECK(existed == 1);
    ANSWERS(FJ_OK, fj_run_id(first, first_id, sizeof first_id, NULL));
    ANSWERS(FJ_OK, fj_run_id(second, second_id, sizeof second_id, NULL));
    CHECK(strcmp(first_id, second_id) == 0);
    ANSWERS(FJ_OK, fj_run_free(second));

    ANSWERS(FJ_OK, fj_trigger_config_init(&other, sizeof other));
    other.job = "c-echo";
    other.params = "other";
    other.params_size = 5;
    other.params_encoding = "text";
    other.idempotency_key = key;
    ANSWERS(FJ_E_CONFLICT, fj_trigger(b.client, &other, &second));
    CHECK(second.id == 0);
    ANSWERS(FJ_OK, fj_run_free(await(b.client, first)));
    end(b);
}

static void refusals_keep_their_kind_and_say_what_is_wrong(void) {
    fj_client client;
    fj_job job;
    fj_run run;
    fj_trigger_config trigger;
    ANSWERS(FJ_OK, fj_client_open(NULL, &client));
    ANSWERS(FJ_E_NOT_FOUND, fj_job_disable(client, "c-nobody"));
    ERROR_SAYS("c-nobody");
    ANSWERS(FJ_E_NOT_FOUND, fj_run_get(client, "01890a5d-ac96-774b-bcce-b302099a8057", &run));
    ANSWERS(FJ_OK, fj_job_init(&job, sizeof job));
    job.name = "c-wrong";
    job.handler = "c-wrong";
    job.cron = "61 * * * * ?";
    ANSWERS(FJ_E_INVALID, fj_job_put(client, &job, NULL));
    ERROR_SAYS("cron");
    ANSWERS(FJ_OK, fj_trigger_config_init(&trigger, sizeof trigger));
    trigger.job = "c-nobody";
    ANSWERS(FJ_E_NOT_FOUND, fj_trigger(client, &trigger, NULL));
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void a_job_is_created_updated_and_unchanged_then_disabled_and_deleted(void) {
    fj_client client;
    fj_job job;
    int32_t change = -1;
    ANSWERS(FJ_OK, fj_client_open(NULL, &client));
    fj_job_delete(client, "c-life"); /* of an earlier round, if any */
    ANSWERS(FJ_OK, fj_job_init(&job, sizeof job));
    job.name = "c-life";
    job.handler = "c-life";
    job.every_ms = 86400000;
    ANSWERS(FJ_OK, fj_job_put(client, &job, &change));
    CHECK(change == FJ_JOB_CREATED);
    ANSWERS(FJ_OK, fj_job_put(client, &job, &change));
    CHECK(change == FJ_JOB_UNCHANGED);
    job.priority = 5;
    ANSWERS(FJ_OK, fj_job_put(client, &job, &change));
    CHECK(change == FJ_JOB_UPDATED);
    ANSWERS(FJ_OK, fj_job_disable(client, "c-life"));
    ANSWERS(FJ_OK, fj_job_enable(client, "c-life"));
    ANSWERS(FJ_OK, fj_job_delete(client, "c-life"));
    ANSWERS(FJ_E_NOT_FOUND, fj_job_delete(client, "c-life"));
    ANSWERS(FJ_OK, fj_client_free(client));
}

/* ---- several at a time, and the end ---- */

static void two_clients_live_in_one_process(void) {
    fj_attempt seen = {0};
    bench a = begin("c-echo", echo, &seen, NULL);
    gate entered = new_gate();
    bench b = begin("c-cancel", until_cancelled, &entered, NULL);
    fj_run run, cancelled;
    char id[37];
    put_job(a.client, "c-echo", NULL);
    put_job(b.client, "c-cancel", NULL);
    cancelled = fire(a.client, "c-cancel", NULL, NULL);
    await_gate(&entered, 1);
    run = await(b.client, fire(b.client, "c-echo", "world", NULL));
    CHECK(state_of(run) == FJ_RUN_SUCCEEDED);
    ANSWERS(FJ_OK, fj_run_free(run));
    end(a);
    ANSWERS(FJ_OK, fj_run_id(cancelled, id, sizeof id, NULL));
    ANSWERS(FJ_OK, fj_run_cancel(b.client, id, NULL));
    ANSWERS(FJ_OK, fj_run_free(await(b.client, cancelled)));
    end(b);
}

static void count_drop(void *user) { ++*(int *)user; }

static fj_status succeed(fj_attempt attempt, void *user) {
    (void)attempt;
    (void)user;
    return FJ_OK;
}

static void user_data_lives_as_long_as_a_handler_may_see_it(void) {
    int dropped = 0;
    bench b = begin("c-drop", succeed, &dropped, count_drop);
    put_job(b.client, "c-drop", NULL);
    ANSWERS(FJ_OK, fj_run_free(await(b.client, fire(b.client, "c-drop", NULL, NULL))));
    CHECK(dropped == 0);
    end(b);
    CHECK(dropped == 1);
}

typedef struct {
    fj_worker worker;
    fj_status status;
} joiner;

static void *join_worker(void *argument) {
    joiner *j = (joiner *)argument;
    j->status = fj_worker_join(j->worker);
    return NULL;
}

static void join_comes_back_when_another_thread_stops_the_worker(void) {
    bench b = begin("c-drop", succeed, NULL, NULL);
    joiner j;
    pthread_t thread;
    j.worker = b.worker;
    j.status = -1;
    CHECK(pthread_create(&thread, NULL, join_worker, &j) == 0);
    ANSWERS(FJ_OK, fj_worker_stop(b.worker, 0));
    CHECK(pthread_join(thread, NULL) == 0);
    ANSWERS(FJ_OK, j.status);
    end(b);
}

static void stopping_cancels_what_does_not_end_within_the_grace(void) {
    gate entered = new_gate();
    bench b = begin("c-stop", until_cancelled, &entered, NULL);
    put_job(b.client, "c-stop", NULL);
    ANSWERS(FJ_OK, fj_run_free(fire(b.client, "c-stop", NULL, NULL)));
    await_gate(&entered, 1);
    ANSWERS(FJ_OK, fj_worker_stop(b.worker, 50));
    ANSWERS(FJ_OK, fj_worker_free(b.worker));
    ANSWERS(FJ_OK, fj_client_free(b.client));
}

int main(void) {
    RUN(a_handler_gets_its_parameters_and_its_result_comes_back);
    RUN(a_failed_attempt_is_repeated_until_it_succeeds);
    RUN(a_handler_that_gives_up_fails_at_once_with_its_error);
    RUN(a_status_that_is_none_is_a_failure_that_names_it);
    RUN(a_cancelled_handler_is_told_and_its_run_is_cancelled);
    RUN(a_handler_past_its_timeout_is_told_and_its_run_fails_of_it);
    RUN(a_handler_may_call_all_but_what_would_wait_for_it);
    RUN(a_polled_attempt_ends_as_it_is_completed);
    RUN(a_second_trigger_with_the_same_key_yields_the_same_run);
    RUN(refusals_keep_their_kind_and_say_what_is_wrong);
    RUN(a_job_is_created_updated_and_unchanged_then_disabled_and_deleted);
    RUN(two_clients_live_in_one_process);
    RUN(user_data_lives_as_long_as_a_handler_may_see_it);
    RUN(join_comes_back_when_another_thread_stops_the_worker);
    RUN(stopping_cancels_what_does_not_end_within_the_grace);
    return 0;
}
