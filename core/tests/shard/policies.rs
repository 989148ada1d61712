//! Stories about the policies of jobs: overlap, catch-up, life, jitter, backfill.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    CancelCause, CatchUp, CatchUpPolicy, Cron, Definition, Dialect, Ended, Limits, OutcomeKind, Overlap,
    Payload, Run, SkipReason, Source, State, Timing, Trigger,
};
use fastjob_core::id::{Id, RunId};
use fastjob_core::shard::{Backfill, Backfilled, Call, CancelReason, Fire, Reply};

use crate::story::{Story, every, job, named};
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
    story.ask(Call::Trigger(fires));
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
    let first = story.held(0).into_iter().find(|key| key.run == runs[0]).unwrap();
    assert_eq!(story.world.workers[0].held[&first], Some(CancelReason::Requested));
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

#[test]
fn policy_all_fires_the_newest_missed_ticks_one_after_the_other_in_their_order() {
    let catch_up = CatchUp { policy: CatchUpPolicy::All(5), threshold_ms: 0, window_ms: None };
    let limits = Limits { overlap: Overlap::AllowAll, ..Limits::default() };
    let definition = Definition { catch_up, limits, ..job(every(10)) };
    let mut story = Story::new().worker(&["a"], 50).job("j", definition);
    story.world.kill_server(200_500);
    let until = story.world.now;
    story.world.quiet();
    story.connect(0);
    let missed = |run: &&&Run| run.tick.is_some_and(|tick| tick <= until) && run.state == State::Scheduled;
    let runs = story.runs_of("j");
    let waiting: Vec<&&Run> = runs.iter().filter(missed).collect();
    let dues: Vec<i64> = waiting.iter().map(|run| run.due.since(until)).collect();
    assert_eq!(dues, [100, 200, 300, 400, 500]);
    story.wait(1_000);
    assert_eq!(story.held(0).len(), 5);
    let skipped = story.ended("j", Ended::Skipped(SkipReason::CatchUp));
    let gap: u64 = story.world.tables.gaps.iter().filter_map(|gap| gap.count).sum();
    assert_eq!(skipped as u64 + gap + 5, 20);
    crate::checks::every_tick_is_accounted_for(story.world.past());
}

#[test]
fn what_is_paced_is_not_judged_again_by_a_second_turn_nor_lost_by_a_crash() {
    let catch_up = CatchUp { policy: CatchUpPolicy::All(1_000), threshold_ms: 0, window_ms: None };
    let limits = Limits { overlap: Overlap::BufferAll, ..Limits::default() };
    let definition = Definition { catch_up, limits, ..job(every(10)) };
    let mut story = Story::new().worker(&["a"], 1).job("j", definition);
    story.world.kill_server(3_000_000);
    story.world.quiet();
    story.connect(0);
    story.reload();
    let mut executed = 0;
    while executed < 300 {
        let before = story.held(0).len();
        story.finish_all(0);
        executed += before;
        story.wait(100);
    }
    crate::checks::every_tick_is_accounted_for(story.world.past());
    assert_eq!(story.ended("j", Ended::Skipped(SkipReason::CatchUp)), 0);
    assert_eq!(story.ended("j", Ended::Skipped(SkipReason::Overlap)), 0);
}

#[test]
fn a_job_has_no_tick_before_its_start_and_none_at_or_after_its_end() {
    let now = Story::new().world.now;
    let timing = Timing { start_at: Some(now.plus(20_000)), end_at: Some(now.plus(50_000)), jitter_ms: 0 };
    let mut story = Story::new().job("j", Definition { timing, ..job(every(10)) });
    story.wait(100_000);
    let ticks: Vec<i64> = story.runs_of("j").iter().map(|run| run.tick.unwrap().since(now)).collect();
    assert_eq!(ticks, [20_000, 30_000, 40_000]);
    assert_eq!(story.world.tables.job_named(&named("j")).unwrap().next_at, None);
}

