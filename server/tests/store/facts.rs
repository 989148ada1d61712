//! What an owner reads: the pages of its boot, and what its turns need.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{CancelCause, Ended, FireKey, Job, Run, SkipReason, Source, State};
use fastjob_core::id::ShardKey;
use fastjob_core::shard::{DuePage, Facts, History, Needs, OpenPage, Rows, RunChanged};
use fastjob_server::store::Turn;

use crate::bundle::{Bundle, START, after_end, after_start, ended, name};

crate::on_every_backend! {
    a_boot_reads_open_runs_that_matter_page_by_page_with_their_jobs
    an_empty_shard_has_an_empty_page
    a_turn_gets_the_jobs_and_runs_it_names_once_each
    nothing_of_another_shard_is_given
    a_history_holds_ended_ticks_scheduled_runs_and_the_end_of_the_chain
    the_end_of_a_chain_is_found_behind_many_runs_taken_back
    a_due_page_is_in_order_of_time_and_tells_what_lies_beyond
    a_due_page_is_cut_at_its_limit
}

async fn a_boot_reads_open_runs_that_matter_page_by_page_with_their_jobs(on: Bundle) {
    let (mut gone, other) = (on.job("gone"), on.job("other"));
    gone.deleted_at = Some(START);
    let until = START.plus(100);
    let due = on.run(&gone, until);
    let far = on.run(&gone, START.plus(101));
    let retried = on.run(&other, START.plus(102));
    let running = on.run(&other, START.plus(103));
    let over = on.run(&other, START);
    let over = after_end(&over, &ended(&over, Ended::Skipped(SkipReason::Overlap)));
    let rows = Rows {
        jobs_created: vec![gone.clone(), other.clone()],
        runs_created: vec![due.clone(), far, retried.clone(), running.clone(), over],
        ..Rows::default()
    };
    on.commit(rows).await;
    let starts = [&retried, &running].map(|run| on.started(run));
    let retried = Run { assignment: None, state: State::Scheduled, ..after_start(&retried, &starts[0]) };
    let running = after_start(&running, &starts[1]);
    on.commit(Rows { runs_started: starts.to_vec(), ..Rows::default() }).await;
    let back = RunChanged {
        run: retried.id,
        state: State::Scheduled,
        due: retried.due,
        fail_count: 0,
        lost_count: 0,
        cancel: None,
        error: None,
    };
    on.commit(Rows { runs_changed: vec![back], ..Rows::default() }).await;

    let first = on.open_page(on.shard, until, None, 2).await.unwrap();
    assert_eq!(first.runs, [due.clone(), retried.clone()]);
    assert!(first.more);
    assert_eq!(sorted(first.jobs), [gone, other.clone()]);
    let second = on.open_page(on.shard, until, Some(retried.id), 2).await.unwrap();
    assert_eq!(second, OpenPage { runs: vec![running], jobs: vec![other], more: false });
    let exact = on.open_page(on.shard, until, None, 3).await.unwrap();
    assert_eq!((exact.runs.len(), exact.more), (3, false));
}

async fn an_empty_shard_has_an_empty_page(on: Bundle) {
    let page = on.open_page(on.shard, Millis::MAX, None, 10).await.unwrap();
    assert_eq!(page, OpenPage { runs: vec![], jobs: vec![], more: false });
}

