//! The database: the shard's rows, who owns it, the leases, and transactions that hold the fence until they land. What
//! changes the owner waits for those.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fastjob_core::clock::Millis;
use fastjob_core::cluster::Seen;
use fastjob_core::id::{Epoch, RunId, ServerId};
use fastjob_core::shard::{Facts, Needs, OpenPage, Rows};

use super::{Ms, Plant, Sim, millis};
use crate::rows::Tables;

/// Waiting for the fence ends in an error after this long.
const LOCK_TIMEOUT_MS: Ms = 5_000;
/// A transaction that stands still for this long is rolled back.
const IDLE_LIMIT_MS: Ms = 5_000;

/// A row of the servers.
#[derive(Clone, Debug)]
pub(super) struct ServerRow {
    pub(super) seq: u64,
    pub(super) renewed_at: Millis,
    pub(super) dead: bool,
}

/// The shard's owner as its row says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OwnerRow {
    pub(super) server: Option<ServerId>,
    pub(super) epoch: Epoch,
    /// The owner is dead.
    pub(super) dead: bool,
}

/// A shard won.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) epoch: Epoch,
    pub(super) outage_from: Option<Millis>,
}

/// What a server asks of the database.
#[derive(Debug)]
pub(super) enum Ask {
    Renew { server: ServerId, seq: u64 },
    MarkDead { server: ServerId, seq: u64 },
    Look,
    Claim { seen: OwnerRow, server: ServerId, now: Millis },
    Raise { server: ServerId, epoch: Epoch, now: Millis },
    Release { server: ServerId, epoch: Epoch, outage_from: Millis },
    OpenPage { until: Millis, after: Option<RunId> },
    Facts(Box<Needs>),
    Commit { server: ServerId, epoch: Epoch, rows: Arc<Rows> },
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Answer {
    Renewed { now: Millis, others: Vec<Seen>, owner: OwnerRow },
    NotAsExpected,
    Done,
    Owner(OwnerRow, Vec<ServerId>),
    Claimed(Claimed),
    Page(OpenPage),
    Facts(Box<Facts>),
    Committed,
    Fenced,
    BadData,
    Error,
}

/// Everything stored.
pub(super) struct Store {
    pub(super) tables: Tables,
    pub(super) servers: BTreeMap<ServerId, ServerRow>,
    server: Option<ServerId>,
    epoch: Epoch,
    /// Of the newest write.
    written: Epoch,
    /// Transactions that hold the fence.
    holding: u32,
    waiting: VecDeque<(u64, Ask, Ms)>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            tables: Tables::default(),
            servers: BTreeMap::new(),
            server: None,
            epoch: Epoch(0),
            written: Epoch(0),
            holding: 0,
            waiting: VecDeque::new(),
        }
    }

    fn owner(&self) -> OwnerRow {
        let dead = self.server.is_some_and(|server| self.servers[&server].dead);
        OwnerRow { server: self.server, epoch: self.epoch, dead }
    }

    /// G6: epochs only rise.
    fn take_over(&mut self, server: ServerId, epoch: Epoch) -> Claimed {
        assert!(epoch > self.epoch, "G6: the epoch goes from {:?} to {epoch:?}", self.epoch);
        (self.server, self.epoch) = (Some(server), epoch);
        Claimed { epoch, outage_from: self.tables.outage_from }
    }

    /// What the owner is told of its claim.
    fn told(&self, claimed: Claimed, plant: Option<Plant>) -> Answer {
        let outage_from = claimed.outage_from.filter(|_| plant != Some(Plant::OutageUntold));
        Answer::Claimed(Claimed { outage_from, ..claimed })
    }

    fn next_epoch(&self, now: Millis) -> Epoch {
        Epoch((self.epoch.0 + 1).max(now.get()))
    }

    fn perform(&mut self, ask: Ask, now: Millis, plant: Option<Plant>) -> Answer {
        match ask {
            Ask::Renew { server, seq } => {
                let row = self.servers.get_mut(&server).expect("a server joins before it renews");
                if row.dead || row.seq != seq {
                    return Answer::NotAsExpected;
                }
                (row.seq, row.renewed_at) = (seq + 1, now);
                let others = self.servers.iter().filter(|(id, row)| **id != server && !row.dead);
                let others = others.map(|(id, row)| Seen { server: *id, seq: row.seq }).collect();
                Answer::Renewed { now, others, owner: self.owner() }
            }
            Ask::MarkDead { server, seq } => {
                if let Some(row) = self.servers.get_mut(&server).filter(|row| row.seq == seq) {
                    row.dead = true;
                }
                Answer::Done
            }
            Ask::Look => {
                let alive = self.servers.iter().filter(|(_, row)| !row.dead).map(|(id, _)| *id);
                Answer::Owner(self.owner(), alive.collect())
            }
            Ask::Claim { seen, server, now: at } => {
                let free = self.server.is_none_or(|owner| self.servers[&owner].dead);
                if (self.server, self.epoch) != (seen.server, seen.epoch) || !free {
                    return Answer::NotAsExpected;
                }
                let renewed_at = self.server.map(|dead| self.servers[&dead].renewed_at);
                self.tables.outage_from = self.tables.outage_from.or(renewed_at);
                let keeps = plant == Some(Plant::ClaimKeepsEpoch);
                let epoch = if keeps { self.epoch } else { self.next_epoch(at) };
                let claimed = self.take_over(server, epoch);
                self.told(claimed, plant)
            }
            Ask::Raise { server, epoch, now: at } => {
                if (self.server, self.epoch) != (Some(server), epoch) {
                    return Answer::NotAsExpected;
                }
                if plant == Some(Plant::ReloadKeepsEpoch) {
                    return Answer::Claimed(Claimed { epoch, outage_from: self.tables.outage_from });
                }
                let epoch = self.next_epoch(at);
                let claimed = self.take_over(server, epoch);
                self.told(claimed, plant)
            }
            Ask::Release { server, epoch, outage_from } => {
                if (self.server, self.epoch) == (Some(server), epoch) {
                    self.server = None;
                    self.tables.outage_from = self.tables.outage_from.or(Some(outage_from));
                }
                Answer::Done
            }
            Ask::OpenPage { until, after } => Answer::Page(self.tables.open_page(until, after, 50)),
            Ask::Facts(mut needs) => {
                if plant == Some(Plant::FiredNotLoaded) {
                    needs.fired.clear();
                }
                Answer::Facts(Box::new(self.tables.facts(&needs)))
            }
            Ask::Commit { .. } => unreachable!("a commit takes its time"),
        }
    }
}

