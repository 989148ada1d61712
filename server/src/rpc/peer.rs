//! What servers ask each other. The cluster key is their only permission: what a forwarded call may do was checked where
//! it came in.

use std::sync::Arc;

use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::protocol::v1::peer_server::Peer;
use fastjob_core::protocol::{field, v1};
use tonic::{Request, Response, Status};

use super::{answer, refused};
use crate::api::{Api, Room};
use crate::cluster::peers::Seldom;

/// The service `Peer`.
pub(super) struct PeerDoor {
    api: Api,
    told: Arc<Seldom>,
}

impl PeerDoor {
    pub(super) fn new(api: Api) -> Self {
        Self { api, told: Arc::default() }
    }

    /// A call of another server of this cluster.
    fn of_peer<T>(&self, request: Request<T>) -> Result<T, Status> {
        let given = request.metadata().get("authorization").map(|value| value.as_bytes());
        let key = self.api.peers().key();
        if key.is_some_and(|key| given.is_some_and(|given| key.is(given))) {
            return Ok(request.into_inner());
        }
        if self.told.now(&**self.api.clock()) {
            let from = request.remote_addr().map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(
                from,
                has_key = key.is_some(),
                "refused a call that came as another server's: its cluster key is not this server's"
            );
        }
        Err(refused(
            Refusal::new(
                RefusalKind::Unauthenticated,
                "cluster_key_invalid",
                "the cluster key is not this cluster's",
            )
            .remedy("give all servers of the cluster the same cluster.key_file"),
        ))
    }
}

#[tonic::async_trait]
impl Peer for PeerDoor {
    async fn forward(
        &self,
        request: Request<v1::ForwardRequest>,
    ) -> Result<Response<v1::ForwardReply>, Status> {
        let request = self.of_peer(request)?;
        let reply = self.api.call_forwarded(request).await.map_err(refused)?;
        answer(v1::ForwardReply { reply: Some(fitting(reply)) })
    }

    async fn nudge(&self, request: Request<v1::NudgeRequest>) -> Result<Response<v1::NudgeReply>, Status> {
        let request = self.of_peer(request)?;
        field::items("kinds", request.kinds.len(), 0..=16).map_err(refused)?;
        request.kinds().for_each(|kind| self.api.nudged(kind));
        answer(v1::NudgeReply {})
    }
}

fn fitting(reply: Reply) -> Reply {
    let mut room = Room::of_reply();
    match reply {
        Reply::JobPut(reply) => Reply::JobPut(v1::JobPutReply {
            results: reply.results.into_iter().map(|result| room.put(result)).collect(),
        }),
        Reply::Trigger(reply) => Reply::Trigger(v1::TriggerReply {
            results: reply.results.into_iter().map(|result| room.triggered(result)).collect(),
        }),
        other => other,
    }
}
