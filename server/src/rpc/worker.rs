//! What a worker calls.

use std::collections::HashMap;
use std::sync::Arc;

use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::worker_server::Worker;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::session::Session;
use super::{Pace, answer, caller, client, of_app, refused};
use crate::api::Api;
use crate::api::auth::Caller;
use fastjob_core::id::TokenId;

/// The most streams of one token; an app has at most two that are valid.
const MAX_STREAMS_PER_TOKEN: usize = 5_000;
/// Frames that wait for the connection of a worker.
const MAX_FRAMES_OUT: usize = 16;

/// The service `Worker`.
pub(super) struct WorkerDoor {
    api: Api,
    pace: Pace,
    tasks: TaskTracker,
    stopping: CancellationToken,
    streams: Streams,
}

impl WorkerDoor {
    pub(super) fn new(api: Api, pace: Pace, tasks: TaskTracker, stopping: CancellationToken) -> Self {
        Self { api, pace, tasks, stopping, streams: Streams::default() }
    }
}

#[tonic::async_trait]
impl Worker for WorkerDoor {
    async fn locate(&self, request: Request<v1::LocateRequest>) -> Result<Response<v1::LocateReply>, Status> {
        let (by, _) = of_app(&self.api, request, |message| &message.app).await?;
        self.api.must_trust_itself().map_err(refused)?;
        let shards = self.api.locate(&by).into_iter().map(client::owner).collect();
        answer(v1::LocateReply { shards, servers: self.api.servers_up(&by) })
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Result<Response<v1::ReportReply>, Status> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        answer(self.api.report(&by, message).await.map_err(refused)?)
    }

    type SessionStream = ReceiverStream<Result<v1::ServerFrame, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let caller = caller(&self.api, &request).await.map_err(refused)?;
        let place = self.streams.place(&caller).map_err(refused)?;
        let (out, frames) = mpsc::channel(MAX_FRAMES_OUT);
        let session = Session {
            api: self.api.clone(),
            pace: self.pace,
            caller,
            inbound: request.into_inner(),
            out,
            stopping: self.stopping.clone(),
        };
        self.tasks.spawn(async move {
            session.run().await;
            drop(place);
        });
        answer(ReceiverStream::new(frames))
    }
}

/// How many streams each token has, so that one app's workers cannot take the server from the others.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<HashMap<TokenId, usize>>>);

struct Place {
    streams: Streams,
    token: TokenId,
}

impl Streams {
    fn place(&self, caller: &Caller) -> Result<Place, Refusal> {
        let token = caller.token();
        let mut by_token = self.0.lock();
        let count = by_token.entry(token).or_default();
        if *count >= MAX_STREAMS_PER_TOKEN {
            let message = format!("this server has {MAX_STREAMS_PER_TOKEN} streams of the token");
            return Err(Refusal::new(RefusalKind::Unavailable, "too_many_streams", message)
                .remedy("run fewer workers with more slots each"));
        }
        *count += 1;
        Ok(Place { streams: self.clone(), token })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_token = self.streams.0.lock();
        if let Some(count) = by_token.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                by_token.remove(&self.token);
            }
        }
    }
}
