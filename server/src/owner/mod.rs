//! The loop around [`fastjob_core::shard`]: collect, load, decide, commit, act. One task per owned shard, no locks. It
//! decides nothing itself, and nothing leaves it before the commit that says so.

mod act;
mod boot;
mod collect;
pub mod committer;
pub mod door;
pub mod waiters;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fastjob_core::clock::{Clock, Millis};
use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::id::Epoch;
use fastjob_core::mutant::mutant;
use fastjob_core::shard::{Frame, Message, Reply, Rows, Settings, Shard, StreamId, Ticket};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::failpoint::failpoint;
use crate::metrics::{self, ShardMetrics};
use crate::store::{Claimed, Store, StoreError};
use crate::trust::time::DatabaseTime;
use crate::trust::{Lapse, LapsesSeen, Look, Trust};

use committer::{Commit, Committer, Refused};
use door::{Knock, ShownLoad};
use waiters::Waiters;

/// What every owner of this server shares.
#[derive(Clone)]
pub struct Shared {
    /// Where the rows are.
    pub store: Store,
    /// Commits turns.
    pub committer: Committer,
    /// Tells the time.
    pub time: DatabaseTime,
    /// Tells whether to act.
    pub trust: Trust,
    /// Who waits for runs to end.
    pub waiters: Waiters,
    /// How many owners may ask the database at a time, beside their commits: ten thousand that begin or repair themselves
    /// together wait here, in order, and leave connections to the lease and the committer.
    pub reads: Arc<Semaphore>,
}

/// Owns one app shard until the fence refuses it or it is told to stop.
pub struct Owner {
    shared: Shared,
    settings: Settings,
    metrics: ShardMetrics,
    door: mpsc::Receiver<Knock>,
    load: ShownLoad,
    stop: CancellationToken,
    shard: Shard,
    seen: LapsesSeen,
    missed: watch::Receiver<()>,
    streams: HashMap<StreamId, mpsc::Sender<Vec<Frame>>>,
    calls: HashMap<Ticket, oneshot::Sender<Reply>>,
    next_ticket: u64,
    /// Messages of the owner to itself, for the next turn.
    own: Vec<Message>,
    /// A time whose ticks nobody saw, until a committed turn has made up for it.
    outage: Option<Lapse>,
    /// Messages of a batch whose rows were refused: one per turn, until the guilty one is found.
    suspects: VecDeque<Message>,
}

/// Why an owner's loop ended.
#[derive(Debug)]
pub enum Ended {
    /// Another server owns the shard now.
    Fenced,
    /// It was told to stop; the shard is still this server's.
    Stopped(Stopped),
}

/// What a stopped owner leaves behind, until the shard is given up.
#[derive(Debug)]
pub struct Stopped {
    /// Of the ownership.
    pub epoch: Epoch,
    /// Since when nobody has seen the shard's ticks, if that began before the stop.
    pub outage_from: Option<Millis>,
    /// Dropped, it tells the streams that the owner is gone. The door goes before the streams: they would take it for a
    /// full queue otherwise.
    pub open: (mpsc::Receiver<Knock>, HashMap<StreamId, mpsc::Sender<Vec<Frame>>>),
}

enum Turn {
    Done,
    Fenced,
}

impl Owner {
    /// An owner of the shard that was just claimed, behind its door; `app` is its app's label in metrics.
    pub fn new(
        shared: Shared,
        settings: Settings,
        app: Arc<str>,
        claimed: Claimed,
        (door, load): (mpsc::Receiver<Knock>, ShownLoad),
        stop: CancellationToken,
    ) -> Self {
        let (seen, missed) = (shared.trust.lapses_seen(), shared.trust.missed());
        let shard = Shard::new(settings.clone(), boot::chance());
        let metrics = ShardMetrics::new(app, settings.shard.shard);
        let mut owner = Self {
            shared,
            settings,
            metrics,
            door,
            load,
            stop,
            shard,
            seen,
            missed,
            streams: HashMap::new(),
            calls: HashMap::new(),
            next_ticket: 0,
            own: Vec::new(),
            outage: None,
            suspects: VecDeque::new(),
        };
        let now = owner.shared.time.now();
        owner.missed(claimed.outage_from, now);
        owner
    }

    /// The whole scheduler at a glance. See ARCHITECTURE.md, "The owner's turn".
    pub async fn own(mut self) -> Ended {
        if !self.boot().await {
            return self.ended();
        }
        while let Some(batch) = self.collect().await {
            match self.turn(batch).await {
                Turn::Done => {}
                Turn::Fenced => return self.fenced(),
            }
        }
        self.ended()
    }

