//! One story per sentence.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    AttemptEnd, CancelCause, CatchUp, CatchUpPolicy, Definition, Ended, FailReason, FireKey, GapReason,
    Hello, Limits, ManagedBy, OutcomeKind, Overlap, Payload, RefusalKind, Retry, SkipReason, State, Trigger,
};
use fastjob_core::id::{Epoch, Id};
use fastjob_core::shard::{
    Call, Change, Fire, Frame, JobApplied, JobChange, JobEdit, JobPut, Message, Reply, StreamId, When,
};

use crate::story::{Story, every, job, named, outcome};
use crate::worker::{Wire, done, failure};
use crate::world::{HORIZON_MS, LOST_AFTER_MS};

fn with(limits: Limits) -> Definition {
    Definition { limits, ..job(Trigger::Api) }
}

#[test]
fn a_called_run_that_finds_a_free_worker_is_inserted_as_dispatched_at_once() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    assert_eq!(story.run(run).state, State::Dispatched);
    assert_eq!(story.world.tables.taken.get("- -> dispatched"), Some(&1));
    assert_eq!(story.held(0).len(), 1);
}

#[test]
fn an_attempt_that_its_session_does_not_list_is_sent_again_at_once_and_counts_as_nothing() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let fire = story.fire("j");
    story.world.call(Call::Trigger(vec![fire]));
    story.turn();
    story.disconnect(0);
    story.connect(0);
    let run = story.runs_of("j")[0].clone();
    assert_eq!((run.state, run.attempt, run.fail_count, run.lost_count), (State::Dispatched, 2, 0, 0));
    assert_eq!(story.world.tables.attempts[&(run.id, 1)].end, AttemptEnd::Undelivered);
    assert_eq!(story.held(0), [run.attempt_key().unwrap()]);
}

#[test]
fn an_attempt_that_was_over_before_its_run_ended_in_the_same_turn_keeps_its_own_end() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let fire = story.fire("j");
    story.world.call(Call::Trigger(vec![fire]));
    story.turn();
    let run = story.runs_of("j")[0].id;
    story.disconnect(0);
    story.world.connect(0);
    story.world.pump();
    story.world.call(Call::RunCancel { run });
    story.turn();
    assert_eq!(story.run(run).state, State::Ended(Ended::Cancelled(CancelCause::Requested)));
    assert_eq!((story.run(run).attempt, story.run(run).attempt_key()), (1, None));
    assert_eq!(story.world.tables.attempts[&(run, 1)].end, AttemptEnd::Undelivered);
}

#[test]
fn an_attempt_that_its_worker_gave_up_out_of_contact_is_lost_and_not_undelivered() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    story.disconnect(0);
    let key = story.held(0)[0];
    story.world.finish(0, key, OutcomeKind::Lost(failure()));
    story.connect(0);
    let stored = story.run(run);
    assert_eq!((stored.state, stored.attempt, stored.lost_count), (State::Dispatched, 2, 1));
    assert_eq!(story.world.tables.attempts[&(run, 1)].end, AttemptEnd::Lost);
}

#[test]
fn hellos_from_before_many_reloads_do_not_take_back_an_attempt_that_a_later_one_lists() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    let stream = story.world.workers[0].stream.unwrap();
    story.world.boot();
    for _ in 0..8 {
        let mut wire = Wire::default();
        story.world.workers[0].greet(stream, &mut wire);
        let Some(Message::Hello { stream, hello }) = wire.to_server.pop_front() else { panic!("no Hello") };
        let before = Hello { running: vec![], floor: Some(Epoch(1)), ..hello };
        story.say(Message::Hello { stream, hello: before });
    }
    story.world.settle();
    story.world.quiet();
    assert_eq!((story.run(run).state, story.run(run).attempt), (State::Dispatched, 1));
    assert_eq!(story.held(0).len(), 1);
}

#[test]
fn a_hello_that_knows_the_owner_but_not_yet_its_newest_attempt_does_not_take_that_back_after_a_reload() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let fire = story.fire("j");
    story.world.call(Call::Trigger(vec![fire]));
    story.turn();
    let run = story.runs_of("j")[0].id;
    let stream = story.world.workers[0].stream.unwrap();
    let mut wire = Wire::default();
    story.world.workers[0].greet(stream, &mut wire);
    story.world.boot();
    story.world.inbox.extend(wire.to_server);
    story.world.settle();
    story.world.quiet();
    assert_eq!((story.run(run).state, story.run(run).attempt), (State::Dispatched, 1));
    assert_eq!(story.held(0).len(), 1);
}

