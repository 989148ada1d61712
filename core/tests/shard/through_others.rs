//! Stories of commands that came by the inbox, and of workers heard of through other servers.

use fastjob_core::domain::{Ended, FailReason, FireKey, Limits, Payload, State, Trigger};
use fastjob_core::id::{Id, InboxId};
use fastjob_core::shard::{Call, Command, Order, Reply, Verdict, WorkerReport};

use crate::story::{Story, job, named, outcome};
use crate::world::{Fate, LOST_AFTER_MS};

impl Story {
    /// The reader of the inbox hands over all that waits.
    fn read(&mut self) {
        self.world.read_inbox(usize::MAX);
        self.world.quiet();
    }

    fn set_aside(&self, id: InboxId) -> &str {
        self.world.tables.commands[&id].failed.as_deref().expect("it is set aside")
    }

    fn report(&mut self, worker: usize, life: Option<u64>) -> Reply {
        let running = self.held(worker);
        let session = self.world.workers[worker].profile.session;
        self.ask(Call::Report(WorkerReport { session, life, running, outcomes: vec![] }))
    }
}

#[test]
fn a_trigger_of_the_inbox_makes_one_run_and_its_row_goes_in_the_same_transaction() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let fire = story.fire("j");
    let id = story.world.put_fire(fire.clone());
    story.world.read_inbox(9);
    story.world.turn(usize::MAX, Fate::Refused);
    assert!(story.world.tables.commands.contains_key(&id) && story.runs_of("j").is_empty());
    story.world.read_inbox(9);
    story.world.turn(usize::MAX, Fate::Unknown);
    assert!(story.world.tables.commands.is_empty());
    assert_eq!(story.runs_of("j")[0].fire_key, FireKey::Request(fire.request));
    // Handed over again by a reader that had read it before.
    let again = Command { id, order: Order::Fire(Box::new(fire)) };
    assert_eq!(story.ask(Call::Inbox(vec![again.clone(), again])), Reply::Taken);
    assert_eq!(story.runs_of("j").len(), 1);
}

#[test]
fn what_cannot_be_carried_out_is_set_aside_with_its_reason_and_keeps_nothing_back() {
    let mut story = Story::new().job("j", job(Trigger::Api));
    let unknown = story.fire("nobody");
    let unknown = story.world.put_fire(unknown);
    let junk = story.world.put_command(Order::Junk("params is not JSON".into()));
    let mut first = story.fire("j");
    first.idempotency_key = Some("k".into());
    let mut other = story.fire("j");
    (other.idempotency_key, other.params) = (Some("k".into()), Some(Payload::text("other")));
    let (first, other) = (story.world.put_fire(first), story.world.put_fire(other));
    let long = story.world.put_command(Order::Junk("é".repeat(5_000)));
    story.read();
    assert_eq!(story.runs_of("j").len(), 1);
    assert!(!story.world.tables.commands.contains_key(&first));
    assert!(story.set_aside(unknown).contains("no job is named \"nobody\""));
    assert_eq!(story.set_aside(junk), "params is not JSON");
    assert!(story.set_aside(other).contains("same key and other params"));
    assert_eq!(story.set_aside(long).chars().count(), 1_024);
    assert_eq!(story.world.read_inbox(9), None);
}

#[test]
fn an_outcome_that_waits_in_the_inbox_comes_before_the_loss_of_its_worker() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    let key = story.held(0)[0];
    story.disconnect(0);
    story.world.put_command(Order::Outcome(Box::new(outcome(key))));
    story.wait(2 * LOST_AFTER_MS);
    assert_eq!((story.run(run).state, story.run(run).attempt), (State::Ended(Ended::Succeeded), 1));
    assert!(story.world.tables.commands.is_empty() && story.world.tables.attempts.is_empty());
}

#[test]
fn an_outcome_that_waits_in_the_inbox_comes_before_the_judgement_of_a_hello_that_does_not_list_it() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    let key = story.held(0)[0];
    story.disconnect(0);
    story.world.put_command(Order::Outcome(Box::new(outcome(key))));
    story.world.workers[0].held.clear();
    story.connect(0);
    assert_eq!((story.run(run).state, story.run(run).attempt), (State::Ended(Ended::Succeeded), 1));
}

