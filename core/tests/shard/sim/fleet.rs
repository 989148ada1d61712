//! Workers as the SDK behaves: one stream at a time to whom they are told is the owner, credit for free slots, an outbox
//! until the owner's verdict, the floor of epochs, and attempts given up after a time without contact.

use std::collections::BTreeMap;

use fastjob_core::domain::{HandlerOffer, Hello, Name, Outcome, OutcomeKind, WorkerProfile};
use fastjob_core::id::{AttemptKey, Epoch, Id};
use fastjob_core::shard::{CancelReason, Dispatch, Frame, Message, StreamId, Verdict};

use super::streams::{SILENCE_MS, Stream};
use super::{Ms, Place, Plant, Sim, millis};
use crate::worker::{Execution, done, failure};
use crate::world::LOST_AFTER_MS;

const FLOOR_LAPSES_MS: Ms = 15_000;
const WELCOME_WITHIN_MS: Ms = 10_000;
const LOOK_AGAIN_MS: Ms = 300;
/// Without a stream for this long, another server is told.
const DOWN_BEFORE_REPORT_MS: Ms = 2_000;

/// An attempt that the worker has.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) outcome: Option<Outcome>,
    pub(super) returned: bool,
    pub(super) settled: bool,
    pub(super) cancelled: Option<CancelReason>,
}

/// One worker; its process may be replaced.
pub(super) struct Worker {
    /// Which process.
    pub(super) life: u64,
    pub(super) profile: WorkerProfile,
    pub(super) paused_until: Ms,
    pub(super) stream: Option<StreamId>,
    pub(super) welcomed: bool,
    /// The stream has had a Welcome, which a further Hello does not undo.
    pub(super) served: bool,
    pub(super) opened: Ms,
    pub(super) ordinal: u64,
    pub(super) floor: Epoch,
    pub(super) heard: Ms,
    pub(super) lost: bool,
    pub(super) unspent: u32,
    pub(super) held: BTreeMap<AttemptKey, Held>,
    /// Outcomes that are durable and not judged.
    pub(super) stored: Vec<Outcome>,
}

impl Worker {
    fn floor_at(&self, now: Ms) -> Epoch {
        if now - self.heard < FLOOR_LAPSES_MS { self.floor } else { Epoch(0) }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty()
    }
}

impl Sim {
    /// A worker process starts in this place.
    pub(super) fn hire(&mut self, worker: usize) {
        let offer = |name: &str| HandlerOffer { name: Name::parse(name).unwrap(), version: "1".into() };
        let profile = WorkerProfile {
            session: Id::new(millis(self.now), &mut self.chance),
            name: format!("worker {worker}").into(),
            sdk: "test/1".into(),
            handlers: ["a", "b"].iter().map(|name| offer(name)).collect(),
            slots: 1 + self.below(3) as u32,
            tags: vec![],
            labels: vec![],
        };
        let fresh = Worker {
            life: self.name(),
            profile,
            paused_until: 0,
            stream: None,
            welcomed: false,
            served: false,
            opened: 0,
            ordinal: 0,
            floor: Epoch(0),
            heard: self.now,
            lost: false,
            unspent: 0,
            held: BTreeMap::new(),
            stored: Vec::new(),
        };
        if worker == self.workers.len() {
            self.workers.push(fresh);
        } else {
            self.workers[worker] = fresh;
        }
        self.works(worker, 0, move |sim| sim.worker_looks(worker));
    }

    /// kill -9, with its handlers and its outbox; another process starts later.
    pub(super) fn kill_worker(&mut self, worker: usize) {
        self.trace(|| format!("worker {worker} dies"));
        let (now, session) = (millis(self.now), self.workers[worker].profile.session);
        for execution in self.laws.executions.values_mut().filter(|execution| execution.session == session) {
            execution.ended_at.get_or_insert(now);
        }
        if let Some(stream) = self.workers[worker].stream.take() {
            self.break_stream(stream);
        }
        self.workers[worker].life = 0;
        let rest_ms = self.between(100, 4_000);
        self.at(rest_ms, move |sim| sim.hire(worker));
    }