async fn a_turn_gets_the_jobs_and_runs_it_names_once_each(on: Bundle) {
    let (mut gone, living) = (on.job("a"), on.job("a"));
    gone.deleted_at = Some(START);
    let chain =
        Run { fire_key: FireKey::Chain(4), tick: None, source: Source::FixedDelay, ..on.run(&living, START) };
    let old = on.run(&gone, START);
    let rows = Rows {
        jobs_created: vec![gone.clone(), living.clone()],
        runs_created: vec![chain.clone(), old.clone()],
        ..Rows::default()
    };
    on.commit(rows).await;
    let needs = Needs {
        jobs_named: [name("a"), name("none")].into(),
        jobs: [living.id, gone.id, on.id()].into(),
        runs: [chain.id, on.id()].into(),
        fired: vec![
            (name("a"), FireKey::Chain(4)),
            (name("a"), FireKey::Tick(START)),
            (name("none"), FireKey::Chain(1)),
        ],
        ..Needs::default()
    };
    let facts = on.facts(on.shard, &needs).await.unwrap();
    assert_eq!(sorted(facts.jobs), [gone, living], "of a deleted job only by its id");
    assert_eq!(facts.runs, [chain], "a deleted job has fired nothing");
    assert_eq!((facts.histories, facts.due), (vec![], None));
    assert_eq!(on.facts(on.shard, &Needs::default()).await.unwrap(), Facts::default());
}

async fn nothing_of_another_shard_is_given(on: Bundle) {
    let shard = ShardKey { shard: 1, ..on.shard };
    let epoch = on.claim(shard, on.server).await.epoch;
    let job = Job { shard, next_at: Some(START), ..on.job("a") };
    let run = on.run(&job, START);
    let rows = Rows { jobs_created: vec![job.clone()], runs_created: vec![run.clone()], ..Rows::default() };
    let turn = Turn { shard, server: on.server, epoch, rows: &rows, at: START };
    on.turns_commit(&[turn]).await.unwrap();
    let needs = Needs {
        jobs_named: [job.name.clone()].into(),
        jobs: [job.id].into(),
        runs: [run.id].into(),
        fired: vec![(job.name.clone(), run.fire_key.clone())],
        outcomes_of: [run.id].into(),
        histories: [job.name.clone()].into(),
        histories_after: START,
        due: Some(DuePage { opened: START.plus(-1), until: START, limit: 5 }),
    };
    let facts = on.facts(on.shard, &needs).await.unwrap();
    assert_eq!((facts.jobs, facts.runs, facts.histories), (vec![], vec![], vec![]));
    let due = facts.due.unwrap();
    assert_eq!((due.jobs, due.runs, due.next_beyond), (vec![], vec![], None));
    assert_eq!(on.open_page(on.shard, START, None, 5).await.unwrap().runs, []);
}

async fn a_history_holds_ended_ticks_scheduled_runs_and_the_end_of_the_chain(on: Bundle) {
    let mut job = on.job("a");
    job.chain_seq = 10;
    let tick = |at| on.run(&job, START.plus(at));
    let skipped = |run: Run| after_end(&run, &ended(&run, Ended::Skipped(SkipReason::Overlap)));
    let chain = |ordinal, at| Run {
        fire_key: FireKey::Chain(ordinal),
        tick: None,
        source: Source::FixedDelay,
        ..tick(at)
    };
    let mut ninth = skipped(chain(9, 31));
    ninth.ended_at = Some(START.plus(77));
    let (waiting, tenth) = (tick(2), chain(10, 32));
    let api = Run { fire_key: FireKey::Request(on.id()), tick: None, source: Source::Api, ..tick(3) };
    let again = |at| Run {
        fire_key: FireKey::Backfill(on.id(), START.plus(at)),
        source: Source::Backfill,
        ..tick(at)
    };
    let runs_created = vec![
        again(2),
        skipped(again(4)),
        skipped(tick(0)),
        skipped(tick(3)),
        skipped(tick(1)),
        waiting.clone(),
        api,
        skipped(chain(8, 30)),
        ninth,
        tenth.clone(),
    ];
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created, ..Rows::default() }).await;
    let needs = Needs {
        histories: [job.name.clone(), name("none")].into(),
        histories_after: START,
        ..Needs::default()
    };
    let history = History {
        job: job.id,
        ticks: vec![START.plus(1), START.plus(3)],
        scheduled: vec![waiting, tenth],
        chain_ended_at: Some(START.plus(77)),
    };
    assert_eq!(on.facts(on.shard, &needs).await.unwrap().histories, [history]);
}