/// What changes the owner, or must not meet a change of it.
fn needs_fence(ask: &Ask) -> bool {
    matches!(ask, Ask::Claim { .. } | Ask::Raise { .. } | Ask::Release { .. } | Ask::Commit { .. })
}

impl Sim {
    /// A question reaches the database.
    pub(super) fn asked(&mut self, op: u64, ask: Ask) {
        let unfenced = matches!(ask, Ask::Raise { .. }) && self.plant == Some(Plant::ReloadKeepsEpoch);
        let waits = needs_fence(&ask)
            && !unfenced
            && (!self.store.waiting.is_empty()
                || (self.store.holding > 0 && !matches!(ask, Ask::Commit { .. })));
        if waits {
            self.saw("waited for the fence");
            self.store.waiting.push_back((op, ask, self.now));
        } else {
            self.take(op, ask);
        }
    }

    fn take(&mut self, op: u64, ask: Ask) {
        match ask {
            Ask::Commit { server, epoch, rows } => self.begin(op, server, epoch, rows),
            ask => {
                let answer = self.store.perform(ask, millis(self.now), self.plant);
                self.answered(op, answer);
            }
        }
    }

    /// The first statement of a transaction is its fence; its last one comes a while later.
    fn begin(&mut self, op: u64, server: ServerId, epoch: Epoch, rows: Arc<Rows>) {
        let owns = (self.store.server, self.store.epoch) == (Some(server), epoch);
        if !owns && self.plant != Some(Plant::FenceIgnored) {
            self.saw("commit met the fence");
            return self.answered(op, Answer::Fenced);
        }
        let refusal = match self.below(if self.commits_fail() { 8 } else { u64::MAX }) {
            0 => Some(Answer::BadData),
            1 | 2 => Some(Answer::Error),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return self.answered(op, refusal);
        }
        let holds_ms = self.transaction_ms();
        self.store.holding += u32::from(self.plant != Some(Plant::FenceWithoutLock));
        self.at(holds_ms.min(IDLE_LIMIT_MS), move |sim| sim.lands(op, epoch, &rows, holds_ms));
    }

    fn lands(&mut self, op: u64, epoch: Epoch, rows: &Rows, held_ms: Ms) {
        if self.plant != Some(Plant::FenceWithoutLock) {
            self.store.holding -= 1;
        }
        if held_ms > IDLE_LIMIT_MS {
            self.answered(op, Answer::Error);
        } else {
            let written = self.store.written.max(self.store.epoch);
            assert!(epoch >= written, "G6: a write of epoch {epoch:?} follows one of {written:?}");
            self.store.written = epoch;
            self.trace(|| format!("committed {} rows of {epoch:?}", rows.len()));
            self.store.tables.apply(rows);
            self.committed(rows);
            if !self.asking.contains_key(&op) {
                self.saw("commit landed after its owner had given it up");
            }
            self.answered(op, Answer::Committed);
        }
        self.let_in();
    }

    /// Those who waited for the fence, in their order.
    fn let_in(&mut self) {
        while let Some((_, ask, _)) = self.store.waiting.front() {
            if self.store.holding > 0 && !matches!(ask, Ask::Commit { .. }) {
                return;
            }
            let (op, ask, since) = self.store.waiting.pop_front().expect("it was just seen");
            if self.now - since > LOCK_TIMEOUT_MS {
                self.answered(op, Answer::Error);
            } else {
                self.take(op, ask);
            }
        }
    }
}
