//! How the slots are spread over the app's shards: evenly at first, and then to where runs wait.
//!
//! Each shard has a quota, and the quotas together are the slots. A shard that wants more gets quota of another one: of what
//! that one was not granted, of what it was granted and does not use, or, where it has more than the one that wants, of what
//! it uses, as soon as that is free. So a worker with fewer slots than shards serves all of them in turn.

use std::cmp::Reverse;

use super::streams::Shard;
use super::{Outbox, StreamId};
use crate::protocol::v1;

/// The even shares.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    slots: u32,
    count: usize,
    /// Which shard gets the first of the slots that do not divide evenly.
    turn: usize,
}

impl Shares {
    /// What the shard with this rank may hold and be granted.
    pub(super) fn quota(self, rank: usize, shard: &Shard) -> u32 {
        let count = u32::try_from(self.count).unwrap_or(u32::MAX).max(1);
        let rank = (rank + self.count - self.turn) % self.count.max(1);
        let even = self.slots / count + u32::from(rank < (self.slots % count) as usize);
        u32::try_from((i64::from(even) + shard.lent).max(0)).unwrap_or(u32::MAX)
    }

    /// What it is to be granted, if that is free.
    pub(super) fn owed(self, rank: usize, shard: &Shard) -> u32 {
        self.quota(rank, shard).saturating_sub(shard.unspent + shard.held)
    }
}

/// What is owed to the shards that wait, in the order in which they get it.
pub(super) struct Waiting(Vec<(u32, u32)>);

impl Waiting {
    /// What others get before this one.
    pub(super) fn before(&self, number: u32) -> u32 {
        self.0.iter().take_while(|(waiting, _)| *waiting != number).map(|(_, owed)| owed).sum()
    }
}

/// Who gives quota up, and how.
struct Gift {
    donor: u32,
    quota: u32,
    /// So much of it is credit that is out.
    recall: u32,
}

impl Outbox {
    pub(super) fn shares(&self) -> Shares {
        let count = self.shards.len();
        Shares { slots: self.slots, count, turn: self.turn as usize % count.max(1) }
    }

    pub(super) fn waiting(&self) -> Waiting {
        Waiting(self.wants.iter().map(|number| (*number, self.owed_to(*number))).collect())
    }

    /// An owner has runs for the worker and no credit of it.
    pub(in crate::worker) fn want(&mut self, stream: StreamId, number: u32) {
        let wants = self.shards.get(&number).is_some_and(|shard| {
            // What is on its way is enough for now: the owner will say so again.
            shard.stream == Some(stream) && shard.unspent == 0
        });
        if wants && !self.leaving && !self.wants.contains(&number) {
            self.wants.push_back(number);
            self.serve_wants();
        }
    }

    /// Something is free, or may be given away now: each that waits for a slot gets quota for it, in its turn.
    pub(super) fn serve_wants(&mut self) {
        for at in 0..self.wants.len() {
            let number = self.wants[at];
            if self.owed_to(number) == 0
                && let Some(gift) = self.gift(number)
            {
                self.give(&gift, number);
            }
            if self.owed_to(number) > 0 {
                self.wake(number);
            }
        }
    }

    fn owed_to(&self, number: u32) -> u32 {
        self.ranked(number).map_or(0, |(rank, shard)| self.shares().owed(rank, shard))
    }

    fn ranked(&self, number: u32) -> Option<(usize, &Shard)> {
        let mut ranked = self.shards.iter().enumerate();
        ranked.find(|(_, (of, _))| **of == number).map(|(rank, (_, shard))| (rank, shard))
    }

    /// The best gift for a shard: quota of one without a stream, else credit that is not used, else what the richest frees
    /// next; of equals that of the one that was granted some longest ago.
    fn gift(&self, to: u32) -> Option<Gift> {
        let shares = self.shares();
        let mut best: Option<(Rank, Gift)> = None;
        let own = self.ranked(to).map_or(0, |(rank, shard)| shares.quota(rank, shard));
        for (rank, (&donor, shard)) in self.shards.iter().enumerate() {
            if donor == to || shard.endowed {
                continue;
            }
            let quota = shares.quota(rank, shard);
            let (owed, unused) = (shares.owed(rank, shard), shard.unspent.min(quota));
            let (class, quota, recall) = if shard.stream.is_none() && owed > 0 {
                (3, owed.div_ceil(2), 0)
            } else if unused > 0 && shard.recall + shard.recalling == 0 {
                (2, unused.div_ceil(2), unused.div_ceil(2))
            } else if quota > own {
                (1, 1, 0)
            } else {
                continue;
            };
            let most = shares.quota(rank, shard);
            let good = (class, if class == 1 { most } else { quota }, Reverse(shard.granted));
            if best.as_ref().is_none_or(|(known, _)| good > *known) {
                best = Some((good, Gift { donor, quota, recall }));
            }
        }
        best.map(|(_, gift)| gift)
    }

    fn give(&mut self, gift: &Gift, to: u32) {
        if let Some(donor) = self.shards.get_mut(&gift.donor) {
            donor.lent -= i64::from(gift.quota);
            donor.recall = gift.recall;
        }
        if let Some(shard) = self.shards.get_mut(&to) {
            shard.lent += i64::from(gift.quota);
            shard.endowed = true;
        }
        if gift.recall > 0 {
            self.wake(gift.donor);
        }
    }

    /// An owner has given credit back.
    pub(in crate::worker) fn recalled(&mut self, stream: StreamId, recalled: &v1::Recalled) {
        let Some(shard) = self.shards.get_mut(&recalled.shard) else { return };
        if shard.stream != Some(stream) {
            return;
        }
        let back = recalled.credit.min(shard.recalling).min(shard.unspent);
        shard.recalling = 0;
        shard.unspent -= back;
        self.serve_wants();
    }
}

/// How good a gift is.
type Rank = (u8, u32, Reverse<u64>);
