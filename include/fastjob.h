/*
 * fastjob.h: FastJob's workers and clients in C.
 *
 * Rules that hold for every function:
 * - It answers an fj_status unless its comment says otherwise: FJ_OK (0), or what went wrong; fj_last_error then copies
 *   the text of it. It never ends the process, whatever it is given that this header allows.
 * - Every function may be called from any thread at any time, but not from a signal handler and not in a child process
 *   after fork.
 * - Handles are numbers in a structure of their own type, passed by value. One that is zero is the null handle:
 *   FJ_E_ARGUMENT. One that was freed is FJ_E_CLOSED for ever, also while another thread uses it: never a crash. Who has
 *   to free it stands at the function that gives it.
 * - Texts are UTF-8 and end with a NUL. What is passed in is borrowed for the call, and copied; a pointer that must not
 *   be NULL and is: FJ_E_ARGUMENT.
 * - What is copied out goes into the caller's buffer of `capacity` bytes. `*size` becomes the size of the data without a
 *   NUL (size may be NULL). A NULL buffer with a capacity of 0 asks for the size alone. If it does not fit,
 *   FJ_E_TOO_SMALL, and the buffer stays as it is. A text needs room for its NUL.
 * - Structures that begin with struct_size are filled by their init function first.
 * - Instants are milliseconds since 1970-01-01T00:00:00Z, in the servers' time.
 * - The library's own threads block all signals; those that run handlers keep the mask of the thread that started the
 *   worker.
 */

#ifndef FASTJOB_H
#define FASTJOB_H

/* Rendered from ffi/src/c by the build (FASTJOB_HEADER=update). Do not edit. */

#include <stddef.h>
#include <stdint.h>

/**
 * Done.
 */
#define FJ_OK 0

/**
 * A null pointer or handle, text that is not UTF-8, a number out of its bounds, a wrong struct_size.
 */
#define FJ_E_ARGUMENT 1

/**
 * The handle was freed, or its client or worker closed.
 */
#define FJ_E_CLOSED 2

/**
 * The call does not fit the object's present state, as a second start.
 */
#define FJ_E_STATE 3

/**
 * The call would wait for the handler that makes it.
 */
#define FJ_E_DEADLOCK 4

/**
 * The caller's buffer is too small; the size of the data was written.
 */
#define FJ_E_TOO_SMALL 5

/**
 * It did not come about within the time given.
 */
#define FJ_E_TIMEOUT 6

/**
 * There is no such value, as the tick of a run that no schedule made.
 */
#define FJ_E_NONE 7

/**
 * fj_worker_poll was woken by fj_worker_wake.
 */
#define FJ_E_WOKEN 8

/**
 * The server found the request wrong: the same call will be refused again.
 */
#define FJ_E_INVALID 9

/**
 * What the request names does not exist.
 */
#define FJ_E_NOT_FOUND 10

/**
 * The request contradicts what is stored.
 */
#define FJ_E_CONFLICT 11

/**
 * The token is not known.
 */
#define FJ_E_UNAUTHENTICATED 12

/**
 * The token does not allow it.
 */
#define FJ_E_NOT_PERMITTED 13

/**
 * No server answered or none was ready: the same call may succeed later.
 */
#define FJ_E_UNAVAILABLE 14

/**
 * A defect in the library or the server.
 */
#define FJ_E_INTERNAL 15

/**
 * For handlers: the attempt failed. The library itself never answers it.
 */
#define FJ_E_FAILED 16

/**
 * The binary interface this header describes. A library of another major number must not be used with it; one of a
 * higher minor number has more functions.
 */
#define FJ_ABI_VERSION_MAJOR 1

/**
 * See FJ_ABI_VERSION_MAJOR.
 */
#define FJ_ABI_VERSION_MINOR 0

/**
 * The job was not there.
 */
#define FJ_JOB_CREATED 0

/**
 * The job was there and is now as given.
 */
#define FJ_JOB_UPDATED 1

/**
 * The job was there as given: nothing was written.
 */
#define FJ_JOB_UNCHANGED 2

/**
 * Written; not due yet, or waiting for a worker or for its next attempt.
 */
#define FJ_RUN_SCHEDULED 1

/**
 * An attempt is with a worker.
 */
#define FJ_RUN_DISPATCHED 2

