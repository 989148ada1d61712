//! Programs and people that call any server, and repeat a call whose fate they do not know with the same request id.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastjob_core::domain::{
    Backoff, CatchUp, CatchUpPolicy, Cron, Definition, Dialect, Limits, ManagedBy, Name, Overlap, Payload,
    Retry, Routing, Source, State, Timing, Trigger,
};
use fastjob_core::id::{Id, RunId};
use fastjob_core::shard::{Call, Command, Fire, JobPut, Order, Reply, When};

use super::owner::Knock;
use super::store::{Answer, Ask};
use super::{Ms, Place, Plant, Sim, millis};

pub(super) const JOBS: [&str; 6] = ["rate", "cron", "delay", "api", "strict", "at"];
/// A client waits so long for an answer.
const PATIENCE_MS: Ms = 5_000;
/// So often it calls, all in all.
const TRIES: u32 = 6;

/// One call of one client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct CallId {
    pub(super) client: usize,
    pub(super) number: u64,
    try_number: u32,
}

/// Somebody who calls.
#[derive(Default)]
pub(super) struct Client {
    pub(super) calls: BTreeMap<u64, Call>,
    /// The call under way, and its try.
    waits_for: Option<(u64, u32)>,
    /// It makes no more calls of its own.
    pub(super) rests: bool,
}

fn named(name: &str) -> Name {
    Name::parse(name).unwrap()
}

impl Sim {
    /// A new client, which calls from time to time.
    pub(super) fn add_client(&mut self) {
        self.clients.push(Client::default());
        let client = self.clients.len() - 1;
        let call = Call::JobPut(
            JOBS.iter()
                .map(|name| JobPut {
                    name: named(name),
                    definition: self.definition(name),
                    enabled: Some(true),
                })
                .collect(),
        );
        self.call(client, call);
        self.calls_on(client);
    }

    fn calls_on(&mut self, client: usize) {
        let pause = self.between(100, 3_000);
        self.at(pause, move |sim| {
            if sim.clients[client].rests {
                return;
            }
            if sim.clients[client].waits_for.is_none() {
                let call = sim.some_call();
                sim.call(client, call);
            }
            sim.calls_on(client);
        });
    }

    pub(super) fn call(&mut self, client: usize, call: Call) {
        let number = self.name();
        self.trace(|| format!("client {client} calls {number}: {call:?}"));
        self.clients[client].calls.insert(number, call);
        self.tries(CallId { client, number, try_number: 1 });
    }

    fn tries(&mut self, call: CallId) {
        let CallId { client, number, try_number } = call;
        self.clients[client].waits_for = Some((number, try_number));
        if self.plant == Some(Plant::RequestRenamed) {
            self.rename(call);
        }
        self.at(PATIENCE_MS, move |sim| sim.tries_again(call));
        let machine = self.below(self.machines.len() as u64) as usize;
        let asked = self.machines[machine];
        let Some(delay) = self.transit(Place::Client(client), Place::Machine(machine)) else { return };
        self.on(asked, delay, move |sim| sim.forward(asked, call));
    }

    /// A client that forgets which call it repeats.
    fn rename(&mut self, call: CallId) {
        let (now, request) = (millis(self.now), self.chance.next_u64());
        if let Some(Call::Trigger(fires)) = self.clients[call.client].calls.get_mut(&call.number)
            && call.try_number > 1
        {
            let mut chance = fastjob_core::id::Chance::from_seed(request);
            fires.iter_mut().for_each(|fire| fire.idempotency_key = None);
            fires.iter_mut().for_each(|fire| fire.request = Id::new(now, &mut chance));
        }
    }

    fn tries_again(&mut self, call: CallId) {
        let client = &mut self.clients[call.client];
        if client.waits_for != Some((call.number, call.try_number)) {
            return;
        }
        if call.try_number == TRIES && !client.rests {
            client.waits_for = None;
            return;
        }
        self.saw("call repeated");
        self.tries(CallId { try_number: call.try_number + 1, ..call });
    }

    /// Any server hands a call to the owner.
    fn forward(&mut self, asked: usize, call: CallId) {
        if let Some(owner) = &mut self.servers[asked].owner {
            owner.door.push_back(Knock::Call(call));
            return self.poke(asked);
        }
        let Some(owner) = self.points_to(asked).filter(|owner| *owner != asked) else {
            return self.put_aside(asked, call);
        };
        let (from, to) = (self.place(asked), self.place(owner));
        let Some(delay) = self.transit(from, to) else { return self.put_aside(asked, call) };
        self.on(owner, delay, move |sim| match &mut sim.servers[owner].owner {
            Some(taken) => {
                taken.door.push_back(Knock::Call(call));
                sim.poke(owner);
            }
            None => sim.send_reply(owner, call, None),
        });
    }

    /// A trigger waits in the inbox for an owner that cannot be reached; other calls are repeated by their callers.
    fn put_aside(&mut self, asked: usize, call: CallId) {
        let Call::Trigger(fires) = &self.clients[call.client].calls[&call.number] else {
            return self.send_reply(asked, call, None);
        };
        let fires = fires.clone();
        let command = |fire: &Fire| Command {
            id: Id::from_bytes(*fire.request.as_bytes()),
            order: Order::Fire(Box::new(fire.clone())),
        };
        let ask = Ask::InboxPut(fires.iter().map(command).collect());
        self.ask(asked, self.patience_ms, ask, move |sim, answer| {
            let stored = matches!(answer, Some(Answer::Done));
            if stored {
                sim.saw("trigger stored for the owner");
                sim.laws.stored.extend(fires);
            }
            sim.send_reply(asked, call, stored.then_some(Reply::Taken));
        });
    }

