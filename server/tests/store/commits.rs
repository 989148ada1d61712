//! Turns: what they write, and what refuses them.

use std::sync::Arc;

use fastjob_core::domain::{
    AttemptEnd, Cancel, CancelCause, Ended, FailReason, Failure, FireKey, Limits, Overlap, Payload, Run,
    SkipReason, Source, State,
};
use fastjob_core::id::{Epoch, ShardKey};
use fastjob_core::shard::{Cursor, Rows, RunChanged, RunCopied};
use fastjob_server::store::{ErrorKind, RunFilter, Turn, TurnEnd};

use crate::bundle::{Bundle, START, after_end, after_start, ended, name};

crate::on_every_backend! {
    a_run_reads_back_as_it_was_written_in_each_step_of_its_life
    a_run_created_in_any_state_reads_back
    a_changed_run_stays_open_and_loses_its_assignment_only_when_scheduled
    a_copied_run_follows_the_new_definition
    a_removed_run_is_gone_and_only_a_waiting_one_can_be
    a_job_reads_back_as_it_was_written_and_revised
    a_name_may_be_given_up_and_taken_anew_in_one_turn
    a_turn_without_its_fence_is_refused_alone
    a_turn_of_another_epoch_or_server_or_shard_is_fenced
    a_second_run_of_a_fire_key_is_refused_for_its_data_and_nothing_is_written
    a_second_living_job_of_a_name_is_refused_for_its_data
    a_run_that_is_not_as_the_turn_believes_is_a_defect_and_nothing_is_written
    a_turn_of_any_number_of_rows_is_committed_whole
    a_turn_ends_the_outage_of_its_own_shard_alone
    turns_and_claims_race_without_a_row_of_the_loser
}

async fn a_run_reads_back_as_it_was_written_in_each_step_of_its_life(on: Bundle) {
    let job = on.job("a");
    let run = Run {
        limits: Arc::new(Limits { overlap: Overlap::AllowAll, priority: -3, ..Limits::default() }),
        idempotency_key: Some("order-42".into()),
        retry_of: Some(on.id()),
        revision: u64::MAX,
        ..on.run(&job, START)
    };
    on.commit(Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() }).await;
    assert_eq!(read(&on, &run).await, Some(run.clone()));

    let started = on.started(&run);
    let dispatched = after_start(&run, &started);
    on.commit(Rows { runs_started: vec![started], ..Rows::default() }).await;
    assert_eq!(read(&on, &run).await, Some(dispatched.clone()));

    let mut end = ended(&dispatched, Ended::Succeeded);
    end.result = Some(Payload::json("{}"));
    let succeeded = after_end(&dispatched, &end);
    on.commit(Rows { runs_ended: vec![end], ..Rows::default() }).await;
    assert_eq!(read(&on, &run).await, Some(succeeded));
}

async fn a_run_created_in_any_state_reads_back(on: Bundle) {
    let job = on.job("a");
    let run = |at: i64| on.run(&job, START.plus(at));
    let dispatched = after_start(&run(1), &on.started(&run(1)));
    let states = [
        Ended::Skipped(SkipReason::Overlap),
        Ended::Skipped(SkipReason::CatchUp),
        Ended::Failed(FailReason::Quarantined),
        Ended::Cancelled(CancelCause::Requested),
        Ended::Cancelled(CancelCause::Overlap),
    ];
    let jittered = Run { jitter_ms: 345, due: START.plus(445), ..run(100) };
    let again = Run { fire_key: FireKey::Backfill(on.id(), START), source: Source::Backfill, ..run(101) };
    let mut runs = vec![run(0), dispatched, jittered, again];
    runs.extend((2..).zip(states).map(|(at, how)| {
        let run = run(at);
        let mut end = ended(&run, how);
        end.error = Some(Failure::new("E", "m", ""));
        after_end(&run, &end)
    }));
    on.commit(Rows { jobs_created: vec![job], runs_created: runs.clone(), ..Rows::default() }).await;
    for run in runs {
        assert_eq!(read(&on, &run).await, Some(run));
    }
}