    async fn turn(&mut self, mut batch: Vec<Message>) -> Turn {
        let now = self.shared.time.now();
        // The clock may have been set since the batch began: what it left out is known before what time it is now, and
        // so may be what is left out before that it is.
        if let Look::Regained(lapse) = self.shared.trust.look(&mut self.seen) {
            self.missed(Some(lapse.from), lapse.until);
            batch.splice(0..0, std::mem::take(&mut self.own));
        }
        let now = self.outage.map_or(now, |noted| now.max(noted.until));
        let started = self.shared.time.elapsed();
        let facts = match self.load(&batch, now).await {
            Ok(facts) => facts,
            Err(error) => {
                tracing::warn!(shard = %self.settings.shard, %error, "turn could not load its facts");
                self.put_back(batch).await;
                return Turn::Done;
            }
        };
        let mut plan = self.shard.decide(batch.clone(), facts, now);
        let rows = Arc::new(std::mem::take(&mut plan.rows));
        if mutant("send_before_commit") {
            self.send(std::mem::take(&mut plan.frames), now);
            // Long enough for the frames to leave.
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
        match self.commit(&rows, now).await {
            Err(Refused::Unknown) if mutant("unknown_commit_failed") => Turn::Done,
            Err(Refused::Unknown) if mutant("unknown_commit_done") => {
                self.act(plan, &rows, now);
                Turn::Done
            }
            Ok(()) if self.shared.trust.holds() => {
                self.act(plan, &rows, now);
                metrics::turn(self.shared.time.elapsed() - started);
                Turn::Done
            }
            Err(Refused::Fenced) => Turn::Fenced,
            Err(Refused::Data) => self.suspect(batch).await,
            Ok(()) | Err(Refused::Unknown) => self.reload().await,
        }
    }

    async fn load(&self, batch: &[Message], now: Millis) -> Result<fastjob_core::shard::Facts, StoreError> {
        let needs = self.shard.needs(batch, now);
        if needs.is_empty() {
            return Ok(Default::default());
        }
        let _turn = self.shared.reads.acquire().await.expect("nobody closes it");
        self.shared.store.facts(self.settings.shard, &needs).await
    }

    async fn commit(&mut self, rows: &Arc<Rows>, now: Millis) -> Result<(), Refused> {
        if rows.is_empty() {
            return Ok(());
        }
        let (shard, epoch) = (self.settings.shard, self.settings.epoch);
        let mut rows = Arc::clone(rows);
        if let Some(first) = torn(&mut rows) {
            self.shared.committer.commit(Commit { shard, epoch, rows: first, at: now }).await?;
            failpoint("after_write_ahead_commit");
        }
        self.shared.committer.commit(Commit { shard, epoch, rows: Arc::clone(&rows), at: now }).await?;
        if rows.outage_over {
            self.outage = None;
        }
        if !rows.runs_created.is_empty() {
            failpoint("after_write_ahead_commit");
        }
        if !rows.runs_started.is_empty() {
            failpoint("after_dispatch_commit");
        }
        Ok(())
    }

    /// The rows of this batch contradict the database. The memory may be wrong: read it again, and take the messages one
    /// by one. One that is refused alone is the culprit.
    async fn suspect(&mut self, mut batch: Vec<Message>) -> Turn {
        if batch.len() == 1 {
            let message = batch.remove(0);
            tracing::error!(shard = %self.settings.shard, ?message, "message refused by the database");
            if let Message::Call { ticket, .. } = message {
                let refusal =
                    Refusal::new(RefusalKind::Internal, "refused_by_database", "failed to write the change");
                self.reply(ticket, Reply::Refused(refusal.remedy("see the server's log")));
            }
        } else {
            self.suspects.extend(batch);
        }
        self.refuse_calls();
        self.reload_keeping_calls().await
    }

    fn fenced(self) -> Ended {
        tracing::warn!(shard = %self.settings.shard, epoch = self.settings.epoch.0, "shard taken over by another server");
        Ended::Fenced
    }

    fn ended(mut self) -> Ended {
        if let Look::Regained(lapse) = self.shared.trust.look(&mut self.seen) {
            self.missed(Some(lapse.from), lapse.until);
        }
        Ended::Stopped(Stopped {
            epoch: self.settings.epoch,
            outage_from: self.outage.map(|noted| noted.from),
            open: (self.door, self.streams),
        })
    }

    /// Calls whose turn came to nothing known: the caller asks again, with the same request id.
    fn refuse_calls(&mut self) {
        let suspected: HashSet<Ticket> = self.suspects.iter().filter_map(ticket_of).collect();
        let unknown: Vec<Ticket> =
            self.calls.keys().filter(|ticket| !suspected.contains(ticket)).copied().collect();
        for ticket in unknown {
            let refusal = Refusal::new(
                RefusalKind::Unavailable,
                "commit_unknown",
                "the change may not have been written",
            );
            self.reply(ticket, Reply::Refused(refusal.remedy("repeat the call with the same request id")));
        }
    }

    fn reply(&mut self, ticket: Ticket, reply: Reply) {
        if let Some(caller) = self.calls.remove(&ticket) {
            let _ = caller.send(reply);
        }
    }
}

/// Rows that a planted bug commits in a transaction of their own, ahead of the others.
fn torn(rows: &mut Arc<Rows>) -> Option<Arc<Rows>> {
    let mut first = Rows::default();
    if mutant("next_at_apart") && !rows.runs_created.is_empty() {
        first.cursors = std::mem::take(&mut Arc::make_mut(rows).cursors);
    } else if mutant("inbox_apart") {
        first.inbox_done = std::mem::take(&mut Arc::make_mut(rows).inbox_done);
    }
    (!first.is_empty()).then(|| Arc::new(first))
}

fn ticket_of(message: &Message) -> Option<Ticket> {
    match message {
        Message::Call { ticket, .. } => Some(*ticket),
        _ => None,
    }
}
