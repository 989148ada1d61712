//! How servers share the shards: deaths that are observed, the order of the claims, and the moves.

use std::collections::BTreeMap;
use std::time::Duration;

use fastjob_core::cluster::{ABOVE_FOR, LeaseTerms, Peer, Placement, SHED_EVERY, Seen, Shedding, Watch};
use fastjob_core::id::{AppId, ServerId, ShardKey};
use proptest::prelude::*;

const TERMS: LeaseTerms = LeaseTerms { lease: ms(4_000), renew: ms(1_000), margin: ms(250) };

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn server(number: u8) -> ServerId {
    ServerId::from_bytes([number; 16])
}

fn peers(count: u8) -> Vec<Peer> {
    (1..=count).map(|number| Peer { server: server(number), weight: 1 }).collect()
}

fn shards(count: usize) -> Vec<ShardKey> {
    (0..count).map(|app| ShardKey { app: AppId(i64::try_from(app).expect("few")), shard: 0 }).collect()
}

fn seen(number: u8, seq: u64) -> Seen {
    Seen { server: server(number), seq }
}

#[test]
fn a_server_is_dead_after_a_full_lease_with_the_same_seq_and_not_before() {
    let mut watch = Watch::new(TERMS);
    for second in 1..=4 {
        let dead = watch.renewed(ms(second * 1_000), ms(second * 1_000 + 5), &[seen(1, 7)]);
        assert_eq!(dead, [], "second {second}");
    }
    // It was seen first at 1,005.
    assert_eq!(watch.next_renewal(ms(4_005)), ms(5_005));
    assert_eq!(watch.renewed(ms(5_004), ms(5_006), &[seen(1, 7)]), []);
    assert_eq!(watch.renewed(ms(5_005), ms(5_010), &[seen(1, 7)]), [seen(1, 7)]);
    assert_eq!(watch.renewed(ms(6_000), ms(6_005), &[seen(1, 7)]), [seen(1, 7)], "until it is marked");
    assert_eq!(watch.renewed(ms(7_000), ms(7_005), &[seen(1, 8)]), [], "it came back before that");
}

#[test]
fn the_next_renewal_comes_early_if_a_death_is_due_by_then() {
    let mut watch = Watch::new(TERMS);
    for at in [1_000, 2_000, 3_000, 4_000] {
        watch.renewed(ms(at), ms(at + 300), &[seen(1, 7)]);
    }
    assert_eq!(watch.next_renewal(ms(4_700)), ms(5_300));
    watch.renewed(ms(5_300), ms(5_310), &[seen(1, 7)]);
    assert_eq!(watch.next_renewal(ms(5_310)), ms(6_310), "what is dead already hurries nobody");
}

#[test]
fn a_failed_renewal_of_the_observer_begins_the_observation_again() {
    let mut watch = Watch::new(TERMS);
    for at in [1_000, 2_000, 3_000, 4_000] {
        watch.renewed(ms(at), ms(at), &[seen(1, 7)]);
    }
    watch.failed();
    assert_eq!(watch.renewed(ms(5_000), ms(5_000), &[seen(1, 7)]), []);
    for at in [6_000, 7_000, 8_000] {
        assert_eq!(watch.renewed(ms(at), ms(at), &[seen(1, 7)]), []);
    }
    assert_eq!(watch.renewed(ms(9_000), ms(9_000), &[seen(1, 7)]), [seen(1, 7)]);
}

#[test]
fn an_observer_that_was_paused_with_the_others_kills_none_of_them() {
    let mut watch = Watch::new(TERMS);
    for at in [1_000, 2_000, 3_000] {
        watch.renewed(ms(at), ms(at), &[seen(1, 7)]);
    }
    assert_eq!(watch.renewed(ms(60_000), ms(60_000), &[seen(1, 7)]), []);
    assert_eq!(watch.renewed(ms(61_000), ms(61_000), &[seen(1, 8)]), []);
}

