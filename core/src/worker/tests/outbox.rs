//! The outbox under any order of events: owners that come and go, frames that are late, streams that end anywhere.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;

use super::server::{dispatch, welcome};
use crate::clock::Millis;
use crate::domain::Payload;
use crate::protocol::v1;
use crate::protocol::v1::server_message::Message as Say;
use crate::protocol::v1::worker_message::Message as Said;
use crate::worker::outbox::{FLOOR_LAPSES, Greeted, Move, Outbox};
use crate::worker::{AttemptKey, CancelReason, Completion, Event};

const SHARDS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A new stream, to a server that owns some of the shards in an epoch relative to the newest.
    Open(Vec<u32>, i64),
    /// The server of a stream sends: an attempt of a shard, Moved, or HelloAgain.
    Dispatch(usize, u32),
    Move(usize, Vec<u32>),
    Forget(usize, u32),
    /// It has runs of a shard and no credit.
    Want(usize, u32),
    /// The oldest word under way on a stream arrives.
    Deliver(usize),
    /// The worker says what there is to say.
    Fill(usize),
    End(usize),
    Complete(usize),
    Acknowledge(usize, bool),
    Cancel(usize),
    Report,
    Later(u64),
}

/// One stream with the server at its other end, which hears at once and is heard late.
#[derive(Default)]
struct Link {
    id: u64,
    epoch: i64,
    owns: Vec<u32>,
    /// Credit as the owner of each shard sees it.
    credit: BTreeMap<u32, u32>,
    under_way: VecDeque<Say>,
}

struct Story {
    outbox: Outbox,
    links: Vec<Link>,
    taken: Vec<AttemptKey>,
    /// What was said of each attempt.
    reported: HashMap<AttemptKey, v1::Outcome>,
    /// Said and not judged.
    unjudged: Vec<v1::AttemptKey>,
    /// Highest epoch seen of each shard, and when its owner was heard last.
    floors: BTreeMap<u32, (i64, Duration)>,
    epoch: i64,
    next_stream: u64,
    next_run: u64,
    ordinal: u64,
    now: Duration,
    events: Vec<Event>,
}

