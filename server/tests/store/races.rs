//! Two servers, each with connections of its own, that want the same thing at once. Each case is repeated, since what it
//! looks for happens between two statements.

use fastjob_core::domain::{FireKey, Job, Run};
use fastjob_core::id::{Epoch, Id, ServerId, ShardKey};
use fastjob_core::shard::Rows;
use fastjob_server::store::{Claimed, InboxRow, Owned, Release, ServerPhase, Store, Turn, TurnEnd};

use crate::bundle::{Bundle, START, name};

crate::on_every_server_backend! {
    of_two_claims_one_wins
    no_row_of_an_old_owner_appears_after_the_first_read_of_the_new_one
    a_release_waits_for_the_turn_or_fences_it
    a_renewal_and_a_death_exclude_each_other
    an_epoch_is_not_raised_over_a_turn_whose_rows_are_still_to_come
    a_command_is_carried_out_by_the_old_owner_or_by_the_new_one
    of_two_apps_of_a_name_one_is_made
    of_many_first_tokens_one_is_written
    of_many_tokens_at_once_no_third_is_valid
    claims_and_releases_of_overlapping_shards_never_block_each_other
}

const ROUNDS: i64 = 20;
const TAKEOVERS: u16 = 60;
/// Of one turn: enough that its transaction lasts longer than a claim.
const RUNS: i64 = 40;

async fn of_two_claims_one_wins(on: Bundle) {
    let other = on.beside().await;
    for _ in 0..ROUNDS {
        let release = [Release { shard: on.shard, epoch: on.seen(on.shard).await.epoch, desired: None }];
        let holder = on.seen(on.shard).await.server.unwrap();
        assert_eq!(on.shards_release(&release, holder, START).await.unwrap(), [on.shard]);
        let seen = [on.seen(on.shard).await];
        let (left, right) = (on.id(), on.id());
        let (one, two) =
            tokio::join!(on.shards_claim(&seen, left, START), other.shards_claim(&seen, right, START));
        let winner = match (&one.unwrap()[..], &two.unwrap()[..]) {
            ([_], []) => left,
            ([], [_]) => right,
            both => panic!("{both:?}"),
        };
        assert_eq!(on.seen(on.shard).await.server, Some(winner));
    }
    other.close().await;
}

async fn no_row_of_an_old_owner_appears_after_the_first_read_of_the_new_one(on: Bundle) {
    let heir = on.beside().await;
    let app = on.app_create(&on.new_app("wide", TAKEOVERS)).await.unwrap().unwrap();
    let mut committed = 0;
    for shard in 0..TAKEOVERS {
        let shard = ShardKey { app: app.id, shard };
        let (owner, next) = (on.join().await, on.join().await);
        let epoch = on.claim(shard, owner).await.epoch;
        let seen = on.seen(shard).await;
        let job = Job { shard, name: name(&format!("job-{}", shard.shard)), ..on.job("a") };
        let first = Rows { jobs_created: vec![job.clone()], ..rows_of(&on, &job) };
        assert_eq!(turn(&on.store, shard, owner, epoch, &first).await, TurnEnd::Committed);
        let old = async {
            while turn(&on.store, shard, owner, epoch, &rows_of(&on, &job)).await == TurnEnd::Committed {
                committed += 1;
            }
        };
        let new = async {
            assert!(heir.server_mark(owner, 0, ServerPhase::Dead).await.unwrap());
            claim(&heir, &seen, next).await;
            count(&heir, shard).await
        };
        let ((), first_read) = tokio::join!(old, new);
        assert_eq!(count(&heir, shard).await, first_read, "{shard}");
    }
    assert!(committed >= TAKEOVERS / 4, "hardly a claim met a turn: {committed} turns");
    heir.close().await;
}