/**
 * Over: its handler succeeded.
 */
#define FJ_RUN_SUCCEEDED 3

/**
 * Over: out of attempts. The reason says why.
 */
#define FJ_RUN_FAILED 4

/**
 * Over: somebody asked for it.
 */
#define FJ_RUN_CANCELLED 5

/**
 * Over: never dispatched. The reason says why.
 */
#define FJ_RUN_SKIPPED 6

/**
 * How a call ended: FJ_OK (0), or one of FJ_E_*. A handler answers it too.
 */
typedef int32_t fj_status;

/**
 * One execution of a run. In a handler it is the library's and ends when the handler returns; one that came from
 * fj_worker_poll is the caller's, to be completed by fj_attempt_complete and freed by fj_attempt_free.
 */
typedef struct {
    /**
     * Never an address; 0 names nothing.
     */
    uint64_t id;
} fj_attempt;

/**
 * How to reach the servers. Fill it by fj_client_config_init, then set what you want. The texts are copied by
 * fj_client_open.
 */
typedef struct {
    /**
     * Written by fj_client_config_init.
     */
    size_t struct_size;
    /**
     * Addresses of any of the servers, "host:port", several with commas. NULL: the environment's FASTJOB_SERVERS.
     */
    const char *servers;
    /**
     * Name of the app. NULL: the environment's FASTJOB_APP.
     */
    const char *app;
    /**
     * The app's token, or what the environment's FASTJOB_TOKEN holds if NULL.
     */
    const char *token;
    /**
     * How long a call is tried, in ms, before it is FJ_E_UNAVAILABLE or FJ_E_TIMEOUT: 1 to 1 h. 0: 10 s.
     */
    int64_t call_timeout_ms;
} fj_client_config;

/**
 * A connection to the servers of one app. From fj_client_open to fj_client_free.
 */
typedef struct {
    /**
     * Never an address; 0 names nothing.
     */
    uint64_t id;
} fj_client;

/**
 * A job's definition. Fill it by fj_job_init, then set `name`, `handler`, exactly one trigger, and what else you want.
 * Everything is copied by fj_job_put.
 */
