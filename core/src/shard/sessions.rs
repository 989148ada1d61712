//! The workers that an owner knows, by session and by stream; which of them can take a run. Their attempts are kept in
//! [`super::memory::Memory`].

use std::collections::{BTreeSet, HashMap, HashSet};

use super::StreamId;
use crate::clock::Millis;
use crate::domain::{Name, WorkerProfile};
use crate::id::SessionId;

/// Further Hellos that one stream is asked for. Each reload asks for one, so that many from before may be under way when
/// memories follow each other quickly; a worker that never tells its floor costs this many.
const MAX_DOUBTS: u32 = 32;

/// One worker process.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) profile: WorkerProfile,
    /// Of its newest Hello.
    pub(super) ordinal: u64,
    /// `None`: it is away.
    pub(super) stream: Option<StreamId>,
    pub(super) draining: bool,
    /// How many more attempts it takes.
    pub(super) credit: u32,
    /// It was told that runs wait for its credit, and none has come since.
    pub(super) wanting: bool,
    /// How often its stream was asked for another Hello.
    doubts: u32,
    /// When it was last heard, if it is away.
    pub(super) last_contact: Millis,
}

/// All workers, connected or holding attempts.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<SessionId, Session>,
    streams: HashMap<StreamId, SessionId>,
    /// Connected, by what they offer.
    offers: HashMap<Name, BTreeSet<SessionId>>,
    /// Streams without a session that were asked for a Hello.
    asked: HashSet<StreamId>,
}

/// What a Hello is to the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Greeting {
    /// Older than one that was judged.
    Stale,
    /// The first on its stream: it tells all that the session has.
    Fresh,
    /// Another one on the session's stream: what this stream was sent since the first may not be in it.
    Repeated,
}

impl Sessions {
    /// A worker introduces itself. Its credit begins at 0.
    pub(super) fn greet(
        &mut self,
        stream: StreamId,
        profile: WorkerProfile,
        ordinal: u64,
        now: Millis,
    ) -> Greeting {
        let id = profile.session;
        let known = self.by_id.get(&id);
        if known.is_some_and(|session| ordinal < session.ordinal) {
            return Greeting::Stale;
        }
        let repeated = known.is_some_and(|session| session.stream == Some(stream));
        let doubts = known.filter(|_| repeated).map_or(0, |session| session.doubts);
        self.leave(stream);
        if let Some(old) = self.by_id.get(&id).and_then(|session| session.stream) {
            self.leave(old);
        }
        for handler in &profile.handlers {
            self.offers.entry(handler.name.clone()).or_default().insert(id);
        }
        self.streams.insert(stream, id);
        self.asked.remove(&stream);
        let session = Session {
            profile,
            ordinal,
            stream: Some(stream),
            draining: false,
            credit: 0,
            wanting: false,
            doubts,
            last_contact: now,
        };
        self.by_id.insert(id, session);
        if repeated { Greeting::Repeated } else { Greeting::Fresh }
    }

    /// Takes a stream from its session, which stays. Tells whose it was.
    fn leave(&mut self, stream: StreamId) -> Option<SessionId> {
        let id = self.streams.remove(&stream)?;
        let session = self.by_id.get_mut(&id)?;
        session.stream = None;
        session.credit = 0;
        for handler in &session.profile.handlers {
            if let Some(offering) = self.offers.get_mut(&handler.name) {
                offering.remove(&id);
                if offering.is_empty() {
                    self.offers.remove(&handler.name);
                }
            }
        }
        Some(id)
    }

    /// A stream is gone. Tells whose current one it was.
    pub(super) fn stream_ended(&mut self, stream: StreamId, last_contact: Millis) -> Option<SessionId> {
        self.asked.remove(&stream);
        let id = self.leave(stream)?;
        self.by_id.get_mut(&id)?.last_contact = last_contact;
        Some(id)
    }

    /// Notes that a stream without a session spoke; tells whether it must be asked for a Hello.
    pub(super) fn must_ask(&mut self, stream: StreamId) -> bool {
        !self.streams.contains_key(&stream) && self.asked.insert(stream)
    }

    pub(super) fn on_stream(&mut self, stream: StreamId) -> Option<&mut Session> {
        self.by_id.get_mut(self.streams.get(&stream)?)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    /// Where the session can be reached.
    pub(super) fn stream_of(&self, id: SessionId) -> Option<StreamId> {
        self.by_id.get(&id)?.stream
    }

    /// Connected sessions that offer the handler and have credit.
    pub(super) fn capable<'a>(&'a self, handler: &Name) -> impl Iterator<Item = (SessionId, &'a Session)> {
        let offering = self.offers.get(handler).into_iter().flatten();
        offering
            .filter_map(|id| Some((*id, self.by_id.get(id)?)))
            .filter(|(_, session)| session.credit > 0 && !session.draining)
    }

    /// Streams of sessions that offer the handler and have no credit, each told once until it has some.
    pub(super) fn want<'a>(&'a mut self, handler: &Name) -> impl Iterator<Item = StreamId> + 'a {
        let by_id = &mut self.by_id;
        self.offers.get(handler).into_iter().flatten().filter_map(|id| {
            let session = by_id.get_mut(id)?;
            let told =
                session.draining || session.credit > 0 || std::mem::replace(&mut session.wanting, true);
            if told { None } else { session.stream }
        })
    }

    /// Another Hello may be asked for: bounded, should a worker never learn.
    pub(super) fn may_doubt(&self, id: SessionId) -> bool {
        self.by_id.get(&id).is_some_and(|session| session.doubts < MAX_DOUBTS)
    }

    /// Another Hello is asked for.
    pub(super) fn doubted(&mut self, id: SessionId) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.doubts += 1;
        }
    }

    /// Lets a session go that is away and has nothing.
    pub(super) fn forget_if_away(&mut self, id: SessionId) {
        if self.by_id.get(&id).is_some_and(|session| session.stream.is_none()) {
            self.by_id.remove(&id);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Session> {
        self.by_id.values()
    }
}