async fn a_release_waits_for_the_turn_or_fences_it(on: Bundle) {
    let other = on.beside().await;
    let job = on.job("a");
    on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
    let (mut epoch, mut expected) = (on.epoch, 0);
    for _ in 0..ROUNDS {
        let rows = rows_of(&on, &job);
        let released = async {
            let release = [Release { shard: on.shard, epoch, desired: None }];
            assert_eq!(other.shards_release(&release, on.server, START).await.unwrap(), [on.shard]);
            count(&other, on.shard).await
        };
        let (end, first_read) = tokio::join!(turn(&on.store, on.shard, on.server, epoch, &rows), released);
        expected += if end == TurnEnd::Committed { rows.runs_created.len() } else { 0 };
        assert_eq!((first_read, count(&other, on.shard).await), (expected, expected), "{end:?}");
        epoch = claim(&other, &on.seen(on.shard).await, on.server).await.epoch;
    }
    other.close().await;
}

async fn a_renewal_and_a_death_exclude_each_other(on: Bundle) {
    let other = on.beside().await;
    for _ in 0..ROUNDS * 2 {
        let server = on.join().await;
        let (renewed, died) =
            tokio::join!(on.server_renew(server, 0), other.server_mark(server, 0, ServerPhase::Dead));
        let (renewed, died) = (renewed.unwrap(), died.unwrap());
        assert_ne!(renewed.is_some(), died);
        assert_eq!(on.server_renew(server, 1).await.unwrap().is_some(), !died);
        on.server_mark(server, 2, ServerPhase::Dead).await.unwrap();
    }
    other.close().await;
}

async fn an_epoch_is_not_raised_over_a_turn_whose_rows_are_still_to_come(on: Bundle) {
    let other = on.beside().await;
    let job = on.job("a");
    on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
    let (mut epoch, mut expected) = (on.epoch, 0);
    for _ in 0..ROUNDS {
        let rows = rows_of(&on, &job);
        let raised = async {
            let raised = other.epoch_raise(on.shard, on.server, epoch, START).await.unwrap().unwrap();
            (raised.epoch, count(&other, on.shard).await)
        };
        let (end, (raised, first_read)) =
            tokio::join!(turn(&on.store, on.shard, on.server, epoch, &rows), raised);
        expected += if end == TurnEnd::Committed { rows.runs_created.len() } else { 0 };
        assert_eq!((first_read, count(&other, on.shard).await), (expected, expected), "{end:?}");
        assert_eq!(turn(&on.store, on.shard, on.server, epoch, &rows).await, TurnEnd::Fenced);
        epoch = raised;
    }
    other.close().await;
}

async fn a_command_is_carried_out_by_the_old_owner_or_by_the_new_one(on: Bundle) {
    let heir = on.beside().await;
    let job = on.job("a");
    on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
    let (mut owner, mut epoch) = (on.server, on.epoch);
    for round in 0..ROUNDS {
        let command = command(&on);
        on.inbox_put(std::slice::from_ref(&command)).await.unwrap();
        let (next, seen) = (on.join().await, on.seen(on.shard).await);
        let carried_out = |on: &Bundle| Rows {
            inbox_done: vec![command.id],
            runs_created: vec![Run {
                fire_key: FireKey::Request(Id::from_bytes(*command.id.as_bytes())),
                ..on.run(&job, START)
            }],
            ..Rows::default()
        };
        let rows = carried_out(&on);
        let old = turn(&on.store, on.shard, owner, epoch, &rows);
        let new = async {
            assert!(heir.server_mark(owner, 0, ServerPhase::Dead).await.unwrap());
            let claimed = claim(&heir, &seen, next).await;
            let waiting = heir.inbox_read(next, 9).await.unwrap();
            if !waiting.is_empty() {
                assert_eq!(
                    turn(&heir, on.shard, next, claimed.epoch, &carried_out(&on)).await,
                    TurnEnd::Committed
                );
            }
            (claimed.epoch, waiting.len())
        };
        let (old, (raised, by_the_new)) = tokio::join!(old, new);
        assert_eq!(usize::from(old == TurnEnd::Committed) + by_the_new, 1, "round {round}");
        assert!(heir.inbox_read(next, 9).await.unwrap().is_empty());
        assert_eq!(i64::try_from(count(&heir, on.shard).await).unwrap(), round + 1);
        (owner, epoch) = (next, raised);
    }
    heir.close().await;
}

