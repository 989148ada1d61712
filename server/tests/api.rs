//! What clients may do, asked over a real connection: permissions, bounds, and answers from owner and store.

mod bench;
#[path = "api/peers.rs"]
mod peers;

use bench::{Bench, CALM, authorized, detail, name, new_token, patiently};
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::domain::{
    CancelCause, CatchUp, Definition, Ended, FireKey, Job, Limits, ManagedBy, Payload, Refusal, RefusalKind,
    Run, Source, State, Timing, Trigger,
};
use fastjob_core::id::{Epoch, JobId, RunId, ServerId};
use fastjob_core::protocol::v1;
use fastjob_core::shard::{Call, Change, JobPutDone, Reply, Rows, Triggered};
use fastjob_server::api::auth::Secret;
use fastjob_server::owner::door::Knock;
use fastjob_server::store::{NewServer, NewToken, Turn, TurnEnd};
use tonic::{Code, Status};

const APP: &str = "demo";

/// Calls every method of `Client` that names an app, with this token and app.
#[expect(clippy::needless_update, reason = "some requests have no more fields")]
async fn call_all(bench: &Bench, token: &str, app: &str) -> Vec<(&'static str, Result<(), Status>)> {
    let mut client = bench.clients();
    let mut answers = Vec::new();
    macro_rules! call {
        ($method:ident, $request:ident { $($field:ident: $value:expr),* }) => {{
            let request = v1::$request { app: app.into(), $($field: $value,)* ..Default::default() };
            let answer = client.$method(authorized(request, token)).await;
            answers.push((stringify!($method), answer.map(drop)));
        }};
    }
    let id = || vec![1; 16].into();
    call!(job_put, JobPutRequest {});
    call!(job_get, JobGetRequest { name: "x".into() });
    call!(job_list, JobListRequest {});
    call!(job_enable, JobSetEnabledRequest { name: "x".into() });
    call!(job_disable, JobSetEnabledRequest { name: "x".into() });
    call!(job_delete, JobDeleteRequest { name: "x".into() });
    call!(job_apply, JobApplyRequest {});
    call!(job_next, JobNextRequest { name: "x".into() });
    call!(job_ledger, JobLedgerRequest { name: "x".into() });
    call!(job_list_all, JobListAllRequest {});
    call!(job_history, JobHistoryRequest { name: "x".into() });
    call!(trigger, TriggerRequest {});
    call!(run_get, RunGetRequest { by: Some(v1::run_get_request::By::Id(id())) });
    call!(run_list, RunListRequest {});
    call!(run_wait, RunWaitRequest { id: id() });
    call!(run_cancel, RunCancelRequest { id: id() });
    call!(run_retry, RunRetryRequest { id: id(), request_id: id() });
    call!(worker_list, WorkerListRequest {});
    answers
}

#[tokio::test]
async fn no_call_is_answered_to_a_stranger_or_to_another_app() {
    let bench = Bench::start(CALM).await;
    let create = v1::AppCreateRequest { name: "other".into(), shards: 0 };
    let made = bench.admins().app_create(authorized(create, &bench.admin)).await.expect("a free name");
    let foreign = made.into_inner().token;
    for (method, answer) in call_all(&bench, "fjt_0", APP).await {
        assert_eq!(answer.expect_err(method).code(), Code::Unauthenticated, "{method}");
    }
    // An app that does not exist answers exactly like one of others.
    for app in [APP, "nothing"] {
        for (method, answer) in call_all(&bench, &foreign, app).await {
            let status = answer.expect_err(method);
            assert_eq!(status.code(), Code::PermissionDenied, "{method}");
            assert_eq!(detail(&status).code, "app_not_permitted", "{method}");
        }
    }
    for (method, answer) in call_all(&bench, &bench.admin, "nothing").await {
        let status = answer.expect_err(method);
        assert_eq!((status.code(), &*detail(&status).code), (Code::NotFound, "app_not_found"), "{method}");
    }
    for (method, answer) in call_all(&bench, &bench.token, APP).await {
        if let Err(status) = answer {
            assert!(
                !matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied),
                "{method}: {status}"
            );
        }
    }
}