#[test]
fn an_attempt_that_its_session_lists_goes_on() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    story.disconnect(0);
    story.connect(0);
    story.wait(2 * LOST_AFTER_MS);
    assert_eq!((story.run(run).state, story.run(run).attempt), (State::Dispatched, 1));
    story.reload();
    story.finish(0, run, done());
    assert_eq!(story.run(run).state, State::Ended(Ended::Succeeded));
}

#[test]
fn a_second_hello_on_a_stream_cannot_unsay_what_was_sent_on_it() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let stream = story.world.workers[0].stream.unwrap();
    story.world.wires.get_mut(&stream).unwrap().1.to_worker.push_back(Frame::HelloAgain);
    story.world.worker_reads(stream);
    let fire = story.fire("j");
    story.world.inbox.push_back(Message::Call {
        ticket: fastjob_core::shard::Ticket(0),
        call: Call::Trigger(vec![fire.clone()]),
    });
    story.world.calls.insert(fastjob_core::shard::Ticket(0), Call::Trigger(vec![fire]));
    story.world.turn(usize::MAX, crate::world::Fate::Committed);
    story.world.quiet();
    let run = story.runs_of("j")[0];
    assert_eq!((run.state, run.attempt), (State::Dispatched, 1));
}

#[test]
fn a_hello_written_before_an_attempt_could_arrive_does_not_judge_it_but_is_asked_again() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let fire = story.fire("j");
    story.world.call(Call::Trigger(vec![fire]));
    story.turn();
    story.world.boot();
    let stream = story.world.workers[0].stream.unwrap();
    let profile = story.world.workers[0].profile.clone();
    let hello = Hello { profile, ordinal: 1, floor: Some(Epoch(1)), running: vec![], unacked: vec![] };
    story.say(Message::Hello { stream, hello });
    story.world.quiet();
    let run = story.runs_of("j")[0];
    assert_eq!((run.state, run.attempt), (State::Dispatched, 1));
    assert_eq!(story.held(0), [run.attempt_key().unwrap()]);
}

#[test]
fn a_stream_from_before_the_reload_is_asked_for_a_hello_once() {
    let mut story = Story::new().worker(&["a"], 1);
    let stream = story.world.workers[0].stream.unwrap();
    story.world.boot();
    for add in [1, 2] {
        story.say(Message::Credit { stream, add });
        story.turn();
    }
    let asked = story.world.wires[&stream].1.to_worker.iter().filter(|frame| **frame == Frame::HelloAgain);
    assert_eq!(asked.count(), 1);
}

#[test]
fn putting_what_is_stored_writes_nothing() {
    let mut story = Story::new();
    assert_eq!(story.put("j", job(every(1))).change, Change::Created);
    let before = story.world.tables.jobs.clone();
    assert_eq!(story.put("j", job(every(1))).change, Change::Unchanged);
    assert_eq!(story.world.tables.jobs, before);
    assert_eq!(story.put("j", job(every(2))).change, Change::Updated);
}

#[test]
fn a_batch_with_one_put_that_is_refused_changes_nothing_and_names_the_field() {
    let versioned = |version| Definition { source_version: Some(version), ..job(every(1)) };
    let console = Definition { managed_by: ManagedBy::Console, ..job(every(1)) };
    let mut story = Story::new().job("v", versioned(2)).job("c", console);
    let before = story.world.tables.jobs.clone();
    let put = |name: &str, definition| JobPut { name: named(name), definition, enabled: None };
    for (bad, field) in [
        (put("v", versioned(1)), "jobs[1].source_version"),
        (put("c", job(every(2))), "jobs[1].managed_by"),
        (put("new", job(every(1))), "jobs[1].name"),
    ] {
        let refusal = story.refusal(Call::JobPut(vec![put("new", job(every(1))), bad]));
        assert_eq!(refusal.field, field);
        assert!(!refusal.remedy.is_empty());
    }
    assert_eq!(story.world.tables.jobs, before);
}

