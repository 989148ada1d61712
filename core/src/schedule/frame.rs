//! What a job adds to its trigger: when its ticks begin and end, and how far each run is put off.

use super::Schedule;
use crate::clock::Millis;
use crate::domain::{Job, Timing, Trigger};
use crate::id::JobId;

/// The bounds of a schedule and its jitter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Frame {
    start_at: Option<Millis>,
    end_at: Option<Millis>,
    jitter_ms: i64,
    /// Half of the job's id each.
    seed: [u64; 2],
}

impl Schedule {
    /// The schedule of a stored job. `None`: its trigger does not compile, which was refused when it was put.
    pub fn of(job: &Job) -> Option<Self> {
        let schedule = Self::compile(&job.definition.trigger, job.created_at).ok()?;
        Some(schedule.timed(&job.definition.timing, job.id))
    }

    /// The same trigger within the life of a job, whose id draws the jitter.
    #[must_use]
    pub fn timed(self, timing: &Timing, job: JobId) -> Self {
        let half = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("8 bytes"));
        let (high, low) = job.as_bytes().split_at(8);
        let frame = Frame {
            start_at: timing.start_at,
            end_at: timing.end_at,
            jitter_ms: timing.jitter_ms,
            seed: [half(high), half(low)],
        };
        Self(self.0, frame)
    }

    /// The first tick strictly after `after`. `None`: there is none; always for fixed delay and API.
    pub fn next(&self, after: Millis) -> Option<Millis> {
        let after = self.1.start_at.map_or(after, |start| after.max(start.plus(-1)));
        self.next_of_rule(after).filter(|tick| self.1.lasts(*tick))
    }

    /// The last tick strictly before `before`.
    pub fn previous(&self, before: Millis) -> Option<Millis> {
        let before = self.1.end_at.map_or(before, |end| before.min(end));
        self.previous_of_rule(before).filter(|tick| self.1.start_at.is_none_or(|start| start <= *tick))
    }

    /// When the run of a tick is due: the jitter later, which is the same whoever asks, and never as late as the next tick.
    pub fn due(&self, tick: Millis) -> Millis {
        if self.1.jitter_ms <= 0 {
            return tick;
        }
        let jitter_ms = self.1.jitter_ms;
        let room = self.next_of_rule(tick).map_or(jitter_ms, |next| next.since(tick).min(jitter_ms));
        tick.plus(self.1.draw(tick, room.max(1)))
    }

    /// Ticks from here on are due at `at` or later; dues rise as ticks do.
    pub(super) fn due_from(&self, at: Millis) -> Millis {
        if self.1.jitter_ms <= 0 {
            return at;
        }
        self.previous(at).filter(|tick| self.due(*tick) >= at).unwrap_or(at)
    }

    /// An instant within the life of the job: the earliest one that is not before `at`. `None`: its life is over by then.
    pub fn within_life(&self, at: Millis) -> Option<Millis> {
        let at = self.1.start_at.map_or(at, |start| at.max(start));
        Some(at).filter(|at| self.1.lasts(*at))
    }
}

impl Frame {
    fn lasts(&self, at: Millis) -> bool {
        self.end_at.is_none_or(|end| at < end)
    }

    /// A number in [0, room) from the job and the tick alone. The mixing is SplitMix64's (Steele, Lea and Flood 2014).
    fn draw(&self, tick: Millis, room: i64) -> i64 {
        let mix = |z: u64| {
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        let [high, low] = self.seed;
        let hash = mix(mix(high ^ tick.get().cast_unsigned()).wrapping_add(low));
        (hash % room.cast_unsigned()).cast_signed()
    }
}

impl Trigger {
    /// It has ticks, which its job's schedule enumerates.
    pub const fn is_timed(&self) -> bool {
        !matches!(self, Self::FixedDelay { .. } | Self::Api)
    }
}
