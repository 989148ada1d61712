//! The outbox under any order of events.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::server::{dispatch, welcome};
use crate::clock::Millis;
use crate::domain::Payload;
use crate::protocol::v1;
use crate::protocol::v1::worker_message::Message as Said;
use crate::worker::outbox::Outbox;
use crate::worker::{AttemptKey, Completion, Event};

#[derive(Clone, Debug)]
enum Step {
    Dispatch(u32),
    Complete(usize),
    Acknowledge(usize),
    Cancel(usize),
    Break(u32),
    Fill(u32),
    Later(u64),
}

/// What the server of each shard knows.
#[derive(Default)]
struct Story {
    streams: HashMap<u32, u64>,
    credit: HashMap<u32, u32>,
    taken: Vec<AttemptKey>,
    reported: Vec<v1::AttemptKey>,
    next_stream: u64,
    next_run: u64,
    now: Duration,
    events: Vec<Event>,
}

impl Story {
    fn connect(&mut self, outbox: &mut Outbox, shard: u32) {
        self.next_stream += 1;
        let stream = self.next_stream;
        outbox.open(stream);
        outbox.hello(stream, self.now);
        let shards = vec![v1::ShardEpoch { shard, epoch: 1 }];
        outbox.welcome(stream, &v1::Welcome { shards, ..welcome(1) }, self.now, &mut self.events);
        self.streams.insert(shard, stream);
        self.credit.insert(shard, 0);
    }

    fn play(&mut self, outbox: &mut Outbox, step: &Step) {
        match *step {
            Step::Dispatch(shard) => self.dispatch(outbox, shard),
            Step::Complete(which) => {
                if let Some(key) = pick(&mut self.taken, which) {
                    outbox.complete(&key, Completion::Succeeded(Payload::default()), Millis::new(1));
                }
            }
            Step::Acknowledge(which) => {
                let key = pick(&mut self.reported, which);
                let verdict = v1::Verdict::Accepted.into();
                outbox.acknowledge(&v1::OutcomeAck { key, verdict });
            }
            Step::Cancel(which) => {
                let key = self.taken.get(which % self.taken.len().max(1)).map(|key| key.to_wire());
                let reason = v1::CancelReason::Superseded.into();
                outbox.cancel(&v1::Cancel { key, reason, grace_ms: 10 }, self.now, &mut self.events);
            }
            Step::Break(shard) => {
                outbox.close(self.streams[&shard]);
                self.connect(outbox, shard);
            }
            Step::Fill(shard) => self.fill(outbox, shard),
            Step::Later(ms) => {
                self.now += Duration::from_millis(ms);
                outbox.expire(self.now, Millis::new(1), &mut self.events);
            }
        }
    }

    fn dispatch(&mut self, outbox: &mut Outbox, shard: u32) {
        let credit = self.credit.get_mut(&shard).expect("connected");
        if *credit == 0 {
            return;
        }
        *credit -= 1;
        self.next_run += 1;
        let run = u128::from(self.next_run).to_be_bytes().to_vec().into();
        let key = Some(v1::AttemptKey { shard, run, attempt: 1, token: 1 });
        let sent = v1::Dispatch { key, timeout_ms: 50, grace_ms: 10, ..dispatch(0) };
        let before = self.events.len();
        outbox.dispatch(self.streams[&shard], sent, self.now, &mut self.events);
        match self.events.get(before) {
            Some(Event::Dispatch(attempt)) => self.taken.push(attempt.key),
            other => panic!("credit was granted and the attempt not taken: {other:?}"),
        }
    }

    fn fill(&mut self, outbox: &mut Outbox, shard: u32) {
        let mut messages = Vec::new();
        outbox.fill(self.streams[&shard], &mut messages);
        for message in messages.into_iter().filter_map(|message| message.message) {
            match message {
                Said::Credit(credit) => *self.credit.entry(credit.shard).or_default() += credit.add,
                Said::Outcome(outcome) => self.reported.extend(outcome.key),
                _ => {}
            }
        }
    }
}