#[tokio::test]
async fn the_administrator_s_calls_are_refused_to_an_app_s_token() {
    let bench = Bench::start(CALM).await;
    let mut admin = bench.admins();
    let token = &bench.token;
    let app = || APP.to_owned();
    let create = v1::AppCreateRequest { name: "x".into(), shards: 0 };
    let codes = [
        admin.app_create(authorized(create, token)).await.map(drop),
        admin
            .token_create(authorized(v1::TokenCreateRequest { app: app(), ..Default::default() }, token))
            .await
            .map(drop),
        admin.token_list(authorized(v1::TokenListRequest { app: app() }, token)).await.map(drop),
        admin
            .token_revoke(authorized(v1::TokenRevokeRequest { app: app(), ..Default::default() }, token))
            .await
            .map(drop),
    ];
    for code in codes {
        let status = code.expect_err("only the administrator may");
        assert_eq!((status.code(), &*detail(&status).code), (Code::PermissionDenied, "admin_only"));
    }
}

#[tokio::test]
async fn an_app_s_token_sees_its_own_app_and_the_administrator_sees_all() {
    let bench = Bench::start(CALM).await;
    let create = v1::AppCreateRequest { name: "other".into(), shards: 2 };
    let made =
        bench.admins().app_create(authorized(create.clone(), &bench.admin)).await.expect("a free name");
    let made = made.into_inner();
    assert_eq!(made.app.as_ref().map(|app| (app.shards, app.owners.len())), Some((2, 2)));
    for (token, expected) in
        [(&bench.token, vec!["demo"]), (&made.token, vec!["other"]), (&bench.admin, vec!["demo", "other"])]
    {
        let reply = bench.clients().app_list(authorized(v1::AppListRequest {}, token)).await.expect("valid");
        let names: Vec<_> = reply.into_inner().apps.into_iter().map(|app| app.name).collect();
        assert_eq!(names, expected);
    }
    let status = bench.admins().app_create(authorized(create, &bench.admin)).await.expect_err("it is taken");
    assert_eq!((status.code(), &*detail(&status).code), (Code::FailedPrecondition, "app_exists"));
}

#[tokio::test]
async fn an_app_has_two_valid_tokens_at_most_and_a_revoked_one_is_refused_at_once() {
    let bench = Bench::start(CALM).await;
    let mut admin = bench.admins();
    let create =
        || authorized(v1::TokenCreateRequest { app: APP.into(), ..Default::default() }, &bench.admin);
    let second = admin.token_create(create()).await.expect("the second of two").into_inner();
    let status = admin.token_create(create()).await.expect_err("the third");
    assert_eq!((status.code(), &*detail(&status).code), (Code::FailedPrecondition, "too_many_tokens"));
    let list = || v1::JobListRequest { app: APP.into(), ..Default::default() };
    bench.clients().job_list(authorized(list(), &second.secret)).await.expect("it is valid");
    let id = second.token.expect("it is shown").id;
    let revoke = v1::TokenRevokeRequest { app: APP.into(), id };
    admin.token_revoke(authorized(revoke.clone(), &bench.admin)).await.expect("it is valid");
    let status =
        bench.clients().job_list(authorized(list(), &second.secret)).await.expect_err("it is revoked");
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = admin.token_revoke(authorized(revoke, &bench.admin)).await.expect_err("it was revoked");
    assert_eq!((status.code(), &*detail(&status).code), (Code::NotFound, "token_not_found"));
    bench.clients().job_list(authorized(list(), &bench.token)).await.expect("the first is still valid");
}

#[tokio::test]
async fn a_token_that_another_server_made_a_moment_ago_is_known() {
    let bench = Bench::start(CALM).await;
    let secret = Secret::new();
    let made = NewToken { app: Some(bench.app.id), ..new_token(&secret) };
    assert!(bench.store.token_create(&made).await.expect("the store works"), "the second of two");
    let list = v1::JobListRequest { app: APP.into(), ..Default::default() };
    bench.clients().job_list(authorized(list, &secret.reveal())).await.expect("it is valid");
}

#[tokio::test]
async fn the_administrator_s_last_token_stays() {
    let bench = Bench::start(CALM).await;
    let list = v1::TokenListRequest::default();
    let tokens = bench.admins().token_list(authorized(list, &bench.admin)).await.expect("the admin may");
    let id = tokens.into_inner().tokens[0].id.clone();
    let revoke = v1::TokenRevokeRequest { app: String::new(), id };
    let status = bench.admins().token_revoke(authorized(revoke, &bench.admin)).await.expect_err("the last");
    assert_eq!((status.code(), &*detail(&status).code), (Code::FailedPrecondition, "last_admin_token"));
}