impl Story {
    fn new(slots: u32, turn: u32) -> Self {
        let mut outbox = Outbox::new(slots, turn);
        outbox.locate(0..SHARDS, Duration::ZERO);
        Self {
            outbox,
            links: Vec::new(),
            taken: Vec::new(),
            reported: HashMap::new(),
            unjudged: Vec::new(),
            floors: BTreeMap::new(),
            epoch: 100,
            next_stream: 0,
            next_run: 0,
            ordinal: 0,
            now: Duration::ZERO,
            events: Vec::new(),
        }
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Open(owns, newer) => self.open(owns, *newer),
            Step::Dispatch(at, shard) => self.dispatch(*at, *shard),
            Step::Move(at, shards) => self.moved(*at, shards),
            Step::Forget(at, shard) => {
                if let Some(link) = pick(&mut self.links, *at).filter(|link| link.owns.contains(shard)) {
                    link.credit.insert(*shard, 0);
                    link.under_way.push_back(Say::HelloAgain(v1::HelloAgain { shard: *shard }));
                }
            }
            Step::Want(at, shard) => {
                if let Some(link) =
                    pick(&mut self.links, *at).filter(|link| link.credit.get(shard) == Some(&0))
                {
                    link.under_way.push_back(Say::Wanting(v1::Wanting { shard: *shard }));
                }
            }
            Step::Deliver(at) => self.deliver(*at),
            Step::Fill(at) => self.fill(*at),
            Step::End(at) => {
                if !self.links.is_empty() {
                    let link = self.links.swap_remove(at % self.links.len());
                    self.outbox.close(link.id, self.now);
                }
            }
            Step::Complete(at) => {
                if !self.taken.is_empty() {
                    let key = self.taken.swap_remove(at % self.taken.len());
                    let of = Payload::text(format!("{at}"));
                    self.outbox.complete(&key, Completion::Succeeded(of), Millis::new(1));
                }
            }
            Step::Acknowledge(at, stored) => {
                if !self.unjudged.is_empty() {
                    let key = Some(self.unjudged.swap_remove(at % self.unjudged.len()));
                    let verdict = if *stored { v1::Verdict::Stored } else { v1::Verdict::Accepted };
                    self.outbox.acknowledge(&v1::OutcomeAck { key, verdict: verdict.into() });
                }
            }
            Step::Cancel(at) => {
                let key = self.taken.get(at % self.taken.len().max(1)).map(|key| key.to_wire());
                let reason = v1::CancelReason::Superseded.into();
                self.outbox.cancel(&v1::Cancel { key, reason, grace_ms: 10 }, self.now, &mut self.events);
            }
            Step::Report => {
                if let Some(report) = self.outbox.report_elsewhere(self.now) {
                    report.outcomes.into_iter().for_each(|outcome| self.note(outcome));
                }
            }
            Step::Later(ms) => {
                self.now += Duration::from_millis(*ms);
                self.outbox.expire(self.now, Millis::new(1), &mut self.events);
            }
        }
    }

    fn open(&mut self, owns: &[u32], newer: i64) {
        self.next_stream += 1;
        self.epoch += i64::from(newer > 0);
        let link = Link {
            id: self.next_stream,
            epoch: self.epoch + newer,
            owns: owns.to_vec(),
            ..Default::default()
        };
        self.outbox.open(link.id);
        self.links.push(link);
        self.hello(self.links.len() - 1, &[]);
    }

    /// The worker says Hello; the owners that hear it answer behind what is under way.
    fn hello(&mut self, at: usize, shards: &[u32]) {
        self.ordinal += 1;
        let link = &mut self.links[at];
        let said = self.outbox.hello(link.id, shards, self.ordinal, self.now);
        for &shard in link.owns.iter().filter(|shard| shards.is_empty() || shards.contains(shard)) {
            link.credit.insert(shard, 0);
            let shards = vec![v1::ShardEpoch { shard, epoch: link.epoch }];
            let ordinal = self.ordinal;
            link.under_way.push_back(Say::Welcome(v1::Welcome { shards, ordinal, ..welcome(1) }));
        }
        said.unacked.into_iter().for_each(|outcome| self.note(outcome));
    }

    fn dispatch(&mut self, at: usize, shard: u32) {
        let Some(link) = pick(&mut self.links, at) else { return };
        let Some(credit) = link.credit.get_mut(&shard).filter(|credit| **credit > 0) else { return };
        *credit -= 1;
        self.next_run += 1;
        let run = u128::from(self.next_run).to_be_bytes().to_vec().into();
        let key = Some(v1::AttemptKey { shard, run, attempt: 1, token: 1 });
        let sent = v1::Dispatch { key, epoch: link.epoch, timeout_ms: 50, grace_ms: 10, ..dispatch(0) };
        link.under_way.push_back(Say::Dispatch(sent));
    }

    fn moved(&mut self, at: usize, shards: &[u32]) {
        let Some(link) = pick(&mut self.links, at) else { return };
        link.owns.retain(|shard| !shards.is_empty() && !shards.contains(shard));
        link.credit.retain(|shard, _| link.owns.contains(shard));
        link.under_way.push_back(Say::Moved(v1::Moved { shards: shards.to_vec(), ..Default::default() }));
    }

    fn deliver(&mut self, at: usize) {
        if self.links.is_empty() {
            return;
        }
        let at = at % self.links.len();
        let Some(said) = self.links[at].under_way.pop_front() else { return };
        let id = self.links[at].id;
        self.outbox.heard(id, self.now);
        for shard in (0..SHARDS).filter(|shard| self.outbox.stream_of(*shard) == Some(id)) {
            self.floors.entry(shard).or_default().1 = self.now;
        }
        match said {
            Say::Welcome(welcome) => {
                let of = welcome.shards[0];
                match self.outbox.welcome(id, &welcome, self.now, &mut self.events) {
                    Greeted::Served => {
                        assert!(of.epoch >= self.floor(of.shard), "an owner of a lower epoch was followed");
                        self.floors.insert(of.shard, (of.epoch, self.now));
                    }
                    Greeted::Outdated | Greeted::Refused => {}
                }
            }
            Say::Dispatch(sent) => self.dispatched(id, sent),
            Say::Moved(moved) => {
                let moved =
                    Move { stream: id, shards: moved.shards, to: String::new(), after: Duration::ZERO };
                self.outbox.moved(moved, self.now);
                assert!(self.outbox.take_moves().len() == 1);
            }
            Say::HelloAgain(again) => {
                self.outbox.ask_again(id, again.shard);
                let due = self.outbox.take_due(id);
                self.hello(at, &due);
            }
            Say::Wanting(wanting) => self.outbox.want(id, wanting.shard),
            Say::Recalled(recalled) => self.outbox.recalled(id, &recalled),
            _ => unreachable!("nothing else is sent"),
        }
    }

    /// Whatever the stream's owner sends is taken, and nothing else is.
    fn dispatched(&mut self, id: u64, sent: v1::Dispatch) {
        let shard = sent.key.as_ref().expect("a key").shard;
        let owner = self.outbox.stream_of(shard) == Some(id) && sent.epoch >= self.floor(shard);
        let before = self.events.len();
        self.outbox.dispatch(id, sent, self.now, &mut self.events);
        match self.events.get(before) {
            Some(Event::Dispatch(attempt)) => {
                assert!(owner, "an attempt of an owner that was replaced was begun");
                self.taken.push(attempt.key);
            }
            None => assert!(!owner, "credit was granted and the attempt not taken"),
            other => panic!("{other:?}"),
        }
    }

    fn floor(&self, shard: u32) -> i64 {
        let (floor, heard) = self.floors.get(&shard).copied().unwrap_or_default();
        if self.now.saturating_sub(heard) > FLOOR_LAPSES { 0 } else { floor }
    }

    fn fill(&mut self, at: usize) {
        let Some(link) = pick(&mut self.links, at) else { return };
        let mut messages = Vec::new();
        self.outbox.fill(link.id, &mut messages);
        for message in messages.into_iter().filter_map(|message| message.message) {
            match message {
                Said::Credit(credit) => {
                    if let Some(of) =
                        pick(&mut self.links, at).expect("as above").credit.get_mut(&credit.shard)
                    {
                        *of += credit.add;
                    }
                }
                Said::Recall(recall) => {
                    let link = pick(&mut self.links, at).expect("as above");
                    if let Some(of) = link.credit.get_mut(&recall.shard) {
                        let credit = recall.credit.min(*of);
                        *of -= credit;
                        let shard = recall.shard;
                        link.under_way.push_back(Say::Recalled(v1::Recalled { shard, credit }));
                    }
                }
                Said::Outcome(outcome) => self.note(outcome),
                _ => {}
            }
        }
    }

    fn note(&mut self, outcome: v1::Outcome) {
        let wire = outcome.key.clone().expect("a key");
        let key = AttemptKey::from_wire(&wire).expect("a key of ours");
        if let Some(before) = self.reported.get(&key) {
            assert_eq!(*before, outcome, "an attempt has one outcome");
        }
        self.reported.insert(key, outcome);
        if !self.unjudged.contains(&wire) {
            self.unjudged.push(wire);
        }
    }

    /// What runs, and what the owners may still send so that it is taken.
    fn promised(&self) -> usize {
        let of_link = |link: &Link| -> u32 {
            let current = |shard: u32| self.outbox.stream_of(shard) == Some(link.id);
            let credit = link.credit.iter().filter(|(shard, _)| current(**shard)).map(|(_, credit)| *credit);
            let sent = link.under_way.iter().filter(|said| match said {
                Say::Dispatch(sent) => current(sent.key.as_ref().expect("a key").shard),
                _ => false,
            });
            credit.sum::<u32>() + u32::try_from(sent.count()).expect("few")
        };
        self.taken.len() + self.links.iter().map(of_link).sum::<u32>() as usize
    }
}