#[test]
fn a_job_may_be_deleted_and_put_anew_in_one_turn() {
    let mut story = Story::new().job("j", job(every(1)));
    let put = Call::JobPut(vec![JobPut { name: named("j"), definition: job(every(1)), enabled: None }]);
    story.world.call(Call::JobDelete { name: named("j") });
    story.world.call(put);
    story.turn();
    assert_eq!(story.world.tables.jobs.len(), 2);
    story.wait(1_500);
    crate::checks::every_tick_is_accounted_for(story.world.past());
}

#[test]
fn while_a_job_is_disabled_its_ticks_are_one_gap_and_enabling_does_not_flood() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(every(1)));
    story.wait(2_500);
    story.enable("j", false);
    let runs = story.runs_of("j").len();
    assert!(
        story.runs_of("j").iter().all(|run| run.tick.unwrap() <= story.world.now),
        "written-ahead runs are gone"
    );
    story.wait(100_000);
    story.enable("j", true);
    let [gap] = &story.world.tables.gaps[..] else { panic!("{:?}", story.world.tables.gaps) };
    assert_eq!((gap.count, gap.reason), (Some(100), GapReason::Disabled));
    assert_eq!(story.runs_of("j")[runs].tick, Some(gap.to.plus(1_000)));
    crate::checks::every_tick_is_accounted_for(story.world.past());
}

#[test]
fn a_waiting_run_follows_an_edit_is_skipped_by_a_disable_and_a_called_one_goes_on() {
    let mut story = Story::new().job("j", job(every(1)));
    let called = Fire { overlap: Some(Overlap::AllowAll), ..story.fire("j") };
    story.wait(1_000);
    let called = story.trigger_with(called).unwrap().id;
    let waiting = story.runs_of("j")[0].id;
    story.put("j", Definition { params: Payload::text("new"), ..job(every(1)) });
    assert_eq!((story.run(waiting).params.clone(), story.run(waiting).revision), (Payload::text("new"), 2));
    assert_eq!((story.run(called).params.clone(), story.run(called).revision), (Payload::text("p"), 1));
    story.enable("j", false);
    assert_eq!(story.run(waiting).state, State::Ended(Ended::Skipped(SkipReason::Disabled)));
    assert_eq!(story.run(called).state, State::Scheduled);
    let mut story = story.worker(&["a"], 1);
    story.finish(0, called, done());
}

#[test]
fn deleting_a_job_skips_what_has_not_started_also_what_was_called_for_later() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(every(1)));
    let later = Fire { when: When::AfterMs(10 * HORIZON_MS), ..story.fire("j") };
    let later = story.trigger_with(later).unwrap().id;
    story.wait(1_000);
    let running = story.held(0)[0].run;
    assert_eq!(story.ask(Call::JobDelete { name: named("j") }), Reply::Deleted);
    story.finish(0, running, done());
    story.wait(11 * HORIZON_MS);
    assert_eq!(story.run(later).state, State::Ended(Ended::Skipped(SkipReason::Deleted)));
    assert_eq!(story.runs_of("j").len(), 2);
}

#[test]
fn a_tick_that_was_cancelled_before_its_time_is_not_fired_again_by_an_edit() {
    let mut story = Story::new().worker(&["a"], 9).job("j", job(every(1)));
    let cancelled = story.runs_of("j")[4].id;
    assert!(matches!(story.ask(Call::RunCancel { run: cancelled }), Reply::Run(_)));
    story.put("j", Definition { params: Payload::text("new"), ..job(every(1)) });
    story.enable("j", false);
    story.enable("j", true);
    story.wait(10_000);
    crate::checks::every_tick_is_accounted_for(story.world.past());
}

