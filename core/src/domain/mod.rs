//! What things are. Plain values that cannot be wrong: whatever comes from outside is parsed into them at the edge.
//! Nothing here is async, reads a clock, or knows how it is stored or sent.

pub mod job;
pub mod name;
pub mod payload;
pub mod refusal;
pub mod run;
pub mod trigger;
pub mod worker;

pub use job::{
    Backoff, CatchUp, CatchUpPolicy, Definition, Job, Limits, ManagedBy, Overlap, Retry, Revision, Routing,
    Timing, shard_of,
};
pub use name::Name;
pub use payload::{Encoding, Failure, Payload};
pub use refusal::{Refusal, RefusalKind};
pub use run::{
    Assignment, Attempt, AttemptEnd, BadFireKey, Cancel, CancelCause, Ended, FailReason, FireKey, Gap,
    GapReason, Outcome, OutcomeKind, Run, SkipReason, Source, State,
};
pub use trigger::{Cron, DailyWindow, Dialect, GapRule, OverlapRule, Trigger, Weekday};
pub use worker::{HandlerOffer, Hello, WorkerProfile};