fn pick<T>(from: &mut [T], which: usize) -> Option<&mut T> {
    let at = which.checked_rem(from.len())?;
    from.get_mut(at)
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<usize>;
    let shards = || prop::sample::subsequence(vec![0, 1, 2], 1..=3);
    prop_oneof![
        2 => (shards(), -2i64..3).prop_map(|(owns, newer)| Step::Open(owns, newer)),
        6 => (at(), 0..SHARDS).prop_map(|(at, shard)| Step::Dispatch(at, shard)),
        1 => (at(), prop::sample::subsequence(vec![0, 1, 2], 0..=2)).prop_map(|(at, shards)| Step::Move(at, shards)),
        1 => (at(), 0..SHARDS).prop_map(|(at, shard)| Step::Forget(at, shard)),
        4 => (at(), 0..SHARDS).prop_map(|(at, shard)| Step::Want(at, shard)),
        12 => at().prop_map(Step::Deliver),
        8 => at().prop_map(Step::Fill),
        1 => at().prop_map(Step::End),
        4 => at().prop_map(Step::Complete),
        4 => (at(), any::<bool>()).prop_map(|(at, stored)| Step::Acknowledge(at, stored)),
        1 => at().prop_map(Step::Cancel),
        1 => Just(Step::Report),
        2 => prop_oneof![0u64..40, 2_000u64..20_000].prop_map(Step::Later),
    ]
}

