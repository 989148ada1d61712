//! From running owners to shards of another server: an owner stops at the end of its turn, all shards that are to go are
//! released in one transaction, and only then do their streams learn where they went. Nothing of a shard is lost on the
//! way: what was not acknowledged, its workers say again to the successor.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis};
use fastjob_core::id::{Epoch, ServerId, ShardKey};

use super::{AGAIN, Cluster, RELEASE_BATCH};
use crate::owner::{Ended, Stopped};
use crate::store::{Desired, Release, StoreError};

/// How long a released shard is left to its successor.
const RESERVED_MS: i64 = 5_000;
/// How long owners that have stopped wait for those that are still in a turn.
const GATHER: Duration = Duration::from_millis(300);
/// How long a server that stops tries to release its shards.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The shards on their way out.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Asked to stop, and to whom they are to go.
    asked: HashMap<ShardKey, Option<ServerId>>,
    /// Their owners have stopped.
    stopped: HashMap<ShardKey, Held>,
    /// Since when the first of those waits.
    since: Option<Duration>,
}

/// A shard without an owner's loop that is still this server's.
#[derive(Debug)]
struct Held {
    epoch: Epoch,
    to: Option<ServerId>,
    outage_from: Option<Millis>,
    /// Keeps the streams open until the shard is released.
    _open: Option<Stopped>,
}

impl Leaving {
    pub(super) fn has(&self, shard: ShardKey) -> bool {
        self.asked.contains_key(&shard) || self.stopped.contains_key(&shard)
    }

    /// All that were asked have stopped.
    pub(super) fn is_ready(&self) -> bool {
        self.asked.is_empty() && !self.stopped.is_empty()
    }

    /// Releases a shard that no owner runs for.
    pub(super) fn release(&mut self, shard: ShardKey, epoch: Epoch) {
        self.stopped.insert(shard, Held { epoch, to: None, outage_from: None, _open: None });
    }
}

impl Cluster {
    /// Asks the owners of shards that are desired elsewhere to stop. Only after a look.
    pub(super) fn honour_desires(&mut self) {
        let (me, now) = (self.parts.server, self.parts.shared.time.now());
        let mut moves = Vec::new();
        for owned in self.view.shards().filter(|owned| owned.server == Some(me)) {
            if let Some(desired) = self.view.promised(owned, now)
                && desired.server != me
            {
                moves.push((owned.shard, Some(desired.server)));
            }
        }
        self.ask_to_stop(moves);
    }

    /// Asks some owners to stop, if this server has had more than its share for a while.
    pub(super) fn shed(&mut self) {
        let (me, now) = (self.parts.server, self.parts.shared.time.elapsed());
        let mut placement = self.placement().clone();
        let mut owned = Vec::new();
        if placement.load(me) > placement.cap() {
            owned.extend(self.running.keys().copied().filter(|shard| !self.leaving.has(*shard)));
            owned.sort_unstable();
        }
        let moves = self.shedding.due(now, me, &owned, &mut placement);
        if !moves.is_empty() {
            tracing::info!(shards = moves.len(), "handing shards over: this server has more than its share");
        }
        self.ask_to_stop(moves.into_iter().map(|moved| (moved.shard, Some(moved.to))).collect());
    }

    /// Asks all owners to stop, each for the best of the other servers.
    pub(super) fn leave_all(&mut self) {
        if self.running.len() == self.leaving.asked.len() {
            return;
        }
        let me = self.parts.server;
        let mut placement = self.placement().clone();
        let running: BTreeSet<_> = self.running.keys().copied().collect();
        let mut moves = Vec::with_capacity(running.len());
        for shard in running.into_iter().filter(|shard| !self.leaving.asked.contains_key(shard)) {
            let to = placement.successor(shard, me);
            if let Some(to) = to {
                placement.shift(me, to);
            }
            moves.push((shard, to));
        }
        self.ask_to_stop(moves);
    }

    fn ask_to_stop(&mut self, moves: Vec<(ShardKey, Option<ServerId>)>) {
        for (shard, to) in moves {
            let Some(running) = self.running.get(&shard) else { continue };
            if self.leaving.asked.insert(shard, to).is_none() {
                running.stop.cancel();
            }
        }
    }

    /// An owner's loop is over. No new call or stream finds it; the old streams wait for the release.
    pub(super) fn owner_ended(&mut self, shard: ShardKey, ended: Ended) {
        if let Some(running) = self.running.remove(&shard) {
            self.parts.doors.remove(&running.door);
        }
        let to = self.leaving.asked.remove(&shard).flatten();
        match ended {
            Ended::Fenced => self.looked = None,
            Ended::Stopped(stopped) => {
                let (epoch, outage_from) = (stopped.epoch, stopped.outage_from);
                self.leaving.since.get_or_insert(self.parts.shared.time.elapsed());
                self.leaving.stopped.insert(shard, Held { epoch, to, outage_from, _open: Some(stopped) });
            }
        }
    }

