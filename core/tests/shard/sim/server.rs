//! A server process: its lease and what it may do by it, its view of the others, and which shard it claims.

use std::time::Duration;

use fastjob_core::clock::Millis;
use fastjob_core::cluster::{LeaseTerms, Watch};
use fastjob_core::id::{Chance, Epoch, Id, ServerId};

use super::owner::Owner;
use super::store::{Answer, Ask, Claimed, OwnerRow, ServerRow};
use super::{Ms, Place, Sim, millis};

/// The defaults of the configuration.
pub(super) const TERMS: LeaseTerms = LeaseTerms {
    lease: Duration::from_millis(4_000),
    renew: Duration::from_millis(1_000),
    margin: Duration::from_millis(500),
};
const LOOK_EVERY_MS: Ms = 5_000;
const CLAIM_DELAY_PER_RANK_MS: Ms = 300;
/// From the end of a process to the start of the next one on its machine.
const RESTART_MS: Ms = 1_500;

/// A time in which a server did not act: (from, until].
#[derive(Clone, Copy, Debug)]
pub(super) struct Lapse {
    pub(super) from: Millis,
    pub(super) until: Millis,
}

/// One process.
pub(super) struct Server {
    pub(super) id: ServerId,
    pub(super) machine: usize,
    pub(super) alive: bool,
    pub(super) paused_until: Ms,
    /// By how much its idea of the database's time is ahead.
    pub(super) skew: Ms,
    pub(super) draining: bool,
    seq: u64,
    unsure: bool,
    watch: Watch,
    chance: Chance,
    trusted_until: Ms,
    pub(super) lapses: Vec<Lapse>,
    pub(super) view: Option<OwnerRow>,
    claiming: bool,
    pub(super) owner: Option<Owner>,
}

fn duration(at: Ms) -> Duration {
    Duration::from_millis(at as u64)
}

fn ms(duration: Duration) -> Ms {
    duration.as_millis() as Ms
}

impl Sim {
    /// A process starts on a machine.
    pub(super) fn start(&mut self, machine: usize) {
        let server = self.servers.len();
        let id = Id::new(millis(self.now), &mut self.chance);
        let row = ServerRow { seq: 0, renewed_at: millis(self.now), dead: false };
        self.store.servers.insert(id, row);
        self.trace(|| format!("machine {machine} starts server {server}"));
        self.servers.push(Server {
            id,
            machine,
            alive: true,
            paused_until: 0,
            skew: 0,
            draining: false,
            seq: 0,
            unsure: false,
            watch: Watch::new(TERMS),
            chance: Chance::from_seed(self.chance.next_u64()),
            trusted_until: 0,
            lapses: Vec::new(),
            view: None,
            claiming: false,
            owner: None,
        });
        self.machines[machine] = server;
        self.renew(server);
        self.look_often(server);
    }

    /// kill -9; another process starts later.
    pub(super) fn kill(&mut self, server: usize) {
        if !self.servers[server].alive {
            return;
        }
        self.trace(|| format!("server {server} dies"));
        let machine = self.servers[server].machine;
        self.servers[server].alive = false;
        self.servers[server].owner = None;
        self.break_streams_of(server);
        let restart_ms = RESTART_MS + self.between(0, 3_000);
        self.at(restart_ms, move |sim| sim.start(machine));
    }

    /// The database's time, as this server believes.
    pub(super) fn time_of(&self, server: usize) -> Millis {
        millis(self.now + self.servers[server].skew)
    }

    /// Whether it may act now.
    pub(super) fn trusts(&self, server: usize) -> bool {
        self.now < self.servers[server].trusted_until
    }

    fn renew(&mut self, server: usize) {
        let (sent, process) = (self.now, &self.servers[server]);
        let ask = Ask::Renew { server: process.id, seq: process.seq };
        self.ask(server, ms(TERMS.patience()), ask, move |sim, answer| sim.renewed(server, sent, answer));
    }

