/*
 * A FastJob worker in C: three handlers, and the three jobs that call them.
 *
 *   cc -std=c11 -Wall -Wextra greet.c -o greet $(pkg-config --cflags --libs fastjob)
 *   FASTJOB_SERVERS=127.0.0.1:7180 FASTJOB_APP=demo FASTJOB_TOKEN=... ./greet
 *
 * It runs until SIGINT or SIGTERM, then lets the running handlers end and exits with 0. With FASTJOB_SAMPLE_LOG it
 * appends a line of JSON to that file for each execution:
 *   {"run":"...","attempt":1,"tick":null,"start_ms":1,"end_ms":2,"pid":3}
 */
#define _POSIX_C_SOURCE 200809L

#include <fastjob.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static FILE *sample_log; /* NULL: none */
static pthread_mutex_t sample_log_lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One whole line, so that several processes may share the file. */
static void log_execution(fj_attempt attempt, int64_t start_ms) {
    char run[37] = "", tick[24] = "null";
    uint32_t number = 0;
    int64_t tick_ms;
    if (sample_log == NULL) return;
    fj_attempt_run_id(attempt, run, sizeof run, NULL);
    fj_attempt_number(attempt, &number);
    if (fj_attempt_tick(attempt, &tick_ms) == FJ_OK) snprintf(tick, sizeof tick, "%" PRId64, tick_ms);

    pthread_mutex_lock(&sample_log_lock);
    fprintf(sample_log,
            "{\"run\":\"%s\",\"attempt\":%" PRIu32 ",\"tick\":%s,\"start_ms\":%" PRId64 ",\"end_ms\":%" PRId64
            ",\"pid\":%ld}\n",
            run, number, tick, start_ms, now_ms(), (long)getpid());
    fflush(sample_log);
    pthread_mutex_unlock(&sample_log_lock);
}

/* Greets whom its parameters name. */
static fj_status greet(fj_attempt attempt, void *user) {
    int64_t start_ms = now_ms();
    char name[64], greeting[80];
    size_t size;
    (void)user;
    if (fj_attempt_params(attempt, name, sizeof name, &size) != FJ_OK || size >= sizeof name) {
        fj_attempt_set_error(attempt, "argument", "the name has more than 63 bytes");
        fj_attempt_give_up(attempt); /* it will not get shorter */
        return FJ_E_ARGUMENT;
    }
    snprintf(greeting, sizeof greeting, "hello %s", name);
    printf("%s\n", greeting);
    fflush(stdout);
    log_execution(attempt, start_ms);
    return fj_attempt_set_result(attempt, "text", greeting, strlen(greeting));
}

/* Takes half a second in ten steps, and gives way when it is cancelled. */
static fj_status sweep(fj_attempt attempt, void *user) {
    const struct timespec step = {0, 50 * 1000 * 1000};
    int64_t start_ms = now_ms();
    uint32_t done;
    (void)user;
    for (done = 1; done <= 10; done++) {
        nanosleep(&step, NULL);
        if (fj_attempt_is_cancelled(attempt)) {
            fj_attempt_set_error(attempt, "cancelled", "gave way half-way");
            return FJ_E_FAILED;
        }
        fj_attempt_progress(attempt, done * 10, "sweeping");
    }
    log_execution(attempt, start_ms);
    return FJ_OK;
}

/* Counts its own executions: `user` is the counter. */
static fj_status count(fj_attempt attempt, void *user) {
    int64_t start_ms = now_ms();
    unsigned long *counter = (unsigned long *)user;
    char text[24];
    int size;
    pthread_mutex_lock(&sample_log_lock);
    size = snprintf(text, sizeof text, "%lu", ++*counter);
    pthread_mutex_unlock(&sample_log_lock);
    log_execution(attempt, start_ms);
    return fj_attempt_set_result(attempt, "json", text, (size_t)size);
}

static int put_jobs(fj_client client) {
    fj_job job;

    fj_job_init(&job, sizeof job);
    job.name = "greet-every-second";
    job.handler = "greet";
    job.cron = "* * * * * ?";
    job.params = "world";
    job.params_size = strlen("world");
    job.params_encoding = "text";
    if (fj_job_put(client, &job, NULL) != FJ_OK) return -1;

    fj_job_init(&job, sizeof job);
    job.name = "sweep-again";
    job.handler = "sweep";
    job.delay_ms = 2000;
    job.retries = 3;
    if (fj_job_put(client, &job, NULL) != FJ_OK) return -1;

    fj_job_init(&job, sizeof job);
    job.name = "count-on-demand";
    job.handler = "count";
    job.api = 1;
    job.overlap = "allow_all";
    return fj_job_put(client, &job, NULL) == FJ_OK ? 0 : -1;
}

static int trigger_count(fj_client client) {
    fj_trigger_config trigger;
    fj_trigger_config_init(&trigger, sizeof trigger);
    trigger.job = "count-on-demand";
    return fj_trigger(client, &trigger, NULL) == FJ_OK ? 0 : -1;
}

/* Says what went wrong; returns the exit status. */
static int failed(const char *what) {
    char text[512];
    fj_last_error(text, sizeof text);
    fprintf(stderr, "greet: %s: %s\n", what, text);
    return 1;
}

/* Triggers the job on demand every five seconds, until a signal of `ends` arrives. */
static void run_until(const sigset_t *ends, fj_client client) {
    const struct timespec pause = {5, 0};
    do {
        if (trigger_count(client) != 0) failed("trigger");
    } while (sigtimedwait(ends, NULL, &pause) < 0);
}

int main(void) {
    static unsigned long counter;
    const char *log_name = getenv("FASTJOB_SAMPLE_LOG");
    fj_client client = {0};
    fj_worker worker = {0};
    sigset_t ends;
    int status = 0;

    /* Before the library's threads start, so that they inherit it: signals are taken by sigtimedwait alone. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);

    if (log_name != NULL && (sample_log = fopen(log_name, "a")) == NULL) {
        perror(log_name);
        return 1;
    }
    if (fj_client_open(NULL, &client) != FJ_OK || put_jobs(client) != FJ_OK
        || fj_worker_new(client, NULL, &worker) != FJ_OK
        || fj_worker_handle(worker, "greet", greet, NULL, NULL) != FJ_OK
        || fj_worker_handle(worker, "sweep", sweep, NULL, NULL) != FJ_OK
        || fj_worker_handle(worker, "count", count, &counter, NULL) != FJ_OK
        || fj_worker_start(worker) != FJ_OK) {
        status = failed("start");
    } else {
        run_until(&ends, client);
        if (fj_worker_stop(worker, 5000) != FJ_OK) status = failed("stop");
    }
    fj_worker_free(worker);
    fj_client_free(client);
    if (sample_log != NULL) fclose(sample_log);
    return status;
}
