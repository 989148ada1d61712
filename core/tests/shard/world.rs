//! An owner, its rows, its workers and the wires between them; anything may break at any moment. Every commit is checked
//! against the guarantees.

use std::collections::{BTreeMap, HashMap, VecDeque};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Ended, OutcomeKind, Run, Source, State};
use fastjob_core::id::{AppId, AttemptKey, Chance, Epoch, Id, RunId, ShardKey};
use fastjob_core::shard::{
    Call, CancelReason, Frame, Message, Plan, Reply, Settings, Shard, StreamId, Ticket, Verdict,
};

use crate::checks::Past;
use crate::rows::{Tables, name};
use crate::worker::{Execution, Wire, Worker, done, failure};

/// How far ahead runs are written.
pub(crate) const HORIZON_MS: i64 = 15_000;
/// Without contact for this long, an attempt is lost.
pub(crate) const LOST_AFTER_MS: i64 = 10_000;
/// Turns at one instant without a message: more is a spin.
const TURNS_AT_ONCE: usize = 60;

/// What becomes of a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Committed,
    Refused,
    /// It is written, but nobody learns of it.
    Unknown,
}

/// Everything.
pub(crate) struct World {
    pub(crate) now: Millis,
    /// The latest `now` there has been.
    pub(crate) latest: Millis,
    pub(crate) tables: Tables,
    pub(crate) shard: Shard,
    pub(crate) chance: Chance,
    /// Of the step at hand.
    pub(crate) choices: VecDeque<u16>,
    pub(crate) inbox: VecDeque<Message>,
    pub(crate) wires: BTreeMap<StreamId, (usize, Wire)>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) executions: BTreeMap<AttemptKey, Execution>,
    /// Outcomes that were answered `accepted`.
    pub(crate) accepted: BTreeMap<AttemptKey, OutcomeKind>,
    pub(crate) replies: BTreeMap<Ticket, Reply>,
    /// Calls under way.
    pub(crate) calls: BTreeMap<Ticket, Call>,
    /// What each idempotency key or request made, once that was answered.
    pub(crate) keyed: HashMap<String, RunId>,
    /// Outcomes that were stored while their attempts were current.
    pub(crate) stored: BTreeMap<AttemptKey, OutcomeKind>,
    /// When reports under way were sent.
    pub(crate) reported_at: BTreeMap<Ticket, Millis>,
    pub(crate) verdicts: BTreeMap<String, u64>,
    epoch: Epoch,
    names: u64,
    last_commit: Millis,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::from_seed(seed);
        let now = Millis::new(1_800_000_000_000);
        let shard = Shard::new(settings(Epoch(1)), Chance::from_seed(chance.next_u64()));
        let mut world = Self {
            now,
            latest: now,
            tables: Tables::default(),
            shard,
            chance,
            choices: VecDeque::new(),
            inbox: VecDeque::new(),
            wires: BTreeMap::new(),
            workers: Vec::new(),
            executions: BTreeMap::new(),
            accepted: BTreeMap::new(),
            replies: BTreeMap::new(),
            calls: BTreeMap::new(),
            keyed: HashMap::new(),
            stored: BTreeMap::new(),
            reported_at: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            epoch: Epoch(1),
            names: 0,
            last_commit: now,
        };
        world.boot();
        world
    }

    /// The next choice, below `n`; 0 once all are taken.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        u64::from(self.choices.pop_front().unwrap_or(0)) % n
    }

    pub(crate) fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// From the rows to a new memory, under a higher epoch.
    pub(crate) fn boot(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.shard = Shard::new(settings(self.epoch), Chance::from_seed(self.chance.next_u64()));
        let until = self.now.plus(HORIZON_MS);
        let mut after = None;
        loop {
            let page = self.tables.open_page(until, after, 7);
            let more = page.more;
            after = page.runs.last().map(|run| run.id);
            self.shard.open(page, until);
            if !more {
                break;
            }
        }
        self.shard.booted(self.now);
        if let Some(from) = self.tables.outage_from {
            self.inbox.push_front(Message::Outage { from, until: self.now });
        }
    }

    /// A commit failed: the memory goes, the streams stay and are asked for a Hello.
    fn reload(&mut self) {
        let waits = |message: &Message| match message {
            Message::Call { ticket, .. } => Some(*ticket),
            _ => None,
        };
        let waiting: Vec<Ticket> = self.inbox.iter().filter_map(waits).collect();
        self.calls.retain(|ticket, _| waiting.contains(ticket));
        self.boot();
        self.wires.values_mut().for_each(|(_, wire)| wire.to_worker.push_back(Frame::HelloAgain));
    }

    /// The server dies, with all its streams and whatever was under way; another one boots after a while.
    pub(crate) fn kill_server(&mut self, down_ms: i64) {
        for stream in self.wires.keys().copied().collect::<Vec<_>>() {
            self.break_stream(stream);
        }
        self.inbox.clear();
        self.calls.clear();
        let from = self.last_commit.min(self.now);
        self.tables.outage_from = Some(self.tables.outage_from.map_or(from, |known| known.min(from)));
        self.advance(down_ms);
        self.boot();
    }

    pub(crate) fn advance(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
        self.latest = self.latest.max(self.now);
    }

    pub(crate) fn call(&mut self, call: Call) -> Ticket {
        let ticket = Ticket(self.name());
        self.calls.insert(ticket, call.clone());
        self.inbox.push_back(Message::Call { ticket, call });
        ticket
    }

    pub(crate) fn connect(&mut self, worker: usize) -> StreamId {
        let stream = StreamId(self.name());
        let mut wire = Wire::default();
        self.workers[worker].greet(stream, &mut wire);
        self.wires.insert(stream, (worker, wire));
        stream
    }

    /// Part of what is under way still arrives; then the stream is gone for both.
    pub(crate) fn break_stream(&mut self, stream: StreamId) {
        let arrives = self.below(3);
        for _ in 0..arrives {
            self.worker_reads(stream);
        }
        let Some((worker, mut wire)) = self.wires.remove(&stream) else { return };
        let arrives = self.below(3) as usize;
        self.inbox.extend(wire.to_server.drain(..).take(arrives));
        self.inbox.push_back(Message::StreamEnded { stream, last_contact: self.now });
        if self.workers[worker].stream == Some(stream) {
            self.workers[worker].stream = None;
            self.workers[worker].away_since = self.now;
        }
    }

    /// The worker process dies, with its handlers and its outbox.
    pub(crate) fn kill_worker(&mut self, worker: usize) {
        if let Some(stream) = self.workers[worker].stream {
            self.break_stream(stream);
        }
        let now = self.now;
        for execution in self.executions.values_mut() {
            if execution.session == self.workers[worker].profile.session {
                execution.ended_at.get_or_insert(now);
            }
        }
        let (handlers, slots) = (["a", "b"], self.workers[worker].profile.slots);
        self.workers[worker] = Worker::new(&handlers, slots, self.now, &mut self.chance);
    }

    /// The worker takes the next frame of its stream.
    pub(crate) fn worker_reads(&mut self, stream: StreamId) {
        let Some((index, wire)) = self.wires.get_mut(&stream) else { return };
        let worker = &mut self.workers[*index];
        if worker.stream != Some(stream) {
            return;
        }
        let Some(frame) = wire.to_worker.pop_front() else { return };
        let dropped = match &frame {
            Frame::Welcome { drop, .. } => drop.clone(),
            _ => Vec::new(),
        };
        let begun = worker.take(frame, wire);
        let session = worker.profile.session;
        for key in dropped {
            self.executions.entry(key).and_modify(|execution| execution.ended_at = Some(self.now));
        }
        if let Some(dispatch) = begun {
            self.begin(dispatch, session);
        }
    }

    fn begin(&mut self, dispatch: fastjob_core::shard::Dispatch, session: fastjob_core::id::SessionId) {
        let key = dispatch.key;
        assert!(self.tables.knows_attempt(key), "G2: executed without a committed attempt: {key:?}");
        let early = dispatch.tick.is_some_and(|tick| tick > self.latest) || dispatch.due > self.latest;
        assert!(!early, "G9: started before its tick: {dispatch:?} at {:?}", self.latest);
        let execution = Execution { session, started_at: self.latest, ended_at: None };
        assert!(
            self.executions.insert(key, execution).is_none(),
            "G5: one attempt was executed twice: {key:?}"
        );
    }

    /// A handler returns in some way.
    pub(crate) fn finish_one(&mut self, worker: usize, odd: u64) {
        let held: Vec<_> = self.workers[worker].held.iter().map(|(key, told)| (*key, *told)).collect();
        if held.is_empty() {
            return;
        }
        let (key, told) = held[self.below(held.len() as u64) as usize];
        let kind = match (told, odd) {
            (Some(CancelReason::Requested), 0..=2) => OutcomeKind::Cancelled(failure()),
            (Some(CancelReason::Timeout), 0..=2) | (None, 1) => OutcomeKind::TimedOut(failure()),
            (None, 0) => OutcomeKind::Failed(failure()),
            _ => done(),
        };
        self.finish(worker, key, kind);
    }

    pub(crate) fn finish(&mut self, worker: usize, key: AttemptKey, kind: OutcomeKind) {
        let latest = self.latest;
        let execution = self.executions.get_mut(&key).expect("what is held was begun");
        execution.ended_at = Some(latest);
        let started_at = execution.started_at;
        let worker = &mut self.workers[worker];
        let wire = worker.stream.and_then(|stream| self.wires.get_mut(&stream)).map(|(_, wire)| wire);
        worker.finish(key, kind, started_at, latest, wire);
    }

    /// What the workers sent reaches the owner.
    pub(crate) fn pump(&mut self) {
        for (_, wire) in self.wires.values_mut() {
            self.inbox.extend(wire.to_server.drain(..));
        }
    }

    /// A worker without contact for so long ends its attempts itself.
    pub(crate) fn workers_give_up(&mut self) {
        for worker in 0..self.workers.len() {
            let w = &self.workers[worker];
            if w.stream.is_none() && self.now.since(w.away_since) >= LOST_AFTER_MS {
                for key in w.held.keys().copied().collect::<Vec<_>>() {
                    self.finish(worker, key, OutcomeKind::Lost(failure()));
                }
            }
        }
    }

    /// One turn of the owner over the first `size` messages.
    pub(crate) fn turn(&mut self, size: usize, fate: Fate) {
        let size = size.min(self.inbox.len());
        let batch: Vec<Message> = self.inbox.drain(..size).collect();
        let facts = self.tables.facts(&self.shard.needs(&batch, self.now));
        let plan = self.shard.decide(batch, facts, self.now);
        if plan.rows.is_empty() || fate == Fate::Committed {
            self.tables.apply(&plan.rows);
            self.last_commit = self.now;
            self.check_plan(&plan);
            self.act(plan);
            return;
        }
        if fate == Fate::Unknown {
            self.tables.apply(&plan.rows);
        }
        self.reload();
    }

    /// Turns until nothing is left to do at this instant.
    pub(crate) fn settle(&mut self) {
        for _ in 0..TURNS_AT_ONCE {
            if self.inbox.is_empty() && self.shard.next_wake().is_none_or(|at| at > self.now) {
                return;
            }
            self.turn(usize::MAX, Fate::Committed);
        }
        panic!("the owner spins: {:?} at {:?}", self.shard.next_wake(), self.now);
    }

    /// Whatever is under way arrives, and the owner takes its turns, until all is quiet.
    pub(crate) fn quiet(&mut self) {
        for _ in 0..200 {
            self.pump();
            self.settle();
            let streams: Vec<StreamId> = self.wires.keys().copied().collect();
            let mut read = 0;
            for stream in streams {
                while self.wires.get(&stream).is_some_and(|(_, wire)| !wire.to_worker.is_empty()) {
                    self.worker_reads(stream);
                    read += 1;
                }
            }
            if read == 0 && self.wires.values().all(|(_, wire)| wire.to_server.is_empty()) {
                return;
            }
        }
        panic!("no quiet");
    }

    fn act(&mut self, plan: Plan) {
        for (stream, frame) in plan.frames {
            if let Frame::Ack { key, verdict } = &frame {
                self.judged(*key, *verdict);
            }
            if let Some((_, wire)) = self.wires.get_mut(&stream) {
                wire.to_worker.push_back(frame);
            }
        }
        for (ticket, reply) in plan.replies {
            let call = self.calls.remove(&ticket).expect("a reply answers a call under way");
            self.check_reply(&call, &reply);
            match (&call, &reply) {
                (Call::Inbox(commands), reply) => self.taken(commands, reply),
                (Call::Report(report), Reply::Reported(verdicts)) => self.reported(ticket, report, verdicts),
                _ => {}
            }
            self.replies.insert(ticket, reply);
        }
    }

    pub(crate) fn judged(&mut self, key: AttemptKey, verdict: Verdict) {
        *self.verdicts.entry(format!("report -> {verdict:?}")).or_default() += 1;
        if verdict == Verdict::Accepted {
            self.note_accepted(key);
        }
    }

    /// G3 and G4: what is answered `accepted` is what is recorded, and only once.
    fn note_accepted(&mut self, key: AttemptKey) {
        let said = self
            .workers
            .iter()
            .find_map(|worker| worker.outbox.get(&key))
            .map(|outcome| outcome.kind.clone());
        let run = &self.tables.runs[&key.run];
        if let Some(OutcomeKind::Succeeded(result)) = &said {
            assert_eq!(
                (run.state, run.result.as_ref()),
                (State::Ended(Ended::Succeeded), Some(result)),
                "G3: {run:?}"
            );
        }
        let recorded = self.tables.attempts.contains_key(&(key.run, key.attempt));
        assert!(
            recorded || (run.attempt_key() == Some(key) && run.ended_at.is_some()),
            "G3: {key:?} of {run:?}"
        );
        let kind = said.unwrap_or_else(done);
        assert!(self.accepted.insert(key, kind).is_none(), "G4: accepted twice: {key:?}");
    }

    fn check_plan(&self, plan: &Plan) {
        for (_, frame) in &plan.frames {
            let Frame::Dispatch(dispatch) = frame else { continue };
            let run = &self.tables.runs[&dispatch.key.run];
            let job = &self.tables.jobs[&run.job];
            let own = !matches!(run.source, Source::Api | Source::Manual | Source::Backfill);
            if own && run.attempt == 1 {
                let current = job.enabled && job.deleted_at.is_none() && dispatch.revision == job.revision;
                assert!(current, "G10: started by an old definition: {dispatch:?} of {job:?}");
            }
            assert_eq!(run.attempt_key(), Some(dispatch.key), "a dispatch is the committed one");
        }
        for id in &plan.ended {
            assert!(matches!(self.tables.runs[id].state, State::Ended(_)));
        }
    }

    /// G12: one key, one run.
    fn check_reply(&mut self, call: &Call, reply: &Reply) {
        if let (Call::RunRetry { request, .. }, Reply::Run(run)) = (call, reply) {
            self.note_keyed(format!("retry {request}"), run);
        }
        let (Call::Trigger(fires), Reply::Triggered(results)) = (call, reply) else { return };
        assert_eq!(fires.len(), results.len());
        for (fire, result) in fires.iter().zip(results) {
            let Ok(fired) = result else { continue };
            let key = fire.idempotency_key.clone().unwrap_or_else(|| fire.request.to_string().into());
            self.note_keyed(format!("{} {key}", fired.run.job), &fired.run);
        }
    }

    fn note_keyed(&mut self, key: String, run: &Run) {
        // A cancel that is asked for and over in one turn leaves no trace of the asking.
        let stored = Run { cancel: run.cancel, ..self.tables.runs[&run.id].clone() };
        assert_eq!(stored, *run, "a reply shows the run as it is stored");
        let first = *self.keyed.entry(key).or_insert(run.id);
        assert_eq!(first, run.id, "G12: two runs of one key");
    }

    /// What was taken of the state table, and how reports were answered.
    pub(crate) fn rows_taken(&self) -> BTreeMap<String, u64> {
        let mut taken = self.tables.taken.clone();
        taken.extend(self.verdicts.clone());
        taken
    }

    /// For the checks of the whole history.
    pub(crate) fn past(&self) -> Past<'_> {
        Past { tables: &self.tables, executions: &self.executions, accepted: &self.accepted }
    }

    /// For messages of failed tests.
    pub(crate) fn open_runs(&self) -> Vec<(RunId, String, Millis, u32)> {
        let open = self.tables.runs.values().filter(|run| !matches!(run.state, State::Ended(_)));
        open.map(|run| (run.id, name(run.state), run.due, run.attempt)).collect()
    }
}

fn settings(epoch: Epoch) -> Settings {
    Settings {
        shard: ShardKey { app: AppId(1), shard: 0 },
        server: Id::from_bytes([9; 16]),
        epoch,
        horizon_ms: HORIZON_MS,
        worker_lost_after_ms: LOST_AFTER_MS,
    }
}
