//! Random turns, applied to the store and to plain maps in memory: both must answer alike.

use std::collections::BTreeMap;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    CancelCause, Ended, FailReason, Failure, FireKey, Job, Payload, Run, SkipReason, Source, State,
};
use fastjob_core::id::RunId;
use fastjob_core::shard::{DuePage, Needs, Rows, RunChanged};
use fastjob_server::store::RunFilter;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::bundle::{Bundle, START, after_end, after_start, ended};

/// One thing that a turn does; numbers pick among what there is.
#[derive(Clone, Debug)]
enum Step {
    Create { job: usize, due: i64, called: bool },
    Start(usize),
    End(usize, usize),
    Retry(usize, i64),
    Remove(usize),
}

const ENDS: [Ended; 4] = [
    Ended::Succeeded,
    Ended::Failed(FailReason::Timeout),
    Ended::Cancelled(CancelCause::Requested),
    Ended::Skipped(SkipReason::StartDeadline),
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..60_i64, any::<bool>()).prop_map(|(job, due, called)| Step::Create { job, due, called }),
        2 => any::<usize>().prop_map(Step::Start),
        2 => (any::<usize>(), 0..ENDS.len()).prop_map(|(run, how)| Step::End(run, how)),
        1 => (any::<usize>(), 0..90_i64).prop_map(|(run, due)| Step::Retry(run, due)),
        1 => any::<usize>().prop_map(Step::Remove),
    ]
}

#[test]
fn the_store_answers_as_plain_maps_do_after_any_turns() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let turns = prop::collection::vec(prop::collection::vec(step(), 1..12), 1..10);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let walked = TestRunner::new(config).run(&turns, |turns| {
        runtime.block_on(async {
            let on = Bundle::sqlite().await;
            walk(&on, &turns).await;
            on.close().await;
        });
        Ok(())
    });
    walked.unwrap();
}

async fn walk(on: &Bundle, turns: &[Vec<Step>]) {
    let jobs = ["a", "b", "c"].map(|text| on.job(text));
    on.commit(Rows { jobs_created: jobs.to_vec(), ..Rows::default() }).await;
    let mut runs = BTreeMap::new();
    for turn in turns {
        let rows = apply(on, &jobs, &mut runs, turn);
        on.commit(rows).await;
        compare(on, &jobs, &runs).await;
    }
}

/// The rows of these steps, of which each touches a run of its own, and the runs as they leave them.
fn apply(on: &Bundle, jobs: &[Job], runs: &mut BTreeMap<RunId, Run>, turn: &[Step]) -> Rows {
    let mut rows = Rows::default();
    let mut untouched: Vec<Run> = runs.values().cloned().collect();
    let mut pick = |at: usize, wanted: fn(&Run) -> bool| {
        let fitting: Vec<usize> = (0..untouched.len()).filter(|at| wanted(&untouched[*at])).collect();
        (!fitting.is_empty()).then(|| untouched.remove(fitting[at % fitting.len()]))
    };
    for step in turn {
        match step {
            Step::Create { job, due, called } => {
                let run = on.run(&jobs[*job], START.plus(*due));
                let run = if *called {
                    Run { fire_key: FireKey::Request(on.id()), tick: None, source: Source::Api, ..run }
                } else {
                    run
                };
                if runs.values().all(|other| (other.job, &other.fire_key) != (run.job, &run.fire_key)) {
                    rows.runs_created.push(run.clone());
                    runs.insert(run.id, run);
                }
            }
            Step::Start(at) => {
                if let Some(run) = pick(*at, |run| run.state == State::Scheduled) {
                    let started = on.started(&run);
                    runs.insert(run.id, after_start(&run, &started));
                    rows.runs_started.push(started);
                }
            }
            Step::End(at, how) => {
                if let Some(run) = pick(*at, |run| run.ended_at.is_none()) {
                    let mut end = ended(&run, ENDS[*how]);
                    end.result = Some(Payload::text("done"));
                    runs.insert(run.id, after_end(&run, &end));
                    rows.runs_ended.push(end);
                }
            }
            Step::Retry(at, due) => {
                if let Some(run) = pick(*at, |run| run.state == State::Dispatched) {
                    let changed = retried(&run, START.plus(*due));
                    rows.attempts.push(on.attempt(&run, run.attempt));
                    let run = Run {
                        state: State::Scheduled,
                        due: changed.due,
                        fail_count: changed.fail_count,
                        error: changed.error.clone(),
                        assignment: None,
                        ..run
                    };
                    runs.insert(run.id, run);
                    rows.runs_changed.push(changed);
                }
            }
            Step::Remove(at) => {
                if let Some(run) = pick(*at, |run| run.state == State::Scheduled && run.attempt == 0) {
                    rows.runs_removed.push(run.id);
                    runs.remove(&run.id);
                }
            }
        }
    }
    rows
}

fn retried(run: &Run, due: Millis) -> RunChanged {
    RunChanged {
        run: run.id,
        state: State::Scheduled,
        due,
        fail_count: run.fail_count + 1,
        lost_count: run.lost_count,
        cancel: run.cancel,
        error: Some(Failure::new("Oops", "again", "")),
    }
}

async fn compare(on: &Bundle, jobs: &[Job], runs: &BTreeMap<RunId, Run>) {
    let all = RunFilter { limit: 1_000, ..RunFilter::default() };
    let newest_first: Vec<Run> = runs.values().rev().cloned().collect();
    assert_eq!(on.run_list(on.app.id, &all).await.unwrap(), newest_first);

    for job in jobs {
        let own = RunFilter { job: Some(job.name.clone()), states: vec!["scheduled"], ..all.clone() };
        let fits = |run: &&Run| run.job == job.id && run.state == State::Scheduled;
        let expected: Vec<Run> = newest_first.iter().filter(fits).cloned().collect();
        assert_eq!(on.run_list(on.app.id, &own).await.unwrap(), expected);
    }

    let until = START.plus(30);
    let matters = |run: &&Run| run.ended_at.is_none() && (run.due <= until || run.attempt > 0);
    let expected: Vec<Run> = runs.values().filter(matters).cloned().collect();
    let (mut open, mut after) = (Vec::new(), None);
    loop {
        let page = on.open_page(on.shard, until, after, 3).await.unwrap();
        after = page.runs.last().map(|run| run.id);
        open.extend(page.runs);
        if !page.more {
            break;
        }
    }
    assert_eq!(open, expected);

    let page = DuePage { opened: START.plus(10), until, limit: 1_000 };
    let facts = on.facts(on.shard, &Needs { due: Some(page), ..Needs::default() }).await.unwrap();
    let scheduled = || runs.values().filter(|run| run.state == State::Scheduled);
    let within = |run: &&Run| page.opened < run.due && run.due <= until;
    let mut due: Vec<Run> = scheduled().filter(within).cloned().collect();
    due.sort_by_key(|run| (run.due, run.id));
    let read = facts.due.unwrap();
    assert_eq!(read.runs, due);
    assert_eq!(read.next_beyond, scheduled().map(|run| run.due).filter(|at| *at > until).min());
}