async fn the_end_of_a_chain_is_found_behind_many_runs_taken_back(on: Bundle) {
    let mut job = on.job("a");
    job.chain_seq = 100;
    let chain = |ordinal| {
        let run = Run { fire_key: FireKey::Chain(ordinal), tick: None, ..on.run(&job, START) };
        let mut end = ended(&run, Ended::Cancelled(CancelCause::Requested));
        end.ended_at = START.plus(ordinal.cast_signed());
        after_end(&run, &end)
    };
    let runs_created = vec![chain(9), chain(10), chain(2)];
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created, ..Rows::default() }).await;
    let needs = Needs { histories: [job.name].into(), ..Needs::default() };
    let histories = on.facts(on.shard, &needs).await.unwrap().histories;
    assert_eq!(histories[0].chain_ended_at, Some(START.plus(10)));
}

async fn a_due_page_is_in_order_of_time_and_tells_what_lies_beyond(on: Bundle) {
    let job = |text: &str, next_at: i64| Job { next_at: Some(START.plus(next_at)), ..on.job(text) };
    let (late, early, next) = (job("late", 10), job("early", 5), job("next", 40));
    let disabled = Job { enabled: false, ..job("disabled", 3) };
    let deleted = Job { deleted_at: Some(START), ..job("deleted", 3) };
    let run = |at| on.run(&late, START.plus(at));
    let (second, first, opened, beyond) = (run(10), run(1), run(0), run(30));
    let running = after_start(&run(2), &on.started(&run(2)));
    let soonest = after_start(&run(11), &on.started(&run(11)));
    let rows = Rows {
        jobs_created: vec![late.clone(), early.clone(), next, disabled, deleted],
        runs_created: vec![second.clone(), first.clone(), opened, beyond, running, soonest],
        ..Rows::default()
    };
    on.commit(rows).await;
    let due = |until, limit| Needs {
        due: Some(DuePage { opened: START, until: START.plus(until), limit }),
        ..Needs::default()
    };
    let page = on.facts(on.shard, &due(10, 2)).await.unwrap().due.unwrap();
    assert_eq!(page.jobs, [early, late]);
    assert_eq!(page.runs, [first, second]);
    assert_eq!((page.more, page.next_beyond), (false, Some(START.plus(30))));
    let page = on.facts(on.shard, &due(30, 9)).await.unwrap().due.unwrap();
    assert_eq!(page.next_beyond, Some(START.plus(40)));
    let page = on.facts(on.shard, &due(40, 9)).await.unwrap().due.unwrap();
    assert_eq!(page.next_beyond, None);
}

async fn a_due_page_is_cut_at_its_limit(on: Bundle) {
    let jobs: Vec<Job> = ["a", "b"].map(|text| Job { next_at: Some(START), ..on.job(text) }).into();
    let runs = vec![on.run(&jobs[0], START.plus(1)), on.run(&jobs[0], START.plus(2))];
    on.commit(Rows { jobs_created: jobs.clone(), runs_created: runs.clone(), ..Rows::default() }).await;
    let due = |until, limit| Needs {
        due: Some(DuePage { opened: START.plus(-1), until: START.plus(until), limit }),
        ..Needs::default()
    };
    let page = on.facts(on.shard, &due(0, 1)).await.unwrap().due.unwrap();
    assert_eq!((page.jobs, page.runs, page.more), (vec![jobs[0].clone()], vec![], true));
    let page = on.facts(on.shard, &due(5, 1)).await.unwrap().due.unwrap();
    assert_eq!((page.runs, page.more), (vec![runs[0].clone()], true));
    let page = on.facts(on.shard, &due(5, 2)).await.unwrap().due.unwrap();
    assert!(!page.more);
}

fn sorted(mut jobs: Vec<Job>) -> Vec<Job> {
    jobs.sort_by_key(|job| job.id);
    jobs
}
