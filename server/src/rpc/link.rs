//! A stream's link to one owner: messages in order to it, frames in order from it. Full queues stop neither the owner
//! nor the other shards of the stream.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use fastjob_core::id::ShardKey;
use fastjob_core::shard::{Frame, Message, StreamId};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use crate::owner::door::{Door, Gone, Knock};

/// Room for an owner's control frames beside a dispatch for each slot.
const CONTROL_FRAMES: usize = 1_024;
/// Progress is dropped while more messages than this wait for the owner.
const MAX_BEHIND_PROGRESS: usize = 1_024;
/// For each slot, an outcome, a credit and room for a second round may wait for the owner; and some more in all.
const MAX_PENDING_PER_SLOT: usize = 4;

/// The link to one owner.
pub(super) struct Link {
    door: Door,
    knocks: PollSender<Knock>,
    pending: VecDeque<Knock>,
    max_pending: usize,
    frames: mpsc::Receiver<Vec<Frame>>,
}

/// What an owner's side of a link brought.
pub(super) enum Heard {
    /// Frames of this shard.
    Frames(u16, Vec<Frame>),
    /// The loop of this shard's owner has ended.
    Gone(u16),
    /// The owner lives and closed this stream: its queue was full.
    Closed,
}

/// More messages than a worker of these slots can have outstanding.
pub(super) struct Flooded;

impl Link {
    /// A link that has not said anything yet; the owner learns of the stream first.
    pub(super) fn new(door: Door, stream: StreamId, slots: u32) -> Self {
        let slots = slots as usize;
        let (sender, frames) = mpsc::channel(slots + CONTROL_FRAMES);
        let knocks = door.poll_sender();
        let pending = VecDeque::from([Knock::Stream { stream, frames: sender }]);
        Self { door, knocks, pending, max_pending: slots * MAX_PENDING_PER_SLOT + CONTROL_FRAMES, frames }
    }

    /// Which shard.
    pub(super) fn shard(&self) -> u16 {
        self.door.shard().shard
    }

    /// Which shard of which app.
    pub(super) fn key(&self) -> ShardKey {
        self.door.shard()
    }

    /// A message for the owner, behind those before it.
    pub(super) fn say(&mut self, message: Message) -> Result<(), Flooded> {
        let behind = self.pending.len();
        if behind >= MAX_BEHIND_PROGRESS && matches!(message, Message::Progress { .. }) {
            return Ok(());
        }
        if behind >= self.max_pending {
            return Err(Flooded);
        }
        self.pending.push_back(Knock::Message(message));
        Ok(())
    }

    /// Takes what the owner says.
    pub(super) fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        self.frames.poll_recv(cx).map(|frames| self.heard(frames))
    }

    /// More that the owner has said already.
    pub(super) fn more(&mut self) -> Option<Vec<Frame>> {
        self.frames.try_recv().ok()
    }

    /// The last message, after all that still waits.
    pub(super) async fn end(mut self, last: Message) -> Result<(), Gone> {
        // The owner need not fill a queue that nobody reads any more.
        self.frames.close();
        self.pending.push_back(Knock::Message(last));
        std::future::poll_fn(|cx| match self.poll_say(cx) {
            Ok(()) if self.pending.is_empty() => Poll::Ready(Ok(())),
            Ok(()) => Poll::Pending,
            Err(gone) => Poll::Ready(Err(gone)),
        })
        .await
    }

    /// Hands on what waits for the owner, as far as there is room.
    pub(super) fn poll_say(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        while !self.pending.is_empty() {
            match self.knocks.poll_reserve(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(reserved) => reserved.map_err(|_| Gone)?,
            }
            if let Some(knock) = self.pending.pop_front() {
                self.knocks.send_item(knock).map_err(|_| Gone)?;
            }
        }
        Ok(())
    }

    fn heard(&self, frames: Option<Vec<Frame>>) -> Heard {
        match frames {
            Some(frames) => Heard::Frames(self.shard(), frames),
            None if self.door.is_gone() => Heard::Gone(self.shard()),
            None => Heard::Closed,
        }
    }
}
