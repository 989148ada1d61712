//! Two servers of one store: calls are handed on once, by the cluster key alone; what an owner out of reach would have
//! been asked goes into the inbox, if the inbox can take it.

use std::sync::Arc;

use fastjob_core::clock::SystemClock;
use fastjob_core::domain::{OutcomeKind, Payload, Refusal, RefusalKind, State};
use fastjob_core::id::{AttemptKey, Epoch, RequestId, RunId, ServerId, Token};
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::client_client::ClientClient;
use fastjob_core::protocol::v1::peer_client::PeerClient;
use fastjob_core::protocol::v1::trigger_result::Result as Fired;
use fastjob_core::protocol::v1::worker_client::WorkerClient;
use fastjob_core::shard::{Call, Reply, Rows, Triggered, Verdict, WorkerReport};
use fastjob_server::api::auth::Auth;
use fastjob_server::api::{Api, Parts};
use fastjob_server::cluster::directory::{Directory, Owner};
use fastjob_server::cluster::key::ClusterKey;
use fastjob_server::cluster::peers::Peers;
use fastjob_server::owner::door::{Door, Doors, Knock};
use fastjob_server::owner::waiters::Waiters;
use fastjob_server::rpc;
use fastjob_server::store::InboxRow;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::bench::{Bench, CALM, authorized, detail, patiently};
use super::{APP, claim, commit, job, run};

/// A server that shares the bench's store.
struct Node {
    doors: Doors,
    directory: Directory,
    inbox: Arc<Notify>,
    address: String,
    channel: Channel,
    _serving: JoinSet<()>,
}

impl Node {
    async fn start(bench: &Bench, key: Option<&[u8]>) -> Self {
        let clock: Arc<SystemClock> = Arc::new(SystemClock);
        let auth = Auth::new(bench.store.clone(), clock.clone());
        auth.refresh().await.expect("the store works");
        let (doors, directory, inbox) = (Doors::default(), Directory::default(), Arc::new(Notify::new()));
        let api = Api::new(Parts {
            store: bench.store.clone(),
            doors: doors.clone(),
            directory: directory.clone(),
            trust: bench.trust.clone(),
            waiters: Waiters::default(),
            auth,
            clock: clock.clone(),
            server: ServerId::from_bytes([8; 16]),
            shards_changed: Arc::new(Notify::new()),
            peers: Peers::new(key.map(ClusterKey::of), clock),
            inbox: inbox.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let mut serving = JoinSet::new();
        let stop = CancellationToken::new();
        serving.spawn(async move { rpc::serve(listener, api, CALM, stop).await.expect("it listens") });
        let channel = Channel::from_shared(format!("http://{address}")).expect("an address");
        let channel = channel.connect().await.expect("the server listens");
        Self { doors, directory, inbox, address, channel, _serving: serving }
    }

    fn owns(&self, bench: &Bench) -> mpsc::Receiver<Knock> {
        let (door, queue) = Door::new(bench.shard(), Epoch(7));
        self.doors.insert(door);
        queue
    }

    /// What this server thinks of the shard's owner.
    fn thinks(&self, bench: &Bench, owner: &str) {
        let owner = Owner { address: Some(owner.into()), ..Owner::nobody(bench.shard()) };
        self.directory.fill(vec![owner], vec![self.address.clone()]);
    }

    fn clients(&self) -> ClientClient<Channel> {
        ClientClient::new(self.channel.clone())
    }
}

/// Answers one call as the owner.
async fn answer(queue: &mut mpsc::Receiver<Knock>, reply: impl FnOnce(&Call) -> Reply) -> Call {
    match patiently(queue.recv()).await.expect("the door is open") {
        Knock::Call(call, caller) => {
            caller.send(reply(&call)).expect("it waits");
            call
        }
        other => panic!("not a call: {other:?}"),
    }
}

const KEY: Option<&[u8]> = Some(b"the key of this cluster");

fn delete(bench: &Bench) -> Request<v1::JobDeleteRequest> {
    authorized(v1::JobDeleteRequest { app: APP.into(), name: "greet".into() }, &bench.token)
}

fn triggers(bench: &Bench, specs: Vec<v1::TriggerSpec>) -> Request<v1::TriggerRequest> {
    authorized(v1::TriggerRequest { app: APP.into(), triggers: specs }, &bench.token)
}

fn of(job: &str, request: u8) -> v1::TriggerSpec {
    v1::TriggerSpec { job: job.into(), request_id: vec![request; 16].into(), ..Default::default() }
}

/// Where nobody listens: the port was free a moment ago.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

async fn waiting(bench: &Bench, server: ServerId) -> Vec<InboxRow> {
    bench.store.inbox_read(server, 100).await.expect("the store works")
}

#[tokio::test]
async fn a_call_for_another_server_is_handed_on_and_its_answer_comes_back_whole() {
    let bench = Bench::start(CALM).await;
    let (first, second) = (Node::start(&bench, KEY).await, Node::start(&bench, KEY).await);
    let mut queue = second.owns(&bench);
    first.thinks(&bench, &second.address);
    let refusal = Refusal::new(RefusalKind::Conflict, "some_conflict", "it cannot be");
    let refusal = Refusal { field: "name".into(), ..refusal }.remedy("do something else");
    let mut client = first.clients();
    let (status, _) = tokio::join!(
        client.job_delete(delete(&bench)),
        answer(&mut queue, |_| Reply::Refused(refusal.clone()))
    );
    let status = status.expect_err("the owner refused it");
    assert_eq!((status.code(), detail(&status)), (Code::FailedPrecondition, refusal_detail(&refusal)));
    let stored = run(&job(bench.shard(), "greet"), State::Scheduled);
    let fired = Triggered { run: stored.clone(), existed: true };
    let reply = |_: &Call| Reply::Triggered(vec![Ok(fired), Err(refusal.clone())]);
    let sent = v1::TriggerSpec { idempotency_key: "order-42".into(), manual: true, ..of("greet", 1) };
    let call = triggers(&bench, vec![sent, of("other", 2)]);
    let (results, call) = tokio::join!(client.trigger(call), answer(&mut queue, reply));
    let Call::Trigger(fires) = call else { panic!("{call:?}") };
    assert_eq!(fires[0].idempotency_key.as_deref(), Some("order-42"));
    let results = results.expect("it was answered").into_inner().results;
    let Some(Fired::Run(shown)) = &results[0].result else { panic!("{results:?}") };
    assert_eq!((&*shown.id, results[0].existed), (&stored.id.as_bytes()[..], true));
    assert_eq!(results[1].result, Some(Fired::Error(refusal_detail(&refusal))));
}

fn refusal_detail(refusal: &Refusal) -> v1::ErrorDetail {
    fastjob_core::protocol::refusal::detail(refusal)
}

#[tokio::test]
async fn a_call_that_was_handed_on_is_not_handed_on_again() {
    let bench = Bench::start(CALM).await;
    let (first, second) = (Node::start(&bench, KEY).await, Node::start(&bench, KEY).await);
    first.thinks(&bench, &second.address);
    second.thinks(&bench, &first.address);
    let status = patiently(first.clients().job_delete(delete(&bench))).await.expect_err("nobody owns it");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "no_owner"));
}

