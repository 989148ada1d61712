//! The owner's turn, in the order of the server's: trust looked at first, then collect, needs, facts, decide, commit, act.
//! A commit that fails, or whose fate is unknown, throws the memory away: the epoch is raised, and it boots again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fastjob_core::clock::Millis;
use fastjob_core::id::{AppId, Chance, Epoch, RunId, ServerId, ShardKey};
use fastjob_core::shard::{Facts, Frame, Message, Plan, Reply, Rows, Settings, Shard, StreamId, Ticket};

use super::clients::CallId;
use super::server::Lapse;
use super::store::{Answer, Ask, Claimed};
use super::{Ms, Plant, Sim};
use crate::world::{HORIZON_MS, LOST_AFTER_MS};

/// Messages of one turn.
const BATCH: usize = 2_000;
const LOAD_AGAIN_MS: Ms = 200;
const BOOT_AGAIN_MS: Ms = 500;

/// The owner of the shard on one server.
pub(super) struct Owner {
    /// Tells one ownership from the next.
    pub(super) name: u64,
    epoch: Epoch,
    shard: Shard,
    /// A step is under way.
    busy: bool,
    seen_lapses: usize,
    pub(super) door: VecDeque<Knock>,
    own: Vec<Message>,
    suspects: VecDeque<Message>,
    outage: Option<Lapse>,
    pub(super) streams: BTreeSet<StreamId>,
    calls: BTreeMap<Ticket, CallId>,
    next_ticket: u64,
    wakes_at: Option<Ms>,
}

/// What reaches an owner.
pub(super) enum Knock {
    Message(Message),
    Call(CallId),
}

fn settings(server: ServerId, epoch: Epoch) -> Settings {
    Settings {
        shard: ShardKey { app: AppId(1), shard: 0 },
        server,
        epoch,
        horizon_ms: HORIZON_MS,
        worker_lost_after_ms: LOST_AFTER_MS,
    }
}

fn empty(sim: &mut Sim, server: usize, epoch: Epoch) -> Shard {
    Shard::new(settings(sim.servers[server].id, epoch), Chance::from_seed(sim.chance.next_u64()))
}

impl Sim {
    /// The shard was claimed.
    pub(super) fn own(&mut self, server: usize, claimed: Claimed) {
        let shard = empty(self, server, claimed.epoch);
        let owner = Owner {
            name: self.name(),
            epoch: claimed.epoch,
            shard,
            busy: true,
            seen_lapses: self.servers[server].lapses.len(),
            door: VecDeque::new(),
            own: Vec::new(),
            suspects: VecDeque::new(),
            outage: None,
            streams: BTreeSet::new(),
            calls: BTreeMap::new(),
            next_ticket: 0,
            wakes_at: None,
        };
        self.servers[server].owner = Some(owner);
        self.missed(server, claimed.outage_from, self.time_of(server));
        self.boot(server);
    }

    pub(super) fn owner(&mut self, server: usize) -> &mut Owner {
        self.servers[server].owner.as_mut().expect("only an owner takes steps")
    }

    /// A step of this ownership, not of a later one.
    fn owner_asks(&mut self, server: usize, ask: Ask, then: impl FnOnce(&mut Sim, Option<Answer>) + 'static) {
        let name = self.owner(server).name;
        self.ask(server, self.patience_ms, ask, move |sim, answer| {
            if sim.servers[server].owner.as_ref().is_some_and(|owner| owner.name == name) {
                then(sim, answer);
            }
        });
    }

    fn owner_waits(&mut self, server: usize, ms: Ms, then: impl FnOnce(&mut Sim) + 'static) {
        let name = self.owner(server).name;
        self.on(server, ms, move |sim| {
            if sim.servers[server].owner.as_ref().is_some_and(|owner| owner.name == name) {
                then(sim);
            }
        });
    }

    fn boot(&mut self, server: usize) {
        let epoch = self.owner(server).epoch;
        let shard = empty(self, server, epoch);
        let until = self.time_of(server).plus(HORIZON_MS);
        self.read_page(server, shard, until, None);
    }

    fn read_page(&mut self, server: usize, mut shard: Shard, until: Millis, after: Option<RunId>) {
        self.owner_asks(server, Ask::OpenPage { until, after }, move |sim, answer| {
            let Some(Answer::Page(page)) = answer else {
                return sim.owner_waits(server, BOOT_AGAIN_MS, move |sim| sim.boot(server));
            };
            let (more, last) = (page.more, page.runs.last().map(|run| run.id));
            shard.open(page, until);
            if more {
                return sim.read_page(server, shard, until, last);
            }
            shard.booted(sim.time_of(server));
            let greets = sim.owner(server);
            greets.shard = shard;
            for stream in greets.streams.clone() {
                sim.send_to_worker(server, stream, Frame::HelloAgain);
            }
            sim.next_turn(server);
        });
    }

