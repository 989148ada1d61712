//! The slots of all workers together, and the runs that wait for one.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use fastjob_core::clock::Millis;

/// A run that waits: higher priority first, then the earlier due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Waiting {
    rank: Reverse<i32>,
    pub(super) due: Millis,
    number: u64,
    pub(super) job: usize,
}

impl Waiting {
    pub(super) const fn new(priority: i32, due: Millis, number: u64, job: usize) -> Self {
        Self { rank: Reverse(priority), due, number, job }
    }
}

/// Who runs and who waits.
#[derive(Debug, Default)]
pub(super) struct Pool {
    slots: Option<u32>,
    running: BinaryHeap<Reverse<(Millis, usize)>>,
    waiting: BTreeSet<Waiting>,
}

impl Pool {
    pub(super) fn of(slots: Option<u32>) -> Self {
        Self { slots, ..Self::default() }
    }

    /// The next end of a run.
    pub(super) fn next_end(&self) -> Option<Millis> {
        self.running.peek().map(|Reverse((end, _))| *end)
    }

    /// The run that ends first ends; answers its job.
    pub(super) fn end_one(&mut self) -> Option<usize> {
        self.running.pop().map(|Reverse((_, job))| job)
    }

    pub(super) fn wait(&mut self, run: Waiting) {
        self.waiting.insert(run);
    }

    /// The next waiting run that has a slot.
    pub(super) fn next_to_start(&mut self) -> Option<Waiting> {
        if self.slots.is_some_and(|slots| self.running.len() >= slots as usize) {
            return None;
        }
        self.waiting.pop_first()
    }

    pub(super) fn start(&mut self, job: usize, end: Millis) {
        self.running.push(Reverse((end, job)));
    }

    /// Takes the runs of a job away; answers how many, and for how long they would have gone on.
    pub(super) fn cancel(&mut self, job: usize, now: Millis) -> (u32, i64) {
        let (mut runs, mut left_ms) = (0, 0);
        self.running.retain(|Reverse((end, of))| {
            if *of == job {
                runs += 1;
                left_ms += end.since(now);
            }
            *of != job
        });
        self.waiting.retain(|run| {
            runs += u32::from(run.job == job);
            run.job != job
        });
        (runs, left_ms)
    }

    pub(super) fn running(&self) -> u32 {
        u32::try_from(self.running.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// Every slot is taken and somebody waits.
    pub(super) fn is_saturated(&self) -> bool {
        !self.waiting.is_empty()
    }
}
