//! Joins the turns that several shards have waiting into one transaction, so that a thousand shards with one run each
//! cost about what one shard with a thousand runs costs.

use std::sync::Arc;

use fastjob_core::clock::{Clock, Millis};
use fastjob_core::id::{Epoch, ServerId, ShardKey};
use fastjob_core::shard::Rows;
use tokio::sync::{mpsc, oneshot};

use crate::metrics;
use crate::store::{ErrorKind, Store, StoreError, Turn, TurnEnd};
use crate::trust::time::DatabaseTime;

/// Turns that may wait for a transaction.
const QUEUE: usize = 1_024;
/// Rows of one transaction, unless a single turn has more.
const MAX_ROWS: usize = 5_000;

/// Hands turns to the committing task.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<Waiting>,
}

/// Why a turn was not committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The shard is no longer this server's at this epoch.
    Fenced,
    /// The database refuses these very rows.
    Data,
    /// Not known to be committed: the rows decide.
    Unknown,
}

/// A turn to commit.
pub struct Commit {
    /// Of which shard.
    pub shard: ShardKey,
    /// At which epoch.
    pub epoch: Epoch,
    /// What it writes; its owner counts them afterwards.
    pub rows: Arc<Rows>,
    /// When it was decided.
    pub at: Millis,
}

struct Waiting {
    commit: Commit,
    done: oneshot::Sender<Result<(), Refused>>,
}

impl Committer {
    /// The committer, and the task that does its work until every `Committer` is dropped.
    pub fn new(
        store: Store,
        server: ServerId,
        time: DatabaseTime,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self { queue }, commit_all(store, server, time, waiting))
    }

    /// Commits one turn, together with others that wait.
    pub async fn commit(&self, commit: Commit) -> Result<(), Refused> {
        let (done, result) = oneshot::channel();
        if self.queue.send(Waiting { commit, done }).await.is_err() {
            return Err(Refused::Unknown);
        }
        result.await.unwrap_or(Err(Refused::Unknown))
    }
}

async fn commit_all(store: Store, server: ServerId, time: DatabaseTime, mut queue: mpsc::Receiver<Waiting>) {
    let mut held_back = None;
    loop {
        let first = match held_back.take() {
            Some(waiting) => waiting,
            None => match queue.recv().await {
                Some(waiting) => waiting,
                None => return,
            },
        };
        let mut joined = vec![first];
        let mut rows = joined[0].commit.rows.len();
        while let Ok(waiting) = queue.try_recv() {
            rows += waiting.commit.rows.len();
            if rows > MAX_ROWS {
                held_back = Some(waiting);
                break;
            }
            joined.push(waiting);
        }
        joined.sort_by_key(|waiting| waiting.commit.shard);
        commit_joined(&store, server, &time, joined).await;
    }
}

async fn commit_joined(store: &Store, server: ServerId, time: &DatabaseTime, joined: Vec<Waiting>) {
    let turns: Vec<Turn<'_>> = joined.iter().map(|waiting| turn(server, &waiting.commit)).collect();
    let started = time.elapsed();
    let result = store.turns_commit(&turns).await;
    let rows = joined.iter().map(|waiting| waiting.commit.rows.len()).sum();
    metrics::commit(time.elapsed() - started, turns.len(), rows);
    let ends = match result {
        Ok(ends) => ends.into_iter().map(outcome).collect(),
        Err(error) if blames_rows(&error) && joined.len() > 1 => {
            tracing::warn!(%error, turns = joined.len(), "joined commit refused for its data, committing apart");
            commit_apart(store, &turns).await
        }
        Err(error) => vec![Err(refused(&error)); joined.len()],
    };
    for (waiting, end) in joined.into_iter().zip(ends) {
        let _ = waiting.done.send(end);
    }
}

async fn commit_apart(store: &Store, turns: &[Turn<'_>]) -> Vec<Result<(), Refused>> {
    let mut ends = Vec::with_capacity(turns.len());
    for turn in turns {
        let end = match store.turns_commit(std::slice::from_ref(turn)).await {
            Ok(end) => outcome(end[0]),
            Err(error) => Err(refused(&error)),
        };
        ends.push(end);
    }
    ends
}

fn turn(server: ServerId, commit: &Commit) -> Turn<'_> {
    Turn { shard: commit.shard, server, epoch: commit.epoch, rows: &commit.rows, at: commit.at }
}

fn outcome(end: TurnEnd) -> Result<(), Refused> {
    match end {
        TurnEnd::Committed => Ok(()),
        TurnEnd::Fenced => Err(Refused::Fenced),
    }
}

/// Nothing was written, and the same rows would be refused again.
fn blames_rows(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::Data | ErrorKind::Defect)
}

fn refused(error: &StoreError) -> Refused {
    if blames_rows(error) {
        tracing::error!(%error, "turn refused for its data");
        Refused::Data
    } else {
        tracing::warn!(%error, "turn not known to be committed");
        Refused::Unknown
    }
}