fn pick<T>(from: &mut Vec<T>, which: usize) -> Option<T> {
    if from.is_empty() { None } else { Some(from.swap_remove(which % from.len())) }
}

fn step(shards: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..shards).prop_map(Step::Dispatch),
        3 => any::<usize>().prop_map(Step::Complete),
        3 => any::<usize>().prop_map(Step::Acknowledge),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => (0..shards).prop_map(Step::Break),
        4 => (0..shards).prop_map(Step::Fill),
        1 => (0u64..40).prop_map(Step::Later),
    ]
}

#[test]
fn a_new_owner_is_told_what_is_held_and_takes_the_shard_from_a_stream_that_still_lives() {
    let mut outbox = Outbox::new(2, 0);
    let mut story = Story::default();
    outbox.locate([0], story.now);
    story.connect(&mut outbox, 0);
    story.fill(&mut outbox, 0);
    story.dispatch(&mut outbox, 0);
    let old = story.streams[&0];
    outbox.open(99);
    let hello = outbox.hello(99, story.now);
    assert_eq!((hello.running.len(), hello.floors.len()), (1, 1));
    assert_eq!(outbox.welcome(99, &welcome(2), story.now, &mut story.events), 1);
    let events = story.events.len();
    outbox.dispatch(old, dispatch(1), story.now, &mut story.events);
    assert_eq!(story.events.len(), events, "the old owner gives nothing any more");
    let mut messages = Vec::new();
    outbox.fill(old, &mut messages);
    assert!(messages.is_empty(), "nothing is said to the old owner");
    outbox.complete(&story.taken[0], Completion::Succeeded(Payload::default()), Millis::new(1));
    outbox.fill(99, &mut messages);
    let said: Vec<_> = messages.into_iter().filter_map(|message| message.message).collect();
    assert!(
        matches!(&said[..], [Said::Outcome(_), Said::Credit(v1::Credit { shard: 0, add: 1 })]),
        "{said:?}"
    );
}

proptest! {
    #[test]
    fn credit_that_is_out_and_handlers_that_run_are_together_never_more_than_the_slots(
        slots in 1u32..9,
        turn in 0u32..5,
        steps in prop::collection::vec(step(3), 1..200),
    ) {
        let mut outbox = Outbox::new(slots, turn);
        let mut story = Story::default();
        outbox.locate(0..3, story.now);
        for shard in 0..3 {
            story.connect(&mut outbox, shard);
        }
        for step in &steps {
            story.play(&mut outbox, step);
            let out: u32 = story.credit.values().sum();
            prop_assert!(out as usize + story.taken.len() <= slots as usize);
        }
    }

    #[test]
    fn once_all_has_returned_and_is_acknowledged_every_slot_is_granted_again(
        slots in 1u32..9,
        steps in prop::collection::vec(step(3), 1..200),
    ) {
        let mut outbox = Outbox::new(slots, 1);
        let mut story = Story::default();
        outbox.locate(0..3, story.now);
        for shard in 0..3 {
            story.connect(&mut outbox, shard);
        }
        for step in &steps {
            story.play(&mut outbox, step);
        }
        for shard in 0..3 {
            story.play(&mut outbox, &Step::Break(shard));
        }
        while !story.taken.is_empty() {
            story.play(&mut outbox, &Step::Complete(0));
        }
        for shard in 0..3 {
            // A hello lists what is unacknowledged; so does this one.
            outbox.close(story.streams[&shard]);
        }
        let unacked = outbox.hello(99, story.now).unacked;
        prop_assert_eq!(outbox.unacked(), unacked.len());
        prop_assert_eq!(outbox.running(), 0);
        for outcome in unacked {
            outbox.acknowledge(&v1::OutcomeAck { key: outcome.key, verdict: v1::Verdict::Late.into() });
        }
        for shard in 0..3 {
            story.connect(&mut outbox, shard);
            story.fill(&mut outbox, shard);
        }
        prop_assert_eq!(story.credit.values().sum::<u32>(), slots);
    }
}
