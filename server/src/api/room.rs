//! What fits into one reply.

use fastjob_core::protocol::v1;

use super::MAX_PAGE_BYTES;

/// What a reply may still hold of payloads, which its caller knows or can ask for one by one.
pub struct Room(usize);

impl Room {
    /// Of a whole reply.
    pub fn of_reply() -> Self {
        Self(MAX_PAGE_BYTES)
    }

    /// A job put, without its params if there is no room.
    pub fn put(&mut self, mut result: v1::JobPutResult) -> v1::JobPutResult {
        if let Some(spec) = result.job.as_mut().and_then(|job| job.spec.as_mut()) {
            self.keep(&mut spec.params);
        }
        result
    }

    /// A run fired, without what there is no room for.
    pub fn triggered(&mut self, mut result: v1::TriggerResult) -> v1::TriggerResult {
        if let Some(v1::trigger_result::Result::Run(run)) = &mut result.result {
            self.keep(&mut run.params);
            self.keep(&mut run.result);
            self.keep(&mut run.error);
        }
        result
    }

    /// The errors of the newest attempts say most.
    pub fn attempts(&mut self, oldest_first: &mut [v1::Attempt]) {
        oldest_first.iter_mut().rev().for_each(|attempt| self.keep(&mut attempt.error));
    }

    fn keep(&mut self, part: &mut Option<impl prost::Message>) {
        let bytes = part.as_ref().map_or(0, prost::Message::encoded_len);
        match self.0.checked_sub(bytes) {
            Some(left) => self.0 = left,
            None => *part = None,
        }
    }
}