async fn a_changed_run_stays_open_and_loses_its_assignment_only_when_scheduled(on: Bundle) {
    let job = on.job("a");
    let run = on.run(&job, START);
    let started = on.started(&run);
    let dispatched = after_start(&run, &started);
    on.commit(Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() }).await;
    on.commit(Rows { runs_started: vec![started], ..Rows::default() }).await;

    let changed = |state, cancel| RunChanged {
        run: run.id,
        state,
        due: START.plus(100),
        fail_count: 1,
        lost_count: 2,
        cancel,
        error: Some(Failure::new("E", "m", "t")),
    };
    let expected = |from: &Run, changed: &RunChanged| Run {
        state: changed.state,
        due: changed.due,
        fail_count: 1,
        lost_count: 2,
        cancel: changed.cancel,
        error: changed.error.clone(),
        ..from.clone()
    };
    let asked = changed(State::Dispatched, Some(Cancel { at: START.plus(7), cause: CancelCause::Overlap }));
    let cancelling = expected(&dispatched, &asked);
    on.commit(Rows { runs_changed: vec![asked], ..Rows::default() }).await;
    assert_eq!(read(&on, &run).await, Some(cancelling));

    let back = changed(State::Scheduled, None);
    let waiting = Run { assignment: None, ..expected(&dispatched, &back) };
    let mut attempt = on.attempt(&run, 1);
    attempt.end = AttemptEnd::Failed;
    attempt.error = Some(Failure::new("E", "m", "t"));
    on.commit(Rows { runs_changed: vec![back], attempts: vec![attempt.clone()], ..Rows::default() }).await;
    assert_eq!(on.run_get(on.app.id, run.id).await.unwrap(), Some((waiting, vec![attempt])));
}

async fn a_copied_run_follows_the_new_definition(on: Bundle) {
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() }).await;
    let copied = RunCopied {
        run: run.id,
        revision: 2,
        handler: name("other"),
        params: Payload { encoding: fastjob_core::domain::Encoding::Binary, data: vec![0, 255].into() },
        limits: Arc::new(Limits { at_most_once: true, ..Limits::default() }),
    };
    let expected = Run {
        revision: 2,
        handler: copied.handler.clone(),
        params: copied.params.clone(),
        limits: copied.limits.clone(),
        ..run.clone()
    };
    on.commit(Rows { runs_copied: vec![copied], ..Rows::default() }).await;
    assert_eq!(read(&on, &run).await, Some(expected));
}

async fn a_removed_run_is_gone_and_only_a_waiting_one_can_be(on: Bundle) {
    let job = on.job("a");
    let (waiting, begun) = (on.run(&job, START), on.run(&job, START.plus(1)));
    let runs_created = vec![waiting.clone(), after_start(&begun, &on.started(&begun))];
    on.commit(Rows { jobs_created: vec![job], runs_created, ..Rows::default() }).await;
    on.commit(Rows { runs_removed: vec![waiting.id], ..Rows::default() }).await;
    assert_eq!(read(&on, &waiting).await, None);
    let refused = on.try_commit(&Rows { runs_removed: vec![begun.id], ..Rows::default() }).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Defect);
    assert!(read(&on, &begun).await.is_some());
}

async fn a_job_reads_back_as_it_was_written_and_revised(on: Bundle) {
    let mut job = on.job("a");
    job.next_at = Some(START.plus(1_000));
    on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), Some(job.clone()));

    let cursor = Cursor { job: job.id, next_at: Some(START.plus(2_000)), chain_seq: 4 };
    on.commit(Rows { cursors: vec![cursor], ..Rows::default() }).await;
    (job.next_at, job.chain_seq) = (cursor.next_at, cursor.chain_seq);
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), Some(job.clone()));

    job.revision = 2;
    job.enabled = false;
    job.next_at = None;
    job.updated_at = START.plus(3);
    Arc::make_mut(&mut job.definition).source_version = Some(9);
    on.commit(Rows { jobs_revised: vec![job.clone()], ..Rows::default() }).await;
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), Some(job.clone()));

    job.revision = 3;
    job.deleted_at = Some(START.plus(4));
    on.commit(Rows { jobs_revised: vec![job.clone()], ..Rows::default() }).await;
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), None);
    assert_eq!(on.job_newest(on.app.id, &job.name).await.unwrap(), Some(job));
}