typedef struct {
    /**
     * Written by fj_job_init.
     */
    size_t struct_size;
    /**
     * 1 to 128 characters. Needed.
     */
    const char *name;
    /**
     * The handler that runs it, 1 to 128 characters. Needed.
     */
    const char *handler;
    /**
     * Trigger: a cron expression, as "* * * * * ?" for each second. At most 256 characters.
     */
    const char *cron;
    /**
     * For `cron`: how it is read: "quartz" (also if NULL), "unix" or "spring".
     */
    const char *dialect;
    /**
     * For `cron` and `window_from`: the IANA name of the zone whose civil time they speak of. NULL: "UTC".
     */
    const char *zone;
    /**
     * For `cron` without `*`, range and step in seconds, minutes and hours: a civil time that a gap of the zone swallows
     * fires at the "next" instant (also if NULL), or is left out: "skip".
     */
    const char *gap;
    /**
     * As `gap`: a civil time that an overlap of the zone shows twice fires in the "first" pass (also if NULL), or in
     * "both".
     */
    const char *overlap_rule;
    /**
     * Trigger: a fixed rate, 1,000 or more. 0: none.
     */
    int64_t every_ms;
    /**
     * For `every_ms`: an instant of the rate, in ms since 1970 UTC. -1: the job's creation.
     */
    int64_t phase_ms;
    /**
     * For `every_ms`: only from this time of the day on, as "09:00", in `zone`. NULL: at all times.
     */
    const char *window_from;
    /**
     * For `window_from`: not after this time of the day: up to "24:00".
     */
    const char *window_to;
    /**
     * For `window_from`: only on these days, as "mon,tue,fri". NULL: every day.
     */
    const char *weekdays;
    /**
     * Trigger: this long after the end of the previous run, 0 or more. -1: none.
     */
    int64_t delay_ms;
    /**
     * Trigger: at these instants, in ms since 1970 UTC. `at_count` is 1 to 1,000, or 0 for none.
     */
    const int64_t *at_ms;
    /**
     * See `at_ms`.
     */
    size_t at_count;
    /**
     * Trigger: not 0 if it fires only when it is called.
     */
    int32_t api;
    /**
     * What its runs get unless a trigger gives others: at most 64 KiB.
     */
    const void *params;
    /**
     * See `params`.
     */
    size_t params_size;
    /**
     * "json" (also if NULL), "text" or "binary".
     */
    const char *params_encoding;
    /**
     * 1 enabled, 0 disabled; -1: enabled if new, else as it is.
     */
    int32_t enabled;
    /**
     * For a run that is due while an earlier one is alive: "skip" (also if NULL), "buffer_one", "buffer_all" (at most
     * 1000 wait), "cancel_other", "terminate_other" or "allow_all".
     */
    const char *overlap;
    /**
     * For ticks missed while no server was up: "latest" (also if NULL), "none" or "all".
     */
    const char *catch_up;
    /**
     * A missed tick no later than this simply fires late. -1: 60 s.
     */
    int64_t catch_up_threshold_ms;
    /**
     * Older ticks are never made up for. -1: 1 h for periods under a day, else 24 h.
     */
    int64_t catch_up_window_ms;
    /**
     * How often a failed run is tried again: 0 to 1,000.
     */
    uint32_t retries;
    /**
     * "fixed" (also if NULL) or "exponential".
     */
    const char *backoff;
    /**
     * The first wait before a retry. -1: 1 s.
     */
    int64_t retry_delay_ms;
    /**
     * The longest wait of an exponential backoff. -1: 1 h.
     */
    int64_t retry_max_delay_ms;
    /**
     * Each wait is drawn from [1 - jitter, 1] of it: 0.0 to 1.0.
     */
    double retry_jitter;
    /**
     * From the dispatch of an attempt: 1 to 30 days. 0: 1 h.
     */
    int64_t timeout_ms;
    /**
     * A run not dispatched this long after it was due is skipped. 0: it waits.
     */
    int64_t start_deadline_ms;
    /**
     * How long a handler may take to give way to a cancel or timeout: at most 1 h. -1: 10 s.
     */
    int64_t cancel_grace_ms;
    /**
     * Without contact to its worker for this long an attempt is lost: 1 s to 24 h. 0: the server's default.
     */
    int64_t worker_lost_after_ms;
    /**
     * Not 0: never dispatched again after its worker was lost.
     */
    int32_t at_most_once;
    /**
     * Higher first among the waiting: -100 to 100.
     */
    int32_t priority;
    /**
     * "least_busy" (also if NULL) or "round_robin".
     */
    const char *routing;
    /**
     * Who may overwrite the job: "code" (also if NULL) or "console".
     */
    const char *managed_by;
    /**
     * The version of the source that puts it: a lower one than stored is refused. 0: not compared.
     */
    uint64_t source_version;
    /**
     * With catch_up "all": the most missed ticks that fire, the newest, 1 to 1,000. 0: 100.
     */
    uint32_t catch_up_runs;
    /**
     * No tick lies before this instant, in ms since 1970 UTC. -1: no such bound.
     */
    int64_t start_at_ms;
    /**
     * No tick lies at this instant or after it. -1: no such bound.
     */
    int64_t end_at_ms;
    /**
     * The run of a tick is due up to this much later, but before the next tick: 0 to 24 h.
     */
    int64_t jitter_ms;
} fj_job;

/**
 * Which job to fire, when and with what. Fill it by fj_trigger_config_init, then set `job` and what you want.
 * Everything is copied by fj_trigger.
 */
typedef struct {
    /**
     * Written by fj_trigger_config_init.
     */
    size_t struct_size;
    /**
     * Name of the job. Needed.
     */
    const char *job;
    /**
     * Parameters in place of the job's own, at most 64 KiB. NULL: the job's own.
     */
    const void *params;
    /**
     * See `params`.
     */
    size_t params_size;
    /**
     * "json" (also if NULL), "text" or "binary".
     */
    const char *params_encoding;
    /**
     * At this instant, in ms since 1970 UTC. 0: at once. Not together with `delay_ms`.
     */
    int64_t at_ms;
    /**
     * This long from now. 0: at once.
     */
    int64_t delay_ms;
    /**
     * At most 256 characters. A second trigger of the job with it yields the same run. NULL: none.
     */
    const char *idempotency_key;
    /**
     * While an earlier run is alive: a word of `fj_job.overlap`. NULL: the job's own.
     */
    const char *overlap;
} fj_trigger_config;

