//! Calls against servers that the test plays: where they go, when they are made again, and what refusals become.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prost::Message;
use tonic::Code;

use super::server::{Answer, Directory, Server, answer, refuse};
use crate::client::{Client, ErrorKind, Options, Trigger};
use crate::domain;
use crate::protocol::v1;

type Shared = Arc<Mutex<Directory>>;

fn fired(_: &str, request: bytes::Bytes) -> Answer {
    let triggers = v1::TriggerRequest::decode(request).expect("a trigger").triggers;
    let run =
        || v1::Run { id: vec![1; 16].into(), state: v1::RunState::Scheduled.into(), ..Default::default() };
    let result =
        |_| v1::TriggerResult { result: Some(v1::trigger_result::Result::Run(run())), existed: false };
    answer(&v1::TriggerReply { results: triggers.into_iter().map(result).collect() })
}

fn deleted(_: &str, _: bytes::Bytes) -> Answer {
    answer(&v1::JobDeleteReply {})
}

fn request_ids(server: &Server) -> Vec<bytes::Bytes> {
    let calls = server.calls.lock();
    let triggers = calls.iter().map(|(_, call)| v1::TriggerRequest::decode(call.clone()).expect("a trigger"));
    triggers.map(|call| call.triggers[0].request_id.clone()).collect()
}

/// A job of this shard among three.
fn job_of(shard: u16) -> String {
    (0..).map(|n| format!("job-{n}")).find(|job| domain::shard_of(job, 3) == shard).expect("some job has it")
}

#[tokio::test]
async fn a_call_goes_to_the_owner_of_its_job_s_shard() {
    let directory = Shared::default();
    let mut owners = Vec::new();
    for _ in 0..3 {
        owners.push(Server::start(&directory, deleted).await);
    }
    directory.lock().owners = owners.iter().map(|owner| owner.address.clone()).collect();
    let client = owners[0].client().await;
    for shard in 0..3 {
        client.job_delete(&job_of(shard)).await.expect("it is deleted");
        let raw = v1::JobDeleteRequest { name: job_of(shard), ..Default::default() }.encode_to_vec();
        client.call_raw("JobDelete", raw.into(), Duration::from_secs(10)).await.expect("it is deleted");
    }
    for (shard, owner) in (0..).zip(&owners) {
        let calls = owner.calls.lock();
        let names: Vec<_> = calls
            .iter()
            .map(|(_, call)| v1::JobDeleteRequest::decode(call.clone()).expect("a delete").name)
            .collect();
        assert_eq!(names, [job_of(shard), job_of(shard)]);
    }
}

#[tokio::test]
async fn a_call_follows_the_owner_with_the_same_request_id() {
    let directory = Shared::default();
    let new = Server::start(&directory, fired).await;
    let (to, moved) = (new.address.clone(), directory.clone());
    let old = Server::start(&directory, move |_, _| {
        moved.lock().owners = vec![to.clone()];
        refuse(Code::Unavailable, "not_owner")
    })
    .await;
    directory.lock().owners = vec![old.address.clone()];
    let client = old.client().await;
    client.trigger(Trigger::of("a")).await.expect("the new owner takes it");
    assert_eq!((old.count(), new.count()), (1, 1));
    assert_eq!(request_ids(&old), request_ids(&new));
    client.trigger(Trigger::of("a")).await.expect("the new owner takes it");
    assert_eq!((old.count(), new.count()), (1, 2));
}

#[tokio::test]
async fn while_the_shard_has_no_owner_the_call_is_made_again_until_one_has_claimed_it() {
    let directory = Shared::default();
    let claimed = directory.clone();
    let server = Server::start(&directory, move |method, request| {
        if claimed.lock().owners[0].is_empty() {
            return refuse(Code::Unavailable, "no_owner");
        }
        fired(method, request)
    })
    .await;
    directory.lock().owners = vec![String::new()];
    let client = server.client().await;
    let claim = async {
        while server.count() < 3 {
            tokio::task::yield_now().await;
        }
        directory.lock().owners = vec![server.address.clone()];
    };
    let (called, ()) = tokio::join!(client.trigger(Trigger::of("a")), claim);
    called.expect("it is taken");
    let ids = request_ids(&server);
    assert!(ids.iter().all(|id| *id == ids[0] && id.len() == 16));
}

