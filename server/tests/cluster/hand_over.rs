//! From one server to another: drains, moves, and too much of it.

use fastjob_core::clock::Clock;
use fastjob_core::id::ServerId;
use fastjob_server::cluster;
use fastjob_server::store::{Desired, ServerPhase};
use tokio_util::sync::CancellationToken;

use crate::node::{Node, Place};

/// How many transactions have changed who owns what; asked in the name of a server that only asks.
async fn changes(place: &Place, asking: ServerId) -> u64 {
    let servers = place.store.server_list().await.unwrap();
    let seq = servers.iter().find(|server| server.id == asking).unwrap().seq;
    place.store.server_renew(asking, seq).await.unwrap().unwrap().changes.owners
}

#[tokio::test]
async fn a_drained_server_hands_all_over_in_one_transaction_and_claims_nothing_again() {
    let place = Place::with_shards(1_000).await;
    let mut first = place.join(1).await;
    first.until_it_owns(1_000).await;
    let (mut second, asking) = (place.join(2).await, place.join(3).await.id);
    place.store.server_mark(asking, 1, ServerPhase::Draining).await.unwrap();
    assert!(cluster::mark(&place.store, first.id, ServerPhase::Draining).await.unwrap());
    let before = changes(&place, asking).await;
    first.until_it_owns(0).await;
    assert_eq!(changes(&place, asking).await, before + 1, "one transaction");
    assert_eq!(first.nudged.try_recv().unwrap(), "server-2:7180");
    assert!(first.nudged.try_recv().is_err(), "one nudge");
    let owner = first.directory.owner(place.owners().await[0].shard).unwrap();
    assert_eq!(owner.address.as_deref(), Some("server-2:7180"), "it knows where the shards went");
    first.beat().await;
    assert_eq!(first.doors.len(), 0);
    second.beat().await;
    assert_eq!(second.doors.len(), 1_000, "the successor claims at once");
    place.clock.advance(60_000);
    first.beat().await;
    assert_eq!(first.doors.len(), 0);
}

#[tokio::test]
async fn a_server_that_is_asked_to_drain_alone_keeps_its_shards_until_another_is_up() {
    let place = Place::with_shards(4).await;
    let mut first = place.join(1).await;
    first.until_it_owns(4).await;
    assert!(cluster::mark(&place.store, first.id, ServerPhase::Draining).await.unwrap());
    first.beat().await;
    first.beat().await;
    assert_eq!(first.doors.len(), 4);
    let _second = place.join(2).await;
    first.until_it_owns(0).await;
}

#[tokio::test]
async fn a_shard_that_is_desired_elsewhere_is_handed_over_and_no_other() {
    let place = Place::with_shards(8).await;
    let mut first = place.join(1).await;
    first.until_it_owns(8).await;
    let mut second = place.join(2).await;
    second.beat().await;
    let shard = place.owners().await[3].shard;
    let until = place.clock.now().plus(30_000);
    place.store.shards_desire(&[shard], Desired { server: second.id, until }).await.unwrap();
    first.until_it_owns(7).await;
    second.until_it_owns(1).await;
    assert!(second.doors.get(shard).is_some());
    first.beat().await;
    second.beat().await;
    assert_eq!((first.doors.len(), second.doors.len()), (7, 1), "it stays there");
}

#[tokio::test]
async fn a_server_above_the_cap_gives_a_newcomer_a_twentieth_at_a_time() {
    let place = Place::with_shards(40).await;
    let mut first = place.join(1).await;
    first.until_it_owns(40).await;
    let mut second = place.join(2).await;
    // 40 shards on two servers: at most 25 each, and two of them move at a time.
    for _ in 0..60 {
        first.beat().await;
        second.beat().await;
        assert_eq!(second.doors.len(), 0);
        place.clock.advance(1_000);
    }
    for moved in 1..=7 {
        first.until_it_owns(40 - 2 * moved).await;
        second.until_it_owns(2 * moved).await;
        for _ in 0..9 {
            place.clock.advance(1_000);
            first.beat().await;
            second.beat().await;
            assert_eq!(second.doors.len(), 2 * moved);
        }
        place.clock.advance(1_000);
    }
    first.until_it_owns(25).await;
    second.until_it_owns(15).await;
    for _ in 0..90 {
        place.clock.advance(1_000);
        first.beat().await;
        second.beat().await;
    }
    assert_eq!((first.doors.len(), second.doors.len()), (25, 15), "that is enough");
}

#[tokio::test]
async fn a_server_that_stops_marks_itself_draining_and_leaves_nothing() {
    let place = Place::with_shards(16).await;
    let mut first = place.join(1).await;
    first.until_it_owns(16).await;
    let mut second = place.join(2).await;
    first.beat().await;
    let Node { id, cluster, .. } = first;
    let stop = CancellationToken::new();
    stop.cancel();
    cluster.run(stop).await.unwrap();
    let servers = place.store.server_list().await.unwrap();
    let row = servers.iter().find(|server| server.id == id).unwrap();
    assert_eq!(row.phase, ServerPhase::Draining);
    second.beat().await;
    assert_eq!(second.doors.len(), 16);
}

#[tokio::test]
async fn a_server_that_stops_without_trust_leaves_its_shards_to_be_taken_over() {
    let place = Place::with_shards(2).await;
    let mut first = place.join(1).await;
    first.until_it_owns(2).await;
    let before = place.owned_by(first.id).await;
    let id = first.id;
    place.clock.advance(60_000);
    let stop = CancellationToken::new();
    stop.cancel();
    first.cluster.run(stop).await.unwrap();
    // An owner that the lapse met in a turn may have raised its epoch; it is the owner still.
    assert_eq!(
        place.owned_by(id).await,
        before,
        "the time since its last renewal is still to be made up for"
    );
}
