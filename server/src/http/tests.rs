//! The pages, over a real loopback connection.

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// The answers to requests, each on a connection of its own, by a server that is then stopped.
async fn answers(readiness: Readiness, requests: &[&str]) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || metrics::gauge!("fastjob_shards_owned").set(3.0));
    let (_keep, ready) = watch::channel(readiness);
    let shutdown = CancellationToken::new();
    let state = HttpState { metrics: recorder.handle(), ready };
    let ask = async {
        let mut answers = Vec::new();
        for request in requests {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(format!("{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())
                .await
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answers.push(answer);
        }
        shutdown.cancel();
        answers
    };
    let (served, answers) = tokio::join!(serve(listener, state, shutdown.clone()), ask);
    served.unwrap();
    answers
}

#[tokio::test]
async fn a_ready_server_is_alive_ready_and_measured() {
    let answers = answers(Readiness::ready(), &["GET /healthz", "GET /readyz", "GET /metrics"]).await;
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n")), "{answers:?}");
    assert!(answers[0].ends_with("\r\n\r\n{\"status\":\"alive\"}\n"));
    assert!(answers[1].contains("\"status\":\"ready\""));
    assert!(answers[2].contains("\nfastjob_shards_owned 3"), "{}", answers[2]);
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_alive_and_says_why() {
    let answers = answers(Readiness::waiting("starting"), &["GET /healthz", "GET /readyz"]).await;
    assert!(answers[0].starts_with("HTTP/1.1 200"));
    assert!(answers[1].starts_with("HTTP/1.1 503"), "{}", answers[1]);
    assert!(answers[1].contains("{\"reasons\":[\"starting\"],\"status\":\"not_ready\"}"), "{}", answers[1]);
}

#[tokio::test]
async fn an_unknown_path_or_method_gets_a_problem_document_and_every_answer_is_secured() {
    let answers = answers(Readiness::ready(), &["GET /%22x?y=1", "POST /healthz", "GET /healthz"]).await;
    assert!(answers[0].starts_with("HTTP/1.1 404"), "{}", answers[0]);
    assert!(answers[0].contains("content-type: application/problem+json"));
    let body: serde_json::Value = serde_json::from_str(answers[0].split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["status"], &body["instance"]), (&json!(404), &json!("/%22x")));
    assert!(answers[1].starts_with("HTTP/1.1 405"), "{}", answers[1]);
    assert!(answers[1].contains("application/problem+json"));
    for answer in answers {
        assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_a_stopping_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_keep, ready) = watch::channel(Readiness::ready());
    let state = HttpState { metrics: PrometheusBuilder::new().build_recorder().handle(), ready };
    let shutdown = CancellationToken::new();
    let client = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        shutdown.cancel();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    };
    let (served, ()) = tokio::join!(serve(listener, state, shutdown.clone()), client);
    served.unwrap();
}
