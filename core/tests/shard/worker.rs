//! A worker as the protocol asks it to behave, without its handlers' work.

use std::collections::{BTreeMap, VecDeque};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Failure, HandlerOffer, Hello, Name, Outcome, OutcomeKind, Payload, WorkerProfile,
};
use fastjob_core::id::{AttemptKey, Chance, Epoch, Id};
use fastjob_core::shard::{CancelReason, Dispatch, Frame, Message, StreamId, Verdict};

/// A connection: what is under way in both directions.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) to_worker: VecDeque<Frame>,
    pub(crate) to_server: VecDeque<Message>,
}

/// One call of a handler.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) session: Id<fastjob_core::id::kind::Session>,
    pub(crate) started_at: Millis,
    pub(crate) ended_at: Option<Millis>,
}

/// One worker process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) profile: WorkerProfile,
    pub(crate) stream: Option<StreamId>,
    /// Its stream ended at this instant.
    pub(crate) away_since: Millis,
    ordinal: u64,
    welcomed: bool,
    floor: Epoch,
    /// Taken, not finished; with the cancel it was told.
    pub(crate) held: BTreeMap<AttemptKey, Option<CancelReason>>,
    pub(crate) outbox: BTreeMap<AttemptKey, Outcome>,
}

impl Worker {
    pub(crate) fn new(handlers: &[&str], slots: u32, now: Millis, chance: &mut Chance) -> Self {
        let offer = |name: &&str| HandlerOffer { name: Name::parse(name).unwrap(), version: "1".into() };
        let profile = WorkerProfile {
            session: Id::new(now, chance),
            name: "worker".into(),
            sdk: "test/1".into(),
            handlers: handlers.iter().map(offer).collect(),
            slots,
            tags: vec![],
            labels: vec![],
        };
        Self {
            profile,
            stream: None,
            away_since: now,
            ordinal: 0,
            welcomed: false,
            floor: Epoch(0),
            held: BTreeMap::new(),
            outbox: BTreeMap::new(),
        }
    }

    /// Says hello on a stream.
    pub(crate) fn greet(&mut self, stream: StreamId, wire: &mut Wire) {
        self.ordinal += 1;
        self.stream = Some(stream);
        self.welcomed = false;
        let hello = Hello {
            profile: self.profile.clone(),
            ordinal: self.ordinal,
            floor: Some(self.floor),
            running: self.held.keys().copied().collect(),
            unacked: self.outbox.values().cloned().collect(),
        };
        wire.to_server.push_back(Message::Hello { stream, hello });
    }

    /// Takes one frame; tells which attempt it began.
    pub(crate) fn take(&mut self, frame: Frame, wire: &mut Wire) -> Option<Dispatch> {
        let stream = self.stream.expect("a frame comes on a stream");
        match frame {
            Frame::Welcome { epoch, drop, .. } => {
                self.welcomed = true;
                self.floor = self.floor.max(epoch);
                drop.iter().for_each(|key| {
                    self.held.remove(key);
                });
                let busy = self.held.len() + self.outbox.len();
                let add = self.profile.slots.saturating_sub(busy as u32);
                if add > 0 {
                    wire.to_server.push_back(Message::Credit { stream, add });
                }
                None
            }
            Frame::Dispatch(dispatch) if dispatch.epoch < self.floor => None,
            Frame::Dispatch(dispatch) => {
                self.held.insert(dispatch.key, None);
                Some(*dispatch)
            }
            Frame::Cancel { key, reason, .. } => {
                self.held.entry(key).and_modify(|told| *told = Some(reason));
                None
            }
            Frame::Ack { key, verdict } => {
                assert!(verdict != Verdict::Unknown, "no run is ever deleted here");
                if self.outbox.remove(&key).is_some() && self.welcomed {
                    wire.to_server.push_back(Message::Credit { stream, add: 1 });
                }
                None
            }
            Frame::Wanting | Frame::Recalled { .. } => None,
            Frame::HelloAgain => {
                self.greet(stream, wire);
                None
            }
        }
    }

    /// A handler returns: its outcome is kept until it is acknowledged.
    pub(crate) fn finish(
        &mut self,
        key: AttemptKey,
        kind: OutcomeKind,
        started_at: Millis,
        now: Millis,
        wire: Option<&mut Wire>,
    ) {
        self.held.remove(&key);
        let outcome = Outcome {
            key,
            kind,
            started_at: Some(started_at),
            ended_at: now,
            retry_after_ms: None,
            give_up: false,
        };
        self.outbox.insert(key, outcome.clone());
        if let (Some(stream), Some(wire), true) = (self.stream, wire, self.welcomed) {
            wire.to_server.push_back(Message::Outcome { stream, outcome });
        }
    }
}

/// Some failure.
pub(crate) fn failure() -> Failure {
    Failure::new("Oops", "it broke", "")
}

/// Some result.
pub(crate) fn done() -> OutcomeKind {
    OutcomeKind::Succeeded(Payload::text("done"))
}
