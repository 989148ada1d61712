//! How servers share the shards without talking to each other: how long a lease lasts, who is dead, who should have
//! which shard, and when one moves. Pure: it is told what was read and what time it is, and does nothing itself.
//! Nothing here is needed for safety, which is the fence's: a wrong answer costs time, not a run.

mod deaths;
mod lease;
mod placement;
mod shedding;

pub use deaths::{Seen, Watch};
pub use lease::LeaseTerms;
pub use placement::{CLAIM_DELAY_PER_RANK, Peer, Placement};
pub use shedding::{ABOVE_FOR, Move, SHED_EVERY, Shedding};
