//! The far end of the floor's stream: calls a handler that does nothing for each dispatch, and answers frame by frame.

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::server_message::Message as FromServer;
use fastjob_core::protocol::v1::worker_client::WorkerClient;
use fastjob_core::protocol::v1::worker_message::Message as ToServer;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Frames that may wait for the connection.
const FRAMES: usize = 64;

/// Where the other end is.
#[derive(Args)]
pub(crate) struct Options {
    /// "http://host:port" of the floor.
    #[arg(long)]
    server: String,
}

/// Answers until the stream ends.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut client = WorkerClient::connect(options.server).await.context("failed to reach the floor")?;
    let (frames, outgoing) = mpsc::channel(FRAMES);
    let hello = v1::Hello { app: "bench".to_owned(), slots: 1, protocol: 1, ..Default::default() };
    frames.send(frame(vec![ToServer::Hello(hello)])).await?;
    let mut incoming = client.session(ReceiverStream::new(outgoing)).await?.into_inner();
    while let Some(frame) = incoming.next().await {
        let answer = answer(frame?).await;
        if !answer.messages.is_empty() && frames.send(answer).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn answer(received: v1::ServerFrame) -> v1::WorkerFrame {
    let mut messages = Vec::with_capacity(received.messages.len() + 1);
    for message in received.messages {
        match message.message {
            Some(FromServer::Dispatch(dispatch)) => {
                let started_at = SystemClock.now().get();
                handler(dispatch.params).await;
                messages.push(ToServer::Outcome(v1::Outcome {
                    key: dispatch.key,
                    kind: v1::OutcomeKind::Succeeded.into(),
                    started_at,
                    ended_at: SystemClock.now().get(),
                    ..Default::default()
                }));
            }
            Some(FromServer::Ping(ping)) => {
                messages.push(ToServer::Beat(v1::Beat { ping: ping.ordinal, life: 1 }));
            }
            _ => {}
        }
    }
    let outcomes = messages.iter().filter(|message| matches!(message, ToServer::Outcome(_))).count();
    if let Some(add) = u32::try_from(outcomes).ok().filter(|add| *add > 0) {
        messages.push(ToServer::Credit(v1::Credit { shard: 0, add }));
    }
    frame(messages)
}

/// Does nothing, in a way that is not optimised away.
async fn handler(params: Option<v1::Payload>) -> Option<Bytes> {
    std::hint::black_box(params.map(|params| params.data))
}

fn frame(messages: Vec<ToServer>) -> v1::WorkerFrame {
    let messages = messages.into_iter().map(|message| v1::WorkerMessage { message: Some(message) }).collect();
    v1::WorkerFrame { messages }
}