    fn renewed(&mut self, server: usize, sent: Ms, answer: Option<Answer>) {
        let now = self.now;
        let process = &mut self.servers[server];
        match answer {
            Some(Answer::Renewed { now: database, others, owner }) => {
                // An answer that does not contradict what is known moves nothing.
                let (least, most) = (database.since(millis(now)), database.since(millis(sent)));
                if process.seq == 0 || process.skew < least || process.skew > most {
                    process.skew = (least + most) / 2;
                }
                (process.seq, process.unsure) = (process.seq + 1, false);
                let dead = process.watch.renewed(duration(sent), duration(now), &others);
                let next = ms(process.watch.next_renewal(duration(now))) - now;
                let changed = process.view != Some(owner);
                self.extend_trust(server, sent);
                for seen in dead {
                    self.trace(|| format!("server {server} declares {:?} dead", seen.server));
                    self.saw("server declared dead");
                    let ask = Ask::MarkDead { server: seen.server, seq: seen.seq };
                    self.ask(server, self.patience_ms, ask, move |sim, _| sim.look(server));
                }
                if changed || owner.dead || owner.server.is_none() {
                    self.look(server);
                }
                self.on(server, next, move |sim| sim.renew(server));
            }
            Some(_) if process.unsure => {
                (process.seq, process.unsure) = (process.seq + 1, false);
                self.renew(server);
            }
            Some(_) => {
                self.trace(|| format!("server {server} learns that it is dead"));
                self.saw("server learned that it is dead");
                self.kill(server);
            }
            None => {
                process.unsure = true;
                process.watch.failed();
                let pause = ms(TERMS.pause(&mut process.chance));
                self.on(server, pause, move |sim| sim.renew(server));
            }
        }
    }

    fn extend_trust(&mut self, server: usize, sent: Ms) {
        let (now, time) = (self.now, self.time_of(server));
        let until = sent + ms(TERMS.trusted());
        let process = &mut self.servers[server];
        if until <= now {
            return;
        }
        if process.trusted_until < now && process.trusted_until > 0 {
            let missed_ms = now - process.trusted_until;
            process.lapses.push(Lapse { from: time.plus(-missed_ms), until: time });
        }
        process.trusted_until = process.trusted_until.max(until);
        self.poke(server);
    }

    fn look_often(&mut self, server: usize) {
        self.look(server);
        self.on(server, LOOK_EVERY_MS, move |sim| sim.look_often(server));
    }

    /// Reads who owns the shard; claims it if nobody does.
    pub(super) fn look(&mut self, server: usize) {
        self.ask(server, self.patience_ms, Ask::Look, move |sim, answer| {
            if let Some(Answer::Owner(owner, alive)) = answer {
                sim.looked(server, owner, &alive);
            }
        });
    }

    fn looked(&mut self, server: usize, owner: OwnerRow, alive: &[ServerId]) {
        let process = &mut self.servers[server];
        process.view = Some(owner);
        let id = process.id;
        if process.claiming || process.owner.is_some() || process.draining {
            return;
        }
        // The answer to its own claim was lost.
        if owner.server == Some(id) && !owner.dead {
            process.claiming = true;
            self.saw("orphan adopted");
            let now = self.time_of(server);
            let ask = Ask::Raise { server: id, epoch: owner.epoch, now };
            return self.ask(server, self.patience_ms, ask, move |sim, answer| sim.claimed(server, answer));
        }
        if owner.server.is_some() && !owner.dead {
            return;
        }
        process.claiming = true;
        let rank = alive.iter().filter(|other| **other < id).count() as Ms;
        self.on(server, rank * CLAIM_DELAY_PER_RANK_MS, move |sim| {
            if !sim.trusts(server) || sim.servers[server].draining {
                sim.servers[server].claiming = false;
                return;
            }
            let ask = Ask::Claim { seen: owner, server: id, now: sim.time_of(server) };
            sim.ask(server, sim.patience_ms, ask, move |sim, answer| sim.claimed(server, answer));
        });
    }

    fn claimed(&mut self, server: usize, answer: Option<Answer>) {
        self.servers[server].claiming = false;
        if let Some(Answer::Claimed(Claimed { epoch, outage_from })) = answer {
            self.trace(|| format!("server {server} owns the shard at {epoch:?}"));
            self.saw("shard claimed");
            let id = self.servers[server].id;
            self.servers[server].view = Some(OwnerRow { server: Some(id), epoch, dead: false });
            self.own(server, Claimed { epoch, outage_from });
        }
    }

    /// SIGTERM: it gives its shard away, then ends.
    pub(super) fn drain(&mut self, server: usize) {
        self.servers[server].draining = true;
        self.trace(|| format!("server {server} drains"));
        if self.servers[server].owner.is_none() {
            self.kill(server);
        } else {
            self.poke(server);
        }
    }

    /// The last step of a drain.
    pub(super) fn release(&mut self, server: usize, epoch: Epoch, outage_from: Millis) {
        let ask = Ask::Release { server: self.servers[server].id, epoch, outage_from };
        self.ask(server, self.patience_ms, ask, move |sim, _| sim.kill(server));
    }

    /// Which machine it believes to be the owner's.
    pub(super) fn points_to(&self, server: usize) -> Option<usize> {
        let owner = self.servers[server].view?.server?;
        self.machines.iter().copied().find(|other| self.servers[*other].id == owner)
    }

    pub(super) fn place(&self, server: usize) -> Place {
        Place::Machine(self.servers[server].machine)
    }
}
