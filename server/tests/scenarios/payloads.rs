//! Parameters and results come back as they were given, whatever they are.

use bytes::Bytes;
use fastjob_core::client::{Job, RunState, Trigger};
use fastjob_core::domain::{Encoding, Payload};
use fastjob_core::worker::Context;
use serde_json::{Value, json};

use super::stage::{Stage, end};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_json_and_binary_payloads_make_the_round_trip() {
    let stage = Stage::open().await;
    let _worker = stage
        .worker(|builder| builder.handler("echo", async |ctx: Context| Ok(ctx.params().payload().clone())))
        .await;
    stage.put(Job::named("echo").handler("echo")).await;
    let binary = |data: &'static [u8]| Payload { encoding: Encoding::Binary, data: Bytes::from_static(data) };
    let table: [(Payload, Value); 7] = [
        (Payload::text("grüße, 世界\n"), json!("grüße, 世界\n")),
        (Payload::text(""), json!("")),
        (Payload::json(r#"{"a":[1,null,"b"],"c":1.5}"#), json!({"a": [1, null, "b"], "c": 1.5})),
        (Payload::json("null"), Value::Null),
        (Payload::default(), Value::Null),
        (binary(b"\x00\xff\xfe\x80"), json!({"base64": "AP/+gA=="})),
        (binary(b""), json!({"base64": ""})),
    ];
    for (payload, shown) in table {
        let run = stage.fire_by(Trigger::of("echo").params(payload.clone())).await;
        let run = stage.ended(run).await;
        assert_eq!(end(&run), (RunState::Succeeded, ""));
        assert_eq!(run.result, Some(payload));
        let id = run.id.to_string();
        let line = stage.one(&["run", "get", &id]);
        assert_eq!((&line["params"], &line["result"]), (&shown, &shown));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_of_64_kib_passes_and_one_byte_more_is_refused_by_name() {
    let stage = Stage::open().await;
    let _worker = stage
        .worker(|builder| builder.handler("echo", async |ctx: Context| Ok(ctx.params().payload().clone())))
        .await;
    let full = "x".repeat(Payload::MAX_BYTES);
    stage.put(Job::named("echo").handler("echo").params_text(&full)).await;
    let run = stage.fire("echo").await;
    let run = stage.ended(run).await;
    assert_eq!(end(&run), (RunState::Succeeded, ""));
    assert_eq!(run.result.expect("it has a result").data, full);

    let more = format!("{full}x");
    let put = stage.client.job_put(Job::named("more").handler("echo").params_text(&more)).await;
    let error = put.expect_err("one byte too many");
    assert!(error.field.ends_with("params"), "{error:?}");
    assert!(!error.remedy.is_empty());
    let fired = stage.client.trigger(Trigger::of("echo").params_text(&more)).await;
    let error = fired.expect_err("one byte too many");
    assert!(error.field.ends_with("params"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_over_64_kib_fails_its_run_with_the_reason() {
    let stage = Stage::open().await;
    let _worker = stage
        .worker(|builder| builder.handler("much", async |_: Context| Ok("x".repeat(Payload::MAX_BYTES + 1))))
        .await;
    stage.put(Job::named("much").handler("much")).await;
    let run = stage.fire("much").await;
    let run = stage.ended(run).await;
    assert_eq!(end(&run), (RunState::Failed, "error"));
    let error = run.error.expect("it has an error");
    assert!(error.message.contains("65536") || error.message.contains("64 KiB"), "{error:?}");
}
