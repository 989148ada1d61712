//! The simulation: ticks and ends of runs in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastjob_core::clock::Millis;
use fastjob_core::domain::Overlap;

use super::pool::{Pool, Waiting};
use super::{MAX_DAYS, MAX_EVENTS, Player, Span};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Crowded instants that are told.
const MAX_CROWDS: usize = 20;
/// The most runs that wait at a time; a fleet that needs more is cut off.
const MAX_WAITING: u32 = 1_000_000;

/// What became of the fleet.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// What was asked.
    pub span: Span,
    /// A minute each, from the first on.
    pub minutes: Vec<Minute>,
    /// A job each, in the order given.
    pub jobs: Vec<JobOutcome>,
    /// The instants at which most jobs fire, the most crowded first; two jobs or more each.
    pub crowds: Vec<Crowd>,
    /// Instants at which two jobs or more fire.
    pub collisions: u64,
    /// Time in which runs waited for a slot.
    pub saturated_ms: i64,
    /// Where the simulation was cut off for having too many events.
    pub cut_at: Option<Millis>,
}

/// One minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Minute {
    /// Ticks in it.
    pub ticks: u32,
    /// The most runs at a time.
    pub running: u32,
    /// The most runs that waited at a time.
    pub waiting: u32,
}

/// What became of one job.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobOutcome {
    /// Its name.
    pub name: String,
    /// Its ticks.
    pub ticks: u64,
    /// Those that made no run, for an earlier one was alive.
    pub skipped: u64,
    /// Runs that were cancelled for a later one; their handlers give way at once.
    pub cancelled: u64,
    /// The longest time that a run waited for a slot.
    pub longest_wait_ms: i64,
    /// How long its runs take, all together.
    pub busy_ms: i64,
}

/// An instant at which several jobs fire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Crowd {
    /// How many jobs.
    pub jobs: u32,
    /// When.
    pub at: Reverse<Millis>,
}

/// Simulates the fleet.
pub fn simulate(players: &[Player], span: Span) -> Outcome {
    simulate_within(players, span, MAX_EVENTS)
}

pub(super) fn simulate_within(players: &[Player], span: Span, max_events: u64) -> Outcome {
    let span = Span { days: span.days.clamp(1, MAX_DAYS), ..span };
    let mut stage = Stage::new(players, span);
    let end = span.from.plus(i64::from(span.days) * DAY_MS);
    let mut events = 0;
    while let Some(now) = stage.next_event().filter(|now| *now < end) {
        events += stage.turn(now);
        if events > max_events || stage.pool.waiting() > MAX_WAITING {
            stage.outcome.cut_at = Some(now);
            break;
        }
    }
    stage.close(end)
}

struct Stage<'a> {
    players: &'a [Player],
    /// When the run is due, of which job, and the tick.
    ticks: BinaryHeap<Reverse<(Millis, usize, Millis)>>,
    pool: Pool,
    alive: Vec<u32>,
    buffered: Vec<usize>,
    started: u64,
    saturated_since: Option<Millis>,
    /// The minute in which the level was noted last.
    written: usize,
    crowds: BinaryHeap<Reverse<Crowd>>,
    outcome: Outcome,
}

impl<'a> Stage<'a> {
    fn new(players: &'a [Player], span: Span) -> Self {
        let job = |player: &Player| JobOutcome { name: player.name.clone(), ..JobOutcome::default() };
        let outcome = Outcome {
            span,
            minutes: vec![Minute::default(); span.days as usize * 1_440],
            jobs: players.iter().map(job).collect(),
            crowds: Vec::new(),
            collisions: 0,
            saturated_ms: 0,
            cut_at: None,
        };
        let first = |(at, player): (usize, &Player)| {
            let tick = match player.delay_ms {
                Some(_) => player.schedule.within_life(span.from),
                None => player.schedule.next(span.from.plus(-1)),
            };
            tick.map(|tick| Reverse((player.due(tick), at, tick)))
        };
        Self {
            players,
            ticks: players.iter().enumerate().filter_map(first).collect(),
            pool: Pool::of(span.slots),
            alive: vec![0; players.len()],
            buffered: vec![0; players.len()],
            started: 0,
            saturated_since: None,
            written: 0,
            crowds: BinaryHeap::new(),
            outcome,
        }
    }

    fn next_event(&self) -> Option<Millis> {
        let due = self.ticks.peek().map(|Reverse((due, ..))| *due);
        [due, self.pool.next_end()].into_iter().flatten().min()
    }