#[test]
fn a_cancel_waits_for_the_worker_until_the_grace_is_over() {
    let limits = Limits { cancel_grace_ms: 3_000, ..Limits::default() };
    let mut story =
        Story::new().worker(&["a"], 2).job("j", with(Limits { overlap: Overlap::AllowAll, ..limits }));
    let (gives_way, ignores) = (story.trigger("j"), story.trigger("j"));
    for run in [gives_way, ignores] {
        assert!(matches!(story.ask(Call::RunCancel { run }), Reply::Run(run) if run.cancel.is_some()));
    }
    story.finish(0, gives_way, OutcomeKind::Cancelled(failure()));
    assert_eq!(story.run(gives_way).state, State::Ended(Ended::Cancelled(CancelCause::Requested)));
    story.wait(2_999);
    assert_eq!(story.run(ignores).state, State::Dispatched);
    story.wait(1);
    assert_eq!(story.run(ignores).state, State::Ended(Ended::Cancelled(CancelCause::Requested)));
    story.finish(0, ignores, done());
    assert_eq!(story.world.verdicts["report -> Late"], 1);
    let refusal = story.refusal(Call::RunCancel { run: ignores });
    assert_eq!((refusal.kind, refusal.code), (RefusalKind::Conflict, "run_ended"));
    assert!(refusal.message.contains("cancelled"));
}

#[test]
fn the_same_key_makes_one_run_and_other_params_are_refused_naming_it() {
    let mut story = Story::new().job("j", job(Trigger::Api)).job("k", job(Trigger::Api));
    let keyed = |story: &mut Story, name: &str, params: &str| Fire {
        idempotency_key: Some("order 7".into()),
        params: Some(Payload::text(params)),
        ..story.fire(name)
    };
    let [one, two] = [keyed(&mut story, "j", "x"), keyed(&mut story, "j", "x")];
    let Reply::Triggered(results) = story.ask(Call::Trigger(vec![one.clone(), two])) else {
        panic!("not triggered")
    };
    let [Ok(first), Ok(second)] = &results[..] else { panic!("{results:?}") };
    assert_eq!((first.existed, second.existed, first.run.id), (false, true, second.run.id));
    let first = first.run.id;
    story.reload();
    assert_eq!(story.trigger_with(one).unwrap().id, first);
    let other = keyed(&mut story, "j", "y");
    let refusal = story.trigger_with(other).unwrap_err();
    assert_eq!((refusal.kind, refusal.code), (RefusalKind::Conflict, "idempotency_conflict"));
    assert!(refusal.message.contains(&first.to_string()));
    let elsewhere = keyed(&mut story, "k", "y");
    assert_ne!(story.trigger_with(elsewhere).unwrap().id, first);
}

#[test]
fn a_run_that_no_worker_takes_in_time_is_skipped_and_without_a_deadline_it_waits() {
    let limits = Limits { start_deadline_ms: Some(5_000), ..Limits::default() };
    let mut story = Story::new().job("hurried", with(limits)).job("patient", job(Trigger::Api));
    let (hurried, patient) = (story.trigger("hurried"), story.trigger("patient"));
    story.wait(5_000);
    assert_eq!(story.run(hurried).state, State::Scheduled);
    story.wait(1);
    assert_eq!(story.run(hurried).state, State::Ended(Ended::Skipped(SkipReason::StartDeadline)));
    story.wait(86_400_000);
    assert_eq!((story.run(patient).state, story.world.shard.load().waiting), (State::Scheduled, 1));
}

#[test]
fn the_higher_priority_goes_first_then_the_earlier_due_also_across_handlers() {
    let priority = |handler, priority| Definition {
        handler: named(handler),
        ..with(Limits { priority, overlap: Overlap::AllowAll, ..Limits::default() })
    };
    let mut story = Story::new().job("low", priority("a", 0)).job("high", priority("b", 5));
    let first_low = story.trigger("low");
    story.wait(10);
    let (second_low, high) = (story.trigger("low"), story.trigger("high"));
    let mut story = story.worker(&["a", "b"], 1);
    for run in [high, first_low, second_low] {
        story.finish(0, run, done());
    }
}

#[test]
fn overlap_skips_a_tick_while_an_earlier_run_is_alive_also_while_it_waits() {
    let mut story = Story::new().job("j", job(every(1)));
    story.wait(3_500);
    assert_eq!(story.ended("j", Ended::Skipped(SkipReason::Overlap)), 2);
    let mut story = story.worker(&["a"], 1);
    story.wait(1_000);
    assert_eq!(story.ended("j", Ended::Skipped(SkipReason::Overlap)), 3);
    story.finish_all(0);
    story.wait(1_000);
    assert_eq!(story.ended("j", Ended::Skipped(SkipReason::Overlap)), 3);
}

