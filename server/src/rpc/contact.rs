//! When a worker was last heard, and when it last gave proof of life: data, so that it can be judged at a tick.

use std::time::Duration;

use fastjob_core::clock::Millis;
use fastjob_core::mutant::mutant;

use super::Pace;

/// Pings that are left out in a row at most: the worker also learns the server's time from them, and shows that its
/// handlers' side lives.
const MOST_LEFT_OUT: u32 = 4;

/// The contact to one worker.
pub(super) struct Contact {
    pace: Pace,
    heard: Duration,
    spoke: Duration,
    left_out: u32,
    judged: Duration,
    life: Option<u64>,
    alive: Duration,
    alive_at: Millis,
}

/// What a tick finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It speaks and lives.
    Alive,
    /// Nothing was heard for too long.
    Silent,
    /// It speaks, but the side that runs its handlers does not live.
    Lifeless,
}

impl Contact {
    /// Its Hello has just come.
    pub(super) fn new(pace: Pace, now: Millis, elapsed: Duration) -> Self {
        Self {
            pace,
            heard: elapsed,
            spoke: elapsed,
            left_out: 0,
            judged: elapsed,
            life: None,
            alive: elapsed,
            alive_at: now,
        }
    }

    /// Something came.
    pub(super) fn heard(&mut self, elapsed: Duration) {
        self.heard = elapsed;
    }

    /// A frame went out.
    pub(super) fn spoke(&mut self, elapsed: Duration) {
        self.spoke = elapsed;
    }

    /// Whether a tick must ping. It need not if both sides have just spoken: each knows that the other lives, and at the
    /// next tick neither will have waited for more than two thirds of the silence.
    pub(super) fn must_ping(&mut self, elapsed: Duration) -> bool {
        let quiet = elapsed.saturating_sub(self.heard.min(self.spoke));
        let ping = millis(self.pace.ping_ms);
        let must = quiet > ping
            || (quiet + ping) * 3 > millis(self.pace.silence_ms) * 2
            || self.left_out >= MOST_LEFT_OUT;
        self.left_out = if must { 0 } else { self.left_out + 1 };
        must
    }

    /// A beat came, with the counter of the side that runs the handlers.
    pub(super) fn beat(&mut self, life: u64, now: Millis, elapsed: Duration) {
        if self.life != Some(life) || mutant("beat_without_life") {
            self.life = Some(life);
            self.works(now, elapsed);
        }
    }

    /// A handler gave a sign of life.
    pub(super) fn works(&mut self, now: Millis, elapsed: Duration) {
        self.alive = elapsed;
        self.alive_at = now;
    }

    /// When it last gave proof of life.
    pub(super) fn alive_at(&self) -> Millis {
        self.alive_at
    }

    /// A tick at which this server has no right to ask: the worker is not judged for what it could not answer.
    pub(super) fn excuse(&mut self, elapsed: Duration) {
        self.alive += elapsed.saturating_sub(self.judged);
        self.heard = elapsed;
        self.judged = elapsed;
    }

    /// Judges at a tick. A pause of this server (stopped, asleep, overloaded) is not the worker's silence: after one,
    /// the worker is given its time anew.
    pub(super) fn judge(&mut self, elapsed: Duration) -> Verdict {
        let since = |earlier: Duration| elapsed.saturating_sub(earlier);
        let paused = since(self.judged) > millis(self.pace.ping_ms) * 2;
        let pause = since(self.judged);
        self.judged = elapsed;
        if paused {
            self.heard = elapsed;
            self.alive += pause;
        }
        if since(self.heard) > millis(self.pace.silence_ms) {
            Verdict::Silent
        } else if since(self.alive) > millis(self.pace.lost_after_ms) {
            Verdict::Lifeless
        } else {
            Verdict::Alive
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { ping_ms: 1_000, silence_ms: 3_000, lost_after_ms: 30_000 };

    fn contact() -> Contact {
        Contact::new(PACE, Millis::new(0), Duration::ZERO)
    }

    fn seconds(seconds: u64) -> (Millis, Duration) {
        (Millis::new(i64::try_from(seconds).expect("small") * 1_000), Duration::from_secs(seconds))
    }

    #[test]
    fn a_worker_that_says_nothing_is_silent_after_the_silence() {
        let mut contact = contact();
        let verdicts = [1, 2, 3, 4].map(|at| contact.judge(Duration::from_secs(at)));
        assert_eq!(verdicts, [Verdict::Alive, Verdict::Alive, Verdict::Alive, Verdict::Silent]);
        assert_eq!(contact.alive_at(), Millis::new(0));
    }

    #[test]
    fn a_beat_with_a_new_life_is_proof_of_life_and_one_with_the_old_is_not() {
        let mut contact = contact();
        let mut lifeless_at = None;
        for at in 1..40 {
            let (now, elapsed) = seconds(at);
            contact.heard(elapsed);
            contact.beat(if at < 5 { at } else { 5 }, now, elapsed);
            if contact.judge(elapsed) == Verdict::Lifeless {
                lifeless_at = lifeless_at.or(Some(at));
            }
        }
        assert_eq!(lifeless_at, Some(36), "the counter last rose at 5 s, and 30 s are allowed");
        assert_eq!(contact.alive_at(), Millis::new(5_000));
    }

    #[test]
    fn a_pause_of_this_server_is_not_the_worker_s_silence() {
        let mut contact = contact();
        assert_eq!(contact.judge(Duration::from_secs(1)), Verdict::Alive);
        assert_eq!(contact.judge(Duration::from_secs(100)), Verdict::Alive);
        assert_eq!(contact.judge(Duration::from_secs(101)), Verdict::Alive);
        assert_eq!(contact.judge(Duration::from_secs(103)), Verdict::Alive);
        assert_eq!(contact.judge(Duration::from_secs(104)), Verdict::Silent);
    }

    #[test]
    fn a_ping_is_left_out_while_both_sides_speak_but_never_five_in_a_row() {
        let mut contact = contact();
        let pings: Vec<bool> = (1..=10)
            .map(|at| {
                contact.heard(Duration::from_millis(at * 1_000 - 300));
                contact.spoke(Duration::from_millis(at * 1_000 - 700));
                contact.must_ping(Duration::from_secs(at))
            })
            .collect();
        let expected = [false, false, false, false, true, false, false, false, false, true];
        assert_eq!(pings, expected);
        contact.heard(Duration::from_millis(11_900));
        assert!(contact.must_ping(Duration::from_secs(12)), "this side has not spoken since 9.3 s");
    }

    #[test]
    fn no_ping_is_left_out_under_a_short_silence() {
        let mut contact = Contact::new(Pace { silence_ms: 1_125, ..PACE }, Millis::new(0), Duration::ZERO);
        contact.heard(Duration::from_millis(999));
        contact.spoke(Duration::from_millis(999));
        assert!(contact.must_ping(Duration::from_secs(1)));
    }

    #[test]
    fn while_this_server_may_not_ask_the_worker_is_not_judged() {
        let mut contact = contact();
        for at in 1..100 {
            contact.excuse(Duration::from_secs(at));
        }
        assert_eq!(contact.judge(Duration::from_secs(100)), Verdict::Alive);
        assert_eq!(contact.alive_at(), Millis::new(0), "it is no proof of life");
    }
}
