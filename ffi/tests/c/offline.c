/*
 * What C can do wrong without a server: null, stale and foreign handles, double free, use after close, structures of a
 * wrong size, texts that are none. It must always be a status, never a crash or a leak: run under valgrind and ASan too.
 */
#include "check.h"

#include <stdint.h>

static const char *const NOWHERE = "127.0.0.1:9"; /* discard: nobody listens */

static fj_client open_client(void) {
    fj_client_config config;
    fj_client client;
    ANSWERS(FJ_OK, fj_client_config_init(&config, sizeof config));
    config.servers = NOWHERE;
    config.app = "demo";
    config.token = "secret";
    config.call_timeout_ms = 3000;
    ANSWERS(FJ_OK, fj_client_open(&config, &client));
    CHECK(client.id != 0);
    return client;
}

static fj_worker new_worker(fj_client client) {
    fj_worker worker;
    ANSWERS(FJ_OK, fj_worker_new(client, NULL, &worker));
    return worker;
}

static fj_status never_called(fj_attempt attempt, void *user) {
    (void)attempt;
    (void)user;
    abort();
}

static void count_drop(void *user) { ++*(int *)user; }

static void the_version_and_the_texts_are_there(void) {
    CHECK(fj_abi_version() >> 16 == FJ_ABI_VERSION_MAJOR);
    CHECK(strlen(fj_version()) >= 5);
    CHECK(strcmp(fj_status_text(FJ_OK), "ok") == 0);
    CHECK(strcmp(fj_status_text(FJ_E_DEADLOCK), "would wait for the calling handler itself") == 0);
    CHECK(strcmp(fj_status_text(-7), "unknown status") == 0);
    CHECK(strcmp(fj_run_state_text(FJ_RUN_SKIPPED), "skipped") == 0);
    CHECK(strcmp(fj_run_state_text(77), "unknown") == 0);
}

static void the_error_text_is_copied_and_cut_to_the_buffer(void) {
    char text[256], small[9];
    size_t size;
    ANSWERS(FJ_E_ARGUMENT, fj_client_open(NULL, NULL));
    size = fj_last_error(NULL, 0);
    CHECK(size > sizeof small);
    CHECK(fj_last_error(text, sizeof text) == size && strlen(text) == size);
    CHECK(fj_last_error(small, sizeof small) == size);
    CHECK(strlen(small) == sizeof small - 1 && strncmp(small, text, sizeof small - 1) == 0);
}

static void null_handles_are_arguments(void) {
    fj_client client = {0};
    fj_worker worker = {0};
    fj_attempt attempt = {0};
    fj_run run = {0};
    char buffer[64];
    size_t size;
    int64_t number;
    int32_t state;
    ANSWERS(FJ_E_ARGUMENT, fj_client_close(client));
    ERROR_SAYS("the client handle is null");
    ANSWERS(FJ_E_ARGUMENT, fj_worker_start(worker));
    ANSWERS(FJ_E_ARGUMENT, fj_worker_stop(worker, 0));
    ANSWERS(FJ_E_ARGUMENT, fj_worker_join(worker));
    ANSWERS(FJ_E_ARGUMENT, fj_worker_wake(worker));
    ANSWERS(FJ_E_ARGUMENT, fj_worker_poll(worker, 0, &attempt));
    ANSWERS(FJ_E_ARGUMENT, fj_attempt_params(attempt, buffer, sizeof buffer, &size));
    ANSWERS(FJ_E_ARGUMENT, fj_attempt_tick(attempt, &number));
    ANSWERS(FJ_E_ARGUMENT, fj_attempt_complete(attempt, FJ_OK));
    CHECK(fj_attempt_is_cancelled(attempt) == 1);
    ANSWERS(FJ_E_ARGUMENT, fj_run_state(run, &state));
    ANSWERS(FJ_E_ARGUMENT, fj_run_get(client, "x", &run));
    ANSWERS(FJ_E_ARGUMENT, fj_job_delete(client, "x"));
}

static void freeing_a_null_handle_does_nothing(void) {
    fj_client client = {0};
    fj_worker worker = {0};
    fj_attempt attempt = {0};
    fj_run run = {0};
    ANSWERS(FJ_OK, fj_client_free(client));
    ANSWERS(FJ_OK, fj_worker_free(worker));
    ANSWERS(FJ_OK, fj_attempt_free(attempt));
    ANSWERS(FJ_OK, fj_run_free(run));
}

