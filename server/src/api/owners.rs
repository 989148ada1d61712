//! The one way to a shard's owner: a message to its loop if that runs here, else one call handed on to the server that
//! the directory names. What was handed on is never handed on again.

use fastjob_core::domain::{Name, Refusal, RefusalKind};
use fastjob_core::id::ShardKey;
use fastjob_core::protocol::v1::forward_reply::Reply as WireReply;
use fastjob_core::protocol::{peer, v1};
use fastjob_core::shard::{Call, Reply};

use super::{Api, unavailable, wrong_reply};
use crate::cluster::peers::{NOT_OWNER, Unforwarded};
use crate::owner::door::Door;
use crate::store::App;

impl Api {
    /// Asks the owner of the shard, wherever it is.
    ///
    /// # Errors
    /// The owner's refusal; `Unavailable` if it cannot be reached, naming its address if that is known. Then the call may
    /// have taken effect all the same.
    pub(super) async fn call(&self, app: &App, shard: ShardKey, call: Call) -> Result<WireReply, Refusal> {
        if let Some(door) = self.0.doors.get(shard) {
            return answer(&door, call, &app.name).await;
        }
        let mut address = self.elsewhere(shard);
        if let Some(known) = &address
            && let Some(reply) = self.forward(app, shard, &call, known).await?
        {
            return Ok(reply);
        }
        let stale = address.take();
        address = self.owner_stored(shard).await;
        if let Some(door) = self.0.doors.get(shard) {
            return answer(&door, call, &app.name).await;
        }
        match address {
            Some(fresh) if Some(&fresh) != stale.as_ref() => {
                self.forward(app, shard, &call, &fresh).await?.ok_or_else(moving)
            }
            Some(_) => Err(moving()),
            None => Err(unavailable("no_owner", "no server owns the app's shard at the moment")
                .remedy("repeat the call in a moment; `server list` shows which servers are up")),
        }
    }

    /// Takes a call that another server hands on.
    ///
    /// # Errors
    /// `Unavailable` with the code `not_owner` if the shard is not owned here; the owner's refusal.
    pub async fn call_forwarded(&self, request: v1::ForwardRequest) -> Result<WireReply, Refusal> {
        let shard = fastjob_core::protocol::session::shard(request.shard)?;
        let shard = ShardKey { app: fastjob_core::id::AppId(request.app_id), shard };
        let app = fastjob_core::protocol::field::name("app", &request.app)?;
        let call = peer::call(request.call, self.now())?;
        let door = self.0.doors.get(shard).ok_or_else(|| {
            unavailable(NOT_OWNER, "this server does not own the shard").remedy("read its owner again")
        })?;
        answer(&door, call, &app).await
    }

    /// The owner's answer; `None`: that server does not own the shard.
    async fn forward(
        &self,
        app: &App,
        shard: ShardKey,
        call: &Call,
        address: &str,
    ) -> Result<Option<WireReply>, Refusal> {
        if self.0.peers.key().is_none() {
            return Err(unavailable(NOT_OWNER, "another server owns the app's shard")
                .remedy(format!("call the server at {address}")));
        }
        let Some(call) = peer::call_to(call, shard.shard) else {
            return Err(Refusal::new(
                RefusalKind::Internal,
                "stays_here",
                "the call stays within its server",
            ));
        };
        let request = v1::ForwardRequest {
            app_id: app.id.0,
            app: app.name.as_str().into(),
            shard: shard.shard.into(),
            call: Some(call),
        };
        match self.0.peers.forward(address, request).await {
            Ok(reply) => Ok(Some(reply)),
            Err(Unforwarded::NotOwner) => Ok(None),
            Err(Unforwarded::Refused(refusal)) => Err(refusal),
            Err(Unforwarded::Unreachable(why)) => {
                tracing::debug!(%shard, address, %why, "failed to hand a call on");
                let message =
                    format!("the owner of the app's shard, the server at {address}, was not reached: {why}");
                Err(Refusal::new(RefusalKind::Unavailable, "owner_unreachable", message)
                    .remedy(format!("repeat the call in a moment, or call the server at {address}")))
            }
        }
    }

    /// The directory was wrong, or knew nothing: what the store says now. One reading at a time serves all who ask.
    async fn owner_stored(&self, shard: ShardKey) -> Option<String> {
        self.0.shards_changed.notify_one();
        let found = self.0.owners_read.read(&self.0.store).await.inspect_err(|error| {
            tracing::warn!(%error, "failed to read the owners again");
        });
        let owned = found.ok()?.get(&shard)?.clone();
        owned.filter(|address| self.0.directory.servers().first() != Some(address))
    }
}

async fn answer(door: &Door, call: Call, app: &Name) -> Result<WireReply, Refusal> {
    let reply: Reply = door.call(call).await?;
    peer::reply_to(&reply, door.shard().shard, app).ok_or_else(|| wrong_reply(&reply))
}

fn moving() -> Refusal {
    unavailable(NOT_OWNER, "the app's shard is on its way to another server")
        .remedy("repeat the call in a moment")
}