    /// In this process of the worker, and not while it stands still.
    pub(super) fn works(&mut self, worker: usize, delay: Ms, then: impl FnOnce(&mut Sim) + 'static) {
        let life = self.workers[worker].life;
        self.at(delay, move |sim| {
            if sim.workers[worker].life != life {
                return;
            }
            let still_ms = sim.workers[worker].paused_until - sim.now;
            if still_ms > 0 { sim.works(worker, still_ms, then) } else { then(sim) }
        });
    }

    /// From time to time: silence, attempts to give up, a stream to look for.
    fn worker_looks(&mut self, worker: usize) {
        let now = self.now;
        let w = &self.workers[worker];
        let patience = if w.welcomed { SILENCE_MS } else { WELCOME_WITHIN_MS };
        if w.stream.is_some() && now - w.heard.max(w.opened) >= patience {
            self.worker_leaves(worker);
        }
        self.gives_up(worker);
        if self.workers[worker].stream.is_none() {
            self.locate(worker);
        }
        let w = &self.workers[worker];
        if !w.served && now - w.heard >= DOWN_BEFORE_REPORT_MS && !w.held.is_empty() {
            self.report_elsewhere(worker);
        }
        let pause = LOOK_AGAIN_MS + self.between(0, 100);
        self.works(worker, pause, move |sim| sim.worker_looks(worker));
    }

    fn gives_up(&mut self, worker: usize) {
        let now = self.now;
        let w = &mut self.workers[worker];
        if w.held.is_empty() || w.lost || now - w.heard < LOST_AFTER_MS {
            return;
        }
        w.lost = true;
        self.saw("attempts given up");
        let w = &self.workers[worker];
        let open = w.held.iter().filter(|(_, held)| !held.settled);
        let keys: Vec<_> = open.map(|(key, _)| *key).collect();
        for key in keys {
            self.tell_handler(worker, key, CancelReason::Superseded, 2_000);
        }
    }

    /// Nobody wants to hear of the attempt any more.
    fn disown(&mut self, worker: usize, key: AttemptKey) {
        let Some(held) = self.workers[worker].held.get_mut(&key).filter(|held| !held.settled) else { return };
        (held.settled, held.outcome) = (true, None);
        let runs = !held.returned;
        if runs {
            self.tell_handler(worker, key, CancelReason::Superseded, 2_000);
        }
        self.let_go(worker, key);
    }

    fn let_go(&mut self, worker: usize, key: AttemptKey) {
        let held = &mut self.workers[worker].held;
        if held.get(&key).is_some_and(|held| held.settled && held.returned) {
            held.remove(&key);
            self.grant(worker);
        }
    }

    /// Asks any server where the owner is, and goes there.
    fn locate(&mut self, worker: usize) {
        let machine = self.below(self.machines.len() as u64) as usize;
        let asked = self.machines[machine];
        let Some(to) = self.transit(Place::Worker(worker), Place::Machine(machine)) else { return };
        let Some(back) = self.transit(Place::Machine(machine), Place::Worker(worker)) else { return };
        self.on(asked, to, move |sim| {
            let Some(owner) = sim.points_to(asked) else { return };
            sim.works(worker, back, move |sim| sim.connect(worker, owner));
        });
    }

    fn connect(&mut self, worker: usize, server: usize) {
        if self.workers[worker].stream.is_some() {
            return;
        }
        let id = StreamId(self.name());
        let now = self.now;
        let w = &mut self.workers[worker];
        (w.stream, w.welcomed, w.served, w.opened) = (Some(id), false, false, now);
        let stream = Stream {
            worker,
            life: w.life,
            server,
            ownership: None,
            to_server: now,
            to_worker: now,
            worker_left: false,
            server_left: false,
            heard: now,
        };
        self.streams.insert(id, stream);
        self.greet(worker, id);
    }