#[tokio::test]
async fn a_directory_that_is_wrong_is_put_right_by_the_store_in_the_same_call() {
    let bench = Bench::start(CALM).await;
    let (first, second) = (Node::start(&bench, KEY).await, Node::start(&bench, KEY).await);
    let third = Node::start(&bench, KEY).await;
    let mut queue = third.owns(&bench);
    super::claim_at(&bench, &third.address).await;
    for stale in [Some(&second.address), None] {
        match stale {
            Some(stale) => first.thinks(&bench, stale),
            None => first.directory.fill(vec![], vec![first.address.clone()]),
        }
        let mut client = first.clients();
        let (reply, _) =
            tokio::join!(client.job_delete(delete(&bench)), answer(&mut queue, |_| Reply::Deleted));
        reply.expect("the owner was found");
    }
}

#[tokio::test]
async fn only_the_cluster_key_opens_the_door_between_servers() {
    let bench = Bench::start(CALM).await;
    let other: Option<&[u8]> = Some(b"the key of another cluster");
    let (first, second) = (Node::start(&bench, other).await, Node::start(&bench, KEY).await);
    let _queue = second.owns(&bench);
    first.thinks(&bench, &second.address);
    let status = first.clients().job_delete(delete(&bench)).await.expect_err("its key is refused");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "owner_unreachable"));
    assert!(detail(&status).message.contains("cluster key"), "{status:?}");
    let keyless = Node::start(&bench, None).await;
    for node in [&second, &keyless] {
        let mut peer = PeerClient::new(node.channel.clone());
        for request in [
            Request::new(v1::NudgeRequest { kinds: vec![] }),
            authorized(v1::NudgeRequest { kinds: vec![] }, &bench.admin),
        ] {
            let status = peer.nudge(request).await.expect_err("it is no server's");
            assert_eq!(status.code(), Code::Unauthenticated);
        }
        let forward = authorized(v1::ForwardRequest::default(), &bench.token);
        assert_eq!(peer.forward(forward).await.expect_err("it is no server's").code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn a_nudge_of_another_server_wakes_the_reader_of_the_inbox() {
    let bench = Bench::start(CALM).await;
    let node = Node::start(&bench, KEY).await;
    let peers = Peers::new(KEY.map(ClusterKey::of), Arc::new(SystemClock));
    peers.nudge(&node.address, &[v1::NudgeKind::Inbox]).await;
    patiently(node.inbox.notified()).await;
}

#[tokio::test]
async fn triggers_whose_owner_is_out_of_reach_are_accepted_by_the_inbox_once_each() {
    let bench = Bench::start(CALM).await;
    let node = Node::start(&bench, KEY).await;
    let fence = claim(&bench).await;
    let job = job(bench.shard(), "greet");
    let stored = run(&job, State::Scheduled);
    let rows = Rows { jobs_created: vec![job], runs_created: vec![stored.clone()], ..Rows::default() };
    commit(&bench, fence, rows).await;
    node.thinks(&bench, &nowhere().await);
    let known = v1::TriggerSpec { idempotency_key: "order-42".into(), ..of("greet", 3) };
    let conflict =
        v1::TriggerSpec { params: Some(v1::Payload { encoding: 1, data: "other".into() }), ..known.clone() };
    let specs = vec![of("greet", 1), of("nobody", 2), known, conflict];
    for _ in 0..2 {
        let reply = patiently(node.clients().trigger(triggers(&bench, specs.clone()))).await;
        let results = reply.expect("the inbox takes it").into_inner().results;
        assert_eq!(results[0].result, Some(Fired::Accepted(vec![1; 16].into())));
        let Some(Fired::Error(unknown)) = &results[1].result else { panic!("{results:?}") };
        assert_eq!(unknown.code, "job_not_found");
        let Some(Fired::Run(earlier)) = &results[2].result else { panic!("{results:?}") };
        assert_eq!((&*earlier.id, results[2].existed), (&stored.id.as_bytes()[..], true));
        let Some(Fired::Error(conflict)) = &results[3].result else { panic!("{results:?}") };
        assert_eq!(conflict.code, "idempotency_conflict");
    }
    let rows = waiting(&bench, fence.0).await;
    assert_eq!((rows.len(), &*rows[0].kind, &*rows[0].name), (1, "call", "greet"));
    patiently(node.inbox.notified()).await;
}

#[tokio::test]
async fn an_edit_whose_owner_is_out_of_reach_is_refused_with_its_address() {
    let bench = Bench::start(CALM).await;
    let node = Node::start(&bench, KEY).await;
    let address = nowhere().await;
    node.thinks(&bench, &address);
    let status = patiently(node.clients().job_delete(delete(&bench))).await.expect_err("nobody listens");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "owner_unreachable"));
    assert!(detail(&status).remedy.contains(&address), "{status:?}");
}

