//! One stream to one owner, from its Hello to its end. It moves messages between the stream and the outbox; what is held
//! outlives it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::attempt::duration;
use super::hub::{Contact, Hub};
use super::outbox::{Greeted, Move, StreamId, say};
use crate::client::{Client, Error, ErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::protocol::v1;
use crate::protocol::v1::server_message::Message as Heard;
use crate::protocol::v1::worker_message::Message as Said;

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Left {
    /// As it was asked to.
    Closed,
    /// Its server owns nothing any more that was expected of it.
    Moved {
        /// Whether it ever did.
        served: bool,
    },
    /// It broke after its Welcome.
    Broken(Error),
    /// No Welcome came.
    Refused(Error),
}

struct Session {
    hub: Arc<Hub>,
    id: StreamId,
    wake: Arc<Notify>,
    /// Something is to be sent.
    dirty: bool,
    welcomed: bool,
    beat: Option<v1::Beat>,
    heard: Duration,
    silence: Duration,
    /// How long it may stay without serving any shard.
    until: Option<Duration>,
}

/// The stream's place in the outbox, given up whichever way the stream ends.
struct Place {
    hub: Arc<Hub>,
    id: StreamId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hub.change(|outbox, now, _| outbox.close(self.id, now));
    }
}

/// From the connection to the Welcome: the owner may be reading its runs.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// How long a server that moved keeps the stream.
const MOVED_STAYS: Duration = Duration::from_secs(5);
/// How long a stream stays whose only Welcomes came from owners that were replaced: another shard's may be on its way.
const REFUSED_STAYS: Duration = Duration::from_secs(1);
/// Silence at which a stream is left when the Welcome names none.
const SILENCE: Duration = Duration::from_secs(3);
/// Frames that wait for the connection; more wait in the outbox.
const FRAMES_AHEAD: usize = 4;

/// Runs a stream until it ends or `close` is cancelled.
pub(super) async fn run(
    hub: Arc<Hub>,
    client: Client,
    address: &str,
    id: StreamId,
    close: CancellationToken,
) -> Left {
    let wake = hub.change(|outbox, _, _| outbox.open(id));
    let _place = Place { hub: hub.clone(), id };
    let mut session = Session {
        hub,
        id,
        wake,
        dirty: false,
        welcomed: false,
        beat: None,
        heard: SystemClock.elapsed(),
        silence: WELCOME_WITHIN,
        until: None,
    };
    tokio::select! {
        () = close.cancelled() => Left::Closed,
        left = session.connect(&client, address) => left,
    }
}

impl Session {
    async fn connect(&mut self, client: &Client, address: &str) -> Left {
        let (frames, outgoing) = mpsc::channel(FRAMES_AHEAD);
        let hello = v1::WorkerFrame { messages: vec![say(Said::Hello(self.hub.hello(self.id, &[])))] };
        let sent = frames.try_send(hello);
        debug_assert!(sent.is_ok(), "the channel was empty");
        let mut worker = match client.stream_to(address) {
            Ok(worker) => worker,
            Err(error) => return Left::Refused(error),
        };
        let opened = worker.session(client.authorized(ReceiverStream::new(outgoing)));
        let incoming = match tokio::time::timeout(WELCOME_WITHIN, opened).await {
            Ok(Ok(incoming)) => incoming.into_inner(),
            Ok(Err(status)) => return Left::Refused(status.into()),
            Err(_) => return Left::Refused(gone("the server did not open the stream in time")),
        };
        self.heard = SystemClock.elapsed();
        match self.talk(frames, incoming).await {
            Ok(left) => left,
            Err(error) if self.welcomed => Left::Broken(error),
            Err(error) => Left::Refused(error),
        }
    }

    async fn talk(
        &mut self,
        frames: mpsc::Sender<v1::WorkerFrame>,
        mut incoming: Streaming<v1::ServerFrame>,
    ) -> Result<Left, Error> {
        let wake = self.wake.clone();
        loop {
            let patience = self.patience()?;
            tokio::select! {
                frame = incoming.message() => match frame? {
                    Some(frame) => self.receive(frame),
                    None if self.is_vacated() => return Ok(self.moved()),
                    None => return Err(gone("the server ended the stream")),
                },
                permit = frames.reserve(), if self.dirty => match permit {
                    Ok(permit) => if let Some(frame) = self.compose() { permit.send(frame) },
                    Err(_) => return Err(gone("the connection broke")),
                },
                () = wake.notified() => self.dirty = true,
                () = tokio::time::sleep(patience) => {}
            }
            if let Some(left) = self.leaves() {
                return Ok(left);
            }
        }
    }

