//! One stream of one worker: its words to the owners, the owners' frames to it, and proof that both sides live.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Name, Refusal, RefusalKind, WorkerProfile};
use fastjob_core::protocol::session::{self, AppHello, Greeting};
use fastjob_core::protocol::v1;
use fastjob_core::shard::{Frame, Message, StreamId};
use prost::Message as _;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use v1::server_message::Message as ServerWord;
use v1::worker_message::Message as WorkerWord;

use super::Pace;
use super::contact::{Contact, Verdict};
use super::end::{END_WAIT, End, Out, broken, gone_quiet, refuse, say_end};
use super::link::Heard;
use super::links::{Links, Wanted};
use crate::api::Api;
use crate::api::auth::{Authorized, Caller};
use crate::metrics;

/// How long a new stream may take to say Hello.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// The most messages of a frame.
const MAX_FRAME_MESSAGES: usize = 512;
/// A frame takes no more messages beyond this size; one message alone may be larger.
const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// What a stream is given.
pub(super) struct Session {
    pub(super) api: Api,
    pub(super) pace: Pace,
    pub(super) caller: Caller,
    pub(super) inbound: Streaming<v1::WorkerFrame>,
    pub(super) out: Out,
    pub(super) stopping: CancellationToken,
}

/// A worker that may speak for its app.
struct Introduced {
    hello: AppHello,
    by: Authorized,
    /// What stood behind the Hello in the first frame.
    rest: Vec<v1::WorkerMessage>,
}

impl Session {
    /// Serves the stream to its end.
    pub(super) async fn run(mut self) {
        let out = self.out.clone();
        let ended = match self.introduction().await {
            Ok(introduced) => self.converse(introduced).await,
            Err(end) => Err(end),
        };
        if let Err(end) = ended {
            say_end(&out, end).await;
        }
    }

    /// The first frame: a Hello for an app that the token may serve, and what follows it.
    async fn introduction(&mut self) -> Result<Introduced, End> {
        let first = tokio::select! {
            first = timeout(HELLO_WAIT, self.inbound.message()) => first,
            () = self.stopping.cancelled() => return Err(End::Stopping),
        };
        let late = |_| refuse("hello_late", "no Hello came within 10 s", "say Hello first");
        let frame = first.map_err(late)?.map_err(broken)?.ok_or(End::Left)?;
        let mut messages = frame.messages.into_iter();
        let Some(WorkerWord::Hello(hello)) = messages.next().and_then(|first| first.message) else {
            return Err(refuse("hello_first", "the first message is no Hello", "say Hello first").into());
        };
        let hello = session::hello(hello).map_err(|inner| inner.within("hello"))?;
        self.api.must_trust_itself()?;
        let by = self.caller.of_app(hello.app.as_str()).await.map_err(|inner| inner.within("hello"))?;
        Ok(Introduced { hello, by, rest: messages.collect() })
    }

    async fn converse(self, introduced: Introduced) -> Result<(), End> {
        let Introduced { hello, by, rest } = introduced;
        let links = Links::new(self.api.clone(), by);
        let greeting = Greeting {
            server: self.api.server(),
            ping_ms: self.pace.ping_ms,
            silence_ms: self.pace.silence_ms,
        };
        let contact = Contact::new(self.pace, self.api.now(), self.api.clock().elapsed());
        let mut conversation = Conversation {
            stream: links.stream(),
            app: hello.app.clone(),
            profile: hello.profile().clone(),
            links,
            greeting,
            contact,
            ready: VecDeque::new(),
            pings: 0,
            ping_due: false,
            session: self,
        };
        metrics::session_connected();
        let end = match conversation.begin(&hello, rest) {
            Ok(()) => conversation.go_on().await,
            Err(end) => end,
        };
        conversation.leave(end).await;
        metrics::session_gone();
        Ok(())
    }
}

/// A stream whose worker is known.
struct Conversation {
    session: Session,
    stream: StreamId,
    app: Name,
    profile: WorkerProfile,
    links: Links,
    greeting: Greeting,
    contact: Contact,
    /// For the worker, in order; at most [`MAX_FRAME_MESSAGES`] and the frames of one turn.
    ready: VecDeque<v1::ServerMessage>,
    pings: u64,
    ping_due: bool,
}

impl Conversation {
    fn begin(&mut self, hello: &AppHello, rest: Vec<v1::WorkerMessage>) -> Result<(), End> {
        self.say_hello(hello)?;
        self.hear_all(1, rest)?;
        self.must_have_owners()
    }

