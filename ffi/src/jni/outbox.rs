//! The frames that wait for Java to poll them, and their layout. Nothing here knows what a frame means.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

/// What the native side says to Java: the mirror of `io.fastjob.internal.Frame`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Its meaning depends on the kind.
    pub(super) code: u8,
    /// The worker it is about, 0 if none.
    pub(super) worker: u16,
    /// Its meaning depends on the kind.
    pub(super) id: u64,
    pub(super) body: Bytes,
}

/// Sorts of [`Frame`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Dispatch = 1,
    Cancel = 2,
    Completion = 3,
    Log = 4,
    State = 5,
    Closed = 6,
}

/// Frames in the order in which they were said. Bounded by what causes them: a dispatch and a cancel per slot, a
/// completion per call (Java makes at most 10,000 at a time), a state per worker; lines of the log are dropped while
/// [`Outbox::MAX_WAITING_WITH_LOG`] frames wait.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Frame>>,
    said: Condvar,
}

/// What a poll found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Polled {
    /// So many bytes were written; 0 when there was nothing to say.
    Written(usize),
    /// Nothing was written: the next frame needs so many.
    Needs(usize),
}

impl Frame {
    /// Length of the body, kind, code, worker, id.
    const HEADER_BYTES: usize = 4 + 1 + 1 + 2 + 8;

    fn bytes(&self) -> usize {
        Self::HEADER_BYTES + self.body.len()
    }

    /// Writes it to the front of `to`, which has room for it.
    fn write(&self, to: &mut [u8]) {
        let length = u32::try_from(self.body.len()).expect("a message is at most 64 MiB long");
        to[..4].copy_from_slice(&length.to_be_bytes());
        to[4] = self.kind as u8;
        to[5] = self.code;
        to[6..8].copy_from_slice(&self.worker.to_be_bytes());
        to[8..16].copy_from_slice(&self.id.to_be_bytes());
        to[16..self.bytes()].copy_from_slice(&self.body);
    }
}

impl Outbox {
    const MAX_WAITING_WITH_LOG: usize = 1_000;

    /// Adds a frame for the next poll.
    pub(super) fn say(&self, frame: Frame) {
        let mut waiting = self.waiting.lock();
        if frame.kind == Kind::Log && waiting.len() >= Self::MAX_WAITING_WITH_LOG {
            return;
        }
        waiting.push_back(frame);
        drop(waiting);
        self.said.notify_one();
    }

    /// Writes as many frames as `buffer` holds; waits at most `timeout` for the first.
    pub(super) fn poll(&self, buffer: &mut [u8], timeout: Duration) -> Polled {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            self.said.wait_for(&mut waiting, timeout);
        }
        let mut written = 0;
        while let Some(frame) = waiting.front() {
            if buffer.len() - written < frame.bytes() {
                let needed = frame.bytes();
                return if written == 0 { Polled::Needs(needed) } else { Polled::Written(written) };
            }
            frame.write(&mut buffer[written..]);
            written += frame.bytes();
            waiting.pop_front();
        }
        Polled::Written(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, body: &'static [u8]) -> Frame {
        Frame { kind: Kind::Completion, code: 5, worker: 0x0102, id, body: Bytes::from_static(body) }
    }

    #[test]
    fn frames_are_written_in_order_with_their_header_in_big_endian() {
        let outbox = Outbox::default();
        outbox.say(frame(1, b"ab"));
        outbox.say(frame(u64::MAX, b""));
        let mut buffer = [0; 64];
        assert_eq!(outbox.poll(&mut buffer, Duration::ZERO), Polled::Written(34));
        assert_eq!(buffer[..18], *b"\0\0\0\x02\x03\x05\x01\x02\0\0\0\0\0\0\0\x01ab");
        assert_eq!(buffer[18..34], *b"\0\0\0\0\x03\x05\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(outbox.poll(&mut buffer, Duration::ZERO), Polled::Written(0));
    }

    #[test]
    fn what_does_not_fit_stays_for_the_next_poll() {
        let outbox = Outbox::default();
        outbox.say(frame(1, b"ab"));
        outbox.say(frame(2, b"abcd"));
        let mut buffer = [0; 37];
        assert_eq!(outbox.poll(&mut buffer, Duration::ZERO), Polled::Written(18));
        assert_eq!(outbox.poll(&mut buffer[..19], Duration::ZERO), Polled::Needs(20));
        assert_eq!(outbox.poll(&mut buffer, Duration::ZERO), Polled::Written(20));
        assert_eq!(buffer[15], 2);
    }

    #[test]
    fn a_frame_ends_a_poll_that_waits_in_another_thread() {
        let outbox = Outbox::default();
        std::thread::scope(|scope| {
            let poll = scope.spawn(|| outbox.poll(&mut [0; 32], Duration::MAX));
            outbox.say(frame(1, b""));
            assert_eq!(poll.join().unwrap(), Polled::Written(16));
        });
    }
}
