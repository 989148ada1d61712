//! When an owner gives shards away though it could keep them: only if it has had more than it should for a while, and a
//! few at a time, since each hand-over costs the shard's workers a moment.

use std::time::Duration;

use super::Placement;
use crate::id::{ServerId, ShardKey};

/// How long an owner must have been above its cap.
pub const ABOVE_FOR: Duration = Duration::from_secs(60);
/// From one batch of moves to the next.
pub const SHED_EVERY: Duration = Duration::from_secs(10);
/// A batch is at most one of this many shards of the cluster, and at least one shard.
const SHARE: usize = 20;

/// A shard that should have another owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Which.
    pub shard: ShardKey,
    /// To whom.
    pub to: ServerId,
}

/// What one owner remembers of its moves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shedding {
    above_since: Option<Duration>,
    last: Option<Duration>,
}

impl Shedding {
    /// The moves that are due at `now` of the shards that `server` owns. They are counted in the placement, and taken for
    /// done.
    pub fn due(
        &mut self,
        now: Duration,
        server: ServerId,
        owned: &[ShardKey],
        placement: &mut Placement,
    ) -> Vec<Move> {
        if placement.load(server) <= placement.cap() {
            self.above_since = None;
            return Vec::new();
        }
        let since = *self.above_since.get_or_insert(now);
        let just_moved = self.last.is_some_and(|last| now.saturating_sub(last) < SHED_EVERY);
        if now.saturating_sub(since) < ABOVE_FOR || just_moved {
            return Vec::new();
        }
        let moves = choose(server, owned, placement);
        if !moves.is_empty() {
            self.last = Some(now);
        }
        moves
    }
}

/// Those that belong elsewhere first; the bound is shared with the other servers above the cap.
fn choose(server: ServerId, owned: &[ShardKey], placement: &mut Placement) -> Vec<Move> {
    let shedding = placement.above_cap().count().max(1);
    let most = (placement.shards() / SHARE / shedding).max(1);
    let (home, away): (Vec<_>, Vec<_>) =
        owned.iter().copied().partition(|shard| placement.at_home(*shard, server));
    let mut moves = Vec::new();
    for shard in away.into_iter().chain(home) {
        if moves.len() == most || placement.load(server) <= placement.cap() {
            break;
        }
        if let Some(to) = placement.successor_with_room(shard, server) {
            placement.shift(server, to);
            moves.push(Move { shard, to });
        }
    }
    moves
}