/**
 * A run as it was when it was asked for; it does not change. From the call that gave it to fj_run_free.
 */
typedef struct {
    /**
     * Never an address; 0 names nothing.
     */
    uint64_t id;
} fj_run;

/**
 * How a worker is. Fill it by fj_worker_config_init, then set what you want. The texts are copied by fj_worker_new.
 */
typedef struct {
    /**
     * Written by fj_worker_config_init.
     */
    size_t struct_size;
    /**
     * For people, at most 128 characters. NULL: "host:pid".
     */
    const char *name;
    /**
     * How many attempts at a time: 1 to 1,024, or 100,000 if its handlers are polled. 0 means 8.
     */
    uint32_t slots;
} fj_worker_config;

/**
 * Takes runs of its client's app and executes them. From fj_worker_new to fj_worker_free.
 */
typedef struct {
    /**
     * Never an address; 0 names nothing.
     */
    uint64_t id;
} fj_worker;

/**
 * Runs one attempt. It may block and may call every function of this header but those that would wait for it, which
 * answer FJ_E_DEADLOCK. It runs on one of up to `slots` threads of the library, with others beside it, and must return
 * by itself, soon after fj_attempt_is_cancelled answers 1: no exception, no longjmp, no end of the thread.
 * FJ_OK: succeeded, with the result of fj_attempt_set_result. Else: failed, with the error of fj_attempt_set_error.
 */
typedef fj_status (*fj_handler)(fj_attempt attempt, void *user);

/**
 * Called once with the `user` of fj_worker_handle when no handler will see it any more, on the thread that frees the
 * worker or on that of the last handler.
 */
typedef void (*fj_drop)(void *user);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The binary interface of the library that was loaded: major << 16 | minor.
 */
uint32_t fj_abi_version(void);

/**
 * The version of the library, as "0.1.0". Never freed.
 */
const char *fj_version(void);

/**
 * Copies the text of this thread's last failed call into `buffer`, cut at a character if need be, always ended by a
 * NUL if `capacity` is not 0. Returns the length of the whole text without its NUL; 0 before the first failure. A call
 * that succeeds leaves the text as it is. `buffer` may be NULL if `capacity` is 0.
 */
size_t fj_last_error(char *buffer,
                     size_t capacity);

/**
 * A short English text for a status, as "wrong argument"; "unknown status" for other numbers. Never freed.
 */
const char *fj_status_text(fj_status status);

/**
 * Copies the run's id, 36 characters, as text.
 */
fj_status fj_attempt_run_id(fj_attempt attempt, char *buffer, size_t capacity, size_t *size);

/**
 * Copies the name of the job.
 */
fj_status fj_attempt_job(fj_attempt attempt, char *buffer, size_t capacity, size_t *size);

/**
 * Copies the name of the handler.
 */
fj_status fj_attempt_handler(fj_attempt attempt, char *buffer, size_t capacity, size_t *size);

/**
 * Copies the parameters, at most 64 KiB, and a NUL behind them if there is room. `*size` is their size without it.
 */
fj_status fj_attempt_params(fj_attempt attempt,
                            void *buffer,
                            size_t capacity,
                            size_t *size);

/**
 * Copies what the parameters are: "json", "text" or "binary".
 */
fj_status fj_attempt_params_encoding(fj_attempt attempt, char *buffer, size_t capacity, size_t *size);

/**
 * Copies what names the effect of this run, the same in each of its attempts: the trigger's idempotency key, or else
 * the run's id.
 */
fj_status fj_attempt_idempotency_key(fj_attempt attempt,
                                     char *buffer,
                                     size_t capacity,
                                     size_t *size);

/**
 * The instant that the schedule produced, in ms since 1970 UTC. FJ_E_NONE unless a schedule made the run.
 */
fj_status fj_attempt_tick(fj_attempt attempt, int64_t *tick_ms);

/**
 * The tick before it, in ms since 1970 UTC: together they name the half-open interval of data that the run stands for.
 * FJ_E_NONE if there is none.
 */
fj_status fj_attempt_previous_tick(fj_attempt attempt,
                                   int64_t *tick_ms);

/**
 * The job's revision that the run follows.
 */
fj_status fj_attempt_revision(fj_attempt attempt, uint64_t *revision);