fn reported(run: RunId) -> v1::ReportRequest {
    let key = |attempt| v1::AttemptKey { shard: 0, run: run.as_bytes().to_vec().into(), attempt, token: 5 };
    let outcome =
        v1::Outcome { key: Some(key(1)), kind: v1::OutcomeKind::Succeeded.into(), ..Default::default() };
    v1::ReportRequest {
        app: APP.into(),
        session: vec![4; 16].into(),
        outcomes: vec![outcome],
        beat: Some(v1::Beat { ping: 0, life: 9 }),
        running: vec![key(2)],
    }
}

#[tokio::test]
async fn a_report_reaches_the_owner_wherever_it_is_and_brings_its_verdict_back() {
    let bench = Bench::start(CALM).await;
    let (first, second) = (Node::start(&bench, KEY).await, Node::start(&bench, KEY).await);
    let mut queue = second.owns(&bench);
    first.thinks(&bench, &second.address);
    let run = RunId::from_bytes([1; 16]);
    let key = |attempt| AttemptKey { run, attempt, token: Token(5) };
    for node in [&first, &second] {
        let mut worker = WorkerClient::new(node.channel.clone());
        let request = authorized(reported(run), &bench.token);
        let verdict = |_: &Call| Reply::Reported(vec![(key(1), Verdict::Late)]);
        let (reply, call) = tokio::join!(worker.report(request), answer(&mut queue, verdict));
        let reply = reply.expect("it is well formed").into_inner();
        assert_eq!((reply.acks[0].verdict(), &*reply.reached), (v1::Verdict::Late, &[0][..]));
        let Call::Report(WorkerReport { life, running, outcomes, .. }) = call else { panic!("{call:?}") };
        assert_eq!((life, running), (Some(9), vec![key(2)]));
        assert_eq!(
            (outcomes[0].key, &outcomes[0].kind),
            (key(1), &OutcomeKind::Succeeded(Payload::default()))
        );
    }
}

