//! Which worker gets a run, among those that can take one now. Pure: no probing, no chance; equal input, equal choice.

mod least_busy;
mod round_robin;

pub use least_busy::least_busy;
pub use round_robin::Rotation;

use crate::id::SessionId;

/// A worker that is connected, not draining, has the handler and has credit left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Who.
    pub session: SessionId,
    /// Attempts it holds.
    pub running: u32,
    /// How many it may hold at a time; at least 1.
    pub slots: u32,
    /// How many more it takes now; at least 1.
    pub credit: u32,
}
