//! Connections: what is sent keeps its order; they break, and each side learns of it by itself.

use fastjob_core::shard::{Frame, Message, StreamId};

use super::owner::Knock;
use super::{Ms, Place, Plant, Sim};

const PING_MS: Ms = 1_000;
/// Silence after which either side leaves a stream.
pub(super) const SILENCE_MS: Ms = 3_000;

/// A connection between a worker and an owner. What is sent keeps its order.
pub(super) struct Stream {
    pub(super) worker: usize,
    /// Of which process of it.
    pub(super) life: u64,
    pub(super) server: usize,
    /// The ownership that it belongs to, once it has arrived.
    pub(super) ownership: Option<u64>,
    pub(super) to_server: Ms,
    pub(super) to_worker: Ms,
    pub(super) worker_left: bool,
    pub(super) server_left: bool,
    /// When the server heard the worker last.
    pub(super) heard: Ms,
}

impl Sim {
    pub(super) fn send_to_server(&mut self, stream: StreamId, message: Message) {
        let Some(link) = self.streams.get(&stream).filter(|link| !link.worker_left) else { return };
        let (worker, server, last) = (link.worker, link.server, link.to_server);
        let machine = self.place(server);
        let Some(delay) = self.transit(Place::Worker(worker), machine) else {
            return self.break_stream(stream);
        };
        let at = last.max(self.now + delay);
        self.streams.get_mut(&stream).expect("it was just seen").to_server = at;
        self.on(server, at - self.now, move |sim| sim.server_hears(stream, message));
    }

    pub(super) fn server_hears(&mut self, id: StreamId, message: Message) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.server_left) else { return };
        stream.heard = now;
        let (server, known) = (stream.server, stream.ownership);
        let Some(owner) = self.servers[server].owner.as_mut() else { return self.server_leaves(id) };
        match known {
            None => {
                stream.ownership = Some(owner.name);
                owner.streams.insert(id);
                owner.door.push_back(Knock::Message(message));
                self.ping(id);
            }
            Some(name) if name == owner.name => owner.door.push_back(Knock::Message(message)),
            Some(_) => return self.server_leaves(id),
        }
        self.poke(server);
    }

    /// Proof of life in both directions.
    pub(super) fn ping(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id).filter(|stream| !stream.server_left) else { return };
        let (server, silent_ms) = (stream.server, self.now - stream.heard);
        if silent_ms >= SILENCE_MS + PING_MS {
            self.server_drops(id);
            return;
        }
        self.send(id, None);
        self.on(server, PING_MS, move |sim| sim.ping(id));
    }

    pub(super) fn send_to_worker(&mut self, _server: usize, stream: StreamId, frame: Frame) {
        self.send(stream, Some(frame));
    }

    /// A frame, or a ping.
    pub(super) fn send(&mut self, id: StreamId, frame: Option<Frame>) {
        let Some(stream) = self.streams.get(&id).filter(|stream| !stream.server_left) else { return };
        let (worker, server, last, life) = (stream.worker, stream.server, stream.to_worker, stream.life);
        let machine = self.place(server);
        let Some(delay) = self.transit(machine, Place::Worker(worker)) else {
            return self.break_stream(id);
        };
        let at = last.max(self.now + delay);
        self.streams.get_mut(&id).expect("it was just seen").to_worker = at;
        if self.workers[worker].life == life {
            self.works(worker, at - self.now, move |sim| sim.worker_hears(worker, id, frame));
        }
    }

    /// The connection is gone: each side learns of it some time after what had arrived.
    pub(super) fn break_stream(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let (worker, server, life) = (stream.worker, stream.server, stream.life);
        let (to_worker, to_server) = (self.between(0, 20), self.between(0, 20));
        if self.workers[worker].life == life {
            self.works(worker, to_worker, move |sim| {
                if sim.workers[worker].stream == Some(id) {
                    sim.worker_leaves(worker);
                }
            });
        }
        self.on(server, to_server, move |sim| sim.server_drops(id));
    }

    pub(super) fn break_streams_of(&mut self, server: usize) {
        let of = |(id, stream): (&StreamId, &Stream)| (stream.server == server).then_some(*id);
        for id in self.streams.iter().filter_map(of).collect::<Vec<_>>() {
            self.break_stream(id);
        }
    }

    /// The server ends a stream that it does not hear any more.
    pub(super) fn server_drops(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.server_left) else { return };
        let (server, ownership, heard) = (stream.server, stream.ownership, stream.heard);
        self.server_leaves(id);
        let last_contact = self.time_of(server).plus(heard - self.now);
        let owner = self.servers[server].owner.as_mut();
        if let Some(owner) = owner.filter(|owner| Some(owner.name) == ownership) {
            owner.door.push_back(Knock::Message(Message::StreamEnded { stream: id, last_contact }));
            self.poke(server);
        }
    }

    /// It tells the worker that it is not the owner, and is gone.
    pub(super) fn server_leaves(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.server_left) else { return };
        let (worker, life, machine) = (stream.worker, stream.life, stream.server);
        stream.server_left = true;
        let place = self.place(machine);
        let delay = self.transit(place, Place::Worker(worker));
        if let (Some(delay), true) = (delay, self.workers[worker].life == life) {
            self.works(worker, delay, move |sim| {
                if sim.workers[worker].stream == Some(id) {
                    sim.worker_leaves(worker);
                }
            });
        }
    }

    pub(super) fn worker_leaves(&mut self, worker: usize) {
        let w = &mut self.workers[worker];
        let Some(id) = w.stream.take() else { return };
        (w.welcomed, w.unspent) = (false, 0);
        if self.plant == Some(Plant::OutboxForgets) {
            w.held.retain(|_, held| held.outcome.is_none());
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.worker_left = true;
        let (server, last) = (stream.server, stream.to_server);
        let machine = self.place(server);
        if let Some(delay) = self.transit(Place::Worker(worker), machine) {
            let delay = delay.max(last - self.now);
            self.on(server, delay, move |sim| sim.server_drops(id));
        }
    }
}