#[tokio::test]
async fn outcomes_whose_owner_is_out_of_reach_are_stored_and_those_without_a_run_are_not() {
    let bench = Bench::start(CALM).await;
    let node = Node::start(&bench, KEY).await;
    let fence = claim(&bench).await;
    let job = job(bench.shard(), "greet");
    let stored = run(&job, State::Scheduled);
    let rows = Rows { jobs_created: vec![job], runs_created: vec![stored.clone()], ..Rows::default() };
    commit(&bench, fence, rows).await;
    node.thinks(&bench, &nowhere().await);
    let mut request = reported(stored.id);
    request.outcomes.extend(reported(RunId::from_bytes([6; 16])).outcomes);
    for _ in 0..2 {
        let mut worker = WorkerClient::new(node.channel.clone());
        let reply = patiently(worker.report(authorized(request.clone(), &bench.token))).await;
        let reply = reply.expect("it is well formed").into_inner();
        let verdicts: Vec<_> = reply.acks.iter().map(|ack| ack.verdict()).collect();
        assert_eq!(verdicts, [v1::Verdict::Stored, v1::Verdict::Unknown]);
        assert!(reply.reached.is_empty());
    }
    let rows = waiting(&bench, fence.0).await;
    assert_eq!((rows.len(), &*rows[0].kind, rows[0].run), (1, "outcome", Some(stored.id)));
}

#[tokio::test]
async fn a_report_that_cannot_be_right_is_refused_by_field() {
    let bench = Bench::start(CALM).await;
    let node = Node::start(&bench, KEY).await;
    let strange = v1::AttemptKey { shard: 1, ..reported(RunId::from_bytes([1; 16])).running.remove(0) };
    let good = || reported(RunId::from_bytes([1; 16]));
    let cases = [
        ("session", v1::ReportRequest { session: vec![1].into(), ..good() }),
        ("outcomes", v1::ReportRequest { outcomes: vec![Default::default(); 1_001], ..good() }),
        ("outcomes[0].key", v1::ReportRequest { outcomes: vec![Default::default()], ..good() }),
        ("running[0].run", v1::ReportRequest { running: vec![Default::default()], ..good() }),
        ("key.shard", v1::ReportRequest { running: vec![strange], ..good() }),
    ];
    for (field, request) in cases {
        let mut worker = WorkerClient::new(node.channel.clone());
        let status = worker.report(authorized(request, &bench.token)).await.expect_err(field);
        assert_eq!((status.code(), &*detail(&status).field), (Code::InvalidArgument, field));
    }
}

#[tokio::test]
async fn a_run_that_is_yet_to_be_made_can_be_waited_for_by_its_request() {
    let bench = Bench::start(CALM).await;
    let node = Node::start(&bench, KEY).await;
    let fence = claim(&bench).await;
    let job = job(bench.shard(), "greet");
    let request = RequestId::from_bytes([3; 16]);
    let made = fastjob_core::domain::Run {
        fire_key: fastjob_core::domain::FireKey::Request(request),
        idempotency_key: None,
        ..run(&job, State::Scheduled)
    };
    let wait = |timeout_ms| {
        let named = v1::JobRequest { job: "greet".into(), request_id: vec![3; 16].into() };
        let request =
            v1::RunWaitRequest { app: APP.into(), request: Some(named), timeout_ms, ..Default::default() };
        authorized(request, &bench.token)
    };
    let status = node.clients().run_wait(wait(0)).await.expect_err("there is none yet");
    assert_eq!((status.code(), &*detail(&status).code), (Code::NotFound, "run_not_found"));
    let mut client = node.clients();
    let come = async {
        commit(
            &bench,
            fence,
            Rows { jobs_created: vec![job], runs_created: vec![made.clone()], ..Rows::default() },
        )
        .await;
        commit(&bench, fence, Rows { runs_ended: vec![super::ended(&made)], ..Rows::default() }).await;
    };
    let (reply, ()) = patiently(async { tokio::join!(client.run_wait(wait(60_000)), come) }).await;
    let reply = reply.expect("it ended").into_inner();
    assert_eq!((&*reply.id, reply.state()), (&made.id.as_bytes()[..], v1::RunState::Cancelled));
}