    fn greet(&mut self, worker: usize, stream: StreamId) {
        let (now, plant) = (self.now, self.plant);
        let w = &mut self.workers[worker];
        w.ordinal += 1;
        (w.welcomed, w.unspent) = (false, 0);
        let open = || w.held.iter().filter(|(_, held)| !held.settled);
        let running = open().filter(|(_, held)| held.outcome.is_none()).map(|(key, _)| *key);
        let hello = Hello {
            profile: w.profile.clone(),
            ordinal: w.ordinal,
            floor: Some(w.floor_at(now)).filter(|floor| *floor > Epoch(0)),
            running: running.filter(|_| plant != Some(Plant::HelloListsNothing)).collect(),
            unacked: open().filter_map(|(_, held)| held.outcome.clone()).chain(w.stored.clone()).collect(),
        };
        self.trace(|| {
            format!(
                "worker {worker} says hello {} on {stream:?}: {:?}, unacked {:?}, floor {:?}",
                hello.ordinal,
                hello.running,
                hello.unacked.iter().map(|outcome| outcome.key).collect::<Vec<_>>(),
                hello.floor
            )
        });
        self.send_to_server(stream, Message::Hello { stream, hello });
    }

    pub(super) fn worker_hears(&mut self, worker: usize, id: StreamId, frame: Option<Frame>) {
        let now = self.now;
        let w = &mut self.workers[worker];
        if w.stream != Some(id) {
            return;
        }
        w.opened = now;
        if w.served {
            w.heard = now;
        }
        match frame {
            None => self.send_to_server(id, Message::Credit { stream: id, add: 0 }),
            Some(Frame::Welcome { epoch, drop, .. }) => self.welcomed(worker, id, epoch, drop),
            Some(Frame::Dispatch(dispatch)) => self.begins(worker, *dispatch),
            Some(Frame::Cancel { key, reason, grace_ms }) => match reason {
                CancelReason::Superseded => self.disown(worker, key),
                reason => self.tell_handler(worker, key, reason, grace_ms),
            },
            Some(Frame::Ack { key, verdict }) => self.acknowledged(worker, key, verdict),
            Some(Frame::Wanting | Frame::Recalled { .. }) => {}
            Some(Frame::HelloAgain) => self.greet(worker, id),
        }
    }

    fn welcomed(&mut self, worker: usize, id: StreamId, epoch: Epoch, drop: Vec<AttemptKey>) {
        let now = self.now;
        let floor = self.workers[worker].floor_at(now);
        if epoch < floor {
            self.trace(|| format!("worker {worker} leaves {id:?}: {epoch:?} is below its floor"));
            self.saw("stream refused by the floor");
            return self.worker_leaves(worker);
        }
        let w = &mut self.workers[worker];
        (w.welcomed, w.served, w.lost) = (true, true, false);
        (w.floor, w.heard, w.unspent) = (epoch, now, 0);
        for key in drop {
            self.disown(worker, key);
        }
        // What was told in the Hello is judged by it; what ended since then is told now.
        let ready: Vec<Outcome> =
            self.workers[worker].held.values().filter_map(|held| held.outcome.clone()).collect();
        for outcome in ready {
            self.send_to_server(id, Message::Outcome { stream: id, outcome });
        }
        self.grant(worker);
    }

    fn grant(&mut self, worker: usize) {
        let w = &mut self.workers[worker];
        let busy = w.held.len() as u32 + w.unspent;
        let add = w.profile.slots.saturating_sub(busy);
        if let (Some(stream), true, 1..) = (w.stream, w.welcomed, add) {
            w.unspent += add;
            self.send_to_server(stream, Message::Credit { stream, add });
        }
    }