    /// A time whose ticks nobody saw, until a committed turn has made up for it.
    fn missed(&mut self, server: usize, from: Option<Millis>, until: Millis) {
        let owner = self.owner(server);
        if let Some(from) = from {
            let from = owner.outage.map_or(from, |noted| noted.from.min(from));
            owner.outage = Some(Lapse { from, until });
        }
        owner.own.retain(|message| !matches!(message, Message::Outage { .. }));
        if let Some(Lapse { from, until }) = owner.outage {
            owner.own.push(Message::Outage { from, until });
            self.laws.outages.push((from, until));
        }
    }

    /// There may be something to do.
    pub(super) fn poke(&mut self, server: usize) {
        if self.servers[server].owner.as_ref().is_some_and(|owner| !owner.busy) {
            self.collect(server);
        }
    }

    fn next_turn(&mut self, server: usize) {
        self.owner(server).busy = false;
        self.owner_waits(server, 0, move |sim| sim.poke(server));
    }

    fn collect(&mut self, server: usize) {
        if self.servers[server].draining {
            return self.stop(server);
        }
        if !self.trusts(server) {
            return;
        }
        let lapses = self.servers[server].lapses.clone();
        let unseen = &lapses[self.owner(server).seen_lapses..];
        self.owner(server).seen_lapses = lapses.len();
        if let (Some(first), Some(last)) = (unseen.first(), unseen.last()) {
            self.missed(server, Some(first.from), last.until);
            self.saw("trust regained");
        }
        let now = self.time_of(server);
        let clients = &self.clients;
        let owner = self.servers[server].owner.as_mut().expect("only an owner takes steps");
        if let Some(suspect) = owner.suspects.pop_front() {
            owner.busy = true;
            return self.turn(server, vec![suspect]);
        }
        let wake = owner.shard.next_wake();
        if owner.own.is_empty() && owner.door.is_empty() && wake.is_none_or(|wake| wake > now) {
            return self.sleep(server, wake.map(|wake| wake.since(now)));
        }
        owner.busy = true;
        let mut batch = std::mem::take(&mut owner.own);
        while batch.len() < BATCH
            && let Some(knock) = owner.door.pop_front()
        {
            let message = match knock {
                Knock::Message(message) => {
                    if let Message::StreamEnded { stream, .. } = &message {
                        owner.streams.remove(stream);
                    }
                    message
                }
                Knock::Call(call) => {
                    owner.next_ticket += 1;
                    let ticket = Ticket(owner.next_ticket);
                    owner.calls.insert(ticket, call);
                    Message::Call { ticket, call: clients[call.client].calls[&call.number].clone() }
                }
            };
            batch.push(message);
        }
        self.turn(server, batch);
    }

    fn sleep(&mut self, server: usize, ms: Option<Ms>) {
        let now = self.now;
        let owner = self.owner(server);
        let Some(wake) = ms.map(|ms| now + ms.min(3_600_000)) else { return };
        if owner.wakes_at.is_some_and(|at| now < at && at <= wake) {
            return;
        }
        owner.wakes_at = Some(wake);
        self.owner_waits(server, wake - now, move |sim| {
            sim.owner(server).wakes_at = None;
            sim.poke(server);
        });
    }

    fn turn(&mut self, server: usize, batch: Vec<Message>) {
        let now = self.time_of(server);
        let needs = self.owner(server).shard.needs(&batch, now);
        if needs.is_empty() {
            return self.decide(server, batch, Facts::default(), now);
        }
        self.owner_asks(server, Ask::Facts(Box::new(needs)), move |sim, answer| match answer {
            Some(Answer::Facts(facts)) => sim.decide(server, batch, *facts, now),
            _ => {
                sim.owner(server).own.splice(0..0, batch);
                sim.owner_waits(server, LOAD_AGAIN_MS, move |sim| sim.next_turn(server));
            }
        });
    }

    fn decide(&mut self, server: usize, batch: Vec<Message>, facts: Facts, now: Millis) {
        let owner = self.owner(server);
        let mut plan = owner.shard.decide(batch.clone(), facts, now);
        let rows = Arc::new(std::mem::take(&mut plan.rows));
        if rows.is_empty() {
            return self.act(server, plan);
        }
        if self.plant == Some(Plant::ActBeforeCommit) {
            let early = Plan { frames: std::mem::take(&mut plan.frames), ..Plan::default() };
            self.act_now(server, early);
        }
        let hesitates_ms = self.hesitation_ms(server);
        self.owner_waits(server, hesitates_ms, move |sim| sim.commit(server, batch, plan, rows));
    }