/**
 * `*backfilled` becomes 1 if the run's tick is run again on demand, so that its data may be old; else 0.
 */
fj_status fj_attempt_backfilled(fj_attempt attempt, int32_t *backfilled);

/**
 * When the run was due, in ms since 1970 UTC.
 */
fj_status fj_attempt_due(fj_attempt attempt, int64_t *due_ms);

/**
 * Which attempt of the run this is; 1 is the first.
 */
fj_status fj_attempt_number(fj_attempt attempt, uint32_t *number);

/**
 * How many attempts that end in error the run may have.
 */
fj_status fj_attempt_max_attempts(fj_attempt attempt, uint32_t *max_attempts);

/**
 * The fencing number of the server that sent the attempt: it never falls, so that a store that keeps the highest seen
 * can refuse what comes late.
 */
fj_status fj_attempt_epoch(fj_attempt attempt,
                           int64_t *epoch);

/**
 * 1 once the attempt should end soon: it was cancelled, its timeout passed, or its handle is no longer one; else 0.
 * Cheap enough to ask in a loop.
 */
int32_t fj_attempt_is_cancelled(fj_attempt attempt);

/**
 * Says how far the attempt is: 0 to 100, and a note of at most 1,024 characters, which may be NULL. Only the newest is
 * kept. Never waits.
 */
fj_status fj_attempt_progress(fj_attempt attempt,
                              uint32_t percent,
                              const char *note);

/**
 * Sets the result, at most 64 KiB, for the case that the attempt succeeds. `encoding` is "json", "text" or "binary";
 * NULL means "json". `data` is copied; it may be NULL if `size` is 0. The last call counts.
 */
fj_status fj_attempt_set_result(fj_attempt attempt,
                                const char *encoding,
                                const void *data,
                                size_t size);

/**
 * Sets the error, for the case that the attempt fails: its class, as "io.timeout" (at most 256 bytes; NULL: the text
 * of the status), and its message (at most 4 KiB). Longer texts are cut. Both are copied. The last call counts.
 */
fj_status fj_attempt_set_error(fj_attempt attempt,
                               const char *class_name,
                               const char *message);

/**
 * Says, for the case that the attempt fails, that another one is useless.
 */
fj_status fj_attempt_give_up(fj_attempt attempt);

/**
 * Asks, for the case that the attempt fails and may be repeated, for the next one no earlier than this many ms from
 * now: 0 to 30 days.
 */
fj_status fj_attempt_retry_after(fj_attempt attempt,
                                 int64_t delay_ms);

/**
 * Ends an attempt that came from fj_worker_poll: FJ_OK means succeeded with the result that was set, anything else
 * failed with the error that was set. Does not wait: the library sends it, again if need be, until a server has taken
 * it. FJ_E_STATE if it was completed before, and in a handler, whose return value says the same.
 */
fj_status fj_attempt_complete(fj_attempt attempt,
                              fj_status status);

/**
 * Ends the handle of an attempt that came from fj_worker_poll; one that was not completed fails. The null handle is
 * allowed and does nothing. FJ_E_CLOSED if it was freed before; FJ_E_STATE in a handler: the attempt is the library's.
 */
fj_status fj_attempt_free(fj_attempt attempt);

/**
 * Fills `config` with the defaults: everything from the environment. `struct_size` is sizeof *config.
 */
fj_status fj_client_config_init(fj_client_config *config, size_t struct_size);

/**
 * Opens a client. `config` may be NULL: everything from the environment. On FJ_OK `*client` is the caller's, to be
 * freed by fj_client_free. Waits for no server: the first call does, so that a program may start before its servers.
 * FJ_E_ARGUMENT names what is wrong or missing.
 */
fj_status fj_client_open(const fj_client_config *config,
                         fj_client *client);

/**
 * Closes the connection: stops its workers without waiting for their handlers, makes calls that wait in other threads
 * answer FJ_E_CLOSED, and ends the library's threads. Takes at most 5 s. The handle still has to be freed. A second close does nothing.
 * FJ_E_DEADLOCK in a handler of one of its workers.
 */
fj_status fj_client_close(fj_client client);

