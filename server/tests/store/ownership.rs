//! Servers, leases and claims.

use fastjob_core::clock::Millis;
use fastjob_core::id::{Epoch, ServerId, ShardKey};
use fastjob_server::store::{Changes, Claimed, Desired, Owned, Release, ServerPhase};

use crate::bundle::{Bundle, START, new_server};

crate::on_every_backend! {
    dead_servers_that_own_nothing_are_forgotten_after_a_while_and_no_others
    a_server_joins_up_with_seq_0_and_the_newest_is_listed_first
    a_server_cannot_join_twice
    a_renewal_raises_the_seq_and_tells_of_the_others_that_are_not_dead
    a_renewal_of_another_seq_or_of_a_dead_server_is_refused
    a_server_is_marked_only_at_the_seq_that_was_seen
    every_shard_is_listed_with_its_owner
    a_shard_is_claimed_only_as_it_was_seen
    a_shard_of_a_living_owner_is_not_claimed_and_of_a_dead_one_is
    an_epoch_rises_to_the_time_of_its_claim_at_least
    the_first_key_is_the_databases_until_it_is_replaced_by_who_knows_it
    two_deaths_in_a_row_make_one_outage
    a_release_is_for_the_holder_alone_and_begins_an_outage
    an_epoch_is_raised_by_its_holder_alone
    of_many_claims_at_once_one_wins
    what_is_desired_is_seen_and_a_claim_ends_it
    a_release_may_name_its_successor
    claims_of_many_shards_are_one_by_one_given_or_not
    a_draining_server_reads_so_in_its_renewal
    a_renewal_tells_that_something_has_changed
    ten_thousand_shards_are_claimed_desired_and_released_at_once
}

async fn a_server_joins_up_with_seq_0_and_the_newest_is_listed_first(on: Bundle) {
    let second = on.join().await;
    let servers = on.server_list().await.unwrap();
    assert_eq!(servers.iter().map(|server| server.id).collect::<Vec<_>>(), [second, on.server]);
    let joined = new_server(second);
    let seen = &servers[0];
    assert_eq!((seen.phase, seen.seq, seen.renewed_at), (ServerPhase::Up, 0, joined.at));
    assert_eq!(
        (&seen.rpc_address, &seen.http_address, &seen.version),
        (&joined.rpc_address, &joined.http_address, &joined.version)
    );
}

async fn the_first_key_is_the_databases_until_it_is_replaced_by_who_knows_it(on: Bundle) {
    let set = async |key, replaced| on.cluster_key_set(key, replaced).await.unwrap();
    assert_eq!(set("one", None).await, "one");
    assert_eq!(set("other", None).await, "one");
    assert_eq!(set("other", Some("another")).await, "one");
    assert_eq!(set("one", None).await, "one");
    assert_eq!(set("other", Some("one")).await, "other");
    assert_eq!(set("one", None).await, "other");
}

async fn a_server_cannot_join_twice(on: Bundle) {
    let error = on.server_join(&new_server(on.server)).await.unwrap_err();
    assert_eq!(error.kind(), fastjob_server::store::ErrorKind::Data);
}

async fn a_renewal_raises_the_seq_and_tells_of_the_others_that_are_not_dead(on: Bundle) {
    let (draining, dead) = (on.join().await, on.join().await);
    assert!(on.server_mark(draining, 0, ServerPhase::Draining).await.unwrap());
    assert!(on.server_mark(dead, 0, ServerPhase::Dead).await.unwrap());
    on.clock.advance(500);
    let others = vec![(draining, 0, ServerPhase::Draining)];
    let renewal = on.server_renew(on.server, 0).await.unwrap().unwrap();
    assert_eq!((renewal.phase, &renewal.others), (ServerPhase::Up, &others));
    let servers = on.server_list().await.unwrap();
    let own = servers.iter().find(|server| server.id == on.server).unwrap();
    assert_eq!((own.seq, own.renewed_at), (1, on.instant(&renewal)));
    assert!(on.server_renew(draining, 0).await.unwrap().is_some(), "a draining server goes on renewing");
}

