//! Who claims what, and when.

use fastjob_core::clock::Clock;
use fastjob_core::cluster::{Peer, Placement};
use fastjob_core::id::ServerId;
use fastjob_server::store::Desired;

use crate::node::Place;

fn rank(place: &[ServerId], shard: fastjob_core::id::ShardKey, server: ServerId, shards: usize) -> i64 {
    let peers = place.iter().map(|server| Peer { server: *server, weight: 1 }).collect();
    let placement = Placement::new(peers, vec![None; shards]);
    i64::try_from(placement.rank(shard, server).unwrap()).unwrap()
}

#[tokio::test]
async fn a_server_waits_with_its_claim_for_those_that_rank_before_it() {
    let place = Place::with_shards(1).await;
    let mut nodes = [place.join(1).await, place.join(2).await, place.join(3).await];
    let ids = [nodes[0].id, nodes[1].id, nodes[2].id];
    let shard = place.owners().await[0].shard;
    nodes.sort_by_key(|node| rank(&ids, shard, node.id, 1));
    let [_, second, third] = &mut nodes;
    second.beat().await;
    third.beat().await;
    place.clock.advance(299);
    second.beat().await;
    third.beat().await;
    assert_eq!(place.owners().await[0].server, None, "the first has 300 ms for itself");
    place.clock.advance(1);
    third.beat().await;
    assert_eq!(place.owners().await[0].server, None, "and the second as many before the third");
    second.beat().await;
    assert_eq!(place.owners().await[0].server, Some(second.id));
}

#[tokio::test]
async fn of_servers_that_claim_the_same_shards_at_once_one_owns_each() {
    let place = Place::with_shards(64).await;
    let mut nodes = [place.join(1).await, place.join(2).await, place.join(3).await];
    for node in &mut nodes {
        node.beat().await;
    }
    place.clock.advance(1_000);
    let [a, b, c] = &mut nodes;
    tokio::join!(a.cluster.step(), b.cluster.step(), c.cluster.step());
    let mut owned = 0;
    for node in &nodes {
        let by_rows = place.owned_by(node.id).await;
        owned += by_rows.len();
        assert_eq!(by_rows.len(), node.doors.len());
        assert!(by_rows.iter().all(|shard| node.doors.get(*shard).is_some()));
    }
    assert_eq!(owned, 64);
}

#[tokio::test]
async fn three_servers_that_start_together_share_the_shards_within_the_cap() {
    let place = Place::with_shards(64).await;
    let mut nodes = [place.join(1).await, place.join(2).await, place.join(3).await];
    for node in &mut nodes {
        node.beat().await;
    }
    let loads = nodes.each_ref().map(|node| node.doors.len());
    assert_eq!(loads.iter().sum::<usize>(), 64, "no shard waits for a second rank");
    assert!(loads.iter().all(|load| *load <= (64_usize * 5).div_ceil(12)), "{loads:?}");
}

#[tokio::test]
async fn a_free_shard_is_left_to_the_server_it_is_promised_to_until_it_is_too_late() {
    let place = Place::with_shards(1).await;
    let (mut first, mut second) = (place.join(1).await, place.join(2).await);
    let shard = place.owners().await[0].shard;
    let desired = |server, until| Desired { server, until };
    let until = place.clock.now().plus(5_000);
    place.store.shards_desire(&[shard], desired(second.id, until)).await.unwrap();
    first.beat().await;
    second.renew().await.unwrap();
    place.clock.advance(4_999);
    first.beat().await;
    assert_eq!(place.owners().await[0].server, None);
    place.clock.advance(1);
    first.beat().await;
    assert_eq!(place.owners().await[0].server, Some(first.id));
    second.cluster.step().await;
    assert_eq!(second.doors.len(), 0);
}

#[tokio::test]
async fn the_server_that_a_shard_is_promised_to_claims_it_at_once_whatever_its_rank() {
    let place = Place::with_shards(32).await;
    let (_first, mut second) = (place.join(1).await, place.join(2).await);
    let shards: Vec<_> = place.owners().await.iter().map(|owned| owned.shard).collect();
    let until = place.clock.now().plus(5_000);
    place.store.shards_desire(&shards, Desired { server: second.id, until }).await.unwrap();
    second.beat().await;
    assert_eq!(second.doors.len(), 32);
}

#[tokio::test]
async fn a_shard_promised_to_a_dead_server_is_claimed_by_another() {
    let place = Place::with_shards(1).await;
    let (mut first, second) = (place.join(1).await, place.join(2).await);
    let shard = place.owners().await[0].shard;
    let until = place.clock.now().plus(600_000);
    place.store.shards_desire(&[shard], Desired { server: second.id, until }).await.unwrap();
    place.store.server_mark(second.id, 1, fastjob_server::store::ServerPhase::Dead).await.unwrap();
    first.beat().await;
    assert_eq!(place.owners().await[0].server, Some(first.id));
}

#[tokio::test]
async fn a_shard_whose_claim_was_answered_to_nobody_gets_its_owner_at_the_next_look() {
    let place = Place::with_shards(2).await;
    let mut first = place.join(1).await;
    let seen = place.owners().await;
    let won = place.store.shards_claim(&seen, first.id, place.clock.now()).await.unwrap();
    first.beat().await;
    assert_eq!(first.doors.len(), 2);
    let after = place.owners().await;
    for (owned, (shard, claimed)) in after.iter().zip(won) {
        assert_eq!((owned.shard, owned.server), (shard, Some(first.id)));
        assert!(owned.epoch > claimed.epoch, "a commit under way would be fenced");
    }
}

#[tokio::test]
async fn a_new_app_is_claimed_after_the_next_renewal() {
    let place = Place::with_shards(1).await;
    let mut first = place.join(1).await;
    first.until_it_owns(1).await;
    place.app("another", 3).await;
    first.beat().await;
    assert_eq!(first.doors.len(), 4);
}