/**
 * Closes the client if it is open, and ends the handle. Its workers' and runs' handles have to be freed by themselves.
 * The null handle is allowed and does nothing. FJ_E_CLOSED if it was freed before; FJ_E_DEADLOCK in a handler of one of
 * its workers: the handle then stays.
 */
fj_status fj_client_free(fj_client client);

/**
 * Fills `job` with the defaults. `struct_size` is sizeof *job.
 */
fj_status fj_job_init(fj_job *job, size_t struct_size);

/**
 * Creates the job, or replaces the one of that name. `change`, which may be NULL, becomes one of FJ_JOB_*. Waits for the
 * server. FJ_E_INVALID names the field at fault; FJ_E_CONFLICT if the job is managed by another or of a newer source.
 */
fj_status fj_job_put(fj_client client,
                     const fj_job *job,
                     int32_t *change);

/**
 * Lets the job fire again, from its next tick on. FJ_E_NOT_FOUND if there is none of that name.
 */
fj_status fj_job_enable(fj_client client, const char *name);

/**
 * Stops the job from firing, until it is enabled. FJ_E_NOT_FOUND if there is none of that name.
 */
fj_status fj_job_disable(fj_client client, const char *name);

/**
 * Deletes the job; its past runs stay. FJ_E_NOT_FOUND if there is none of that name.
 */
fj_status fj_job_delete(fj_client client, const char *name);

/**
 * Fills `config` with the defaults: at once, with the job's own parameters. `struct_size` is sizeof *config.
 */
fj_status fj_trigger_config_init(fj_trigger_config *config, size_t struct_size);

/**
 * Fires a job. On FJ_OK the run is durable and `*run` is the caller's, to be freed by fj_run_free; `run` may be NULL if
 * it does not matter. FJ_E_NOT_FOUND if there is no such job; FJ_E_CONFLICT if the idempotency key is known with other
 * parameters. Waits for the server, and repeats the request if a connection breaks, which makes no second run.
 */
fj_status fj_trigger(fj_client client,
                     const fj_trigger_config *config,
                     fj_run *run);

/**
 * Asks for a run by its id, a UUID as text. On FJ_OK `*run` is the caller's, to be freed by fj_run_free.
 * FJ_E_NOT_FOUND if there is none.
 */
fj_status fj_run_get(fj_client client, const char *run_id, fj_run *run);

/**
 * Waits until the run has ended, at most `timeout_ms` (0 to 24 h). On FJ_OK `*run` is the caller's, to be freed by
 * fj_run_free. FJ_E_TIMEOUT if it has not ended by then: `*run` is its present state, and the caller's, too.
 */
fj_status fj_run_wait(fj_client client,
                      const char *run_id,
                      int64_t timeout_ms,
                      fj_run *run);

/**
 * Asks for the run's end: a waiting run is cancelled, a running handler is told. On FJ_OK `*run` is the run after that,
 * the caller's, to be freed by fj_run_free; `run` may be NULL. A run that has ended stays as it is.
 */
fj_status fj_run_cancel(fj_client client,
                        const char *run_id,
                        fj_run *run);

/**
 * Copies the run's id, 36 characters, as text.
 */
fj_status fj_run_id(fj_run run, char *buffer, size_t capacity, size_t *size);

/**
 * Copies the name of the job.
 */
fj_status fj_run_job(fj_run run, char *buffer, size_t capacity, size_t *size);

/**
 * Where the run stands: one of FJ_RUN_*.
 */
fj_status fj_run_state(fj_run run, int32_t *state);

/**
 * The word for a state, as "succeeded"; "unknown" for other numbers. Never freed.
 */
const char *fj_run_state_text(int32_t state);

/**
 * Copies the reason of the state: for failed error, timeout, lost or quarantined; for skipped overlap, catch_up,
 * disabled, deleted or start_deadline; for cancelled requested. Else empty.
 */
fj_status fj_run_reason(fj_run run,
                        char *buffer,
                        size_t capacity,
                        size_t *size);

/**
 * How many attempts there were, the present one included.
 */
fj_status fj_run_attempt(fj_run run, uint32_t *attempt);

/**
 * 1 if the trigger that gave this run found it by its idempotency key; 0 if it made it, and for other calls' runs.
 */
fj_status fj_run_existed(fj_run run,
                         int32_t *existed);

/**
 * Copies the result, at most 64 KiB, and a NUL behind it if there is room. FJ_E_NONE unless the run succeeded.
 */
