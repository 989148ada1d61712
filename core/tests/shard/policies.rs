//! Stories about the policies of jobs: overlap, catch-up, life, jitter, backfill.

use fastjob_core::domain::{
    CancelCause, Definition, Ended, Limits, OutcomeKind, Overlap, SkipReason, State, Trigger,
};
use fastjob_core::id::RunId;
use fastjob_core::shard::{CancelReason, Fire};

use crate::story::{Story, every, job};
use crate::worker::{done, failure};

const SKIPPED: State = State::Ended(Ended::Skipped(SkipReason::Overlap));
const GAVE_WAY: State = State::Ended(Ended::Cancelled(CancelCause::Overlap));

fn with(overlap: Overlap) -> Definition {
    Definition { limits: Limits { overlap, ..Limits::default() }, ..job(Trigger::Api) }
}

/// A job of this policy with room for three attempts, and three runs called one after the other.
fn three(overlap: Overlap) -> (Story, [RunId; 3]) {
    let mut story = Story::new().worker(&["a"], 3).job("j", with(overlap));
    let runs = [(); 3].map(|()| {
        story.wait(10);
        story.trigger("j")
    });
    (story, runs)
}

fn states(story: &Story, runs: [RunId; 3]) -> [State; 3] {
    runs.map(|run| story.run(run).state)
}

#[test]
fn skip_lets_nothing_wait_behind_a_run_that_is_alive() {
    let (story, runs) = three(Overlap::Skip);
    assert_eq!(states(&story, runs), [State::Dispatched, SKIPPED, SKIPPED]);
}

#[test]
fn buffer_one_lets_one_wait_which_starts_when_the_earlier_one_ends() {
    let (mut story, runs) = three(Overlap::BufferOne);
    assert_eq!(states(&story, runs), [State::Dispatched, State::Scheduled, SKIPPED]);
    assert_eq!(story.world.shard.load().buffered, 1);
    story.finish(0, runs[0], done());
    assert_eq!(story.run(runs[1]).state, State::Dispatched);
    let next = story.trigger("j");
    assert_eq!(story.run(next).state, State::Scheduled);
    story.finish(0, runs[1], OutcomeKind::Failed(failure()));
    assert_eq!(story.run(next).state, State::Dispatched);
}

#[test]
fn buffer_all_runs_one_after_the_other_in_order_of_due() {
    let (mut story, runs) = three(Overlap::BufferAll);
    assert_eq!(states(&story, runs), [State::Dispatched, State::Scheduled, State::Scheduled]);
    for run in runs {
        assert_eq!(story.held(0).iter().map(|key| key.run).collect::<Vec<_>>(), [run]);
        story.finish(0, run, done());
    }
}

#[test]
fn buffer_all_skips_what_is_beyond_its_bound() {
    let mut story = Story::new().worker(&["a"], 3).job("j", with(Overlap::BufferAll));
    let fires: Vec<Fire> = (0..Overlap::MAX_BUFFERED + 3).map(|_| story.fire("j")).collect();
    story.ask(fastjob_core::shard::Call::Trigger(fires));
    assert_eq!(story.world.shard.load().buffered, Overlap::MAX_BUFFERED);
    assert_eq!(story.ended("j", Ended::Skipped(SkipReason::Overlap)), 2);
}

#[test]
fn a_run_that_waits_for_its_next_attempt_still_holds_back_the_buffered() {
    let retry = fastjob_core::domain::Retry { retries: 1, delay_ms: 5_000, ..Default::default() };
    let limits = Limits { overlap: Overlap::BufferOne, retry, ..Limits::default() };
    let mut story = Story::new().worker(&["a"], 3).job("j", Definition { limits, ..job(Trigger::Api) });
    let (first, second) = (story.trigger("j"), story.trigger("j"));
    story.finish(0, first, OutcomeKind::Failed(failure()));
    story.wait(4_999);
    assert!(story.held(0).is_empty());
    story.wait(1);
    story.finish(0, first, done());
    assert_eq!(story.run(second).state, State::Dispatched);
}

#[test]
fn cancel_other_starts_the_newest_once_the_earlier_one_has_given_way() {
    let (mut story, runs) = three(Overlap::CancelOther);
    assert_eq!(states(&story, runs), [State::Dispatched, SKIPPED, State::Scheduled]);
    let key = story.held(0)[0];
    assert_eq!(story.world.workers[0].held[&key], Some(CancelReason::Requested));
    story.finish(0, runs[0], OutcomeKind::Cancelled(failure()));
    assert_eq!(states(&story, runs), [GAVE_WAY, SKIPPED, State::Dispatched]);
}

#[test]
fn cancel_other_starts_the_newer_one_when_the_grace_of_a_deaf_one_is_over() {
    let limits = Limits { overlap: Overlap::CancelOther, cancel_grace_ms: 3_000, ..Limits::default() };
    let mut story = Story::new().worker(&["a"], 3).job("j", Definition { limits, ..job(Trigger::Api) });
    let (first, second) = (story.trigger("j"), story.trigger("j"));
    story.wait(2_999);
    assert_eq!(story.run(second).state, State::Scheduled);
    story.wait(1);
    assert_eq!((story.run(first).state, story.run(second).state), (GAVE_WAY, State::Dispatched));
}

