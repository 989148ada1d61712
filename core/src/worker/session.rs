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
use super::outbox::{StreamId, say};
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
    /// Its server does not own the shards any more.
    Moved {
        /// Where the new owner listens; may be empty.
        to: String,
        /// Else how long to wait before asking.
        after: Duration,
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
    hello_due: bool,
    beat: Option<v1::Beat>,
    heard: Duration,
    silence: Duration,
    moved: Option<Moved>,
}

struct Moved {
    to: String,
    after: Duration,
    until: Duration,
}

/// From the connection to the Welcome: the owner may be reading its runs.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// How long a server that moved keeps the stream.
const MOVED_STAYS: Duration = Duration::from_secs(5);
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
    let mut session = Session {
        hub: hub.clone(),
        id,
        wake,
        dirty: false,
        welcomed: false,
        hello_due: false,
        beat: None,
        heard: SystemClock.elapsed(),
        silence: WELCOME_WITHIN,
        moved: None,
    };
    let left = tokio::select! {
        () = close.cancelled() => Left::Closed,
        left = session.connect(&client, address) => left,
    };
    hub.change(|outbox, _, _| outbox.close(id));
    left
}

impl Session {
    async fn connect(&mut self, client: &Client, address: &str) -> Left {
        let (frames, outgoing) = mpsc::channel(FRAMES_AHEAD);
        let hello = v1::WorkerFrame { messages: vec![say(Said::Hello(self.hub.hello(self.id)))] };
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
                    Some(frame) => self.receive(frame)?,
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
        Ok(self.moved.as_ref().map_or(left, |moved| moved.until.saturating_sub(now).min(left)))
    }

    /// Whether a server that moved has acknowledged all, or its time is over.
    fn leaves(&mut self) -> Option<Left> {
        let moved = self.moved.take_if(|moved| {
            SystemClock.elapsed() >= moved.until || !self.hub.look(|outbox| outbox.awaits_acks(self.id))
        })?;
        Some(Left::Moved { to: moved.to, after: moved.after })
    }

    fn receive(&mut self, frame: v1::ServerFrame) -> Result<(), Error> {
        let hub = self.hub.clone();
        let mut acknowledged = false;
        let done = hub.change(|outbox, now, events| {
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
                        let served = outbox.welcome(self.id, &welcome, now, events);
                        acknowledged = true;
                        self.welcome(&welcome, served, now)?;
                    }
                    Some(Heard::HelloAgain(_)) => self.hello_due = true,
                    Some(Heard::Moved(moved)) => {
                        outbox.retire(self.id);
                        let after = duration(moved.retry_after_ms);
                        self.moved = Some(Moved { to: moved.to, after, until: now + MOVED_STAYS });
                    }
                    None => {}
                }
            }
            Ok(())
        });
        self.dirty = true;
        if acknowledged {
            hub.has_settled();
        }
        done
    }

    fn welcome(&mut self, welcome: &v1::Welcome, served: usize, now: Duration) -> Result<(), Error> {
        self.hub.server_clock.learn(welcome.server_time, now);
        self.silence = match duration(welcome.silence_ms) {
            Duration::ZERO => SILENCE,
            silence => silence,
        };
        if served == 0 {
            return Err(gone("the server owns none of the app's shards"));
        }
        self.welcomed = true;
        self.hub.contact.send_replace(Contact::Made);
        Ok(())
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
        if std::mem::take(&mut self.hello_due) {
            messages.push(say(Said::Hello(self.hub.hello(self.id))));
        }
        self.dirty = self.hub.change(|outbox, _, _| outbox.fill(self.id, &mut messages));
        (!messages.is_empty()).then_some(v1::WorkerFrame { messages })
    }
}

fn gone(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, "unavailable", message)
}