    fn commit(&mut self, server: usize, batch: Vec<Message>, plan: Plan, rows: Arc<Rows>) {
        let (id, epoch) = (self.servers[server].id, self.owner(server).epoch);
        let ask = Ask::Commit { server: id, epoch, rows: rows.clone() };
        self.owner_asks(server, ask, move |sim, answer| match answer {
            Some(Answer::Committed) => {
                if rows.outage_over {
                    sim.owner(server).outage = None;
                }
                sim.act(server, plan);
            }
            Some(Answer::Fenced) => sim.fenced(server),
            Some(Answer::BadData) => sim.suspect(server, batch),
            _ => sim.reload(server),
        });
    }

    /// What was committed may leave, while this server may act. It may stand still in the middle of it.
    fn act(&mut self, server: usize, plan: Plan) {
        if !self.trusts(server) {
            return self.reload(server);
        }
        let hesitates_ms = self.hesitation_ms(server);
        self.owner_waits(server, hesitates_ms, move |sim| {
            sim.act_now(server, plan);
            sim.next_turn(server);
        });
    }

    fn act_now(&mut self, server: usize, plan: Plan) {
        for (stream, frame) in plan.frames {
            if let Frame::Ack { key, verdict } = &frame {
                self.note_verdict(*key, *verdict);
            }
            if self.owner(server).streams.contains(&stream) {
                self.send_to_worker(server, stream, frame);
            }
        }
        for (ticket, reply) in plan.replies {
            self.reply(server, ticket, reply);
        }
    }

    fn reply(&mut self, server: usize, ticket: Ticket, reply: Reply) {
        if let Some(call) = self.owner(server).calls.remove(&ticket) {
            self.note_reply(call, &reply);
            self.send_reply(server, call, Some(reply));
        }
    }

    /// The batch contradicts the database: its messages one by one, until the guilty one is found.
    fn suspect(&mut self, server: usize, batch: Vec<Message>) {
        let owner = self.owner(server);
        if batch.len() == 1 {
            self.saw("suspect found");
        } else {
            owner.suspects.extend(batch);
        }
        self.raise(server);
    }

    fn reload(&mut self, server: usize) {
        self.saw("memory thrown away");
        if self.plant == Some(Plant::MemoryKept) {
            return self.next_turn(server);
        }
        self.raise(server);
    }

    /// Callers whose turn came to nothing known ask again; then the epoch rises, and the shard is read again.
    fn raise(&mut self, server: usize) {
        let owner = self.owner(server);
        let ticket = |message: &Message| match message {
            Message::Call { ticket, .. } => Some(*ticket),
            _ => None,
        };
        let suspected: BTreeSet<Ticket> = owner.suspects.iter().filter_map(ticket).collect();
        let unknown: Vec<_> = owner.calls.keys().filter(|call| !suspected.contains(call)).copied().collect();
        for ticket in unknown {
            let call = self.owner(server).calls.remove(&ticket).expect("it was just listed");
            self.send_reply(server, call, None);
        }
        self.raise_epoch(server);
    }

    fn raise_epoch(&mut self, server: usize) {
        let (id, epoch, now) = (self.servers[server].id, self.owner(server).epoch, self.time_of(server));
        let ask = Ask::Raise { server: id, epoch, now };
        self.owner_asks(server, ask, move |sim, answer| match answer {
            Some(Answer::Claimed(claimed)) => {
                sim.trace(|| format!("server {server} reads the shard again at {:?}", claimed.epoch));
                sim.owner(server).epoch = claimed.epoch;
                sim.missed(server, claimed.outage_from, now);
                sim.boot(server);
            }
            Some(Answer::NotAsExpected) => sim.fenced(server),
            _ => sim.owner_waits(server, BOOT_AGAIN_MS, move |sim| sim.raise_epoch(server)),
        });
    }

    /// Another server owns the shard.
    fn fenced(&mut self, server: usize) {
        self.trace(|| format!("server {server} is fenced"));
        self.saw("owner fenced");
        self.end_ownership(server);
        if self.servers[server].draining {
            self.kill(server);
        } else {
            self.look(server);
        }
    }

    fn stop(&mut self, server: usize) {
        let (time, owner) = (self.time_of(server), self.owner(server));
        let outage_from = owner.outage.map_or(time, |noted| noted.from.min(time));
        let epoch = owner.epoch;
        self.end_ownership(server);
        self.release(server, epoch, outage_from);
    }

    fn end_ownership(&mut self, server: usize) {
        if let Some(owner) = self.servers[server].owner.take() {
            for call in owner.calls.into_values() {
                self.send_reply(server, call, None);
            }
            for stream in owner.streams {
                self.server_leaves(stream);
            }
        }
    }
}