    /// `None`: the caller is asked to repeat the call.
    pub(super) fn send_reply(&mut self, server: usize, call: CallId, reply: Option<Reply>) {
        let place = self.place(server);
        let Some(delay) = self.transit(place, Place::Client(call.client)) else { return };
        self.at(delay, move |sim| {
            let client = &mut sim.clients[call.client];
            if client.waits_for != Some((call.number, call.try_number)) {
                return;
            }
            if reply.is_some() {
                client.waits_for = None;
            } else {
                let pause = sim.between(100, 600);
                sim.at(pause, move |sim| sim.tries_again(call));
            }
        });
    }

    pub(super) fn is_answered(&self, client: usize) -> bool {
        self.clients[client].waits_for.is_none()
    }

    fn some_call(&mut self) -> Call {
        let name = named(self.pick(&JOBS));
        match self.below(20) {
            0 => Call::JobDelete { name },
            1 | 2 => Call::JobEnable { name, enabled: false },
            3..=5 => Call::JobEnable { name, enabled: true },
            6..=9 => {
                let enabled = self.pick(&[None, Some(true)]);
                let definition = self.definition(name.as_str());
                Call::JobPut(vec![JobPut { name, definition, enabled }])
            }
            10 | 11 => self.some_run().map_or(Call::Workers, |run| Call::RunCancel { run }),
            12 => {
                let request = Id::new(millis(self.now), &mut self.chance);
                self.some_run().map_or(Call::Workers, |run| Call::RunRetry { run, request })
            }
            _ => Call::Trigger((0..1 + self.below(2)).map(|_| self.some_fire()).collect()),
        }
    }

    fn some_run(&mut self) -> Option<RunId> {
        let count = self.store.tables.runs.len() as u64;
        let from_end = self.below(20.min(count.max(1))) as usize;
        let run = self.store.tables.runs.values().rev().nth(from_end)?;
        (run.state != State::Scheduled || run.due < millis(self.now + 5_000)).then_some(run.id)
    }

    fn some_fire(&mut self) -> Fire {
        let key = self.below(30);
        Fire {
            job: named(self.pick(&JOBS)),
            params: None,
            when: match self.below(6) {
                0 => When::AfterMs(self.between(0, 20_000)),
                _ => When::Now,
            },
            idempotency_key: (key < 15).then(|| Arc::from(format!("key {key}"))),
            request: Id::new(millis(self.now), &mut self.chance),
            overlap: self.pick(&[None, None, Some(Overlap::AllowAll), Some(Overlap::BufferAll)]),
            source: self.pick(&[Source::Api, Source::Manual]),
        }
    }

    fn definition(&mut self, name: &str) -> Definition {
        let trigger = match name {
            "rate" | "strict" => {
                Trigger::FixedRate { period_ms: self.pick(&[1_000, 2_000, 3_000]), phase: None }
            }
            // To compile an expression takes long without optimization, as the owner does at each load.
            "cron" if !self.crons => Trigger::FixedRate { period_ms: 4_000, phase: Some(millis(0)) },
            "cron" => Trigger::Cron(Cron::new(
                format!("*/{} * * * * ?", self.pick(&[2, 4, 5])),
                Dialect::Quartz,
                "UTC",
            )),
            "at" => {
                let from = millis(self.now);
                Trigger::At((1..6).map(|n| from.plus(n * n * 777)).collect())
            }
            "delay" => Trigger::FixedDelay { delay_ms: self.pick(&[500, 3_000]) },
            _ => Trigger::Api,
        };
        Definition {
            handler: named(self.pick(&["a", "b"])),
            trigger,
            params: Payload::text(format!("{}", self.below(3))),
            timing: Timing { jitter_ms: self.pick(&[0, 0, 900]), ..Timing::default() },
            catch_up: CatchUp {
                policy: self.pick(&[CatchUpPolicy::Latest, CatchUpPolicy::None, CatchUpPolicy::All(5)]),
                threshold_ms: self.pick(&[0, 2_000, 60_000]),
                window_ms: None,
            },
            limits: self.limits(name),
            managed_by: ManagedBy::Code,
            source_version: None,
        }
    }

    fn limits(&mut self, name: &str) -> Limits {
        Limits {
            // One job keeps its policy, so that disjointness can be judged over its whole life.
            overlap: if name == "strict" { Overlap::Skip } else { self.pick(&Overlap::ALL) },
            retry: Retry {
                retries: self.below(3) as u32,
                backoff: Backoff::Fixed,
                delay_ms: self.pick(&[0, 700]),
                max_delay_ms: 3_000,
                jitter: 0.5,
            },
            attempt_timeout_ms: self.pick(&[2_000, 20_000]),
            start_deadline_ms: self.pick(&[None, None, Some(3_000)]),
            cancel_grace_ms: self.pick(&[0, 1_000]),
            worker_lost_after_ms: None,
            at_most_once: self.below(5) == 0,
            priority: self.below(3) as i32,
            routing: self.pick(&[Routing::LeastBusy, Routing::RoundRobin]),
        }
    }
}