    /// Releases the shards whose owners have stopped, once none is missing or those have waited for a while. Returns when
    /// to try again.
    pub(super) async fn release(&mut self) -> Result<Option<Duration>, StoreError> {
        self.join_ended();
        if self.leaving.stopped.is_empty() {
            return Ok(None);
        }
        let elapsed = self.parts.shared.time.elapsed();
        let waited = elapsed.saturating_sub(*self.leaving.since.get_or_insert(elapsed));
        if !self.leaving.asked.is_empty() && waited < GATHER {
            return Ok(Some(GATHER - waited));
        }
        if !self.parts.shared.trust.holds() {
            return Ok(Some(AGAIN));
        }
        for (at, shards) in self.by_instant() {
            for shards in shards.chunks(RELEASE_BATCH) {
                self.release_at(at, shards).await?;
            }
        }
        self.leaving.since = None;
        Ok(None)
    }

    /// A shard is released as of the instant from which nobody has seen its ticks.
    fn by_instant(&self) -> BTreeMap<Millis, Vec<ShardKey>> {
        let now = self.parts.shared.time.now();
        let mut by_instant: BTreeMap<Millis, Vec<ShardKey>> = BTreeMap::new();
        for (shard, held) in &self.leaving.stopped {
            by_instant.entry(held.outage_from.unwrap_or(now)).or_default().push(*shard);
        }
        for shards in by_instant.values_mut() {
            shards.sort_unstable();
        }
        by_instant
    }

    /// After an error it is not known what was written; the next try finds what is still this server's.
    async fn release_at(&mut self, at: Millis, shards: &[ShardKey]) -> Result<(), StoreError> {
        let (me, time) = (self.parts.server, self.parts.shared.time.clone());
        let until = time.now().plus(RESERVED_MS);
        let release = |shard: &ShardKey| {
            let held = self.leaving.stopped.get(shard)?;
            let desired = held.to.map(|server| Desired { server, until });
            Some(Release { shard: *shard, epoch: held.epoch, desired })
        };
        let releases: Vec<_> = shards.iter().filter_map(release).collect();
        let given_up = self.parts.shared.store.shards_release(&releases, me, at).await?;
        tracing::info!(shards = given_up.len(), "shards released");
        if given_up.len() < releases.len() {
            let shards = releases.len() - given_up.len();
            tracing::warn!(shards, "shards to release were no longer this server's");
            self.looked = None;
        }
        self.given_up(&releases, &given_up);
        for release in &releases {
            self.leaving.stopped.remove(&release.shard);
        }
        Ok(())
    }

    /// Shows where the shards went, and wakes those who have them now.
    fn given_up(&mut self, releases: &[Release], given_up: &[ShardKey]) {
        let given_up: BTreeSet<_> = given_up.iter().copied().collect();
        let mut successors = BTreeSet::new();
        let elapsed = self.parts.shared.time.elapsed();
        for release in releases.iter().filter(|release| given_up.contains(&release.shard)) {
            self.view.released(release.shard, release.desired, elapsed);
            successors.extend(release.desired.map(|desired| desired.server));
        }
        self.show(&given_up.into_iter().collect::<Vec<_>>());
        let Some(nudges) = &self.parts.nudges else { return };
        for address in successors.into_iter().filter_map(|server| self.view.address(server)) {
            // A full queue costs the successor a renewal's time.
            let _ = nudges.try_send(address.to_owned());
        }
    }

    /// Nothing more is left to do before this server ends. Without trust, or after a while, shards are left as they are:
    /// others will see when this server renewed last, and make up for the time since.
    pub(super) fn has_left(&mut self, since: Duration) -> bool {
        let too_late = self.parts.shared.time.elapsed().saturating_sub(since) >= STOP_WITHIN;
        if self.running.is_empty() && (too_late || !self.parts.shared.trust.holds()) {
            if !self.leaving.stopped.is_empty() {
                tracing::warn!(shards = self.leaving.stopped.len(), "shards are left to be taken over");
            }
            return true;
        }
        self.running.is_empty() && self.leaving.stopped.is_empty()
    }

    fn join_ended(&mut self) {
        while let Some(ended) = self.owners.try_join_next() {
            match ended {
                Ok((shard, ended)) => self.owner_ended(shard, ended),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }
}