async fn a_name_may_be_given_up_and_taken_anew_in_one_turn(on: Bundle) {
    let old = on.job("a");
    on.commit(Rows { jobs_created: vec![old.clone()], ..Rows::default() }).await;
    let (mut gone, new) = (old.clone(), on.job("a"));
    (gone.revision, gone.deleted_at) = (2, Some(START));
    on.commit(Rows { jobs_revised: vec![gone], jobs_created: vec![new.clone()], ..Rows::default() }).await;
    assert_eq!(on.job_get(on.app.id, &old.name).await.unwrap(), Some(new));
}

async fn a_turn_without_its_fence_is_refused_alone(on: Bundle) {
    let other = ShardKey { shard: 1, ..on.shard };
    let epoch = on.claim(other, on.server).await.epoch;
    let (mine, theirs) = (on.job("mine"), { fastjob_core::domain::Job { shard: other, ..on.job("theirs") } });
    let (rows, lost) = (
        Rows { jobs_created: vec![mine.clone()], ..Rows::default() },
        Rows { jobs_created: vec![theirs.clone()], ..Rows::default() },
    );
    let stale = Turn { shard: other, server: on.server, epoch: Epoch(epoch.0 - 1), rows: &lost, at: START };
    let ends = on.turns_commit(&[stale, on.turn(&rows)]).await.unwrap();
    assert_eq!(ends, [TurnEnd::Fenced, TurnEnd::Committed]);
    assert_eq!(on.job_get(on.app.id, &theirs.name).await.unwrap(), None);
    assert_eq!(on.job_get(on.app.id, &mine.name).await.unwrap(), Some(mine));
}

async fn a_turn_of_another_epoch_or_server_or_shard_is_fenced(on: Bundle) {
    let rows = Rows { jobs_created: vec![on.job("a")], ..Rows::default() };
    let turn = on.turn(&rows);
    let strangers = [
        Turn { epoch: Epoch(turn.epoch.0 + 1), ..turn },
        Turn { server: on.id(), ..turn },
        Turn { shard: ShardKey { shard: 1, ..turn.shard }, ..turn },
        Turn { shard: ShardKey { shard: 9, ..turn.shard }, ..turn },
    ];
    assert_eq!(on.turns_commit(&strangers).await.unwrap(), [TurnEnd::Fenced; 4]);
    assert_eq!(on.turns_commit(&[]).await.unwrap(), []);
    assert_eq!(on.job_list(on.app.id, None, 10).await.unwrap(), []);
}

async fn a_second_run_of_a_fire_key_is_refused_for_its_data_and_nothing_is_written(on: Bundle) {
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created: vec![run.clone()], ..Rows::default() })
        .await;
    let (twin, fine) = (on.run(&job, START), on.run(&job, START.plus(1)));
    let cursors = vec![Cursor { job: job.id, next_at: Some(START), chain_seq: 1 }];
    let rows = Rows { runs_created: vec![fine, twin], cursors, ..Rows::default() };
    assert_eq!(on.try_commit(&rows).await.unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(
        on.run_list(on.app.id, &RunFilter { limit: 10, ..RunFilter::default() }).await.unwrap(),
        [run]
    );
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), Some(job));
}