#[test]
fn terminate_other_starts_at_once_and_the_report_of_the_earlier_one_is_late() {
    let (mut story, runs) = three(Overlap::TerminateOther);
    assert_eq!(states(&story, runs), [GAVE_WAY, GAVE_WAY, State::Dispatched]);
    assert!(story.run(runs[0]).cancel.is_none(), "nobody waited for it");
    let first = story.held(0).into_iter().find(|key| key.run == runs[0]).unwrap();
    assert_eq!(story.world.workers[0].held[&first], Some(CancelReason::Superseded));
    story.finish(0, runs[0], done());
    assert_eq!(story.world.verdicts["report -> Late"], 1);
    story.finish(0, runs[2], done());
    assert_eq!(story.run(runs[2]).state, State::Ended(Ended::Succeeded));
}

#[test]
fn allow_all_runs_side_by_side() {
    let (story, runs) = three(Overlap::AllowAll);
    assert_eq!(states(&story, runs), [State::Dispatched; 3]);
}

#[test]
fn a_call_may_bring_its_own_policy() {
    let mut story = Story::new().worker(&["a"], 3).job("j", with(Overlap::Skip));
    let first = story.trigger("j");
    let fire = Fire { overlap: Some(Overlap::BufferOne), ..story.fire("j") };
    let waits = story.trigger_with(fire).unwrap().id;
    assert_eq!(story.run(waits).state, State::Scheduled);
    story.finish(0, first, done());
    assert_eq!(story.run(waits).state, State::Dispatched);
}

#[test]
fn the_buffered_are_the_same_after_the_memory_is_read_again_and_after_a_crash() {
    let (mut story, runs) = three(Overlap::BufferAll);
    story.reload();
    assert_eq!(story.world.shard.load().buffered, 2);
    story.world.kill_server(100);
    story.world.quiet();
    story.connect(0);
    assert_eq!(states(&story, runs), [State::Dispatched, State::Scheduled, State::Scheduled]);
    for run in runs {
        story.finish(0, run, done());
    }
}

#[test]
fn a_cancel_for_a_newer_run_keeps_its_cause_over_a_takeover() {
    let (mut story, runs) = three(Overlap::CancelOther);
    story.world.kill_server(100);
    story.world.quiet();
    story.connect(0);
    story.finish(0, runs[0], OutcomeKind::Cancelled(failure()));
    assert_eq!(states(&story, runs), [GAVE_WAY, SKIPPED, State::Dispatched]);
}

#[test]
fn a_buffered_run_whose_start_deadline_passes_is_skipped_and_the_next_one_waits_on() {
    let limits = Limits { overlap: Overlap::BufferAll, start_deadline_ms: Some(3_000), ..Limits::default() };
    let mut story = Story::new().worker(&["a"], 3).job("j", Definition { limits, ..job(Trigger::Api) });
    let (first, second) = (story.trigger("j"), story.trigger("j"));
    story.wait(2_000);
    let third = story.trigger("j");
    story.wait(1_500);
    assert_eq!(story.run(second).state, State::Ended(Ended::Skipped(SkipReason::StartDeadline)));
    story.finish(0, first, done());
    assert_eq!(story.run(third).state, State::Dispatched);
}

#[test]
fn what_waits_behind_a_run_is_judged_by_the_policy_of_an_edit() {
    let ticking = |overlap| Definition { limits: Limits { overlap, ..Limits::default() }, ..job(every(1)) };
    for (overlap, then) in [
        (Overlap::Skip, [State::Dispatched, SKIPPED, SKIPPED]),
        (Overlap::BufferOne, [State::Dispatched, State::Scheduled, SKIPPED]),
        (Overlap::AllowAll, [State::Dispatched; 3]),
        (Overlap::TerminateOther, [GAVE_WAY, SKIPPED, State::Dispatched]),
    ] {
        let mut story = Story::new().worker(&["a"], 3).job("j", ticking(Overlap::BufferAll));
        story.wait(3_000);
        let runs = [0, 1, 2].map(|at| story.runs_of("j")[at].id);
        assert_eq!(states(&story, runs), [State::Dispatched, State::Scheduled, State::Scheduled]);
        story.put("j", ticking(overlap));
        assert_eq!(states(&story, runs), then, "{overlap:?}");
    }
}

#[test]
fn disabling_a_job_skips_all_that_waits_behind_its_run() {
    let limits = Limits { overlap: Overlap::BufferAll, ..Limits::default() };
    let mut story = Story::new().worker(&["a"], 3).job("j", Definition { limits, ..job(every(1)) });
    story.wait(4_000);
    story.enable("j", false);
    assert_eq!(story.ended("j", Ended::Skipped(SkipReason::Disabled)), 3);
    let first = story.held(0)[0].run;
    story.finish(0, first, done());
    assert!(story.held(0).is_empty());
}
