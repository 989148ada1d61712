//! How attempts come to an end that is not their handler's own: cancels, timeouts, graces, loss of contact.

use std::time::Duration;

use super::{Outbox, outcome};
use crate::clock::Millis;
use crate::protocol::v1;
use crate::worker::attempt::{AttemptKey, CancelReason, duration};
use crate::worker::queue::Event;

impl Outbox {
    /// The owner wants an attempt to end.
    pub(in crate::worker) fn cancel(&mut self, cancel: &v1::Cancel, now: Duration, events: &mut Vec<Event>) {
        let Some(key) = cancel.key.as_ref().and_then(AttemptKey::from_wire) else { return };
        match cancel.reason() {
            v1::CancelReason::Superseded => self.disown(&key, CancelReason::Superseded, now, events),
            v1::CancelReason::Timeout => {
                self.end_within(&key, CancelReason::Timeout, duration(cancel.grace_ms), now, events);
            }
            v1::CancelReason::Requested | v1::CancelReason::Unspecified => {
                self.end_within(&key, CancelReason::Requested, duration(cancel.grace_ms), now, events);
            }
        }
    }

    /// The worker stops: all handlers have at most `grace` to give way.
    pub(in crate::worker) fn cancel_all(&mut self, grace: Duration, now: Duration, events: &mut Vec<Event>) {
        let keys: Vec<_> = self.held.iter().filter(|(_, held)| !held.returned).map(|(key, _)| *key).collect();
        for key in keys {
            let own = self.held[&key].attempt.grace;
            self.end_within(&key, CancelReason::Stopping, own.min(grace), now, events);
        }
    }

    /// What time has brought: timeouts, graces that are over, shards out of contact. Answers when to look again.
    pub(in crate::worker) fn expire(
        &mut self,
        now: Duration,
        server_now: Millis,
        events: &mut Vec<Event>,
    ) -> Option<Duration> {
        while let Some(&(due, key)) = self.deadlines.first() {
            if due > now {
                break;
            }
            self.deadlines.pop_first();
            self.deadline_passed(&key, now, server_now, events);
        }
        let contact = self.lose_contact(now, events);
        let deadline = self.deadlines.first().map(|(due, _)| *due);
        [contact, deadline].into_iter().flatten().min()
    }

    fn end_within(
        &mut self,
        key: &AttemptKey,
        reason: CancelReason,
        grace: Duration,
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        let Some(held) = self.held.get(key).filter(|held| !held.returned) else { return };
        if held.attempt.cancel(reason) {
            events.push(Event::Cancel { key: *key, reason });
            self.set_deadline(key, now.saturating_add(grace));
        } else if held.deadline.is_some_and(|deadline| deadline > now.saturating_add(grace)) {
            self.set_deadline(key, now.saturating_add(grace));
        }
    }

    /// The owner does not want to hear of it any more.
    pub(super) fn disown(
        &mut self,
        key: &AttemptKey,
        reason: CancelReason,
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        let Some(held) = self.held.get_mut(key).filter(|held| !held.settled) else { return };
        held.settled = true;
        if held.outcome.take().is_some() {
            self.unacked -= 1;
        }
        self.progress.remove(key);
        if !held.returned {
            let grace = held.attempt.grace;
            held.attempt.cancel(reason);
            events.push(Event::Cancel { key: *key, reason });
            self.set_deadline(key, now.saturating_add(grace));
        }
        self.release(key);
    }

    fn deadline_passed(
        &mut self,
        key: &AttemptKey,
        now: Duration,
        server_now: Millis,
        events: &mut Vec<Event>,
    ) {
        let Some(held) = self.held.get_mut(key) else { return };
        held.deadline = None;
        let Some(reason) = held.attempt.cancel_reason() else {
            let grace = held.attempt.grace;
            return self.end_within(key, CancelReason::Timeout, grace, now, events);
        };
        held.attempt.end();
        if !held.settled && held.outcome.is_none() {
            let outcome = outcome::overdue(held, reason, server_now);
            self.report(key, outcome);
            self.wake(key.shard);
        }
    }

    fn set_deadline(&mut self, key: &AttemptKey, due: Duration) {
        let Some(held) = self.held.get_mut(key) else { return };
        if let Some(before) = held.deadline.replace(due) {
            self.deadlines.remove(&(before, *key));
        }
        self.deadlines.insert((due, *key));
    }
}
