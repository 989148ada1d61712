//! What goes wrong, where and how long. All of it ends before the healing.

use super::{Ms, Place, Sim};

/// A way that nothing passes: from, to, until.
type Block = (Place, Place, Ms);

/// What is wrong at present.
#[derive(Default)]
pub(super) struct Weather {
    blocks: Vec<Block>,
    commits_fail_until: Ms,
    /// Owners stand still between two steps of a turn.
    hesitant_until: Ms,
    transactions_slow_until: Ms,
}

impl Weather {
    pub(super) fn blocked_until(&self, from: Place, to: Place, now: Ms) -> Ms {
        let hit = |block: &&Block| block.0 == from && block.1 == to && block.2 > now;
        self.blocks.iter().filter(hit).map(|block| block.2).max().unwrap_or(now)
    }
}

impl Sim {
    pub(super) fn commits_fail(&self) -> bool {
        self.now < self.weather.commits_fail_until
    }

    /// From the first statement to the commit.
    pub(super) fn transaction_ms(&mut self) -> Ms {
        if self.now < self.weather.transactions_slow_until && self.below(3) == 0 {
            return self.between(500, 7_000);
        }
        self.between(1, 8)
    }

    /// How long a server stands still in the middle of a turn.
    pub(super) fn hesitation_ms(&mut self, server: usize) -> Ms {
        if self.now >= self.weather.hesitant_until || self.below(6) > 0 {
            return 0;
        }
        let ms = self.between(10, 9_000);
        self.pause(server, ms);
        ms
    }

    fn pause(&mut self, server: usize, ms: Ms) {
        self.trace(|| format!("server {server} stands still for {ms} ms"));
        let process = &mut self.servers[server];
        process.paused_until = process.paused_until.max(self.now + ms);
    }

    fn block(&mut self, from: Place, to: Place, ms: Ms) {
        self.trace(|| format!("nothing passes from {from:?} to {to:?} for {ms} ms"));
        self.weather.blocks.retain(|block| block.2 > self.now);
        self.weather.blocks.push((from, to, self.now + ms));
    }

    /// One way, the other, or both.
    fn part(&mut self, one: Place, other: Place, ms: Ms) {
        let way = self.below(3);
        if way != 0 {
            self.block(one, other, ms);
        }
        if way != 1 {
            self.block(other, one, ms);
        }
    }

    /// Something goes wrong, over by `end`.
    pub(super) fn fault(&mut self, end: Ms) {
        self.laws.faults += 1;
        let most = (end - self.now).max(1);
        let ms = self.pick(&[300, 2_000, 5_000, 9_000, 15_000]).min(most);
        let machine = self.below(self.machines.len() as u64) as usize;
        let server = self.machines[machine];
        let worker = self.below(self.workers.len() as u64) as usize;
        match self.below(22) {
            0..=2 => self.pause(server, ms),
            3 => {
                self.trace(|| format!("worker {worker} stands still for {ms} ms"));
                self.workers[worker].paused_until = self.now + ms;
            }
            4 | 5 => self.kill(server),
            6 if self.servers[server].alive => self.drain(server),
            6 | 7 => self.kill_worker(worker),
            8..=10 => self.part(Place::Machine(machine), Place::Database, ms),
            11 | 12 => self.part(Place::Machine(machine), Place::Worker(worker), ms),
            13 => {
                let all: Vec<usize> = (0..self.machines.len()).collect();
                all.into_iter().for_each(|each| self.part(Place::Machine(each), Place::Worker(worker), ms));
            }
            14 => {
                let other = self.below(self.machines.len() as u64) as usize;
                self.part(Place::Machine(machine), Place::Machine(other), ms);
            }
            15 => {
                let streams: Vec<_> = self.streams.keys().copied().collect();
                if let Some(stream) = streams.last() {
                    self.break_stream(*stream);
                }
            }
            16 => {
                let step = self.pick(&[-3_000, -400, 400, 3_000]);
                self.trace(|| format!("the clock of server {server} steps by {step} ms"));
                self.laws.clock_stepped = true;
                self.servers[server].skew += step;
            }
            17 => {
                let all: Vec<usize> = (0..self.machines.len()).collect();
                all.into_iter().for_each(|each| self.part(Place::Machine(each), Place::Database, ms));
            }
            18 => self.weather.commits_fail_until = self.now + ms,
            19 => self.weather.hesitant_until = self.now + ms,
            20 => self.weather.transactions_slow_until = self.now + ms,
            _ => self.greet_unasked(worker),
        }
    }

    /// Nothing is wrong any more.
    pub(super) fn calm(&mut self) {
        self.weather = Weather::default();
        self.trace(|| "all faults have ended".into());
    }
}