    async fn go_on(&mut self) -> End {
        let out = self.session.out.clone();
        let mut tick = interval(Duration::from_millis(self.greeting.ping_ms.unsigned_abs().max(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wanted = if self.ready.len() < MAX_FRAME_MESSAGES { Wanted::Frames } else { Wanted::Nothing };
            let step = tokio::select! {
                frame = self.session.inbound.message() => match frame {
                    Ok(Some(frame)) => self.hear_all(0, frame.messages),
                    Ok(None) => Err(End::Left),
                    Err(status) => Err(broken(status)),
                },
                heard = poll_fn(|cx| self.links.poll(cx, wanted)) => self.hear_owner(heard),
                room = out.reserve(), if self.ping_due || !self.ready.is_empty() => match room {
                    Ok(room) => {
                        room.send(Ok(self.next_frame()));
                        self.contact.spoke(self.session.api.clock().elapsed());
                        metrics::frames_sent(1);
                        Ok(())
                    }
                    Err(_) => Err(End::Left),
                },
                _ = tick.tick() => self.tick(),
                () = out.closed() => Err(End::Left),
                () = self.session.stopping.cancelled() => Err(End::Stopping),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Tells the worker why the stream is over, and the owners that it is and when the worker was last known to live.
    async fn leave(mut self, end: End) {
        if matches!(end, End::Moved | End::Stopping) {
            // A worker that takes nothing learns all of it from the owners that come.
            let _ = timeout(END_WAIT, self.send_rest()).await;
        }
        let last_contact = self.contact.alive_at();
        let last = Message::StreamEnded { stream: self.stream, last_contact };
        let told = timeout(END_WAIT, self.links.end(&last));
        let (told, ()) = tokio::join!(told, say_end(&self.session.out, end));
        if told.is_err() {
            tracing::warn!(stream = self.stream.0, "the owner did not take the end of a stream in time");
        }
    }

    /// What owners have said already: verdicts among it, and where the shards went.
    async fn send_rest(&mut self) {
        self.ping_due = false;
        loop {
            let frame = self.next_frame();
            if frame.messages.is_empty() || self.session.out.send(Ok(frame)).await.is_err() {
                return;
            }
        }
    }

    /// Messages of a frame from its `first`-th on.
    fn hear_all(&mut self, first: usize, messages: Vec<v1::WorkerMessage>) -> Result<(), End> {
        self.contact.heard(self.session.api.clock().elapsed());
        metrics::frames_received(1);
        for (at, message) in messages.into_iter().enumerate() {
            let heard = match message.message {
                Some(word) => self.hear(word),
                None => {
                    let unknown = "a message is of no known kind";
                    Err(refuse("unknown_message", unknown, "use a newer server").into())
                }
            };
            heard.map_err(|end| match end {
                End::Refused(refusal) => End::Refused(refusal.within(&format!("messages[{}]", first + at))),
                other => other,
            })?;
        }
        Ok(())
    }

    fn hear(&mut self, word: WorkerWord) -> Result<(), End> {
        let stream = self.stream;
        match word {
            WorkerWord::Beat(beat) => {
                let (now, elapsed) = self.times();
                self.contact.beat(beat.life, now, elapsed);
                Ok(())
            }
            WorkerWord::Outcome(outcome) => {
                let (shard, outcome) = session::outcome(outcome).map_err(|inner| inner.within("outcome"))?;
                self.worker_works();
                self.links.say(shard, Message::Outcome { stream, outcome })
            }
            WorkerWord::Credit(credit) => {
                let shard = session::shard(credit.shard).map_err(|inner| inner.within("credit"))?;
                if credit.add > self.profile.slots {
                    let refusal = Refusal::invalid("out_of_bounds", "credit.add", "is more than the slots");
                    return Err(refusal.remedy("grant no more than the slots of the Hello").into());
                }
                self.links.say(shard, Message::Credit { stream, add: credit.add })
            }
            WorkerWord::Recall(recall) => {
                let shard = session::shard(recall.shard).map_err(|inner| inner.within("recall"))?;
                self.links.say(shard, Message::Recall { stream, credit: recall.credit })
            }
            WorkerWord::Progress(progress) => {
                let (shard, key, percent, note) =
                    session::progress(&progress).map_err(|inner| inner.within("progress"))?;
                self.worker_works();
                self.links.say(shard, Message::Progress { key, percent, note })
            }
            WorkerWord::Bye(_) => self.links.say_all(&Message::Bye { stream }),
            WorkerWord::Hello(hello) => self.hear_hello_again(hello),
        }
    }

    /// A Hello on a stream that has said one: an owner forgot the worker, or came to be here.
    fn hear_hello_again(&mut self, hello: v1::Hello) -> Result<(), End> {
        let hello = session::hello(hello).map_err(|inner| inner.within("hello"))?;
        if hello.app != self.app || hello.profile().session != self.profile.session {
            return Err(
                refuse("hello_of_another", "a Hello of another worker", "open a stream for it").into()
            );
        }
        self.profile = hello.profile().clone();
        self.say_hello(&hello)?;
        self.must_have_owners()
    }

    fn say_hello(&mut self, hello: &AppHello) -> Result<(), End> {
        let moved = self.links.greet(hello)?;
        self.ready.extend(moved);
        Ok(())
    }

    fn must_have_owners(&self) -> Result<(), End> {
        if self.links.is_empty() { Err(End::Moved) } else { Ok(()) }
    }

    fn hear_owner(&mut self, heard: Heard) -> Result<(), End> {
        match heard {
            Heard::Frames(shard, frames) => {
                self.take(shard, frames);
                self.links.take_turns();
                Ok(())
            }
            Heard::Gone(shard) => {
                let (last, moved) = self.links.depart(shard);
                self.take(shard, last);
                self.ready.extend(moved);
                self.must_have_owners()
            }
            Heard::Closed => Err(Refusal::new(
                RefusalKind::Unavailable,
                "stream_too_slow",
                "the worker does not take what it is sent",
            )
            .remedy("say Hello on a new stream")
            .into()),
        }
    }

    fn take(&mut self, shard: u16, frames: Vec<Frame>) {
        let now = self.session.api.now();
        self.ready.extend(frames.into_iter().map(|frame| session::frame(frame, shard, &self.greeting, now)));
    }

    /// What is ready, gathered: a due ping first, so that a long queue does not look like silence.
    fn next_frame(&mut self) -> v1::ServerFrame {
        self.gather();
        let mut messages = Vec::new();
        if std::mem::take(&mut self.ping_due) {
            let server_time = self.session.api.now().get();
            messages.push(session::message(ServerWord::Ping(v1::Ping { ordinal: self.pings, server_time })));
        }
        let mut bytes = 0;
        while messages.len() < MAX_FRAME_MESSAGES && bytes < MAX_FRAME_BYTES {
            let Some(message) = self.ready.pop_front() else { break };
            bytes += message.encoded_len();
            messages.push(message);
        }
        v1::ServerFrame { messages }
    }

    fn gather(&mut self) {
        let now = self.session.api.now();
        let (ready, greeting) = (&mut self.ready, &self.greeting);
        if ready.len() >= MAX_FRAME_MESSAGES {
            return;
        }
        self.links.gather(|shard, frames| {
            ready.extend(frames.into_iter().map(|frame| session::frame(frame, shard, greeting, now)));
            if ready.len() < MAX_FRAME_MESSAGES { Wanted::Frames } else { Wanted::Nothing }
        });
    }

    fn tick(&mut self) -> Result<(), End> {
        if !self.session.caller.is_valid() {
            let refusal = Refusal::new(
                RefusalKind::Unauthenticated,
                "token_invalid",
                "the token of this stream was revoked or expired",
            );
            return Err(refusal.remedy("connect with a valid token").into());
        }
        let elapsed = self.session.api.clock().elapsed();
        if !self.session.api.trusts_itself() {
            // A ping would tell the worker that its owner acts. It leaves after the silence and asks others.
            self.contact.excuse(elapsed);
            return Ok(());
        }
        match self.contact.judge(elapsed) {
            Verdict::Alive => {}
            Verdict::Silent => {
                return Err(gone_quiet("worker_silent", "the worker did not answer the pings"));
            }
            Verdict::Lifeless => {
                return Err(gone_quiet(
                    "worker_lifeless",
                    "the side that runs the handlers gave no sign of life",
                ));
            }
        }
        if self.contact.must_ping(elapsed) {
            self.pings += 1;
            self.ping_due = true;
        }
        Ok(())
    }

    fn worker_works(&mut self) {
        let (now, elapsed) = self.times();
        self.contact.works(now, elapsed);
    }

    fn times(&self) -> (Millis, Duration) {
        (self.session.api.now(), self.session.api.clock().elapsed())
    }
}
