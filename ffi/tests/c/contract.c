/* The example of the documentation, as it stands there, must compile. */
#include <fastjob.h>

static fj_status greet(fj_attempt attempt, void *user) {
    char name[64]; size_t n;
    (void)user;
    if (fj_attempt_params(attempt, name, sizeof name, &n) != FJ_OK) return FJ_E_ARGUMENT;
    return fj_attempt_set_result(attempt, "text", name, n);   /* FJ_OK: succeeded; anything else: failed, with the text of fj_attempt_set_error */
}
int main(void) {
    fj_client_config config; fj_client_config_init(&config, sizeof config);     /* reads FASTJOB_SERVERS, _APP, _TOKEN */
    fj_client client; fj_worker worker;
    if (fj_client_open(&config, &client) || fj_worker_new(client, NULL, &worker)
        || fj_worker_handle(worker, "greet", greet, NULL, NULL) || fj_worker_start(worker)) { /* print fj_last_error */ return 1; }
    return fj_worker_join(worker);
}