#[test]
fn an_outcome_that_waits_in_the_inbox_comes_before_a_timeout_and_before_the_end_of_a_cancel() {
    let limits = Limits { attempt_timeout_ms: 1_000, cancel_grace_ms: 500, ..Limits::default() };
    let definition = fastjob_core::domain::Definition { limits, ..job(Trigger::Api) };
    for cancelled in [false, true] {
        let mut story = Story::new().worker(&["a"], 1).job("j", definition.clone());
        let run = story.trigger("j");
        let key = story.held(0)[0];
        if cancelled {
            story.ask(Call::RunCancel { run });
        }
        story.world.put_command(Order::Outcome(Box::new(outcome(key))));
        story.wait(60_000);
        assert_eq!(story.run(run).state, State::Ended(Ended::Succeeded), "cancelled: {cancelled}");
    }
}

#[test]
fn an_outcome_of_the_inbox_whose_attempt_was_superseded_goes_and_one_without_a_run_is_set_aside() {
    let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    let key = story.held(0)[0];
    story.finish_all(0);
    let mut late = outcome(key);
    late.kind = fastjob_core::domain::OutcomeKind::Failed(Default::default());
    let mut lost = outcome(key);
    lost.key.run = Id::from_bytes([7; 16]);
    let late = story.world.put_command(Order::Outcome(Box::new(late)));
    let lost = story.world.put_command(Order::Outcome(Box::new(lost)));
    story.read();
    assert_eq!(story.run(run).state, State::Ended(Ended::Succeeded));
    assert!(!story.world.tables.commands.contains_key(&late));
    assert!(story.set_aside(lost).contains("there is no run"));
}

#[test]
fn a_worker_heard_of_through_another_server_keeps_its_attempts_and_is_given_no_new_ones() {
    let mut story = Story::new().worker(&["a"], 2).job("j", job(Trigger::Api));
    let run = story.trigger("j");
    story.disconnect(0);
    for life in 1..9 {
        story.wait(LOST_AFTER_MS / 2);
        assert_eq!(story.report(0, Some(life)), Reply::Reported(vec![]));
    }
    let waiting = story.trigger("j");
    assert_eq!((story.run(run).state, story.run(run).attempt), (State::Dispatched, 1));
    assert!(story.run(waiting).assignment.is_none());
}

#[test]
fn a_report_without_a_new_sign_of_life_keeps_no_attempt_from_being_lost() {
    for life in [None, Some(7)] {
        let mut story = Story::new().worker(&["a"], 1).job("j", job(Trigger::Api));
        let run = story.trigger("j");
        story.disconnect(0);
        for _ in 0..9 {
            story.report(0, life);
            story.wait(LOST_AFTER_MS / 2);
        }
        assert_eq!((story.run(run).state, story.run(run).lost_count), (State::Scheduled, 1), "{life:?}");
    }
}

#[test]
fn a_report_cannot_keep_an_attempt_that_another_session_has_but_its_token_settles_it() {
    let limits = Limits { at_most_once: true, ..Limits::default() };
    let mut story = Story::new().worker(&["a"], 1).worker(&["b"], 1);
    story = story.job("j", fastjob_core::domain::Definition { limits, ..job(Trigger::Api) });
    let (lost, settled) = (story.trigger("j"), named("j"));
    let key = story.held(0)[0];
    story.disconnect(0);
    let session = story.world.workers[1].profile.session;
    for life in 1..9 {
        story.wait(LOST_AFTER_MS / 2);
        let running = vec![key];
        story.ask(Call::Report(WorkerReport { session, life: Some(life), running, outcomes: vec![] }));
    }
    assert_eq!(story.run(lost).state, State::Ended(Ended::Failed(FailReason::Lost)));
    story.world.kill_worker(0);
    story.connect(0);
    let run = story.trigger(settled.as_str());
    let key = story.held(0)[0];
    let outcomes = vec![outcome(key)];
    let report = WorkerReport { session, life: None, running: vec![], outcomes };
    assert_eq!(story.ask(Call::Report(report)), Reply::Reported(vec![(key, Verdict::Accepted)]));
    assert_eq!(story.run(run).state, State::Ended(Ended::Succeeded));
}
