//! Where the owner of each shard listens, as far as it was told: the highest epoch wins, since a server that is cut off
//! from its database goes on telling what was.

use std::collections::BTreeMap;
use std::time::Duration;

use super::outbox::FLOOR_LAPSES;
use crate::protocol::v1;

#[derive(Default)]
pub(super) struct Places {
    by_shard: BTreeMap<u32, Place>,
}

/// The owner of one shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// "host:port"; empty: not known.
    pub(super) address: String,
    pub(super) epoch: i64,
    /// When it was told last.
    told: Duration,
    /// The owner of the epoch sent us here: Locate has yet to name a higher one.
    sent: bool,
}

impl Places {
    /// What Locate has answered. A lower epoch than the one known counts only once that one was not told for 15 s: a
    /// database may have been restored. Answers the shards whose owner is another one than before.
    pub(super) fn learn(&mut self, owners: &[v1::ShardOwner], now: Duration) -> Vec<u32> {
        let mut changed = Vec::new();
        for of in owners {
            let told = Place { address: of.address.clone(), epoch: of.epoch, told: now, sent: false };
            match self.by_shard.get_mut(&of.shard) {
                Some(known) if !known.yields_to(of.epoch, now) => {}
                Some(known) => {
                    let higher = known.epoch < told.epoch;
                    *known = told;
                    if higher {
                        changed.push(of.shard);
                    }
                }
                None => {
                    self.by_shard.insert(of.shard, told);
                }
            }
        }
        changed
    }

    /// The owner has sent us elsewhere; `to` may be empty.
    pub(super) fn moved(&mut self, shard: u32, to: &str, now: Duration) {
        let place = self.by_shard.entry(shard).or_insert_with(|| Place {
            address: String::new(),
            epoch: 0,
            told: now,
            sent: false,
        });
        place.address = to.to_owned();
        place.told = now;
        // Without an address, whoever knows one is believed.
        place.sent = !to.is_empty();
    }

    /// The shards whose owner listens at this address.
    pub(super) fn at(&self, address: &str) -> impl Iterator<Item = u32> {
        self.by_shard.iter().filter(move |(_, place)| place.address == address).map(|(shard, _)| *shard)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &Place)> {
        self.by_shard.iter().map(|(shard, place)| (*shard, place))
    }

    /// Whether nothing is known, or the owner of some shard is not.
    pub(super) fn is_incomplete(&self) -> bool {
        self.by_shard.is_empty() || self.by_shard.values().any(|place| place.address.is_empty())
    }
}

impl Place {
    fn yields_to(&self, epoch: i64, now: Duration) -> bool {
        let lapsed = now.saturating_sub(self.told) > FLOOR_LAPSES;
        lapsed || epoch > self.epoch || (epoch == self.epoch && !self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn owner(epoch: i64, address: &str) -> [v1::ShardOwner; 1] {
        [v1::ShardOwner { shard: 0, epoch, address: address.to_owned() }]
    }

    fn address(places: &Places) -> &str {
        places.all().next().map_or("", |(_, place)| &place.address)
    }

    #[test]
    fn a_server_that_tells_of_an_earlier_owner_is_not_believed_until_the_later_one_was_not_told_for_15_s() {
        let mut places = Places::default();
        assert!(places.learn(&owner(5, "b"), ZERO).is_empty());
        places.learn(&owner(4, "a"), FLOOR_LAPSES);
        assert_eq!(address(&places), "b");
        places.learn(&owner(5, "b"), FLOOR_LAPSES);
        places.learn(&owner(4, "a"), FLOOR_LAPSES * 2);
        assert_eq!(address(&places), "b");
        places.learn(&owner(4, "a"), FLOOR_LAPSES * 2 + Duration::from_millis(1));
        assert_eq!(address(&places), "a");
    }

    #[test]
    fn a_higher_epoch_is_a_new_owner_also_when_its_address_is_not_known() {
        let mut places = Places::default();
        places.learn(&owner(5, "b"), ZERO);
        assert_eq!(places.learn(&owner(6, "c"), ZERO), [0]);
        assert!(places.learn(&owner(6, ""), ZERO).is_empty(), "its owner died");
        assert!(places.is_incomplete());
    }

    #[test]
    fn the_address_that_an_owner_named_when_it_left_counts_until_a_higher_epoch_is_told() {
        let mut places = Places::default();
        places.learn(&owner(5, "a"), ZERO);
        places.moved(0, "b", ZERO);
        places.learn(&owner(5, "a"), ZERO);
        assert_eq!(address(&places), "b");
        assert_eq!(places.learn(&owner(6, "c"), ZERO), [0]);
        assert_eq!(address(&places), "c");
        places.moved(0, "", ZERO);
        places.learn(&owner(6, "d"), ZERO);
        assert_eq!(address(&places), "d", "one that named none leaves it to Locate");
    }
}
