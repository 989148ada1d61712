//! The links of one stream, one to each owner of its app's shards that is here; they come and go while the stream stays.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};

use fastjob_core::domain::Refusal;
use fastjob_core::id::ShardKey;
use fastjob_core::protocol::session::AppHello;
use fastjob_core::protocol::{session, v1};
use fastjob_core::shard::{Frame, Message, StreamId};
use v1::server_message::Message as ServerWord;

use super::end::{End, MOVED_RETRY_MS, flooded};
use super::link::{Heard, Link};
use crate::api::Api;
use crate::api::auth::Authorized;

/// What a stream takes from its owners at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Its worker takes what it is sent.
    Frames,
    /// Enough waits for its worker.
    Nothing,
}

/// All links of a stream.
pub(super) struct Links {
    api: Api,
    by: Authorized,
    stream: StreamId,
    links: Vec<Link>,
    /// Shards that were served here: what the worker still says to their owners reaches the next ones by its next Hello.
    departed: BTreeSet<u16>,
}

impl Links {
    /// No links yet.
    pub(super) fn new(api: Api, by: Authorized) -> Self {
        let stream = api.doors().next_stream();
        Self { api, by, stream, links: Vec::new(), departed: BTreeSet::new() }
    }

    /// The name of the stream.
    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    /// No owner is left here.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// A Hello for the owners of its shards, or of all that are here. Answers what is to be said of shards that were asked
    /// for and are not here; without any that is, of all of the app.
    pub(super) fn greet(&mut self, hello: &AppHello) -> Result<Vec<v1::ServerMessage>, End> {
        let app = self.by.app().id;
        let every: Vec<u16> = (0..self.by.app().shards).collect();
        let asked = if hello.shards().is_empty() { &every[..] } else { hello.shards() };
        let mut absent = Vec::new();
        for &shard in asked {
            let key = ShardKey { app, shard };
            if !self.links.iter().any(|link| link.shard() == shard) {
                let Some(door) = self.api.doors().get(key) else {
                    absent.push(key);
                    continue;
                };
                self.links.push(Link::new(door, self.stream, hello.profile().slots));
                self.departed.remove(&shard);
            }
            self.say(shard, Message::Hello { stream: self.stream, hello: hello.of_shard(shard) })?;
        }
        if hello.shards().is_empty() && !self.links.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.moved(&absent))
    }

    /// The owner of a shard is gone: what it said last, and where the shard went.
    pub(super) fn depart(&mut self, shard: u16) -> (Vec<Frame>, Vec<v1::ServerMessage>) {
        let Some(at) = self.links.iter().position(|link| link.shard() == shard) else {
            return (Vec::new(), Vec::new());
        };
        let mut link = self.links.remove(at);
        let last = std::iter::from_fn(|| link.more()).flatten().collect();
        self.departed.insert(shard);
        (last, self.moved(&[link.key()]))
    }

    /// Where these shards are, by address.
    fn moved(&self, shards: &[ShardKey]) -> Vec<v1::ServerMessage> {
        let mut by_address: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for key in shards {
            let to = self.api.elsewhere(*key).unwrap_or_default();
            by_address.entry(to).or_default().push(key.shard.into());
        }
        let moved = |(to, shards)| v1::Moved { to, retry_after_ms: MOVED_RETRY_MS, shards };
        by_address.into_iter().map(|of| session::message(ServerWord::Moved(moved(of)))).collect()
    }

    /// A message for the owner of a shard.
    pub(super) fn say(&mut self, shard: u16, message: Message) -> Result<(), End> {
        match self.links.iter_mut().find(|link| link.shard() == shard) {
            Some(link) => link.say(message).map_err(|_| flooded().into()),
            None if self.departed.contains(&shard) => Ok(()),
            None => {
                let text = format!("{shard} is not served on this stream");
                let refusal = Refusal::invalid("shard_elsewhere", "shard", text);
                Err(refusal.remedy("ask Locate for its owner").into())
            }
        }
    }

    /// The same for every owner.
    pub(super) fn say_all(&mut self, message: &Message) -> Result<(), End> {
        for link in &mut self.links {
            link.say(message.clone()).map_err(|_| flooded())?;
        }
        Ok(())
    }

    /// Hands on what waits for the owners, and takes what they say if that is `wanted`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wanted: Wanted) -> Poll<Heard> {
        for link in &mut self.links {
            if link.poll_say(cx).is_err() {
                return Poll::Ready(Heard::Gone(link.shard()));
            }
        }
        if wanted == Wanted::Nothing {
            return Poll::Pending;
        }
        for link in &mut self.links {
            if let Poll::Ready(heard) = link.poll_hear(cx) {
                return Poll::Ready(heard);
            }
        }
        Poll::Pending
    }

    /// The next frames are another shard's, if it has some.
    pub(super) fn take_turns(&mut self) {
        if !self.links.is_empty() {
            self.links.rotate_left(1);
        }
    }

    /// More that owners have said already, as long as `more` of it is wanted.
    pub(super) fn gather(&mut self, mut more: impl FnMut(u16, Vec<Frame>) -> Wanted) {
        for link in &mut self.links {
            while let Some(frames) = link.more() {
                if more(link.shard(), frames) == Wanted::Nothing {
                    return;
                }
            }
        }
    }

    /// The last message to each owner.
    pub(super) async fn end(self, last: &Message) {
        let ends = self.links.into_iter().map(|link| link.end(last.clone()));
        futures_util::future::join_all(ends).await;
    }
}