#[test]
fn a_run_whose_workers_are_lost_three_times_is_quarantined() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    for lost in 1..=3 {
        story.world.kill_worker(0);
        story.world.quiet();
        story.wait(LOST_AFTER_MS + 1);
        assert_eq!(story.run(run).lost_count, lost);
        story.connect(0);
    }
    assert_eq!(story.run(run).state, State::Ended(Ended::Failed(FailReason::Quarantined)));
}

#[test]
fn a_failed_run_is_tried_again_after_its_wait_or_as_much_later_as_its_handler_asks() {
    let retry = Retry { retries: 2, delay_ms: 4_000, ..Retry::default() };
    let mut story = Story::new().worker(&["a"], 1).job("j", with(Limits { retry, ..Limits::default() }));
    let run = story.trigger("j");
    let failed_at = story.world.now;
    story.finish(0, run, OutcomeKind::Failed(failure()));
    assert_eq!((story.run(run).state, story.run(run).due), (State::Scheduled, failed_at.plus(4_000)));
    story.wait(4_000);
    let key = story.held(0)[0];
    let stream = story.world.workers[0].stream.unwrap();
    let asks = fastjob_core::domain::Outcome {
        kind: OutcomeKind::Failed(failure()),
        retry_after_ms: Some(60_000),
        ..outcome(key)
    };
    story.world.workers[0].held.clear();
    story.say(Message::Outcome { stream, outcome: asks });
    story.turn();
    assert_eq!(story.run(run).due, failed_at.plus(64_000));
    assert_eq!((story.run(run).attempt, story.run(run).fail_count), (2, 2));
}

#[test]
fn an_attempt_whose_worker_says_nothing_is_timed_out_by_the_owner_and_a_late_report_changes_nothing() {
    let limits = Limits { attempt_timeout_ms: 5_000, cancel_grace_ms: 1_000, ..Limits::default() };
    let mut story = Story::new().worker(&["a"], 1).job("j", with(limits));
    let run = story.trigger("j");
    story.wait(5_000);
    assert_eq!(
        story.world.workers[0].held.values().next(),
        Some(&Some(fastjob_core::shard::CancelReason::Timeout))
    );
    story.wait(3_000);
    assert_eq!(story.run(run).state, State::Ended(Ended::Failed(FailReason::Timeout)));
    story.finish(0, run, done());
    assert_eq!(story.run(run).state, State::Ended(Ended::Failed(FailReason::Timeout)));
    assert_eq!(story.world.verdicts["report -> Late"], 1);
}

#[test]
fn after_an_outage_the_newest_missed_tick_fires_and_the_others_are_skipped_or_one_gap() {
    for (policy, fired) in [(CatchUpPolicy::Latest, 1), (CatchUpPolicy::None, 0)] {
        let catch_up = CatchUp { policy, threshold_ms: 0, window_ms: None };
        let mut story = Story::new().job("j", Definition { catch_up, ..job(every(1)) });
        let died_at = story.world.now;
        story.world.kill_server(100_500);
        story.world.quiet();
        let missed = |run: &&&fastjob_core::domain::Run| run.tick.is_some_and(|tick| tick <= story.world.now);
        let waiting =
            story.runs_of("j").iter().filter(missed).filter(|run| run.state == State::Scheduled).count();
        assert_eq!(waiting, fired, "{policy:?}");
        let skipped = story.ended("j", Ended::Skipped(SkipReason::CatchUp));
        let gap = story.world.tables.gaps[0].count.unwrap() as usize;
        assert_eq!(skipped + gap + fired, 100, "since {died_at:?}");
        assert_eq!(story.world.tables.outage_from, None);
        crate::checks::every_tick_is_accounted_for(story.world.past());
    }
}

#[test]
fn any_number_of_runs_due_at_one_instant_beyond_the_horizon_are_found_in_time() {
    let mut story = Story::new().job("j", with(Limits { overlap: Overlap::AllowAll, ..Limits::default() }));
    let at = story.world.now.plus(4 * HORIZON_MS);
    let fires: Vec<Fire> = (0..1_000).map(|_| Fire { when: When::At(at), ..story.fire("j") }).collect();
    story.ask(Call::Trigger(fires));
    assert_eq!(story.world.shard.load().scheduled, 0, "they wait in the rows");
    story.wait(4 * HORIZON_MS);
    assert_eq!(story.world.shard.load().waiting, 1_000);
}