fj_status fj_run_result(fj_run run,
                        void *buffer,
                        size_t capacity,
                        size_t *size);

/**
 * Copies what the result is: "json", "text" or "binary". FJ_E_NONE unless the run succeeded.
 */
fj_status fj_run_result_encoding(fj_run run, char *buffer, size_t capacity, size_t *size);

/**
 * Copies the class of the last failed attempt's error. FJ_E_NONE if none failed.
 */
fj_status fj_run_error_class(fj_run run, char *buffer, size_t capacity, size_t *size);

/**
 * Copies the message of the last failed attempt's error. FJ_E_NONE if none failed.
 */
fj_status fj_run_error_message(fj_run run, char *buffer, size_t capacity, size_t *size);

/**
 * Ends the handle. The null handle is allowed and does nothing. FJ_E_CLOSED if it was freed before.
 */
fj_status fj_run_free(fj_run run);

/**
 * Fills `config` with the defaults. `struct_size` is sizeof *config.
 */
fj_status fj_worker_config_init(fj_worker_config *config, size_t struct_size);

/**
 * Makes a worker that takes nothing yet. `config` may be NULL: the defaults. On FJ_OK `*worker` is the caller's, to be
 * freed by fj_worker_free.
 */
fj_status fj_worker_new(fj_client client,
                        const fj_worker_config *config,
                        fj_worker *worker);

/**
 * Gives the worker a handler by its name, 1 to 128 characters; before fj_worker_start. With a NULL `handler` its
 * attempts come by fj_worker_poll; that holds for all handlers of a worker or for none. FJ_E_STATE if it does not fit
 * those that the worker has, or comes after the start. `user` is passed to each call of the handler and belongs to the library from here on:
 * `drop_user`, if not NULL, is called with it exactly once, also if this call fails.
 */
fj_status fj_worker_handle(fj_worker worker,
                           const char *name,
                           fj_handler handler,
                           void *user,
                           fj_drop drop_user);

/**
 * Starts taking runs. Does not wait for a server: the worker goes on trying. FJ_E_STATE if it was started before, or
 * has no handler.
 */
fj_status fj_worker_start(fj_worker worker);

/**
 * Takes the next attempt of a handler that was registered with NULL, waiting at most `timeout_ms` (negative: without
 * end). On FJ_OK `*attempt` is the caller's: fj_attempt_complete, then fj_attempt_free. FJ_E_TIMEOUT: none came.
 * FJ_E_WOKEN: fj_worker_wake was called. FJ_E_CLOSED: the worker was stopped. FJ_E_STATE before the start, and if its
 * handlers are functions. Any number of threads may poll.
 */
fj_status fj_worker_poll(fj_worker worker,
                         int64_t timeout_ms,
                         fj_attempt *attempt);

/**
 * Makes one fj_worker_poll, the present one or else the next, answer FJ_E_WOKEN.
 */
fj_status fj_worker_wake(fj_worker worker);

/**
 * Takes nothing more, lets the running handlers go on for `grace_ms` (0 to 24 h), then cancels them and gives them up to
 * 10 s (less if their jobs say so), and sends what is unsent. FJ_OK once all has ended; FJ_E_TIMEOUT if a handler has not
 * returned: it keeps its thread until it does; FJ_E_UNAVAILABLE if no server took what was unsent. It has stopped in each
 * of these cases. A second stop waits for the first. FJ_E_DEADLOCK in one of its handlers; FJ_E_STATE before the start.
 */
fj_status fj_worker_stop(fj_worker worker,
                         int64_t grace_ms);

/**
 * Waits until another thread has stopped the worker: FJ_OK after fj_worker_stop, FJ_E_CLOSED after fj_client_close.
 * Without a server, or with one that refuses it, the worker goes on trying. FJ_E_DEADLOCK in one of its handlers;
 * FJ_E_STATE before the start.
 */
fj_status fj_worker_join(fj_worker worker);

/**
 * Stops the worker without grace if it runs, as fj_worker_stop does, and ends the handle. The null handle is allowed and
 * does nothing. FJ_E_CLOSED if it was freed before; FJ_E_DEADLOCK in one of its handlers: the handle then stays.
 */
fj_status fj_worker_free(fj_worker worker);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FASTJOB_H */
