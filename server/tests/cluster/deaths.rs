//! Who is declared dead, and when.

use fastjob_core::clock::Clock;
use fastjob_server::cluster::lease::DeclaredDead;
use fastjob_server::store::ServerPhase;

use crate::node::{LEASE_MS, Node, Place};

async fn phase_of(place: &Place, node: &Node) -> ServerPhase {
    let servers = place.store.server_list().await.unwrap();
    servers.iter().find(|server| server.id == node.id).unwrap().phase
}

#[tokio::test]
async fn a_server_that_renews_no_more_is_dead_after_a_full_lease_and_its_shards_go_on_elsewhere() {
    let place = Place::with_shards(3).await;
    let mut first = place.join(1).await;
    first.until_it_owns(3).await;
    let renewed_at = place.clock.now();
    let before = place.owners().await;
    let mut second = place.join(2).await;
    second.beat().await;
    for _ in 0..4 {
        assert_eq!(phase_of(&place, &first).await, ServerPhase::Up);
        assert_eq!(place.owned_by(second.id).await.len(), 0);
        place.clock.advance(LEASE_MS / 4);
        second.beat().await;
    }
    assert_eq!(phase_of(&place, &first).await, ServerPhase::Dead);
    second.until_it_owns(3).await;
    for (before, after) in before.iter().zip(place.owners().await) {
        assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    }
    assert!(place.clock.now().since(renewed_at) <= 2 * LEASE_MS);
}

#[tokio::test]
async fn an_observer_that_was_paused_with_the_others_declares_none_dead() {
    let place = Place::with_shards(1).await;
    let (mut first, mut second) = (place.join(1).await, place.join(2).await);
    first.beat().await;
    second.beat().await;
    place.clock.advance(60_000);
    second.beat().await;
    assert_eq!(phase_of(&place, &first).await, ServerPhase::Up);
    first.beat().await;
    for _ in 0..8 {
        place.clock.advance(LEASE_MS / 4);
        second.beat().await;
        first.beat().await;
    }
    assert_eq!(phase_of(&place, &first).await, ServerPhase::Up);
    assert_eq!(phase_of(&place, &second).await, ServerPhase::Up);
}

#[tokio::test]
async fn a_server_that_was_paused_and_not_declared_dead_goes_on_as_the_same_owner() {
    let place = Place::with_shards(2).await;
    let mut first = place.join(1).await;
    first.until_it_owns(2).await;
    let before = place.owners().await;
    place.clock.advance(600_000);
    assert!(!first.trust.holds());
    first.beat().await;
    assert!(first.trust.holds());
    assert_eq!(place.owners().await, before);
}

#[tokio::test]
async fn a_server_that_was_declared_dead_learns_it_from_its_renewal_and_has_no_trust() {
    let place = Place::with_shards(1).await;
    let (mut first, mut second) = (place.join(1).await, place.join(2).await);
    for _ in 0..5 {
        second.beat().await;
        place.clock.advance(LEASE_MS / 4);
    }
    second.beat().await;
    assert_eq!(first.renew().await, Err(DeclaredDead));
    assert!(!first.trust.holds());
}

#[tokio::test]
async fn a_server_that_renewed_again_before_it_was_marked_is_not_marked() {
    let place = Place::with_shards(1).await;
    let (mut first, mut second) = (place.join(1).await, place.join(2).await);
    for _ in 0..5 {
        second.renew().await.unwrap();
        place.clock.advance(LEASE_MS / 4);
    }
    second.renew().await.unwrap();
    first.renew().await.unwrap();
    second.cluster.step().await;
    assert_eq!(phase_of(&place, &first).await, ServerPhase::Up);
    first.renew().await.unwrap();
}
