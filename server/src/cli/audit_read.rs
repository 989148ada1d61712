//! What an audit reads, page by page, as the audit wants it.

use fastjob_core::client::Client;
use fastjob_core::clock::Millis;
use fastjob_core::domain::{FireKey, GapReason, Revision, Source, State};
use fastjob_core::id::Id;
use fastjob_core::protocol::{job, v1};

use super::{Exit, Failure, shape};
use crate::audit::{Entry, History, LedgerGap, LedgerRun, Marks, Range};

/// In the year 2286, where a ledger ends.
const LAST: Millis = Millis::new(9_999_999_999_998);
/// In the year 2001, before which a ledger is read in one go.
const FIRST: Millis = Millis::new(1_000_000_000_000);

/// The job as it stands, and its revisions.
pub(super) async fn history(client: &Client, id: &bytes::Bytes) -> Result<(Marks, History), Failure> {
    let (mut marks, mut history) = (None, History::default());
    loop {
        let reply = client.job_history(id.clone(), "", history.newest()).await?;
        if marks.is_none() {
            marks = Some(marks_of(reply.record.as_ref())?);
        }
        if reply.revisions.is_empty() {
            break;
        }
        let before = history.newest();
        let page: Result<Vec<Revision>, Failure> = reply.revisions.into_iter().map(revision).collect();
        history.extend(page?);
        if history.newest() <= before {
            break;
        }
    }
    Ok((marks.ok_or_else(|| Failure::incomplete("record"))?, history))
}

/// The job as it stands now, and what time it is there.
pub(super) async fn marks(client: &Client, id: &bytes::Bytes) -> Result<(Marks, Millis), Failure> {
    let reply = client.job_history(id.clone(), "", u64::MAX >> 1).await?;
    Ok((marks_of(reply.record.as_ref())?, Millis::new(reply.server_time)))
}

/// Gives each line of the ledger to `take`.
pub(super) async fn ledger(
    client: &Client,
    id: &bytes::Bytes,
    range: Range,
    mut take: impl FnMut(Entry),
) -> Result<(), Failure> {
    let mut page = bytes::Bytes::new();
    let (from, to) = (range.from.max(FIRST), range.to.unwrap_or(LAST));
    loop {
        let reply = client.job_ledger_brief(id.clone(), from, to, page.clone()).await?;
        for entry in reply.entries {
            match entry.entry {
                Some(v1::ledger_entry::Entry::Run(message)) => take(Entry::Run(run(&message)?)),
                Some(v1::ledger_entry::Entry::Gap(message)) => take(Entry::Gap(gap(&message)?)),
                None => return Err(newer("a line of the ledger")),
            }
        }
        if reply.next.is_empty() || reply.next == page {
            return Ok(());
        }
        page = reply.next;
    }
}

fn marks_of(record: Option<&v1::JobRecord>) -> Result<Marks, Failure> {
    let record = record.ok_or_else(|| Failure::incomplete("record"))?;
    let stored = record.job.as_ref().ok_or_else(|| Failure::incomplete("job"))?;
    let spec = stored.spec.clone().ok_or_else(|| Failure::incomplete("spec"))?;
    Ok(Marks {
        id: Id::from_slice(&stored.id).ok_or_else(|| Failure::incomplete("id of the job"))?,
        revision: stored.revision,
        definition: definition(spec, stored.created_at)?,
        enabled: stored.enabled,
        next_at: record.next_at.map(Millis::new),
        chain_seq: record.chain_seq,
        created_at: Millis::new(stored.created_at),
        updated_at: Millis::new(stored.updated_at),
        deleted_at: record.deleted_at.map(Millis::new),
    })
}

fn revision(message: v1::JobRevision) -> Result<Revision, Failure> {
    let spec = message.spec.ok_or_else(|| Failure::incomplete("spec"))?;
    let enabled = spec.enabled.unwrap_or(true);
    Ok(Revision {
        revision: message.revision,
        from: Millis::new(message.from_at),
        definition: definition(spec, message.from_at)?,
        enabled,
        deleted: message.deleted,
    })
}

fn definition(
    spec: v1::JobSpec,
    at: i64,
) -> Result<std::sync::Arc<fastjob_core::domain::Definition>, Failure> {
    let name = spec.name.clone();
    let put = job::put(spec, Millis::new(at)).map_err(|refusal| {
        let message = format!("job {name:?} holds what this command cannot read: {refusal}");
        Failure { remedy: NEWER.to_owned(), ..Failure::new(Exit::Failed, message) }
    })?;
    Ok(put.definition.into())
}

fn run(message: &v1::Run) -> Result<LedgerRun, Failure> {
    let source = shape::source(message.source());
    let state = shape::run_state(message.state());
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let state = State::parse(&word(state), &message.reason).ok_or_else(|| newer("the state of a run"))?;
    let fire_key: Option<FireKey> = message.fire_key.parse().ok();
    Ok(LedgerRun {
        id: Id::from_slice(&message.id).ok_or_else(|| Failure::incomplete("id of a run"))?,
        source: Source::parse(&word(source)).ok_or_else(|| newer("the source of a run"))?,
        tick: message.tick.map(Millis::new).filter(|_| matches!(fire_key, Some(FireKey::Tick(_)))),
        ordinal: match fire_key {
            Some(FireKey::Chain(ordinal)) => Some(ordinal),
            _ => None,
        },
        due: Millis::new(message.due),
        revision: message.revision,
        state,
        attempt: message.attempt,
        created_at: Millis::new(message.created_at),
        dispatched_at: message.dispatched_at.map(Millis::new),
        ended_at: message.ended_at.map(Millis::new),
    })
}

fn gap(message: &v1::Gap) -> Result<LedgerGap, Failure> {
    Ok(LedgerGap {
        from: Millis::new(message.from),
        to: Millis::new(message.to),
        count: message.count,
        reason: GapReason::parse(&message.reason).ok_or_else(|| newer("the reason of a gap"))?,
        revision: message.revision,
    })
}

const NEWER: &str = "use a command of the server's version";

fn newer(what: &str) -> Failure {
    let message = format!("{what} is unknown to this command");
    Failure { remedy: NEWER.to_owned(), ..Failure::new(Exit::Failed, message) }
}