proptest! {
    /// Observer and observed pause at random, together or not; the observed renews whenever it has not paused for a lease.
    #[test]
    fn no_observer_ever_declares_dead_a_server_that_renews_within_its_lease(
        pauses in prop::collection::vec((0_u64..12_000, 0_u64..3_000), 1..60),
        restarts in prop::collection::vec(any::<bool>(), 60),
    ) {
        let (mut watch, mut now, mut seq) = (Watch::new(TERMS), 1_000_u64, 1_u64);
        let mut renewed_at = now;
        for (at, (observer_ms, victim_ms)) in pauses.into_iter().enumerate() {
            let until = now + observer_ms;
            // The observed renews at least every three seconds of its own, unless both stand still together.
            while renewed_at + 1 + victim_ms <= until && victim_ms > 0 {
                renewed_at += 1 + victim_ms;
                seq += 1;
            }
            if victim_ms == 0 {
                renewed_at = until;
            }
            now = until.max(renewed_at);
            if restarts[at] {
                watch = Watch::new(TERMS);
            }
            let dead = watch.renewed(ms(now), ms(now + 1), &[seen(1, seq)]);
            let stood_still = victim_ms == 0 && observer_ms <= 2_000;
            prop_assert!(dead.is_empty() || stood_still, "declared dead at {now}");
        }
    }

    /// Some rank goes first, and if it does not act, the next does: whoever lives claims in the end.
    #[test]
    fn every_shard_ranks_every_server_once(count in 1_u8..12, app in any::<i64>(), shard in any::<u16>()) {
        let placement = Placement::new(peers(count), [None]);
        let shard = ShardKey { app: AppId(app), shard };
        let mut ranks: Vec<_> =
            (1..=count).map(|number| placement.rank(shard, server(number)).expect("it is a peer")).collect();
        ranks.sort_unstable();
        prop_assert_eq!(ranks, (0..usize::from(count)).collect::<Vec<_>>());
        prop_assert_eq!(placement.rank(shard, server(99)), None);
    }

    #[test]
    fn a_server_that_goes_away_changes_the_order_of_the_others_for_no_shard(
        count in 2_u8..12,
        gone in 0_usize..12,
        app in any::<i64>(),
    ) {
        let shard = ShardKey { app: AppId(app), shard: 3 };
        let all = peers(count);
        let mut fewer = all.clone();
        let gone = fewer.remove(gone % usize::from(count)).server;
        let mut order = Placement::new(all, []).order(shard);
        order.retain(|server| *server != gone);
        prop_assert_eq!(order, Placement::new(fewer, []).order(shard));
    }

    /// What one server after the other claims in the order of the ranks leaves nobody above the cap.
    #[test]
    fn shards_that_all_are_free_are_given_out_within_the_cap(count in 1_u8..12, total in 0_usize..400) {
        let placement = place_all(count, total).1;
        for number in 1..=count {
            prop_assert!(placement.load(server(number)) <= placement.cap());
        }
    }

    /// Servers join and die at random; between two changes the owners shed at their pace.
    #[test]
    fn moves_go_on_until_every_load_is_within_the_cap_and_then_stop(
        total in 1_usize..300,
        changes in prop::collection::vec((1_u8..9, any::<bool>()), 1..6),
    ) {
        let mut cluster = Sharing::of(total);
        for (number, joins) in changes {
            if joins { cluster.join(number) } else { cluster.die(number) }
            cluster.settle()?;
        }
    }
}

#[test]
fn the_shares_of_servers_follow_their_weights() {
    let peers = vec![Peer { server: server(1), weight: 1 }, Peer { server: server(2), weight: 3 }];
    let placement = Placement::new(peers, vec![None; 4]);
    let first = shards(4_000).into_iter().filter(|shard| placement.order(*shard)[0] == server(2)).count();
    assert!((2_850..3_150).contains(&first), "{first} of 4,000");
}

#[test]
fn an_owner_above_its_cap_waits_a_minute_and_then_gives_a_twentieth_every_ten_seconds() {
    let mine = shards(100);
    let owners = || vec![Some(server(1)); 100];
    let mut shedding = Shedding::default();
    let mut due = |at: u64| {
        let mut placement = Placement::new(peers(2), owners());
        shedding.due(ms(at), server(1), &mine, &mut placement).len()
    };
    assert_eq!(due(1_000), 0);
    assert_eq!(due(60_999), 0);
    assert_eq!(due(1_000 + 60_000), 5);
    assert_eq!(due(70_999), 0);
    assert_eq!(due(71_000), 5);
}