    pub(super) fn begins(&mut self, worker: usize, dispatch: Dispatch) {
        let now = self.now;
        let w = &mut self.workers[worker];
        let key = dispatch.key;
        if !w.served || w.held.contains_key(&key) {
            return;
        }
        w.unspent = w.unspent.saturating_sub(1);
        let full = w.held.len() as u32 + w.unspent >= w.profile.slots;
        if dispatch.epoch < w.floor_at(now) || full {
            self.saw(if full {
                "attempt refused for want of a slot"
            } else {
                "attempt refused by the floor"
            });
            return self.trace(|| format!("worker {worker} refuses {key:?}"));
        }
        w.floor = w.floor.max(dispatch.epoch);
        let session = w.profile.session;
        let held = Held { outcome: None, returned: false, settled: false, cancelled: None };
        w.held.insert(key, held);
        self.trace(|| format!("worker {worker} begins {key:?} of {}", dispatch.job.as_str()));
        let execution = Execution { session, started_at: millis(now), ended_at: None };
        self.note_start(&dispatch, execution);
        let takes_ms = match self.below(12) {
            0 => self.between(3_000, 9_000),
            1 | 2 => self.between(500, 2_500),
            _ => self.between(1, 300),
        };
        let odd = self.below(10);
        self.works(worker, takes_ms, move |sim| {
            let kind = if odd == 0 { OutcomeKind::Failed(failure()) } else { done() };
            sim.returns(worker, key, kind);
        });
        self.works(worker, dispatch.timeout_ms, move |sim| {
            sim.tell_handler(worker, key, CancelReason::Timeout, dispatch.grace_ms);
        });
    }

    /// The handler gives way in time, or is no longer waited for.
    fn tell_handler(&mut self, worker: usize, key: AttemptKey, reason: CancelReason, grace_ms: Ms) {
        let Some(held) = self.workers[worker].held.get_mut(&key) else { return };
        if held.returned || held.cancelled.is_some() {
            return;
        }
        held.cancelled = Some(reason);
        let within_ms = self.between(0, grace_ms);
        self.works(worker, within_ms, move |sim| {
            let kind = match reason {
                CancelReason::Timeout => OutcomeKind::TimedOut(failure()),
                CancelReason::Superseded => OutcomeKind::Lost(failure()),
                CancelReason::Requested => OutcomeKind::Cancelled(failure()),
            };
            sim.returns(worker, key, kind);
        });
    }

    fn returns(&mut self, worker: usize, key: AttemptKey, kind: OutcomeKind) {
        let now = millis(self.now);
        let w = &mut self.workers[worker];
        let Some(held) = w.held.get_mut(&key).filter(|held| !held.returned) else { return };
        held.returned = true;
        let execution = self.laws.executions.get_mut(&key).expect("what is held was begun");
        execution.ended_at = Some(now);
        if !held.settled {
            let started_at = Some(execution.started_at);
            let outcome =
                Outcome { key, kind, started_at, ended_at: now, retry_after_ms: None, give_up: false };
            held.outcome = Some(outcome.clone());
            if let (Some(stream), true) = (w.stream, w.welcomed) {
                self.send_to_server(stream, Message::Outcome { stream, outcome });
            }
        }
        self.let_go(worker, key);
    }

    fn acknowledged(&mut self, worker: usize, key: AttemptKey, verdict: Verdict) {
        assert!(verdict != Verdict::Unknown, "G3: an attempt of a run that is not there: {key:?}");
        self.workers[worker].stored.retain(|stored| stored.key != key);
        self.settled(worker, key);
    }

    /// The slot is free again.
    pub(super) fn settled(&mut self, worker: usize, key: AttemptKey) {
        let w = &mut self.workers[worker];
        let Some(held) = w.held.get_mut(&key) else { return };
        if held.outcome.take().is_some() {
            held.settled = true;
            self.let_go(worker, key);
        }
    }

    /// A Hello that nobody asked for.
    pub(super) fn greet_unasked(&mut self, worker: usize) {
        if let (Some(stream), true) = (self.workers[worker].stream, self.workers[worker].welcomed) {
            self.greet(worker, stream);
        }
    }
}
