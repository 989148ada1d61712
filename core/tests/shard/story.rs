//! Words for short stories about one shard.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    CatchUp, Definition, Ended, Limits, ManagedBy, Name, Outcome, OutcomeKind, Payload, Refusal, Run, Source,
    State, Timing, Trigger,
};
use fastjob_core::id::{AttemptKey, Id, RunId};
use fastjob_core::shard::{Call, Fire, Frame, JobPut, JobPutDone, Message, Reply, StreamId, When};

use crate::worker::{Worker, done};
use crate::world::{Fate, World};

/// A shard with workers, told step by step.
pub(crate) struct Story {
    pub(crate) world: World,
}

/// A handler's name, or a job's.
pub(crate) fn named(name: &str) -> Name {
    Name::parse(name).unwrap()
}

/// A job that handler `a` runs.
pub(crate) fn job(trigger: Trigger) -> Definition {
    Definition {
        handler: named("a"),
        trigger,
        params: Payload::text("p"),
        timing: Timing::default(),
        catch_up: CatchUp::default(),
        limits: Limits::default(),
        managed_by: ManagedBy::Code,
        source_version: None,
    }
}

/// Every `seconds`, on the full ones.
pub(crate) fn every(seconds: i64) -> Trigger {
    Trigger::FixedRate { period_ms: seconds * 1_000, phase: Some(Millis::new(0)) }
}

impl Story {
    pub(crate) fn new() -> Self {
        let mut world = World::new(1);
        world.quiet();
        Self { world }
    }

    /// A connected worker with these handlers.
    pub(crate) fn worker(mut self, handlers: &[&str], slots: u32) -> Self {
        let worker = Worker::new(handlers, slots, self.world.now, &mut self.world.chance);
        self.world.workers.push(worker);
        self.connect(self.world.workers.len() - 1);
        self
    }

    pub(crate) fn job(mut self, name: &str, definition: Definition) -> Self {
        self.put(name, definition);
        self
    }

    pub(crate) fn connect(&mut self, worker: usize) -> StreamId {
        let stream = self.world.connect(worker);
        self.world.quiet();
        stream
    }

    /// The stream of a worker ends; nothing under way arrives.
    pub(crate) fn disconnect(&mut self, worker: usize) {
        let stream = self.world.workers[worker].stream.take().expect("it is connected");
        self.world.workers[worker].away_since = self.world.now;
        self.world.wires.remove(&stream);
        self.world.inbox.push_back(Message::StreamEnded { stream, last_contact: self.world.now });
        self.world.settle();
    }

    /// Time passes, in steps as the owner wakes.
    pub(crate) fn wait(&mut self, ms: i64) {
        let until = self.world.now.plus(ms);
        while let Some(wake) = self.world.shard.next_wake().filter(|wake| *wake < until) {
            self.world.advance(wake.since(self.world.now).max(0));
            self.world.quiet();
        }
        self.world.advance(until.since(self.world.now));
        self.world.quiet();
    }

    pub(crate) fn ask(&mut self, call: Call) -> Reply {
        let ticket = self.world.call(call);
        self.world.quiet();
        self.world.replies.remove(&ticket).expect("every call is answered")
    }

    pub(crate) fn put(&mut self, name: &str, definition: Definition) -> JobPutDone {
        match self.ask(Call::JobPut(vec![JobPut { name: named(name), definition, enabled: None }])) {
            Reply::Put(mut done) => done.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn enable(&mut self, name: &str, enabled: bool) {
        let reply = self.ask(Call::JobEnable { name: named(name), enabled });
        assert!(matches!(reply, Reply::Job(_)), "{reply:?}");
    }

    pub(crate) fn fire(&mut self, job: &str) -> Fire {
        Fire {
            job: named(job),
            params: None,
            when: When::Now,
            idempotency_key: None,
            request: Id::new(self.world.now, &mut self.world.chance),
            overlap: None,
            source: Source::Api,
        }
    }

    pub(crate) fn trigger_with(&mut self, fire: Fire) -> Result<Run, Refusal> {
        match self.ask(Call::Trigger(vec![fire])) {
            Reply::Triggered(mut results) => results.remove(0).map(|fired| fired.run),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn trigger(&mut self, job: &str) -> RunId {
        let fire = self.fire(job);
        self.trigger_with(fire).unwrap().id
    }

    pub(crate) fn refusal(&mut self, call: Call) -> Refusal {
        match self.ask(call) {
            Reply::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    /// A run as it is stored.
    pub(crate) fn run(&self, id: RunId) -> &Run {
        &self.world.tables.runs[&id]
    }

    /// A job's runs in order of tick or due instant.
    pub(crate) fn runs_of(&self, job: &str) -> Vec<&Run> {
        let of_job = |run: &&Run| run.job_name == named(job);
        let mut runs: Vec<_> = self.world.tables.runs.values().filter(of_job).collect();
        runs.sort_by_key(|run| (run.tick.unwrap_or(run.due), run.id));
        runs
    }

    /// How many of the job's runs ended so.
    pub(crate) fn ended(&self, job: &str, ended: Ended) -> usize {
        self.runs_of(job).iter().filter(|run| run.state == State::Ended(ended)).count()
    }

    /// The attempts a worker has.
    pub(crate) fn held(&self, worker: usize) -> Vec<AttemptKey> {
        self.world.workers[worker].held.keys().copied().collect()
    }

    /// The handler of a run returns.
    pub(crate) fn finish(&mut self, worker: usize, run: RunId, kind: OutcomeKind) {
        let key = self.held(worker).into_iter().find(|key| key.run == run).expect("the worker has the run");
        self.world.finish(worker, key, kind);
        self.world.quiet();
    }

    /// All that a worker has succeeds.
    pub(crate) fn finish_all(&mut self, worker: usize) {
        for key in self.held(worker) {
            self.world.finish(worker, key, done());
        }
        self.world.quiet();
    }

    /// A commit fails, so the memory is read again from the rows.
    pub(crate) fn reload(&mut self) {
        let fire = self.fire("nobody");
        self.world.call(Call::Trigger(vec![fire]));
        self.world.boot();
        self.world.inbox.clear();
        self.world.calls.clear();
        self.world.wires.values_mut().for_each(|(_, wire)| wire.to_worker.push_back(Frame::HelloAgain));
        self.world.quiet();
    }

    /// One turn, whose frames stay on the wire.
    pub(crate) fn turn(&mut self) {
        self.world.pump();
        self.world.turn(usize::MAX, Fate::Committed);
    }

    /// A message of a worker arrives as it is.
    pub(crate) fn say(&mut self, message: Message) {
        self.world.inbox.push_back(message);
    }
}

/// Some outcome of an attempt.
pub(crate) fn outcome(key: AttemptKey) -> Outcome {
    Outcome {
        key,
        kind: done(),
        started_at: None,
        ended_at: Millis::new(0),
        retry_after_ms: None,
        give_up: false,
    }
}