#[test]
fn a_fixed_delay_chain_begins_at_its_start_and_ends_with_its_end_which_an_edit_may_move() {
    let now = Story::new().world.now;
    let chain = |end: i64| {
        let timing = Timing { start_at: Some(now.plus(5_000)), end_at: Some(now.plus(end)), jitter_ms: 0 };
        Definition { timing, ..job(Trigger::FixedDelay { delay_ms: 1_000 }) }
    };
    let mut story = Story::new().worker(&["a"], 1).job("j", chain(7_000));
    story.wait(4_999);
    assert!(story.held(0).is_empty());
    story.wait(1);
    story.finish_all(0);
    story.wait(1_000);
    story.finish_all(0);
    story.wait(10_000);
    assert_eq!(story.runs_of("j").len(), 2, "the third would have been due at the end");
    story.put("j", chain(60_000));
    story.wait(0);
    assert_eq!(story.held(0).len(), 1);
}

#[test]
fn jitter_puts_off_the_run_and_not_its_tick_and_never_to_the_next_tick() {
    let timing = Timing { jitter_ms: 60_000, ..Timing::default() };
    let mut story = Story::new().worker(&["a"], 9).job("j", Definition { timing, ..job(every(2)) });
    let dues = |story: &Story| {
        let runs = story.runs_of("j");
        runs.iter().map(|run| (run.tick.unwrap(), run.due.since(run.tick.unwrap()))).collect::<Vec<_>>()
    };
    let before = dues(&story);
    assert!(before.len() >= 7 && before.iter().all(|(_, off)| (0..2_000).contains(off)), "{before:?}");
    assert!(before.windows(2).any(|pair| pair[0].1 != pair[1].1));
    story.put("j", Definition { params: Payload::text("new"), timing: timing_of(60_000), ..job(every(2)) });
    assert_eq!(dues(&story), before, "the same job and tick draw the same");
    let (tick, off) = before[0];
    story.wait(tick.since(story.world.now) + off - 1);
    assert!(story.held(0).is_empty());
    story.wait(1);
    assert_eq!(story.held(0).len(), 1);
    crate::checks::every_tick_is_accounted_for(story.world.past());
}

fn timing_of(jitter_ms: i64) -> Timing {
    Timing { jitter_ms, ..Timing::default() }
}

#[test]
fn a_run_whose_jitter_ends_after_an_outage_was_not_missed() {
    let catch_up = CatchUp { policy: CatchUpPolicy::None, threshold_ms: 0, window_ms: None };
    let definition = Definition { catch_up, timing: timing_of(600_000), ..job(every(600)) };
    let mut story = Story::new().worker(&["a"], 9).job("j", definition);
    let first = story.world.tables.job_named(&named("j")).unwrap().next_at.unwrap();
    story.wait(first.since(story.world.now) - 1_000);
    story.world.kill_server(1_500);
    story.world.quiet();
    let run = story.runs_of("j")[0].clone();
    assert_eq!((run.tick, run.state), (Some(first), State::Scheduled));
    story.connect(0);
    story.wait(run.due.since(story.world.now));
    assert_eq!(story.run(run.id).state, State::Dispatched);
}

/// On every full hour, also before the job was made.
fn hourly() -> Trigger {
    Trigger::Cron(Cron::new("0 0 * * * ?", Dialect::Quartz, "UTC"))
}

fn part(story: &Story, ticks: &[Millis], overlap: Option<Overlap>) -> Call {
    let id = Id::from_bytes([7; 16]);
    assert!(story.world.tables.job_named(&named("j")).is_some());
    Call::JobBackfill(Backfill { job: named("j"), id, first: 0, ticks: ticks.to_vec(), overlap })
}