#[test]
fn any_number_of_jobs_have_their_ticks_written_page_by_page() {
    let mut story = Story::new();
    let at = story.world.now.plus(4 * HORIZON_MS);
    let put = |n: i64| JobPut {
        name: named(&format!("j{n}")),
        definition: job(Trigger::At(vec![at, at.plus(n)])),
        enabled: None,
    };
    story.ask(Call::JobPut((1..1_000).map(put).collect()));
    assert_eq!(story.world.shard.load().scheduled, 0);
    story.wait(4 * HORIZON_MS);
    assert_eq!(story.world.tables.runs.len(), 2 * 999);
    assert_eq!(story.world.shard.load().waiting, 999);
}

#[test]
fn an_idle_owner_sleeps_until_the_next_tick_is_within_the_horizon() {
    let mut story = Story::new().worker(&["a"], 1);
    assert_eq!(story.world.shard.next_wake(), None);
    let tomorrow = story.world.now.plus(86_400_000);
    story.put("j", job(Trigger::At(vec![tomorrow])));
    assert_eq!(story.world.shard.next_wake(), Some(tomorrow.plus(-HORIZON_MS)));
    story.reload();
    assert_eq!(story.world.shard.next_wake(), Some(tomorrow.plus(-HORIZON_MS)));
    story.wait(86_400_000);
    assert_eq!(story.held(0).len(), 1);
}

#[test]
fn ticks_are_written_ahead_at_half_seconds_when_few_are_due() {
    let mut story = Story::new().job("j", job(every(1)));
    let mut written = 0;
    for _ in 0..120 {
        let before = story.world.tables.runs.len();
        story.wait(250);
        let grown = story.world.tables.runs.len() - before;
        assert!(grown == 0 || story.world.now.get() % 1_000 == 500, "{grown} at {:?}", story.world.now);
        written += grown;
    }
    assert!(written >= 20, "{written} in half a minute");
}

#[test]
fn a_finished_run_fired_again_is_a_new_run_with_its_params_and_the_same_request_makes_one() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let old = story.trigger("j");
    let request = Id::from_bytes([7; 16]);
    let refusal = story.refusal(Call::RunRetry { run: old, request });
    assert_eq!(refusal.code, "run_not_ended");
    story.finish(0, old, done());
    story.put("j", Definition { params: Payload::text("new"), ..job(Trigger::Api) });
    let Reply::Run(first) = story.ask(Call::RunRetry { run: old, request }) else { panic!("refused") };
    let Reply::Run(again) = story.ask(Call::RunRetry { run: old, request }) else { panic!("refused") };
    assert_eq!(first.id, again.id);
    assert_eq!((first.retry_of, first.revision, &first.params), (Some(old), 2, &Payload::text("p")));
    story.ask(Call::JobDelete { name: named("j") });
    let refusal = story.refusal(Call::RunRetry { run: old, request: Id::from_bytes([8; 16]) });
    assert_eq!(refusal.code, "job_deleted");
}

#[test]
fn a_chain_goes_on_after_each_end_and_called_runs_do_not_move_it() {
    let trigger = Trigger::FixedDelay { delay_ms: 30_000 };
    let mut story = Story::new().worker(&["a"], 2).job("j", job(trigger));
    let called = Fire { overlap: Some(Overlap::AllowAll), ..story.fire("j") };
    let called = story.trigger_with(called).unwrap().id;
    story.finish(0, called, done());
    assert_eq!(story.runs_of("j").len(), 2);
    story.wait(500);
    let ended_at = story.world.now;
    story.finish_all(0);
    let next = story.runs_of("j").last().copied().unwrap().clone();
    assert_eq!((next.fire_key, next.due), (FireKey::Chain(2), ended_at.plus(30_000)));
    story.put("j", job(Trigger::FixedDelay { delay_ms: 60_000 }));
    let runs = story.runs_of("j");
    assert_eq!((&runs[2].fire_key, runs[2].due, runs.len()), (&FireKey::Chain(2), ended_at.plus(60_000), 3));
}