#[tokio::test]
async fn a_page_or_batch_above_its_bound_is_refused_by_field() {
    let bench = Bench::start(CALM).await;
    let mut client = bench.clients();
    let token = &bench.token;
    let spec = v1::JobSpec { name: "x".into(), ..Default::default() };
    let fire = v1::TriggerSpec::default();
    let app = || APP.to_owned();
    let refused = [
        (
            "limit",
            client
                .job_list(authorized(
                    v1::JobListRequest { app: app(), limit: 501, ..Default::default() },
                    token,
                ))
                .await
                .map(drop),
        ),
        (
            "limit",
            client
                .run_list(authorized(
                    v1::RunListRequest { app: app(), limit: 501, ..Default::default() },
                    token,
                ))
                .await
                .map(drop),
        ),
        (
            "limit",
            client
                .job_ledger(authorized(
                    v1::JobLedgerRequest { app: app(), name: "x".into(), limit: 501, ..Default::default() },
                    token,
                ))
                .await
                .map(drop),
        ),
        (
            "count",
            client
                .job_next(authorized(
                    v1::JobNextRequest { app: app(), name: "x".into(), count: 501, ..Default::default() },
                    token,
                ))
                .await
                .map(drop),
        ),
        (
            "jobs",
            client
                .job_put(authorized(v1::JobPutRequest { app: app(), jobs: vec![spec; 1_001] }, token))
                .await
                .map(drop),
        ),
        (
            "triggers",
            client
                .trigger(authorized(v1::TriggerRequest { app: app(), triggers: vec![fire; 1_001] }, token))
                .await
                .map(drop),
        ),
        (
            "timeout_ms",
            client
                .run_wait(authorized(
                    v1::RunWaitRequest {
                        app: app(),
                        id: vec![1; 16].into(),
                        timeout_ms: 60_001,
                        ..Default::default()
                    },
                    token,
                ))
                .await
                .map(drop),
        ),
        (
            "page",
            client
                .job_ledger(authorized(
                    v1::JobLedgerRequest {
                        app: app(),
                        name: "x".into(),
                        page: vec![1; 23].into(),
                        ..Default::default()
                    },
                    token,
                ))
                .await
                .map(drop),
        ),
        (
            "states[0]",
            client
                .run_list(authorized(
                    v1::RunListRequest { app: app(), states: vec![77], ..Default::default() },
                    token,
                ))
                .await
                .map(drop),
        ),
    ];
    for (field, answer) in refused {
        let status = answer.expect_err(field);
        assert_eq!((status.code(), &*detail(&status).field), (Code::InvalidArgument, field));
        assert!(!detail(&status).remedy.is_empty(), "{field}");
    }
}

#[tokio::test]
async fn an_edit_without_an_owner_here_says_where_it_is_or_that_there_is_none() {
    let bench = Bench::start(CALM).await;
    let delete = || authorized(v1::JobDeleteRequest { app: APP.into(), name: "x".into() }, &bench.token);
    let status = bench.clients().job_delete(delete()).await.expect_err("nobody owns it");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "no_owner"));
    bench.directory_says(Some("10.0.0.7:7180"));
    let status = bench.clients().job_delete(delete()).await.expect_err("another owns it");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "not_owner"));
    assert!(detail(&status).remedy.contains("10.0.0.7:7180"));
}

fn spec(job: &str, trigger: v1::trigger::Kind) -> v1::JobSpec {
    v1::JobSpec {
        name: job.into(),
        handler: "greet".into(),
        trigger: Some(v1::Trigger { kind: Some(trigger) }),
        ..Default::default()
    }
}

fn api_only() -> v1::trigger::Kind {
    v1::trigger::Kind::Api(v1::ApiOnly {})
}