static void a_made_up_handle_or_one_of_another_kind_is_refused(void) {
    fj_client client = open_client();
    fj_worker worker, forged;
    fj_run run;
    worker.id = client.id;
    ANSWERS(FJ_E_ARGUMENT, fj_worker_start(worker));
    forged.id = UINT64_MAX;
    ANSWERS(FJ_E_ARGUMENT, fj_worker_free(forged));
    run.id = client.id + 1;
    ANSWERS(FJ_E_ARGUMENT, fj_run_free(run));
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void a_second_free_and_every_use_after_it_are_closed(void) {
    fj_client client = open_client(), next;
    fj_worker worker = new_worker(client);
    fj_run run;
    ANSWERS(FJ_OK, fj_worker_free(worker));
    ANSWERS(FJ_E_CLOSED, fj_worker_free(worker));
    ANSWERS(FJ_E_CLOSED, fj_worker_start(worker));
    ANSWERS(FJ_OK, fj_client_free(client));
    ANSWERS(FJ_E_CLOSED, fj_client_free(client));
    ERROR_SAYS("the client handle was freed");
    ANSWERS(FJ_E_CLOSED, fj_client_close(client));
    next = open_client();
    CHECK(next.id != client.id);
    ANSWERS(FJ_E_CLOSED, fj_worker_new(client, NULL, &worker));
    CHECK(worker.id == 0);
    ANSWERS(FJ_E_CLOSED, fj_run_get(client, "01890a5d-ac96-774b-bcce-b302099a8057", &run));
    CHECK(run.id == 0);
    ANSWERS(FJ_OK, fj_client_free(next));
}

static void a_closed_client_refuses_calls_until_it_is_freed(void) {
    fj_client client = open_client();
    fj_worker worker = new_worker(client);
    ANSWERS(FJ_OK, fj_client_close(client));
    ANSWERS(FJ_OK, fj_client_close(client));
    ANSWERS(FJ_E_CLOSED, fj_job_enable(client, "job"));
    ANSWERS(FJ_OK, fj_worker_handle(worker, "h", never_called, NULL, NULL));
    ANSWERS(FJ_E_CLOSED, fj_worker_start(worker));
    ANSWERS(FJ_OK, fj_worker_free(worker));
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void a_structure_of_a_wrong_size_is_refused(void) {
    fj_client_config config;
    fj_client client;
    fj_job job;
    struct {
        fj_client_config known;
        char unknown[64];
    } newer;
    ANSWERS(FJ_E_ARGUMENT, fj_client_config_init(&config, sizeof config - 1));
    ANSWERS(FJ_E_ARGUMENT, fj_client_config_init(&config, 0));
    ANSWERS(FJ_E_ARGUMENT, fj_client_config_init(NULL, sizeof config));
    ANSWERS(FJ_OK, fj_client_config_init(&config, sizeof config));
    config.struct_size = 8;
    ANSWERS(FJ_E_ARGUMENT, fj_client_open(&config, &client));
    ERROR_SAYS("fill it by its init function");
    ANSWERS(FJ_E_ARGUMENT, fj_job_init(&job, sizeof(size_t)));

    /* A program built with a newer header, whose structure is longer. */
    memset(&newer, 0xFF, sizeof newer);
    ANSWERS(FJ_OK, fj_client_config_init(&newer.known, sizeof newer));
    CHECK(newer.known.struct_size == sizeof newer && newer.unknown[63] == 0);
    newer.known.servers = NOWHERE;
    newer.known.app = "demo";
    newer.known.token = "secret";
    ANSWERS(FJ_OK, fj_client_open(&newer.known, &client));
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void wrong_configurations_name_their_field(void) {
    fj_client_config config;
    fj_client client;
    fj_worker_config worker_config;
    fj_worker worker;
    ANSWERS(FJ_OK, fj_client_config_init(&config, sizeof config));
    config.servers = "127.0.0.1:9";
    config.token = "secret";
    config.app = "\xFF";
    ANSWERS(FJ_E_ARGUMENT, fj_client_open(&config, &client));
    ERROR_SAYS("config.app is not UTF-8 at byte 0");
    config.app = "";
    ANSWERS(FJ_E_ARGUMENT, fj_client_open(&config, &client));
    ERROR_SAYS("app");
    config.app = "demo";
    config.servers = "not an address";
    ANSWERS(FJ_E_ARGUMENT, fj_client_open(&config, &client));
    ERROR_SAYS("servers");
    config.servers = NOWHERE;
    config.call_timeout_ms = -1;
    ANSWERS(FJ_E_ARGUMENT, fj_client_open(&config, &client));
    ERROR_SAYS("call_timeout_ms");
    CHECK(client.id == 0);

    client = open_client();
    ANSWERS(FJ_OK, fj_worker_config_init(&worker_config, sizeof worker_config));
    worker_config.slots = 100001;
    ANSWERS(FJ_E_ARGUMENT, fj_worker_new(client, &worker_config, &worker));
    ERROR_SAYS("slots");
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void without_configuration_and_environment_the_missing_variable_is_named(void) {
    fj_client client;
    ANSWERS(FJ_E_ARGUMENT, fj_client_open(NULL, &client));
    ERROR_SAYS("FASTJOB_SERVERS");
}

static void user_data_is_dropped_exactly_once_whatever_happens(void) {
    fj_client client = open_client();
    fj_worker worker = new_worker(client), null_worker = {0};
    int dropped = 0;
    ANSWERS(FJ_E_ARGUMENT, fj_worker_handle(null_worker, "h", never_called, &dropped, count_drop));
    CHECK(dropped == 1);
    ANSWERS(FJ_E_ARGUMENT, fj_worker_handle(worker, NULL, never_called, &dropped, count_drop));
    CHECK(dropped == 2);
    ANSWERS(FJ_E_ARGUMENT, fj_worker_handle(worker, "", never_called, &dropped, count_drop));
    CHECK(dropped == 3);
    ANSWERS(FJ_OK, fj_worker_handle(worker, "h", never_called, &dropped, count_drop));
    CHECK(dropped == 3);
    ANSWERS(FJ_E_STATE, fj_worker_handle(worker, "h", never_called, &dropped, count_drop));
    ERROR_SAYS("h");
    CHECK(dropped == 4);
    ANSWERS(FJ_E_STATE, fj_worker_handle(worker, "polled", NULL, NULL, NULL));
    ERROR_SAYS("use two workers");
    ANSWERS(FJ_OK, fj_worker_free(worker));
    CHECK(dropped == 5);
    ANSWERS(FJ_OK, fj_client_free(client));
    CHECK(dropped == 5);
}

static void a_worker_follows_its_order_of_calls(void) {
    fj_client client = open_client();
    fj_worker worker = new_worker(client);
    int dropped = 0;
    ANSWERS(FJ_E_STATE, fj_worker_start(worker));
    ERROR_SAYS("handler");
    ANSWERS(FJ_E_STATE, fj_worker_stop(worker, 0));
    ANSWERS(FJ_E_STATE, fj_worker_join(worker));
    ANSWERS(FJ_OK, fj_worker_handle(worker, "h", never_called, &dropped, count_drop));
    ANSWERS(FJ_OK, fj_worker_start(worker));
    ANSWERS(FJ_E_STATE, fj_worker_start(worker));
    ANSWERS(FJ_E_STATE, fj_worker_handle(worker, "late", never_called, NULL, NULL));
    ANSWERS(FJ_E_ARGUMENT, fj_worker_stop(worker, -1));
    ANSWERS(FJ_OK, fj_worker_stop(worker, 0));
    CHECK(dropped == 1);
    ANSWERS(FJ_OK, fj_worker_stop(worker, 0));
    ANSWERS(FJ_OK, fj_worker_join(worker));
    ANSWERS(FJ_OK, fj_worker_free(worker));
    ANSWERS(FJ_OK, fj_client_free(client));
    CHECK(dropped == 1);
}

static void closing_the_client_stops_its_workers(void) {
    fj_client client = open_client();
    fj_worker worker = new_worker(client);
    fj_attempt attempt;
    ANSWERS(FJ_OK, fj_worker_handle(worker, "h", NULL, NULL, NULL));
    ANSWERS(FJ_OK, fj_worker_start(worker));
    ANSWERS(FJ_OK, fj_client_free(client));
    ANSWERS(FJ_E_CLOSED, fj_worker_poll(worker, -1, &attempt));
    ANSWERS(FJ_OK, fj_worker_free(worker));
}

static void a_poll_ends_by_time_by_wake_and_by_stop(void) {
    fj_client client = open_client();
    fj_worker worker = new_worker(client);
    fj_attempt attempt;
    ANSWERS(FJ_E_STATE, fj_worker_poll(worker, 0, &attempt));
    ANSWERS(FJ_OK, fj_worker_handle(worker, "h", NULL, NULL, NULL));
    ANSWERS(FJ_OK, fj_worker_start(worker));
    ANSWERS(FJ_E_TIMEOUT, fj_worker_poll(worker, 0, &attempt));
    CHECK(attempt.id == 0);
    ANSWERS(FJ_OK, fj_worker_wake(worker));
    ANSWERS(FJ_E_WOKEN, fj_worker_poll(worker, -1, &attempt));
    ANSWERS(FJ_E_TIMEOUT, fj_worker_poll(worker, 0, &attempt));
    ANSWERS(FJ_OK, fj_worker_stop(worker, 0));
    ANSWERS(FJ_E_CLOSED, fj_worker_poll(worker, -1, &attempt));
    ANSWERS(FJ_OK, fj_worker_free(worker));
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void a_job_needs_its_name_and_exactly_one_trigger(void) {
    fj_client client = open_client();
    fj_job job;
    ANSWERS(FJ_E_ARGUMENT, fj_job_put(client, NULL, NULL));
    ANSWERS(FJ_OK, fj_job_init(&job, sizeof job));
    ANSWERS(FJ_E_ARGUMENT, fj_job_put(client, &job, NULL));
    ERROR_SAYS("job.name is NULL");
    job.name = "job";
    job.handler = "h";
    ANSWERS(FJ_E_ARGUMENT, fj_job_put(client, &job, NULL));
    ERROR_SAYS("exactly one of");
    job.api = 1;
    job.delay_ms = 0;
    ANSWERS(FJ_E_ARGUMENT, fj_job_put(client, &job, NULL));
    ERROR_SAYS("exactly one of");
    job.delay_ms = -1;
    job.overlap = "sometimes";
    ANSWERS(FJ_E_ARGUMENT, fj_job_put(client, &job, NULL));
    ERROR_SAYS("job.overlap");
    job.overlap = NULL;
    job.params_size = 5;
    ANSWERS(FJ_E_ARGUMENT, fj_job_put(client, &job, NULL));
    ERROR_SAYS("job.params is NULL");
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void a_trigger_and_a_run_id_are_checked_before_they_are_sent(void) {
    fj_client client = open_client();
    fj_trigger_config trigger;
    fj_run run;
    ANSWERS(FJ_OK, fj_trigger_config_init(&trigger, sizeof trigger));
    ANSWERS(FJ_E_ARGUMENT, fj_trigger(client, &trigger, &run));
    ERROR_SAYS("config.job is NULL");
    trigger.job = "job";
    trigger.at_ms = 1;
    trigger.delay_ms = 1;
    ANSWERS(FJ_E_ARGUMENT, fj_trigger(client, &trigger, &run));
    ERROR_SAYS("set one of them");
    ANSWERS(FJ_E_ARGUMENT, fj_run_get(client, "not-a-uuid", &run));
    ERROR_SAYS("run_id");
    ANSWERS(FJ_E_ARGUMENT, fj_run_wait(client, "01890a5d-ac96-774b-bcce-b302099a8057", -1, &run));
    ERROR_SAYS("timeout_ms");
    CHECK(run.id == 0);
    ANSWERS(FJ_OK, fj_client_free(client));
}

static void a_call_without_a_server_says_so(void) {
    fj_client client = open_client();
    ANSWERS(FJ_E_UNAVAILABLE, fj_job_enable(client, "job"));
    ANSWERS(FJ_OK, fj_client_free(client));
}

int main(void) {
    RUN(the_version_and_the_texts_are_there);
    RUN(the_error_text_is_copied_and_cut_to_the_buffer);
    RUN(null_handles_are_arguments);
    RUN(freeing_a_null_handle_does_nothing);
    RUN(a_made_up_handle_or_one_of_another_kind_is_refused);
    RUN(a_second_free_and_every_use_after_it_are_closed);
    RUN(a_closed_client_refuses_calls_until_it_is_freed);
    RUN(a_structure_of_a_wrong_size_is_refused);
    RUN(wrong_configurations_name_their_field);
    RUN(without_configuration_and_environment_the_missing_variable_is_named);
    RUN(user_data_is_dropped_exactly_once_whatever_happens);
    RUN(a_worker_follows_its_order_of_calls);
    RUN(closing_the_client_stops_its_workers);
    RUN(a_poll_ends_by_time_by_wake_and_by_stop);
    RUN(a_job_needs_its_name_and_exactly_one_trigger);
    RUN(a_trigger_and_a_run_id_are_checked_before_they_are_sent);
    RUN(a_call_without_a_server_says_so);
    return 0;
}