/// A stream to an owner of the shard, welcomed and asked for what it has to say.
fn connected(story: &mut Story, owns: &[u32]) -> usize {
    story.open(owns, 1);
    let at = story.links.len() - 1;
    owns.iter().for_each(|_| story.deliver(at));
    story.fill(at);
    at
}

/// The owners of the `busy` shards always have runs: so many attempts are run, each to its end. Answers how many each shard
/// got.
fn worked(story: &mut Story, busy: &[u32], attempts: usize) -> BTreeMap<u32, usize> {
    let mut got = BTreeMap::new();
    let mut told = BTreeMap::new();
    while got.values().sum::<usize>() < attempts {
        let before = (got.clone(), told.clone());
        for at in 0..story.links.len() {
            for shard in story.links[at].owns.clone().into_iter().filter(|shard| busy.contains(shard)) {
                while story.links[at].credit[&shard] > 0 {
                    told.insert(shard, false);
                    story.dispatch(at, shard);
                    *got.entry(shard).or_default() += 1;
                }
                if !told.insert(shard, true).unwrap_or(false) {
                    story.play(&Step::Want(at, shard));
                }
            }
            while !story.links[at].under_way.is_empty() {
                story.deliver(at);
            }
        }
        // The oldest first.
        story.taken.reverse();
        story.play(&Step::Complete(story.taken.len().saturating_sub(1)));
        story.taken.reverse();
        for at in 0..story.links.len() {
            story.fill(at);
        }
        while !story.unjudged.is_empty() {
            story.play(&Step::Acknowledge(0, false));
        }
        for at in 0..story.links.len() {
            story.fill(at);
        }
        assert_ne!((got.clone(), told.clone()), before, "nothing goes on");
    }
    got
}

#[test]
fn with_fewer_slots_than_shards_each_that_has_runs_is_served_in_its_turn() {
    for slots in 1..=2 {
        let mut story = Story::new(slots, 0);
        connected(&mut story, &[0, 1]);
        connected(&mut story, &[2]);
        let got = worked(&mut story, &[0, 1, 2], 60);
        assert!((0..3).all(|shard| got[&shard] >= 18), "{slots} slots: {got:?}");
    }
}

#[test]
fn a_shard_that_alone_has_runs_gets_every_slot_and_gives_them_up_again() {
    let mut story = Story::new(9, 0);
    let at = connected(&mut story, &[0, 1]);
    connected(&mut story, &[2]);
    worked(&mut story, &[1], 60);
    assert_eq!(story.taken.len() + story.links[at].credit[&1] as usize, 9, "of the others' slots, too");
    let got = worked(&mut story, &[0, 1, 2], 90);
    assert!((0..3).all(|shard| got[&shard] >= 20), "{got:?}");
}