    /// Everything of one instant: ends free their slots first, then ticks come, then who waits starts.
    fn turn(&mut self, now: Millis) -> u64 {
        self.carry_level_to(now);
        let mut events = 0;
        while self.pool.next_end() == Some(now) {
            let Some(job) = self.pool.end_one() else { break };
            events += 1;
            self.alive[job] -= 1;
            if self.buffered[job] > 0 {
                self.buffered[job] -= 1;
                self.make_run(now, job);
            }
            if let Some(delay_ms) = self.players[job].delay_ms {
                self.chain_goes_on(now.plus(delay_ms.max(1)), job);
            }
        }
        let mut fired = 0;
        while let Some(Reverse((_, job, tick))) =
            self.ticks.peek().copied().filter(|Reverse((due, ..))| *due == now)
        {
            self.ticks.pop();
            fired += 1;
            self.fire(now, tick, job);
        }
        self.note_crowd(now, fired);
        self.start_waiting(now);
        self.note_level(now, fired);
        events + u64::from(fired)
    }

    fn chain_goes_on(&mut self, at: Millis, job: usize) {
        if let Some(at) = self.players[job].schedule.within_life(at) {
            self.ticks.push(Reverse((at, job, at)));
        }
    }

    fn fire(&mut self, now: Millis, tick: Millis, job: usize) {
        let player = &self.players[job];
        if player.delay_ms.is_none()
            && let Some(next) = player.schedule.next(tick)
        {
            self.ticks.push(Reverse((player.due(next), job, next)));
        }
        self.outcome.jobs[job].ticks += 1;
        let most = match player.overlap {
            _ if self.alive[job] == 0 => return self.make_run(now, job),
            Overlap::AllowAll => return self.make_run(now, job),
            Overlap::CancelOther | Overlap::TerminateOther => {
                self.cancel_others(now, job);
                return self.make_run(now, job);
            }
            Overlap::Skip => 0,
            Overlap::BufferOne => 1,
            Overlap::BufferAll => Overlap::MAX_BUFFERED,
        };
        if self.buffered[job] < most {
            self.buffered[job] += 1;
        } else {
            self.outcome.jobs[job].skipped += 1;
        }
    }

    fn make_run(&mut self, now: Millis, job: usize) {
        self.alive[job] += 1;
        self.started += 1;
        self.pool.wait(Waiting::new(self.players[job].priority, now, self.started, job));
    }

    fn cancel_others(&mut self, now: Millis, job: usize) {
        let (runs, left_ms) = self.pool.cancel(job, now);
        self.alive[job] = 0;
        let outcome = &mut self.outcome.jobs[job];
        outcome.cancelled += u64::from(runs);
        outcome.busy_ms -= left_ms;
    }

    fn start_waiting(&mut self, now: Millis) {
        while let Some(run) = self.pool.next_to_start() {
            let takes = self.players[run.job].usual_ms.max(1);
            let outcome = &mut self.outcome.jobs[run.job];
            outcome.longest_wait_ms = outcome.longest_wait_ms.max(now.since(run.due));
            outcome.busy_ms += takes;
            self.pool.start(run.job, now.plus(takes));
        }
        match (self.saturated_since, self.pool.is_saturated()) {
            (None, true) => self.saturated_since = Some(now),
            (Some(since), false) => {
                self.outcome.saturated_ms += now.since(since);
                self.saturated_since = None;
            }
            _ => {}
        }
    }

    fn note_crowd(&mut self, now: Millis, jobs: u32) {
        if jobs < 2 {
            return;
        }
        self.outcome.collisions += 1;
        self.crowds.push(Reverse(Crowd { jobs, at: Reverse(now) }));
        if self.crowds.len() > MAX_CROWDS {
            self.crowds.pop();
        }
    }

    /// What runs and waits goes on through the minutes in which nothing happens.
    fn carry_level_to(&mut self, now: Millis) {
        let last = self.minute_of(now.plus(-1)).min(self.outcome.minutes.len() - 1);
        let (running, waiting) = (self.pool.running(), self.pool.waiting());
        for minute in &mut self.outcome.minutes[self.written..=last.max(self.written)] {
            minute.running = minute.running.max(running);
            minute.waiting = minute.waiting.max(waiting);
        }
        self.written = last.max(self.written);
    }

    fn note_level(&mut self, now: Millis, fired: u32) {
        let at = self.minute_of(now);
        let (running, waiting) = (self.pool.running(), self.pool.waiting());
        let minute = &mut self.outcome.minutes[at];
        minute.ticks += fired;
        minute.running = minute.running.max(running);
        minute.waiting = minute.waiting.max(waiting);
        self.written = at;
    }

    fn minute_of(&self, now: Millis) -> usize {
        usize::try_from(now.since(self.outcome.span.from) / MINUTE_MS).unwrap_or(0)
    }

    fn close(mut self, end: Millis) -> Outcome {
        let end = self.outcome.cut_at.unwrap_or(end);
        self.carry_level_to(end);
        if let Some(since) = self.saturated_since {
            self.outcome.saturated_ms += end.since(since);
        }
        let mut crowds: Vec<Crowd> = self.crowds.into_iter().map(|Reverse(crowd)| crowd).collect();
        crowds.sort_unstable_by(|one, other| other.cmp(one));
        Outcome { crowds, ..self.outcome }
    }
}