async fn a_renewal_of_another_seq_or_of_a_dead_server_is_refused(on: Bundle) {
    assert_eq!(on.server_renew(on.server, 1).await.unwrap(), None);
    assert_eq!(on.server_renew(on.id(), 0).await.unwrap(), None);
    assert!(on.server_mark(on.server, 0, ServerPhase::Dead).await.unwrap());
    assert_eq!(on.server_renew(on.server, 0).await.unwrap(), None);
}

async fn a_server_is_marked_only_at_the_seq_that_was_seen(on: Bundle) {
    on.server_renew(on.server, 0).await.unwrap().unwrap();
    assert!(!on.server_mark(on.server, 0, ServerPhase::Dead).await.unwrap());
    assert!(on.server_mark(on.server, 1, ServerPhase::Dead).await.unwrap());
    assert!(!on.server_mark(on.server, 1, ServerPhase::Draining).await.unwrap(), "the dead stay dead");
}

async fn every_shard_is_listed_with_its_owner(on: Bundle) {
    let owned = |shard: u16, server, epoch, rpc_address: Option<&str>, dead| Owned {
        shard: ShardKey { shard, ..on.shard },
        server,
        epoch,
        rpc_address: rpc_address.map(str::to_owned),
        dead,
        desired: None,
    };
    let free = owned(1, None, Epoch(0), None, false);
    let held = owned(0, Some(on.server), on.epoch, Some("127.0.0.1:1"), false);
    assert_eq!(on.owner_list().await.unwrap(), [held.clone(), free.clone()]);
    assert!(on.server_mark(on.server, 0, ServerPhase::Dead).await.unwrap());
    assert_eq!(on.owner_list().await.unwrap(), [Owned { dead: true, ..held }, free]);
}

async fn a_shard_is_claimed_only_as_it_was_seen(on: Bundle) {
    let shard = ShardKey { shard: 1, ..on.shard };
    let seen = on.seen(shard).await;
    let strange = [
        Owned { epoch: Epoch(1), ..seen.clone() },
        Owned { server: Some(on.server), ..seen.clone() },
        Owned { shard: ShardKey { shard: 7, ..shard }, ..seen.clone() },
    ];
    for strange in strange {
        assert_eq!(on.try_claim(&strange, on.server).await, None);
    }
    let won = Claimed { epoch: Epoch(START.get()), outage_from: None };
    assert_eq!(on.try_claim(&seen, on.server).await, Some(won));
    assert_eq!(on.try_claim(&seen, on.server).await, None);
}

async fn a_shard_of_a_living_owner_is_not_claimed_and_of_a_dead_one_is(on: Bundle) {
    let heir = on.join().await;
    let seen = on.seen(on.shard).await;
    assert_eq!(on.try_claim(&seen, heir).await, None);
    assert!(on.server_mark(on.server, 0, ServerPhase::Draining).await.unwrap());
    assert_eq!(on.try_claim(&seen, heir).await, None);
    on.clock.advance(700);
    let renewal = on.server_renew(on.server, 0).await.unwrap().unwrap();
    assert!(on.server_mark(on.server, 1, ServerPhase::Dead).await.unwrap());
    let won = on.try_claim(&seen, heir).await.unwrap();
    assert_eq!(won, Claimed { epoch: Epoch(on.epoch.0 + 1), outage_from: Some(on.instant(&renewal)) });
}

async fn an_epoch_rises_to_the_time_of_its_claim_at_least(on: Bundle) {
    let later = START.plus(1_000);
    let raised = on.epoch_raise(on.shard, on.server, on.epoch, later).await.unwrap().unwrap();
    assert_eq!(raised.epoch, Epoch(later.get()));
    let earlier = Millis::new(5);
    let raised = on.epoch_raise(on.shard, on.server, raised.epoch, earlier).await.unwrap().unwrap();
    assert_eq!(raised.epoch, Epoch(later.get() + 1));
}