async fn of_two_apps_of_a_name_one_is_made(on: Bundle) {
    let other = on.beside().await;
    for round in 0..ROUNDS {
        let name = format!("app-{round}");
        let (left, right) = (on.new_app(&name, 3), on.new_app(&name, 3));
        let (left, right) = tokio::join!(on.app_create(&left), other.app_create(&right));
        assert_ne!(left.unwrap().is_some(), right.unwrap().is_some());
    }
    let shards = on.owner_list().await.unwrap().len();
    assert_eq!(i64::try_from(shards).unwrap(), 2 + 3 * ROUNDS);
    other.close().await;
}

async fn of_many_first_tokens_one_is_written(on: Bundle) {
    let other = on.beside().await;
    let tokens = [(); 4].map(|()| on.new_token(None));
    let [a, b, c, d] = &tokens;
    let (a, b, c, d) = tokio::join!(
        on.admin_token_init(a),
        other.admin_token_init(b),
        on.admin_token_init(c),
        other.admin_token_init(d)
    );
    let written = [a, b, c, d].into_iter().filter(|written| *written.as_ref().unwrap()).count();
    assert_eq!((written, on.token_list(None).await.unwrap().len()), (1, 1));
    other.close().await;
}

async fn of_many_tokens_at_once_no_third_is_valid(on: Bundle) {
    let other = on.beside().await;
    let app = Some(on.app.id);
    let tokens = [(); 4].map(|()| on.new_token(app));
    let [a, b, c, d] = &tokens;
    let (a, b, c, d) =
        tokio::join!(on.token_create(a), other.token_create(b), on.token_create(c), other.token_create(d));
    let written = [a, b, c, d].into_iter().filter(|written| *written.as_ref().unwrap()).count();
    assert_eq!((written, on.token_valid(START).await.unwrap().len()), (1, 2));
    other.close().await;
}

async fn claims_and_releases_of_overlapping_shards_never_block_each_other(on: Bundle) {
    let other = on.beside().await;
    let app = on.app_create(&on.new_app("wide", 64)).await.unwrap().unwrap();
    let (left, right) = (on.join().await, on.join().await);
    for _ in 0..ROUNDS {
        let seen: Vec<Owned> =
            on.owner_list().await.unwrap().into_iter().filter(|owned| owned.shard.app == app.id).collect();
        // The other server names them from the last to the first.
        let backwards: Vec<Owned> = seen.iter().rev().cloned().collect();
        let (one, two) =
            tokio::join!(on.shards_claim(&seen, left, START), other.shards_claim(&backwards, right, START));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.len() + two.len(), seen.len());
        let release = |won: Vec<(ShardKey, Claimed)>| -> Vec<Release> {
            won.into_iter()
                .map(|(shard, claimed)| Release { shard, epoch: claimed.epoch, desired: None })
                .collect()
        };
        let (one, two) = (release(one), release(two));
        let (first, second) =
            tokio::join!(on.shards_release(&one, left, START), other.shards_release(&two, right, START));
        assert_eq!(first.unwrap().len() + second.unwrap().len(), seen.len());
    }
    other.close().await;
}

fn rows_of(on: &Bundle, job: &Job) -> Rows {
    let run = |_| Run { fire_key: FireKey::Request(on.id()), ..on.run(job, START) };
    Rows { runs_created: (0..RUNS).map(run).collect(), ..Rows::default() }
}

async fn turn(store: &Store, shard: ShardKey, server: ServerId, epoch: Epoch, rows: &Rows) -> TurnEnd {
    let turn = Turn { shard, server, epoch, rows, at: START };
    store.turns_commit(&[turn]).await.unwrap()[0]
}

async fn claim(store: &Store, seen: &Owned, server: ServerId) -> Claimed {
    let won = store.shards_claim(std::slice::from_ref(seen), server, START).await.unwrap();
    won.into_iter().next().unwrap().1
}

async fn count(store: &Store, shard: ShardKey) -> usize {
    store.open_page(shard, START, None, 1_000_000).await.unwrap().runs.len()
}

fn command(on: &Bundle) -> InboxRow {
    InboxRow {
        id: on.id(),
        app: on.app.name.to_string(),
        kind: "trigger".into(),
        name: "a".into(),
        idempotency_key: None,
        due_at: None,
        params: None,
        body: None,
        run: None,
        created_at: START,
        failed: None,
    }
}
