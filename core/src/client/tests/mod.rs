//! What becomes of refusals, and of calls that nobody answers.

mod calls;
mod server;

use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};

use super::{Client, Error, ErrorKind, Job, Options, Run, RunState};
use crate::protocol::v1;

fn options(server: &str) -> Options {
    Options { call_timeout: Duration::from_millis(200), ..Options::new([server], "demo", "secret") }
}

#[test]
fn a_refusal_keeps_its_code_field_and_remedy_and_reads_as_one_line() {
    let detail = v1::ErrorDetail {
        code: "cron_invalid".to_owned(),
        message: "has 2 fields".to_owned(),
        field: "jobs[0].trigger.cron.expression".to_owned(),
        remedy: "give 6".to_owned(),
    };
    let status = Status::with_details(Code::InvalidArgument, "bad", detail.encode_to_vec().into());
    let error = Error::from(status);
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "cron_invalid"));
    assert_eq!(error.to_string(), "jobs[0].trigger.cron.expression: has 2 fields; give 6");
}

#[test]
fn a_refusal_without_details_has_the_kind_of_its_status() {
    for (code, kind) in [
        (Code::NotFound, ErrorKind::NotFound),
        (Code::AlreadyExists, ErrorKind::Conflict),
        (Code::Unauthenticated, ErrorKind::Unauthenticated),
        (Code::PermissionDenied, ErrorKind::NotPermitted),
        (Code::Unavailable, ErrorKind::Unavailable),
        (Code::DeadlineExceeded, ErrorKind::Timeout),
        (Code::Internal, ErrorKind::Internal),
    ] {
        let error = Error::from(Status::new(code, "so"));
        assert_eq!((error.kind, &*error.code, &*error.message), (kind, kind.code(), "so"));
    }
}

#[tokio::test]
async fn wrong_options_are_named() {
    for (options, field) in [
        (Options::new(Vec::<String>::new(), "demo", "secret"), "servers"),
        (Options::new(["no port"], "demo", "secret"), "servers"),
        (Options::new(["host"], "demo", "secret"), "servers"),
        (Options::new(["127.0.0.1:7180"], "demo", "line\nend"), "token"),
    ] {
        let error = Client::connect(options).await.expect_err("wrong");
        assert_eq!((error.kind, &*error.field), (ErrorKind::Invalid, field));
        assert!(!error.remedy.is_empty());
    }
}

#[tokio::test]
async fn the_token_is_not_shown() {
    let client = Client::connect(options("127.0.0.1:7180")).await.expect("good options");
    assert!(!format!("{client:?}").contains("secret"));
}

#[tokio::test]
async fn a_call_that_no_server_takes_is_given_up_within_its_time_and_says_where_it_went() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let client = Client::connect(options(&address)).await.expect("good options");
    let error = client.job_put(Job::named("a").handler("b")).await.expect_err("nobody listens");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.remedy.contains(&address), "{error}");
}

#[test]
fn a_run_in_an_unknown_state_or_without_an_id_is_not_guessed_at() {
    let run = v1::Run { id: vec![1; 16].into(), state: v1::RunState::Failed.into(), ..Default::default() };
    assert_eq!(Run::try_from(run.clone()).map(|run| run.state), Ok(RunState::Failed));
    assert!(Run::try_from(v1::Run { state: 99, ..run.clone() }).is_err());
    assert!(Run::try_from(v1::Run { id: vec![1; 3].into(), ..run }).is_err());
}

#[test]
fn a_builder_says_what_was_asked_and_leaves_the_rest_to_the_server() {
    let job = Job::named("a").handler("b").cron("0 0 3 * * ?").zone("Europe/Berlin");
    let spec = job.timeout(Duration::from_micros(1_500)).retries(2).into_spec();
    let Some(v1::trigger::Kind::Cron(cron)) = spec.trigger.and_then(|trigger| trigger.kind) else {
        panic!("not a cron trigger")
    };
    assert_eq!((&*cron.expression, &*cron.zone), ("0 0 3 * * ?", "Europe/Berlin"));
    assert_eq!((spec.attempt_timeout_ms, spec.enabled, spec.start_deadline_ms), (Some(2), None, None));
    assert_eq!(spec.retry.map(|retry| retry.retries), Some(2));
}