async fn two_deaths_in_a_row_make_one_outage(on: Bundle) {
    let (second, third) = (on.join().await, on.join().await);
    assert!(on.server_mark(on.server, 0, ServerPhase::Dead).await.unwrap());
    assert_eq!(on.claim(on.shard, second).await.outage_from, Some(START));
    on.clock.advance(9_000);
    on.server_renew(second, 0).await.unwrap().unwrap();
    assert!(on.server_mark(second, 1, ServerPhase::Dead).await.unwrap());
    assert_eq!(on.claim(on.shard, third).await.outage_from, Some(START));
}

async fn a_release_is_for_the_holder_alone_and_begins_an_outage(on: Bundle) {
    let now = START.plus(50);
    assert!(!on.release(on.shard, on.id(), on.epoch, now).await);
    assert!(!on.release(on.shard, on.server, Epoch(on.epoch.0 - 1), now).await);
    assert!(on.release(on.shard, on.server, on.epoch, now).await);
    assert!(!on.release(on.shard, on.server, on.epoch, now).await);
    let seen = on.seen(on.shard).await;
    assert_eq!((seen.server, seen.epoch), (None, on.epoch));
    let won = on.claim(on.shard, on.server).await;
    assert_eq!(won, Claimed { epoch: Epoch(on.epoch.0 + 1), outage_from: Some(now) });
}

async fn an_epoch_is_raised_by_its_holder_alone(on: Bundle) {
    assert_eq!(on.epoch_raise(on.shard, on.id(), on.epoch, START).await.unwrap(), None);
    assert_eq!(on.epoch_raise(on.shard, on.server, Epoch(1), START).await.unwrap(), None);
    let raised = on.epoch_raise(on.shard, on.server, on.epoch, START).await.unwrap();
    assert_eq!(raised, Some(Claimed { epoch: Epoch(on.epoch.0 + 1), outage_from: None }));
    assert_eq!(on.epoch_raise(on.shard, on.server, on.epoch, START).await.unwrap(), None);
}

async fn of_many_claims_at_once_one_wins(on: Bundle) {
    let shard = ShardKey { shard: 1, ..on.shard };
    let seen = on.seen(shard).await;
    let bidders: Vec<ServerId> = (0..16).map(|_| on.id()).collect();
    let mut claims = tokio::task::JoinSet::new();
    for bidder in bidders {
        let (store, seen) = (on.store.clone(), seen.clone());
        claims.spawn(async move {
            store.shards_claim(&[seen], bidder, START).await.unwrap().pop().map(|_| bidder)
        });
    }
    let winners: Vec<ServerId> = claims.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(on.seen(shard).await.server, Some(winners[0]));
}

async fn what_is_desired_is_seen_and_a_claim_ends_it(on: Bundle) {
    let (heir, free) = (on.join().await, ShardKey { shard: 1, ..on.shard });
    let desired = Desired { server: heir, until: START.plus(9) };
    let nowhere = ShardKey { shard: 7, ..on.shard };
    assert_eq!(on.shards_desire(&[on.shard, free, nowhere], desired).await.unwrap(), 2);
    assert_eq!(on.seen(on.shard).await.desired, Some(desired));
    assert!(
        on.try_claim(&on.seen(free).await, on.server).await.is_some(),
        "a desire alone keeps nobody away"
    );
    assert_eq!(on.seen(free).await.desired, None);
}

async fn a_release_may_name_its_successor(on: Bundle) {
    let desired = Some(Desired { server: on.join().await, until: START.plus(9) });
    let release = Release { shard: on.shard, epoch: on.epoch, desired };
    assert_eq!(on.shards_release(&[release], on.server, START.plus(3)).await.unwrap(), [on.shard]);
    let seen = on.seen(on.shard).await;
    assert_eq!((seen.server, seen.desired), (None, desired));
}