#[test]
fn a_new_owner_is_told_what_is_held_and_takes_the_shard_from_a_stream_that_still_lives() {
    let mut story = Story::new(2, 0);
    story.outbox = Outbox::new(2, 0);
    story.outbox.locate([0], story.now);
    let old = connected(&mut story, &[0]);
    story.dispatch(old, 0);
    story.deliver(old);
    story.open(&[0], 1);
    assert_eq!(story.links[1].under_way.len(), 1, "its Hello is answered");
    story.dispatch(old, 0);
    story.deliver(1);
    let events = story.events.len();
    story.deliver(old);
    assert_eq!(story.events.len(), events, "the old owner gives nothing any more");
    let mut messages = Vec::new();
    story.outbox.fill(story.links[0].id, &mut messages);
    assert!(messages.is_empty(), "nothing is said to the old owner");
    story.play(&Step::Complete(0));
    story.outbox.fill(story.links[1].id, &mut messages);
    let said: Vec<_> = messages.into_iter().filter_map(|message| message.message).collect();
    let credit = v1::Credit { shard: 0, add: 1 };
    assert!(matches!(&said[..], [Said::Outcome(_), Said::Credit(of)] if *of == credit), "{said:?}");
}

#[test]
fn a_little_credit_waits_for_the_next_frame_and_a_quarter_of_the_slots_goes_at_once() {
    let mut story = Story::new(8, 0);
    story.outbox = Outbox::new(8, 0);
    story.outbox.locate([0], story.now);
    let at = connected(&mut story, &[0]);
    let executed = |story: &mut Story, runs: usize| {
        for _ in 0..runs {
            story.dispatch(at, 0);
            story.deliver(at);
            story.play(&Step::Complete(0));
        }
        story.fill(at);
        let beside = story.links[at].credit[&0];
        for _ in 0..runs {
            story.play(&Step::Acknowledge(0, false));
        }
        story.fill(at);
        (beside, story.links[at].credit[&0])
    };
    assert_eq!(executed(&mut story, 1), (7, 7), "one slot is not worth a frame");
    assert_eq!(executed(&mut story, 1), (7, 7), "it goes beside the next outcome, whose own waits in turn");
    assert_eq!(executed(&mut story, 2), (6, 8), "two are");
}

#[test]
fn an_owner_that_forgot_the_worker_gets_its_credit_anew_and_the_other_shards_keep_theirs() {
    let mut story = Story::new(6, 0);
    let at = connected(&mut story, &[0, 1, 2]);
    assert_eq!(story.links[at].credit, BTreeMap::from([(0, 2), (1, 2), (2, 2)]));
    story.play(&Step::Forget(at, 1));
    story.deliver(at);
    let mut messages = Vec::new();
    story.outbox.fill(story.links[at].id, &mut messages);
    assert!(messages.is_empty(), "nothing is granted before the Welcome: {messages:?}");
    story.deliver(at);
    story.fill(at);
    assert_eq!(story.links[at].credit, BTreeMap::from([(0, 2), (1, 2), (2, 2)]));
}

#[test]
fn an_outcome_that_went_to_an_owner_that_was_replaced_goes_to_the_next_one() {
    let mut story = Story::new(3, 0);
    let old = connected(&mut story, &[0]);
    story.dispatch(old, 0);
    story.deliver(old);
    story.open(&[0], 1);
    // Between the Hello to the new owner and its Welcome, the outcome goes to the old one.
    story.play(&Step::Complete(0));
    story.fill(old);
    assert_eq!(story.reported.len(), 1);
    story.deliver(1);
    let mut messages = Vec::new();
    story.outbox.fill(story.links[1].id, &mut messages);
    assert!(matches!(messages[0].message, Some(Said::Outcome(_))), "{messages:?}");
}

#[test]
fn stored_outcomes_are_remembered_up_to_four_for_each_slot_and_the_oldest_dropped() {
    let mut story = Story::new(3, 0);
    let at = connected(&mut story, &[0]);
    for _ in 0..20 {
        story.dispatch(at, 0);
        story.deliver(at);
        story.play(&Step::Complete(0));
        story.fill(at);
        story.play(&Step::Acknowledge(0, true));
        story.fill(at);
    }
    let listed = story.outbox.hello(99, &[], 1_000, story.now).unacked;
    let runs: Vec<_> = listed.iter().map(|outcome| outcome.key.as_ref().expect("a key").run[15]).collect();
    assert_eq!(runs, (9..=20).collect::<Vec<_>>());
}

