//! The way to a running owner loop, for those who call it and for the streams of its workers. It carries what is
//! given and waits for answers; it decides nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::id::{Epoch, ShardKey};
use fastjob_core::shard::{Call, Frame, Load, Message, Reply, StreamId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

/// What waits for an owner at most; more wait at the door.
pub const DOOR_CAPACITY: usize = 4_096;

/// How long a call waits for a place in the queue and for its reply, together.
pub const CALL_WAIT: Duration = Duration::from_secs(10);

/// The way to one running owner: a bounded queue. It outlives its owner; then everything through it is [`Gone`].
#[derive(Clone, Debug)]
pub struct Door {
    shard: ShardKey,
    epoch: Epoch,
    knocks: mpsc::Sender<Knock>,
    load: ShownLoad,
}

/// What an owner holds, as its last turn left it; `None` before its first.
#[derive(Clone, Debug, Default)]
pub struct ShownLoad(Arc<Mutex<Option<Load>>>);

impl ShownLoad {
    /// After a turn.
    pub(super) fn show(&self, load: Load) {
        *self.0.lock() = Some(load);
    }
}

/// What reaches an owner.
#[derive(Debug)]
pub enum Knock {
    /// From a worker's stream. Those of one stream keep their order.
    Message(Message),
    /// Somebody asks. A caller that gave up has closed its end.
    Call(Call, oneshot::Sender<Reply>),
    /// A stream's way back, before its Hello. The owner puts a turn's frames in with `try_send`; if there is no room it
    /// drops the sender and treats the stream as ended: the worker connects again and says Hello.
    Stream {
        /// Names the stream in messages and frames.
        stream: StreamId,
        /// Has room for as many frames as the worker's slots allow, and some control frames.
        frames: mpsc::Sender<Vec<Frame>>,
    },
}

/// The owner's loop has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the owner of the shard is gone")]
pub struct Gone;

impl Door {
    /// A door, and the queue behind it for the owner.
    pub fn new(shard: ShardKey, epoch: Epoch) -> (Self, mpsc::Receiver<Knock>) {
        let (knocks, queue) = mpsc::channel(DOOR_CAPACITY);
        (Self { shard, epoch, knocks, load: ShownLoad::default() }, queue)
    }

    /// Asks the owner and waits for its reply, at most [`CALL_WAIT`].
    ///
    /// # Errors
    /// The owner's refusal; `Unavailable` if it is gone or does not answer. Then the call may have taken effect, unless
    /// the code is `owner_gone_before`.
    pub async fn call(&self, call: Call) -> Result<Reply, Refusal> {
        match tokio::time::timeout(CALL_WAIT, self.ask(call)).await {
            Ok(Ok(Reply::Refused(refusal))) | Ok(Err(refusal)) => Err(refusal),
            Ok(Ok(reply)) => Ok(reply),
            Err(_) => Err(unavailable("owner_slow", "the owner of the shard did not answer within 10 s")
                .remedy("repeat the call: with the same request id it takes effect once")),
        }
    }

    async fn ask(&self, call: Call) -> Result<Reply, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.knocks.send(Knock::Call(call, reply)).await.map_err(|_| {
            unavailable("owner_gone_before", "the owner of the shard has just stopped; nothing was done")
                .remedy("repeat the call in a moment")
        })?;
        answer.await.map_err(|_| {
            unavailable("owner_gone", "the owner of the shard stopped before it answered")
                .remedy("repeat the call: with the same request id it takes effect once")
        })
    }

    /// Hands a message over, waiting for room.
    pub async fn send(&self, message: Message) -> Result<(), Gone> {
        self.knocks.send(Knock::Message(message)).await.map_err(|_| Gone)
    }

    /// Makes a stream known, before its Hello is sent.
    pub async fn open_stream(&self, stream: StreamId, frames: mpsc::Sender<Vec<Frame>>) -> Result<(), Gone> {
        self.knocks.send(Knock::Stream { stream, frames }).await.map_err(|_| Gone)
    }

    /// The queue's end for one who polls many.
    pub fn poll_sender(&self) -> PollSender<Knock> {
        PollSender::new(self.knocks.clone())
    }

    /// The owner's loop has ended.
    pub fn is_gone(&self) -> bool {
        self.knocks.is_closed()
    }

    /// Which shard.
    pub fn shard(&self) -> ShardKey {
        self.shard
    }

    /// What the owner holds, as its last turn left it; `None` before its first.
    pub fn load(&self) -> Option<Load> {
        *self.load.0.lock()
    }

    /// Where the owner shows what it holds.
    pub fn shown_load(&self) -> ShownLoad {
        self.load.clone()
    }

    /// Of this ownership when the door was made; a reload raises it without a new door.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

fn unavailable(code: &'static str, message: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Unavailable, code, message)
}

/// The doors of the shards that this server owns now.
#[derive(Clone, Debug, Default)]
pub struct Doors(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_shard: RwLock<HashMap<ShardKey, Door>>,
    next_stream: AtomicU64,
}

impl Doors {
    /// The door of a shard; `None`: this server does not own it.
    pub fn get(&self, shard: ShardKey) -> Option<Door> {
        self.0.by_shard.read().get(&shard).cloned()
    }

    /// A shard is owned from now on.
    pub fn insert(&self, door: Door) {
        self.0.by_shard.write().insert(door.shard, door);
    }

    /// The ownership behind this door is over. The door of a later ownership stays.
    pub fn remove(&self, door: &Door) {
        let mut by_shard = self.0.by_shard.write();
        if by_shard.get(&door.shard).is_some_and(|now| now.knocks.same_channel(&door.knocks)) {
            by_shard.remove(&door.shard);
        }
    }

    /// The doors of all of them.
    pub fn all(&self) -> Vec<Door> {
        self.0.by_shard.read().values().cloned().collect()
    }

    /// How many shards this server owns.
    pub fn len(&self) -> usize {
        self.0.by_shard.read().len()
    }

    /// This server owns no shard.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A stream id that no other stream of this process has.
    pub fn next_stream(&self) -> StreamId {
        StreamId(self.0.next_stream.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