async fn a_second_living_job_of_a_name_is_refused_for_its_data(on: Bundle) {
    let rows = Rows { jobs_created: vec![on.job("a"), on.job("a")], ..Rows::default() };
    assert_eq!(on.try_commit(&rows).await.unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(on.job_list(on.app.id, None, 10).await.unwrap(), []);
}

async fn a_run_that_is_not_as_the_turn_believes_is_a_defect_and_nothing_is_written(on: Bundle) {
    let job = on.job("a");
    let (run, unknown) = (on.run(&job, START), on.run(&job, START.plus(1)));
    on.commit(Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() }).await;
    let runs_started = vec![on.started(&run), on.started(&unknown)];
    let error = on.try_commit(&Rows { runs_started, ..Rows::default() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Defect);
    assert!(error.to_string().contains("started runs"), "{error}");
    assert_eq!(read(&on, &run).await, Some(run.clone()));

    on.commit(Rows {
        runs_ended: vec![ended(&run, Ended::Cancelled(CancelCause::Requested))],
        ..Rows::default()
    })
    .await;
    let again = Rows { runs_ended: vec![ended(&run, Ended::Succeeded)], ..Rows::default() };
    assert_eq!(on.try_commit(&again).await.unwrap_err().kind(), ErrorKind::Defect);
}

async fn a_turn_of_any_number_of_rows_is_committed_whole(on: Bundle) {
    let job = on.job("a");
    on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
    let mut due = START;
    for count in [1, 7, 8, 9, 63, 65, 255, 257, 600] {
        let mut runs: Vec<Run> = Vec::new();
        for _ in 0..count {
            due = due.plus(1);
            runs.push(on.run(&job, due));
        }
        let started: Vec<_> = runs.iter().map(|run| on.started(run)).collect();
        let expected: Vec<Run> =
            runs.iter().zip(&started).map(|(run, started)| after_start(run, started)).collect();
        on.commit(Rows { runs_created: runs, ..Rows::default() }).await;
        on.commit(Rows { runs_started: started, ..Rows::default() }).await;
        let filter = RunFilter { limit: count, ..RunFilter::default() };
        let mut read = on.run_list(on.app.id, &filter).await.unwrap();
        read.reverse();
        assert_eq!(read, expected);
    }
}

async fn a_turn_ends_the_outage_of_its_own_shard_alone(on: Bundle) {
    let other = ShardKey { shard: 1, ..on.shard };
    on.claim(other, on.server).await;
    for shard in [on.shard, other] {
        let seen = on.seen(shard).await;
        assert!(on.release(shard, on.server, seen.epoch, START.plus(5)).await);
    }
    let won = on.claim(on.shard, on.server).await;
    assert_eq!(won.outage_from, Some(START.plus(5)));
    let rows = Rows { outage_over: true, ..Rows::default() };
    let turn = Turn { epoch: won.epoch, ..on.turn(&rows) };
    assert_eq!(on.turns_commit(&[turn]).await.unwrap(), [TurnEnd::Committed]);
    let raised = on.epoch_raise(on.shard, on.server, won.epoch, START).await.unwrap().unwrap();
    assert_eq!(raised.outage_from, None);
    assert_eq!(on.claim(other, on.server).await.outage_from, Some(START.plus(5)));
}

async fn turns_and_claims_race_without_a_row_of_the_loser(on: Bundle) {
    let job = on.job("a");
    on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
    let rows: Vec<Rows> = (0..40)
        .map(|tick| Rows { runs_created: vec![on.run(&job, START.plus(tick))], ..Rows::default() })
        .collect();
    let commits = async {
        let mut ends = Vec::new();
        for rows in &rows {
            ends.push(on.try_commit(rows).await.unwrap()[0]);
        }
        ends
    };
    let raise = async {
        for _ in 0..5 {
            on.server_list().await.unwrap();
        }
        let raised = on.epoch_raise(on.shard, on.server, on.epoch, START).await.unwrap();
        assert!(raised.is_some());
        on.run_list(on.app.id, &RunFilter { limit: 100, ..RunFilter::default() }).await.unwrap().len()
    };
    let (ends, seen_after_raise) = tokio::join!(commits, raise);
    let committed = ends.iter().filter(|end| **end == TurnEnd::Committed).count();
    assert_eq!(seen_after_raise, committed, "no row appeared after the epoch rose");
    assert!(ends[committed..].iter().all(|end| *end == TurnEnd::Fenced));
}

async fn read(on: &Bundle, run: &Run) -> Option<Run> {
    on.run_get(on.app.id, run.id).await.unwrap().map(|(run, _)| run)
}