#[tokio::test]
async fn a_refusal_for_good_is_not_tried_again_and_keeps_its_kind_and_code() {
    let cases = [
        (Code::InvalidArgument, ErrorKind::Invalid),
        (Code::NotFound, ErrorKind::NotFound),
        (Code::FailedPrecondition, ErrorKind::Conflict),
        (Code::Unauthenticated, ErrorKind::Unauthenticated),
        (Code::PermissionDenied, ErrorKind::NotPermitted),
        (Code::Internal, ErrorKind::Internal),
    ];
    for (status, kind) in cases {
        let directory = Shared::default();
        let server = Server::start(&directory, move |_, _| refuse(status, "some_code")).await;
        directory.lock().owners = vec![server.address.clone()];
        let client = server.client().await;
        let error = client.job_get("a").await.expect_err("refused");
        assert_eq!((error.kind, &*error.code, server.count()), (kind, "some_code", 1));
    }
}

#[tokio::test]
async fn a_refusal_that_lasts_is_told_as_the_server_said_it() {
    let directory = Shared::default();
    let server = Server::start(&directory, |_, _| refuse(Code::Unavailable, "no_owner")).await;
    directory.lock().owners = vec![server.address.clone()];
    let options = Options {
        call_timeout: Duration::from_millis(400),
        ..Options::new([server.address.clone()], "demo", "secret")
    };
    let client = Client::connect(options).await.expect("good options");
    let error = client.job_get("a").await.expect_err("refused");
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "no_owner"));
    assert!(server.count() > 1);
}

#[tokio::test]
async fn a_server_that_was_learned_answers_when_the_seed_is_gone() {
    let directory = Shared::default();
    let seed = Server::start(&directory, deleted).await;
    let other = Server::start(&directory, deleted).await;
    directory.lock().owners = vec![seed.address.clone()];
    let client = seed.client().await;
    client.job_delete("a").await.expect("the seed takes it");
    seed.end().await;
    directory.lock().owners = vec![other.address.clone()];
    client.job_delete("a").await.expect("the other one takes it");
    assert_eq!(other.count(), 1);
}

#[tokio::test]
async fn a_call_to_an_owner_that_stands_still_goes_to_the_one_that_replaced_it() {
    let directory = Shared::default();
    let still = Server::start(&directory, |_, _| Answer::Never).await;
    let next = Server::start(&directory, fired).await;
    directory.lock().owners = vec![still.address.clone()];
    let client = still.client().await;
    let replace = async {
        while still.count() == 0 {
            tokio::task::yield_now().await;
        }
        directory.lock().owners = vec![next.address.clone()];
    };
    let (called, ()) = tokio::join!(client.trigger(Trigger::of("a")), replace);
    called.expect("the next owner takes it");
    assert_eq!(request_ids(&still), request_ids(&next));
}

#[tokio::test]
async fn a_call_that_reaches_no_server_names_each_address_and_why() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = unused.local_addr().expect("it is bound").to_string();
    drop(unused);
    let seeds = [closed.clone(), "no-such-host.invalid:7180".to_owned()];
    let options =
        Options { call_timeout: Duration::from_secs(2), ..Options::new(seeds.clone(), "demo", "secret") };
    let client = Client::connect(options).await.expect("good options");
    let error = client.job_get("a").await.expect_err("nobody is there");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    for seed in &seeds {
        assert!(error.message.contains(&format!("{seed} (")), "{error}");
    }
    assert!(error.message.contains("onnection refused"), "{error}");
}