async fn claims_of_many_shards_are_one_by_one_given_or_not(on: Bundle) {
    let free = on.seen(ShardKey { shard: 1, ..on.shard }).await;
    let seen = [on.seen(on.shard).await, free.clone()];
    let won = on.shards_claim(&seen, on.join().await, START).await.unwrap();
    assert_eq!(won.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(), [free.shard]);
}

async fn a_draining_server_reads_so_in_its_renewal(on: Bundle) {
    assert!(on.server_mark(on.server, 0, ServerPhase::Draining).await.unwrap());
    assert_eq!(on.server_renew(on.server, 0).await.unwrap().unwrap().phase, ServerPhase::Draining);
}

async fn a_renewal_tells_that_something_has_changed(on: Bundle) {
    let renewed = async |seq| on.server_renew(on.server, seq).await.unwrap().unwrap().changes;
    let before = renewed(0).await;
    assert_eq!(renewed(1).await, before, "a renewal is no change");
    on.join().await;
    let joined = renewed(2).await;
    assert_eq!(joined, Changes { owners: before.owners + 1, ..before });
    assert!(on.token_create(&on.new_token(Some(on.app.id))).await.unwrap());
    assert_eq!(renewed(3).await, Changes { tokens: joined.tokens + 1, ..joined });
    on.app_create(&on.new_app("other", 1)).await.unwrap().unwrap();
    let created = renewed(4).await;
    assert_eq!(created, Changes { owners: joined.owners + 1, tokens: joined.tokens + 2 });
    assert!(on.release(on.shard, on.server, on.epoch, START).await);
    assert_eq!(renewed(5).await, Changes { owners: created.owners + 1, ..created });
}

async fn ten_thousand_shards_are_claimed_desired_and_released_at_once(on: Bundle) {
    const MANY: u16 = 10_000;
    let app = on.app_create(&on.new_app("wide", MANY)).await.unwrap().unwrap();
    let mut seen = on.owner_list().await.unwrap();
    seen.retain(|owned| owned.shard.app == app.id);
    let won = on.shards_claim(&seen, on.server, START).await.unwrap();
    assert_eq!(won.len(), usize::from(MANY));
    let shards: Vec<ShardKey> = won.iter().map(|(shard, _)| *shard).collect();
    let desired = Desired { server: on.server, until: START };
    assert_eq!(on.shards_desire(&shards, desired).await.unwrap(), u64::from(MANY));
    let release = |(shard, claimed): &(ShardKey, Claimed)| Release {
        shard: *shard,
        epoch: claimed.epoch,
        desired: None,
    };
    let released: Vec<Release> = won.iter().map(release).collect();
    assert_eq!(on.shards_release(&released, on.server, START).await.unwrap(), shards);
}

async fn dead_servers_that_own_nothing_are_forgotten_after_a_while_and_no_others(on: Bundle) {
    let (early, late) = (START.plus(-1), START.plus(60_000));
    let (dead, owner, living) = (on.join().await, on.join().await, on.join().await);
    let other = ShardKey { app: on.app.id, shard: 1 };
    on.claim(other, owner).await;
    for server in [dead, owner] {
        assert!(on.server_mark(server, 0, ServerPhase::Dead).await.unwrap());
    }
    assert_eq!(on.servers_forget(early, 10).await.unwrap(), 0, "too young");
    assert_eq!(on.servers_forget(late, 0).await.unwrap(), 0, "a limit is a limit");
    assert_eq!(on.servers_forget(late, 10).await.unwrap(), 1);
    let left: Vec<ServerId> = on.server_list().await.unwrap().iter().map(|server| server.id).collect();
    assert_eq!(left, [living, owner, on.server]);
    assert!(on.seen(other).await.dead, "its shard can still be claimed");
    on.close().await;
}