#[test]
fn the_floor_lapses_15_s_after_the_last_frame_of_its_holder() {
    let mut story = Story::new(3, 0);
    let at = connected(&mut story, &[0]);
    let floor = story.links[at].epoch;
    story.play(&Step::End(at));
    let offered = |story: &mut Story, epoch: i64| {
        story.open(&[0], 0);
        let id = story.links.last().expect("opened").id;
        let shards = vec![v1::ShardEpoch { shard: 0, epoch }];
        let greeted =
            story.outbox.welcome(id, &v1::Welcome { shards, ..welcome(1) }, story.now, &mut Vec::new());
        story.outbox.close(id, story.now);
        greeted
    };
    story.now += FLOOR_LAPSES;
    assert_eq!(offered(&mut story, floor - 1), Greeted::Refused);
    story.now += Duration::from_millis(1);
    assert_eq!(offered(&mut story, floor - 1), Greeted::Served);
    assert_eq!(offered(&mut story, floor - 2), Greeted::Refused, "it is the floor now");
}

#[test]
fn an_attempt_is_given_up_after_its_own_time_without_contact_and_contact_through_another_server_counts() {
    let mut story = Story::new(4, 0);
    let at = connected(&mut story, &[0, 1]);
    let epoch = story.links[at].epoch;
    let begin = |story: &mut Story, shard: u32, lost_after_ms: Option<i64>| {
        story.next_run += 1;
        let run = u128::from(story.next_run).to_be_bytes().to_vec().into();
        let key = Some(v1::AttemptKey { shard, run, attempt: 1, token: 1 });
        let timeout_ms = 3_600_000;
        let sent = v1::Dispatch { key, epoch, lost_after_ms, timeout_ms, ..dispatch(0) };
        story.dispatched(story.links[at].id, sent);
        *story.taken.last().expect("taken")
    };
    // The Welcome says 60 s.
    let (short, usual) = (begin(&mut story, 0, Some(5_000)), begin(&mut story, 0, None));
    let long = begin(&mut story, 1, Some(90_000));
    let lost_at = |story: &mut Story, second: u64| {
        story.now = Duration::from_secs(second);
        story.events.clear();
        story.outbox.expire(story.now, Millis::new(1), &mut story.events);
        let lost = |event: &Event| match event {
            Event::Cancel { key, reason: CancelReason::Lost } => Some(*key),
            _ => None,
        };
        story.events.iter().filter_map(lost).collect::<Vec<_>>()
    };
    story.play(&Step::End(at));
    assert_eq!(lost_at(&mut story, 4), []);
    story.outbox.reached(0, Duration::from_secs(4));
    assert_eq!(lost_at(&mut story, 8), []);
    assert_eq!(lost_at(&mut story, 9), [short]);
    assert_eq!(lost_at(&mut story, 63), []);
    assert_eq!(lost_at(&mut story, 64), [usual]);
    assert_eq!(lost_at(&mut story, 89), []);
    assert_eq!(lost_at(&mut story, 90), [long]);
}

proptest! {
    #[test]
    fn whatever_order_owners_and_frames_come_in_credit_stays_within_the_slots_and_epochs_rise(
        slots in 1u32..9,
        turn in 0u32..5,
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let mut story = Story::new(slots, turn);
        for step in &steps {
            story.play(step);
            prop_assert!(story.promised() <= slots as usize, "after {:?}", step);
            prop_assert!(story.outbox.running() == story.taken.len());
        }
    }

    #[test]
    fn once_all_has_returned_and_is_acknowledged_every_slot_is_granted_again(
        slots in 1u32..9,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut story = Story::new(slots, 1);
        for step in &steps {
            story.play(step);
        }
        while !story.links.is_empty() {
            story.play(&Step::End(0));
        }
        while !story.taken.is_empty() {
            story.play(&Step::Complete(0));
        }
        let unacked = story.outbox.hello(99, &[], 10_000, story.now).unacked;
        prop_assert!(story.outbox.unacked() <= unacked.len());
        prop_assert_eq!(story.outbox.running(), 0);
        for outcome in unacked {
            story.outbox.acknowledge(&v1::OutcomeAck { key: outcome.key, verdict: v1::Verdict::Late.into() });
        }
        prop_assert_eq!(story.outbox.unacked(), 0);
        story.epoch += 10;
        let at = connected(&mut story, &[0, 1, 2]);
        prop_assert_eq!(story.links[at].credit.values().sum::<u32>(), slots);
    }
}