    /// How much longer it may be silent.
    fn patience(&self) -> Result<Duration, Error> {
        let now = SystemClock.elapsed();
        let silent = now.saturating_sub(self.heard);
        if silent >= self.silence {
            return Err(gone(format!("nothing was heard for {} ms", silent.as_millis())));
        }
        let left = self.silence - silent;
        Ok(self.until.map_or(left, |until| until.saturating_sub(now).min(left)))
    }

    /// Whether the server owns nothing any more and has acknowledged all, or its time is over.
    fn leaves(&mut self) -> Option<Left> {
        let now = SystemClock.elapsed();
        if self.is_vacated() {
            let over = now >= *self.until.get_or_insert(now + MOVED_STAYS);
            return (over || !self.hub.look(|outbox| outbox.awaits_acks(self.id))).then_some(self.moved());
        }
        if self.welcomed {
            self.until = None;
        }
        let over = self.until.is_some_and(|until| now >= until);
        over.then(|| Left::Refused(gone("the server owns none of the app's shards")))
    }

    fn moved(&self) -> Left {
        Left::Moved { served: self.welcomed }
    }

    fn is_vacated(&self) -> bool {
        self.hub.look(|outbox| outbox.is_vacated(self.id))
    }

    fn receive(&mut self, frame: v1::ServerFrame) {
        let hub = self.hub.clone();
        let (mut acknowledged, mut has_moved) = (false, false);
        hub.change(|outbox, now, events| {
            self.heard = now;
            outbox.heard(self.id, now);
            for message in frame.messages {
                match message.message {
                    Some(Heard::Dispatch(dispatch)) => outbox.dispatch(self.id, dispatch, now, events),
                    Some(Heard::OutcomeAck(ack)) => {
                        acknowledged = true;
                        outbox.acknowledge(&ack);
                    }
                    Some(Heard::Cancel(cancel)) => outbox.cancel(&cancel, now, events),
                    Some(Heard::Ping(ping)) => self.answer(&ping, now),
                    Some(Heard::Welcome(welcome)) => {
                        let greeted = outbox.welcome(self.id, &welcome, now, events);
                        acknowledged = true;
                        self.welcome(&welcome, greeted, now);
                    }
                    Some(Heard::Wanting(wanting)) => outbox.want(self.id, wanting.shard),
                    Some(Heard::Recalled(recalled)) => outbox.recalled(self.id, &recalled),
                    Some(Heard::HelloAgain(again)) => outbox.ask_again(self.id, again.shard),
                    Some(Heard::Moved(moved)) => {
                        has_moved = true;
                        let after = duration(moved.retry_after_ms);
                        let v1::Moved { to, shards, .. } = moved;
                        outbox.moved(Move { stream: self.id, shards, to, after }, now);
                    }
                    None => {}
                }
            }
        });
        self.dirty = true;
        if acknowledged {
            hub.has_settled();
        }
        if has_moved {
            hub.routes.notify_one();
        }
    }

    fn welcome(&mut self, welcome: &v1::Welcome, greeted: Greeted, now: Duration) {
        self.hub.server_clock.learn(welcome.server_time, now);
        match greeted {
            Greeted::Outdated => {}
            Greeted::Refused if self.welcomed => {}
            Greeted::Refused => {
                self.until.get_or_insert(now + REFUSED_STAYS);
            }
            Greeted::Served => {
                self.silence = match duration(welcome.silence_ms) {
                    Duration::ZERO => SILENCE,
                    silence => silence,
                };
                self.until = None;
                if !std::mem::replace(&mut self.welcomed, true) {
                    self.hub.routes.notify_one();
                }
                self.hub.contact.send_replace(Contact::Made);
            }
        }
    }

    fn answer(&mut self, ping: &v1::Ping, now: Duration) {
        self.hub.server_clock.learn(ping.server_time, now);
        self.beat = Some(v1::Beat { ping: ping.ordinal, life: self.hub.life.count() });
    }

    /// The next frame, if there is anything to say.
    fn compose(&mut self) -> Option<v1::WorkerFrame> {
        let mut messages = Vec::new();
        if let Some(beat) = self.beat.take() {
            messages.push(say(Said::Beat(beat)));
        }
        let due = self.hub.change(|outbox, _, _| outbox.take_due(self.id));
        if !due.is_empty() {
            messages.push(say(Said::Hello(self.hub.hello(self.id, &due))));
        }
        self.dirty = self.hub.change(|outbox, _, _| outbox.fill(self.id, &mut messages));
        (!messages.is_empty()).then_some(v1::WorkerFrame { messages })
    }
}

fn gone(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, "unavailable", message)
}
