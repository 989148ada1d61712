//! The order of a ledger and of fire keys: what every database is asked for, and how its answers are put together.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{FireKey, Gap, Job, Run};
use fastjob_core::id::RunId;

use super::backend::{LedgerEntry, LedgerFilter};

/// The newest runs of a chain among which its last end is looked for first.
pub(super) const CHAIN_WINDOW: u64 = 8;
/// In the year 2286, where ticks end to sort by their text.
pub(super) const LAST_TICK: Millis = Millis::new(9_999_999_999_999);
/// The id that stands for a gap in the order of a ledger: above every run's.
const GAP_ID: [u8; 16] = [0xff; 16];

/// Where the runs of ticks of a ledger's page stand in the index of fire keys.
pub(super) struct TickKeys {
    /// The first key.
    pub(super) first: String,
    /// The last one.
    pub(super) last: String,
    /// As many as the page can need; all, where keys do not sort as their ticks do.
    pub(super) limit: i64,
}

impl TickKeys {
    /// Where keys sort as their ticks do, the page begins where the one before ended.
    pub(super) fn of(filter: &LedgerFilter) -> Self {
        let from = filter.after.map_or(filter.from, |(at, _)| at.max(filter.from));
        let (first, last) = tick_keys(from, filter.to);
        // One more: the first may be the last of the page before.
        let limit = if sorts(from, filter.to) { i64::from(filter.limit) + 1 } else { i64::MAX };
        Self { first, last, limit }
    }
}

/// The first and the last fire key that ticks in [from, to] can have. A range in which keys do not sort as their ticks do
/// takes in every tick's key.
pub(super) fn tick_keys(from: Millis, to: Millis) -> (String, String) {
    if sorts(from, to) {
        (FireKey::Tick(from).to_string(), FireKey::Tick(to).to_string())
    } else {
        ("t".to_owned(), "t~".to_owned())
    }
}

/// Keys of 13 digits (years 2001 to 2286) sort as their numbers do.
fn sorts(from: Millis, to: Millis) -> bool {
    const DIGITS_13: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;
    DIGITS_13.contains(&from.get()) && DIGITS_13.contains(&to.get())
}

/// The keys of a chain's newest runs, newest first.
pub(super) fn chain_keys(job: &Job) -> Vec<String> {
    let newest = (job.chain_seq.saturating_sub(CHAIN_WINDOW)..=job.chain_seq).rev();
    newest.map(|ordinal| FireKey::Chain(ordinal).to_string()).collect()
}

/// The entry after which a page of a ledger begins.
pub(super) struct LedgerStart {
    /// Its instant.
    pub(super) at: Millis,
    /// Runs of that instant come after this one.
    pub(super) run: RunId,
    /// A gap of that instant is still to come: it stands after every run.
    pub(super) gap: bool,
}

impl LedgerStart {
    pub(super) fn of(filter: &LedgerFilter) -> Self {
        match filter.after {
            Some((at, run)) => Self { at, run, gap: *run.as_bytes() < GAP_ID },
            None => Self { at: Millis::new(i64::MIN), run: RunId::from_bytes([0; 16]), gap: true },
        }
    }
}

/// One page of a ledger, of these runs and gaps.
pub(super) fn ledger_page(runs: Vec<Run>, gaps: Vec<Gap>, limit: u32) -> Vec<LedgerEntry> {
    let runs = runs.into_iter().map(|run| LedgerEntry::Run(Box::new(run)));
    let mut entries: Vec<LedgerEntry> = runs.chain(gaps.into_iter().map(LedgerEntry::Gap)).collect();
    entries.sort_by_key(place);
    entries.truncate(limit as usize);
    entries
}

fn place(entry: &LedgerEntry) -> (Millis, [u8; 16]) {
    match entry {
        LedgerEntry::Run(run) => (run.tick.unwrap_or(run.due), *run.id.as_bytes()),
        LedgerEntry::Gap(gap) => (gap.from, GAP_ID),
    }
}

/// Cuts a list that was asked for with one row too many; tells whether there are more.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32) -> bool {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    more
}