#[tokio::test]
async fn a_put_reaches_the_owner_and_its_results_come_back_in_order() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let shard = bench.shard();
    let request =
        v1::JobPutRequest { app: APP.into(), jobs: vec![spec("b", api_only()), spec("a", api_only())] };
    let mut client = bench.clients();
    let call = client.job_put(authorized(request, &bench.token));
    let answer = async {
        let Knock::Call(Call::JobPut(puts), reply) = owner.knock().await else { panic!("a put") };
        let names: Vec<_> = puts.iter().map(|put| put.name.as_str().to_owned()).collect();
        let done = puts.into_iter().map(|put| {
            let definition = put.definition.into();
            let job = Job { name: put.name, definition, ..job(shard, "x") };
            JobPutDone { change: Change::Created, job }
        });
        reply.send(Reply::Put(done.collect())).expect("it waits");
        names
    };
    let (reply, names) = tokio::join!(call, answer);
    assert_eq!(names, ["b", "a"]);
    let results = reply.expect("it is done").into_inner().results;
    let shown: Vec<_> =
        results.iter().map(|result| result.job.as_ref().and_then(|job| job.spec.as_ref())).collect();
    assert_eq!(shown.iter().flatten().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

#[tokio::test]
async fn a_bad_job_of_a_put_is_named_by_its_place_and_nothing_reaches_the_owner() {
    let bench = Bench::start(CALM).await;
    let owner = bench.own();
    let cron = v1::Cron { expression: "bogus".into(), ..Default::default() };
    let past = v1::trigger::Kind::At(v1::At { instants: vec![1] });
    let cases = [
        (spec("b", v1::trigger::Kind::Cron(cron)), "jobs[1].trigger.cron.expression"),
        (spec("a", api_only()), "jobs[1].name"),
        (spec("b", past), "jobs[1].trigger.at"),
    ];
    for (bad, field) in cases {
        let request = v1::JobPutRequest { app: APP.into(), jobs: vec![spec("a", api_only()), bad] };
        let status = bench.clients().job_put(authorized(request, &bench.token)).await.expect_err(field);
        assert_eq!((status.code(), &*detail(&status).field), (Code::InvalidArgument, field));
    }
    assert!(owner.queue.is_empty());
}

#[tokio::test]
async fn each_trigger_has_its_run_or_its_refusal_in_order() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let run = run(&job(bench.shard(), "a"), State::Scheduled);
    let fire =
        |job: &str| v1::TriggerSpec { job: job.into(), request_id: vec![1; 16].into(), ..Default::default() };
    let request = v1::TriggerRequest { app: APP.into(), triggers: vec![fire("a"), fire(""), fire("b")] };
    let mut client = bench.clients();
    let call = client.trigger(authorized(request, &bench.token));
    let answer = async {
        let Knock::Call(Call::Trigger(fires), reply) = owner.knock().await else { panic!("a trigger") };
        assert_eq!(fires.len(), 2);
        let missing = Refusal::new(RefusalKind::NotFound, "job_not_found", "there is no such job");
        reply
            .send(Reply::Triggered(vec![Ok(Triggered { run, existed: true }), Err(missing)]))
            .expect("it waits");
    };
    let (reply, ()) = tokio::join!(call, answer);
    let results = reply.expect("it is done").into_inner().results;
    use v1::trigger_result::Result::{Error, Run};
    assert!(matches!(&results[0].result, Some(Run(run)) if run.job == "a") && results[0].existed);
    assert!(matches!(&results[1].result, Some(Error(error)) if error.field == "triggers[1].job"));
    assert!(matches!(&results[2].result, Some(Error(error)) if error.code == "job_not_found"));
}

#[tokio::test]
async fn a_reply_to_many_triggers_of_large_params_fits_into_a_message() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let params = Payload::text("x".repeat(Payload::MAX_BYTES));
    let run = Run { params, ..run(&job(bench.shard(), "a"), State::Scheduled) };
    let fire = v1::TriggerSpec { job: "a".into(), request_id: vec![1; 16].into(), ..Default::default() };
    let request = v1::TriggerRequest { app: APP.into(), triggers: vec![fire; 1_000] };
    let mut client = bench.clients();
    let call = client.trigger(authorized(request, &bench.token));
    let answer = async {
        let Knock::Call(Call::Trigger(fires), reply) = owner.knock().await else { panic!("a trigger") };
        let done = fires.iter().map(|_| Ok(Triggered { run: run.clone(), existed: false })).collect();
        reply.send(Reply::Triggered(done)).expect("it waits");
    };
    let (reply, ()) = tokio::join!(call, answer);
    let results = reply.expect("it fits").into_inner().results;
    let whole = results.iter().filter(|result| match &result.result {
        Some(v1::trigger_result::Result::Run(run)) => run.params.is_some(),
        _ => false,
    });
    assert_eq!((results.len(), whole.count()), (1_000, 47));
}

#[tokio::test]
async fn an_owner_that_goes_before_it_answers_leaves_the_caller_with_a_remedy() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let delete = authorized(v1::JobDeleteRequest { app: APP.into(), name: "x".into() }, &bench.token);
    let mut client = bench.clients();
    let gone = async { drop(owner.knock().await) };
    let (reply, ()) = tokio::join!(client.job_delete(delete), gone);
    let status = reply.expect_err("it was not answered");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "owner_gone"));
    drop(owner);
    let delete = authorized(v1::JobDeleteRequest { app: APP.into(), name: "x".into() }, &bench.token);
    let status = client.job_delete(delete).await.expect_err("nobody is there");
    assert_eq!(detail(&status).code, "owner_gone_before");
}