#[test]
fn a_worker_that_said_bye_or_gave_no_credit_gets_nothing() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let stream = story.world.workers[0].stream.unwrap();
    story.say(Message::Bye { stream });
    story.turn();
    let run = story.trigger("j");
    assert_eq!(story.run(run).state, State::Scheduled);
}

#[test]
fn what_does_not_exist_is_named_and_nonsense_from_workers_changes_nothing() {
    let mut story = Story::new();
    let run = Id::from_bytes([3; 16]);
    assert_eq!(story.refusal(Call::RunCancel { run }).code, "run_not_found");
    assert_eq!(story.refusal(Call::RunRetry { run, request: Id::from_bytes([4; 16]) }).code, "run_not_found");
    assert_eq!(story.refusal(Call::JobDelete { name: named("x") }).code, "job_not_found");
    let fire = story.fire("x");
    assert_eq!(story.trigger_with(fire).unwrap_err().code, "job_not_found");
    let stream = StreamId(77);
    let key = fastjob_core::id::AttemptKey { run, attempt: u32::MAX, token: fastjob_core::id::Token(0) };
    story.say(Message::Outcome { stream, outcome: outcome(key) });
    story.say(Message::Progress { key, percent: 255, note: "x".into() });
    story.say(Message::StreamEnded { stream, last_contact: Millis::MAX });
    story.say(Message::Outage { from: Millis::MAX, until: Millis::new(i64::MIN) });
    story.turn();
    story.world.quiet();
    assert_eq!(story.world.verdicts["report -> Unknown"], 1);
    assert!(story.world.tables.runs.is_empty());
}

fn put_change(name: &str, definition: Definition, seen: Option<u64>) -> JobChange {
    JobChange { edit: JobEdit::Put(Box::new(JobPut { name: named(name), definition, enabled: None })), seen }
}

fn delete_change(name: &str, seen: Option<u64>) -> JobChange {
    JobChange { edit: JobEdit::Delete(named(name)), seen }
}

#[test]
fn jobs_that_are_applied_together_are_made_and_deleted_in_one_turn() {
    let mut story = Story::new().job("old", job(every(1))).job("kept", job(every(1)));
    let changes = vec![
        put_change("new", job(every(2)), Some(0)),
        delete_change("old", Some(1)),
        put_change("kept", job(every(1)), Some(1)),
        delete_change("nothing", Some(4)),
    ];
    let Reply::Applied(done) = story.ask(Call::JobApply(changes.clone())) else { panic!("it is refused") };
    let [JobApplied::Put(new), JobApplied::Deleted(_), JobApplied::Put(kept), JobApplied::Absent] = &done[..]
    else {
        panic!("{done:?}")
    };
    assert_eq!((new.change, kept.change), (Change::Created, Change::Unchanged));
    assert!(story.world.tables.jobs.values().any(|job| job.name == named("old") && job.deleted_at.is_some()));
    let tables = story.world.tables.jobs.clone();
    let again = story.ask(Call::JobApply(changes));
    assert!(matches!(again, Reply::Applied(_)), "a repeated call finds its own work: {again:?}");
    assert_eq!(story.world.tables.jobs, tables);
}

#[test]
fn jobs_that_are_applied_together_are_all_left_alone_if_one_is_refused() {
    let console = Definition { managed_by: ManagedBy::Console, ..job(every(1)) };
    let mut story = Story::new().job("j", job(every(1))).job("c", console);
    let before = story.world.tables.jobs.clone();
    for (bad, field, kind) in [
        (put_change("j", job(every(2)), Some(7)), "changes[2].seen", RefusalKind::Conflict),
        (put_change("j", job(every(2)), Some(0)), "changes[2].seen", RefusalKind::Conflict),
        (delete_change("j", Some(2)), "changes[2].seen", RefusalKind::Conflict),
        (put_change("c", job(every(2)), None), "changes[2].put.managed_by", RefusalKind::Conflict),
        (delete_change("new", None), "changes[2].name", RefusalKind::Invalid),
    ] {
        let first = [put_change("new", job(every(1)), None), delete_change("nothing", None)];
        let refusal = story.refusal(Call::JobApply(first.into_iter().chain([bad]).collect()));
        assert_eq!((&*refusal.field, refusal.kind), (field, kind), "{refusal:?}");
        assert!(!refusal.remedy.is_empty());
    }
    assert_eq!(story.world.tables.jobs, before);
}