#[test]
fn a_backfill_runs_past_ticks_again_one_after_the_other_and_leaves_the_job_s_own_ticks_alone() {
    let mut story = Story::new().worker(&["a"], 9).job("j", job(hourly()));
    let next_at = story.world.tables.job_named(&named("j")).unwrap().next_at;
    let ticks = [3, 2, 1].map(|hours| next_at.unwrap().plus(-hours * 3_600_000 - 3_600_000));
    let asked = part(&story, &ticks, None);
    assert_eq!(story.ask(asked.clone()), Reply::Backfilled(Backfilled { created: 3, existed: 0 }));
    assert_eq!(story.ask(asked), Reply::Backfilled(Backfilled { created: 0, existed: 3 }));
    for tick in ticks {
        story.wait(200);
        let run = story.held(0)[0].run;
        let stored = story.run(run).clone();
        assert_eq!((story.held(0).len(), stored.tick, stored.source), (1, Some(tick), Source::Backfill));
        assert_eq!(stored.fire_key.to_string(), format!("b{}:{}", Id::<()>::from_bytes([7; 16]), tick.get()));
        story.finish(0, run, done());
    }
    assert_eq!(story.world.tables.job_named(&named("j")).unwrap().next_at, next_at);
    crate::checks::every_tick_is_accounted_for(story.world.past());
}

#[test]
fn a_backfill_goes_on_while_its_job_is_disabled_and_is_skipped_when_it_is_deleted() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(every(1)));
    story.wait(4_000);
    story.finish_all(0);
    story.enable("j", false);
    let now = story.world.now.get() / 1_000 * 1_000;
    let asked = part(&story, &[now - 2_000, now - 1_000].map(Millis::new), None);
    assert_eq!(story.ask(asked), Reply::Backfilled(Backfilled { created: 2, existed: 0 }));
    story.wait(1_000);
    assert_eq!(story.held(0).len(), 1);
    story.ask(Call::JobDelete { name: named("j") });
    story.finish_all(0);
    assert!(story.held(0).is_empty());
    let again = story.world.tables.runs.values().filter(|run| run.source == Source::Backfill);
    let last = again.max_by_key(|run| run.due).unwrap();
    assert_eq!(last.state, State::Ended(Ended::Skipped(SkipReason::Deleted)));
}

#[test]
fn a_backfill_of_what_is_no_tick_or_has_not_passed_is_refused() {
    let mut story = Story::new().job("j", job(every(10)));
    let tick = story.world.now.get() / 10_000 * 10_000;
    for (ticks, code) in
        [([tick - 10_000, tick - 5_000], "job_changed"), ([tick, tick + 20_000], "out_of_bounds")]
    {
        let asked = part(&story, &ticks.map(Millis::new), None);
        assert_eq!(story.refusal(asked).code, code);
    }
}

fn overdue(story: &mut Story) -> Vec<(String, i64)> {
    match story.ask(Call::Overdue) {
        Reply::Overdue(found) => {
            found.iter().map(|each| (each.job.to_string(), story.world.now.since(each.since))).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_whose_run_has_waited_for_a_minute_is_overdue_until_it_starts_and_a_called_one_is_not() {
    let mut story = Story::new().job("j", job(every(10))).job("called", job(Trigger::Api));
    story.trigger("called");
    let first = story.runs_of("j")[0].due;
    story.wait(first.since(story.world.now) + 59_999);
    assert_eq!(overdue(&mut story), []);
    story.wait(1);
    assert_eq!(overdue(&mut story), [("j".to_owned(), 60_000)]);
    let mut story = story.worker(&["a"], 2);
    assert_eq!(overdue(&mut story), []);
}

#[test]
fn an_outcome_that_waits_in_the_inbox_comes_before_a_newer_run_that_takes_the_place_of_its_run() {
    let mut story = Story::new().worker(&["a"], 3).job("j", with(Overlap::TerminateOther));
    let older = story.trigger("j");
    story.disconnect(0);
    let key = story.held(0)[0];
    story.world.finish(0, key, done());
    story.world.store_outcome(0);
    let newer = story.trigger("j");
    assert_eq!(story.run(older).state, State::Ended(Ended::Succeeded));
    assert_eq!(story.run(newer).state, State::Scheduled, "it waits for a worker");
}