/// Owns the shard in the store, so that the test can write its rows.
async fn claim(bench: &Bench) -> (ServerId, Epoch) {
    claim_at(bench, "127.0.0.1:1").await
}

/// As [`claim`], by a server that listens there.
async fn claim_at(bench: &Bench, address: &str) -> (ServerId, Epoch) {
    let id = ServerId::from_bytes([9; 16]);
    let (rpc_address, http_address) = (address.to_owned(), "127.0.0.1:2".to_owned());
    let at = SystemClock.now();
    let server = NewServer { id, rpc_address, http_address, version: "test".into(), at };
    bench.store.server_join(&server).await.expect("the store works");
    let seen = bench.store.owner_list().await.expect("the store works").remove(0);
    let won = bench.store.shards_claim(&[seen], id, at).await.expect("the store works");
    let (_, claimed) = won.into_iter().next().expect("it is free");
    (id, claimed.epoch)
}

async fn commit(bench: &Bench, (server, epoch): (ServerId, Epoch), rows: Rows) {
    let turn = Turn { shard: bench.shard(), server, epoch, rows: &rows, at: SystemClock.now() };
    let ends = bench.store.turns_commit(&[turn]).await.expect("the store works");
    assert_eq!(ends, [TurnEnd::Committed]);
}

fn job(shard: fastjob_core::id::ShardKey, job_name: &str) -> Job {
    Job {
        id: JobId::from_bytes([2; 16]),
        shard,
        name: name(job_name),
        revision: 1,
        definition: Definition {
            handler: name("greet"),
            trigger: Trigger::FixedRate { period_ms: 1_000, phase: None },
            params: Payload::default(),
            timing: Timing::default(),
            catch_up: CatchUp::default(),
            limits: Limits::default(),
            managed_by: ManagedBy::Code,
            source_version: None,
        }
        .into(),
        enabled: true,
        next_at: None,
        chain_seq: 0,
        created_at: Millis::new(500),
        updated_at: Millis::new(500),
        deleted_at: None,
    }
}

fn run(job: &Job, state: State) -> Run {
    Run {
        id: RunId::from_bytes([1; 16]),
        shard: job.shard,
        job: job.id,
        job_name: job.name.clone(),
        fire_key: FireKey::of_idempotency_key("order-42"),
        source: Source::Api,
        tick: None,
        jitter_ms: 0,
        due: Millis::new(10_000),
        revision: 1,
        handler: name("greet"),
        params: Payload::default(),
        limits: Limits::default().into(),
        state,
        attempt: 0,
        assignment: None,
        fail_count: 0,
        lost_count: 0,
        created_at: Millis::new(10_000),
        started_at: None,
        cancel: None,
        ended_at: None,
        result: None,
        error: None,
        idempotency_key: Some("order-42".into()),
        retry_of: None,
    }
}

fn ended(run: &Run) -> fastjob_core::shard::RunEnded {
    fastjob_core::shard::RunEnded {
        run: run.id,
        ended: Ended::Cancelled(CancelCause::Requested),
        ended_at: Millis::new(20_000),
        started_at: None,
        fail_count: 0,
        lost_count: 0,
        result: None,
        error: None,
    }
}

#[tokio::test]
async fn a_waiting_call_is_answered_when_the_run_s_end_is_committed() {
    let bench = Bench::start(CALM).await;
    let fence = claim(&bench).await;
    let job = job(bench.shard(), "greet");
    let run = run(&job, State::Scheduled);
    let rows = Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() };
    commit(&bench, fence, rows).await;
    let wait = |timeout_ms| {
        let request = v1::RunWaitRequest {
            app: APP.into(),
            id: run.id.as_bytes().to_vec().into(),
            timeout_ms,
            ..Default::default()
        };
        authorized(request, &bench.token)
    };
    let (mut client, mut second) = (bench.clients(), bench.clients());
    let present = client.run_wait(wait(0)).await.expect("it is there").into_inner();
    assert_eq!(present.state(), v1::RunState::Scheduled);
    let end = async {
        commit(&bench, fence, Rows { runs_ended: vec![ended(&run)], ..Rows::default() }).await;
        bench.waiters.ended(&[run.id]);
    };
    let (reply, ()) = patiently(async { tokio::join!(second.run_wait(wait(60_000)), end) }).await;
    let reply = reply.expect("it ended").into_inner();
    assert_eq!((reply.state(), &*reply.reason), (v1::RunState::Cancelled, "requested"));
    let again = patiently(client.run_wait(wait(60_000))).await.expect("it is over").into_inner();
    assert_eq!(again, reply);
}