#[test]
fn an_owner_that_came_within_its_cap_meanwhile_waits_a_minute_again() {
    let mine = shards(100);
    let mut shedding = Shedding::default();
    let mut above = Placement::new(peers(2), vec![Some(server(1)); 100]);
    assert!(shedding.due(ms(0), server(1), &mine, &mut above).is_empty());
    let mut within = Placement::new(peers(1), vec![Some(server(1)); 100]);
    assert!(shedding.due(ms(59_000), server(1), &mine, &mut within).is_empty());
    assert!(shedding.due(ms(61_000), server(1), &mine, &mut above).is_empty());
    assert!(!shedding.due(ms(121_000), server(1), &mine, &mut above).is_empty());
}

fn place_all(count: u8, total: usize) -> (BTreeMap<ShardKey, ServerId>, Placement) {
    let mut placement = Placement::new(peers(count), vec![None; total]);
    let mut owners = BTreeMap::new();
    for shard in shards(total) {
        let first = placement.order(shard)[0];
        placement.give(first);
        owners.insert(shard, first);
    }
    (owners, placement)
}

/// A cluster whose servers see each change at once.
struct Sharing {
    now: Duration,
    alive: BTreeMap<ServerId, Shedding>,
    owners: BTreeMap<ShardKey, Option<ServerId>>,
}

impl Sharing {
    fn of(total: usize) -> Self {
        let owners = shards(total).into_iter().map(|shard| (shard, None)).collect();
        Self { now: ms(1_000), alive: BTreeMap::new(), owners }
    }

    fn join(&mut self, number: u8) {
        self.alive.entry(server(number)).or_default();
        self.claim();
    }

    fn die(&mut self, number: u8) {
        self.alive.remove(&server(number));
        for owner in self.owners.values_mut().filter(|owner| **owner == Some(server(number))) {
            *owner = None;
        }
        self.claim();
    }

    fn placement(&self) -> Placement {
        let peers = self.alive.keys().map(|server| Peer { server: *server, weight: 1 }).collect();
        Placement::new(peers, self.owners.values().copied())
    }

    fn claim(&mut self) {
        let mut placement = self.placement();
        for (shard, owner) in self.owners.iter_mut().filter(|(_, owner)| owner.is_none()) {
            if let Some(first) = placement.order(*shard).first() {
                placement.give(*first);
                *owner = Some(*first);
            }
        }
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..ABOVE_FOR.as_secs() + 10 * 400 {
            let before = self.placement();
            let mut moved = 0;
            for server in self.alive.keys().copied().collect::<Vec<_>>() {
                moved += self.shed(server, &before)?;
            }
            let most = (self.owners.len() / 20).max(self.alive.len());
            prop_assert!(moved <= most, "{moved} moved at once");
            if self.placement().above_cap().next().is_none() {
                return Ok(());
            }
            self.now += SHED_EVERY / 10;
        }
        Err(TestCaseError::fail("still above the cap"))
    }

    /// One server moves what is due of its shards, and none of it without need.
    fn shed(&mut self, from: ServerId, before: &Placement) -> Result<usize, TestCaseError> {
        let owned = self.owners.iter().filter(|(_, owner)| **owner == Some(from));
        let owned: Vec<_> = owned.map(|(shard, _)| *shard).collect();
        let mut placement = before.clone();
        let shedding = self.alive.get_mut(&from).expect("it is alive");
        let moves = shedding.due(self.now, from, &owned, &mut placement);
        prop_assert!(moves.is_empty() || before.load(from) > before.cap(), "moved without need");
        prop_assert!(placement.load(from) + 1 >= before.cap().min(before.load(from)), "moved too many");
        for moved in &moves {
            prop_assert!(owned.contains(&moved.shard) && moved.to != from);
            prop_assert!(placement.load(moved.to) <= placement.cap(), "moved to one without room");
            self.owners.insert(moved.shard, Some(moved.to));
        }
        Ok(moves.len())
    }
}