#[tokio::test]
async fn a_run_is_found_by_its_id_its_key_and_in_the_ledger() {
    let bench = Bench::start(CALM).await;
    let fence = claim(&bench).await;
    let job = job(bench.shard(), "greet");
    let run = run(&job, State::Scheduled);
    let rows = Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() };
    commit(&bench, fence, rows).await;
    let mut client = bench.clients();
    let key = v1::JobKey { job: "greet".into(), idempotency_key: "order-42".into() };
    let id = run.id.as_bytes().to_vec();
    for by in [v1::run_get_request::By::Id(id.clone().into()), v1::run_get_request::By::Key(key)] {
        let request = v1::RunGetRequest { app: APP.into(), by: Some(by) };
        let found =
            client.run_get(authorized(request, &bench.token)).await.expect("it is there").into_inner();
        assert_eq!((found.id.to_vec(), &*found.idempotency_key), (id.clone(), "order-42"));
    }
    let ledger = v1::JobLedgerRequest {
        app: APP.into(),
        name: "greet".into(),
        from: 0,
        to: i64::MAX,
        limit: 1,
        ..Default::default()
    };
    let first =
        client.job_ledger(authorized(ledger.clone(), &bench.token)).await.expect("a page").into_inner();
    assert!(matches!(&first.entries[0].entry, Some(v1::ledger_entry::Entry::Run(run)) if run.id == id));
    assert!(!first.next.is_empty(), "the page is full");
    let rest = v1::JobLedgerRequest { page: first.next, ..ledger };
    let rest = client.job_ledger(authorized(rest, &bench.token)).await.expect("a page").into_inner();
    assert_eq!((rest.entries.len(), rest.next.len()), (0, 0));
}

#[tokio::test]
async fn the_coming_ticks_are_those_of_the_stored_definition() {
    let bench = Bench::start(CALM).await;
    let fence = claim(&bench).await;
    let job = job(bench.shard(), "greet");
    commit(&bench, fence, Rows { jobs_created: vec![job], ..Rows::default() }).await;
    let next =
        |name: &str| v1::JobNextRequest { app: APP.into(), name: name.into(), from: Some(5_000), count: 3 };
    let mut client = bench.clients();
    let reply = client.job_next(authorized(next("greet"), &bench.token)).await.expect("it is there");
    assert_eq!(reply.into_inner().ticks, [5_500, 6_500, 7_500]);
    let status = client.job_next(authorized(next("x"), &bench.token)).await.expect_err("there is none");
    assert_eq!((status.code(), &*detail(&status).code), (Code::NotFound, "job_not_found"));
}

#[tokio::test]
async fn a_job_whose_instants_are_past_may_be_put_again_as_it_is() {
    let bench = Bench::start(CALM).await;
    let fence = claim(&bench).await;
    let mut owner = bench.own();
    let past = job(bench.shard(), "greet");
    let definition = Definition { trigger: Trigger::At(vec![Millis::new(1)]), ..(*past.definition).clone() };
    let past = Job { definition: definition.into(), ..past };
    commit(&bench, fence, Rows { jobs_created: vec![past.clone()], ..Rows::default() }).await;
    let at = |instant| v1::trigger::Kind::At(v1::At { instants: vec![instant] });
    let put = |spec| authorized(v1::JobPutRequest { app: APP.into(), jobs: vec![spec] }, &bench.token);
    let mut client = bench.clients();
    let status =
        client.job_put(put(spec("greet", at(2)))).await.expect_err("it changes into one that never fires");
    assert_eq!((&*detail(&status).code, &*detail(&status).field), ("never_fires", "jobs[0].trigger.at"));
    let unchanged = async {
        let Knock::Call(Call::JobPut(_), reply) = owner.knock().await else { panic!("a put") };
        reply.send(Reply::Put(vec![JobPutDone { change: Change::Unchanged, job: past }])).expect("it waits");
    };
    let (reply, ()) = tokio::join!(client.job_put(put(spec("greet", at(1)))), unchanged);
    assert_eq!(
        reply.expect("it is as stored").into_inner().results[0].change(),
        v1::job_put_result::Change::Unchanged
    );
}
