//! The calls that one server hands on to another, which owns the shard: the messages of its clients, within one shard.

use super::v1::forward_reply::Reply as WireReply;
use super::v1::forward_request::Call as WireCall;
use super::{field, job, run, session, v1};
use crate::clock::Millis;
use crate::domain::{Name, Refusal};
use crate::shard::{Backfill, Call, JobChange, JobEdit, JobPut, Reply, WorkerReport};

/// The most outcomes of a report.
pub const MAX_OUTCOMES: usize = 1_000;
/// The most attempts that a report names as running.
pub const MAX_RUNNING: usize = 100_000;

/// A call for the wire. `None`: one that stays within its server.
pub fn call_to(call: &Call, shard: u16) -> Option<WireCall> {
    let app = String::new;
    let enable = |name: &Name| v1::JobSetEnabledRequest { app: app(), name: name.as_str().into() };
    Some(match call {
        Call::JobPut(puts) => {
            WireCall::JobPut(v1::JobPutRequest { app: app(), jobs: puts.iter().map(put_to).collect() })
        }
        Call::JobEnable { name, enabled: true } => WireCall::JobEnable(enable(name)),
        Call::JobEnable { name, enabled: false } => WireCall::JobDisable(enable(name)),
        Call::JobDelete { name } => {
            WireCall::JobDelete(v1::JobDeleteRequest { app: app(), name: name.as_str().into() })
        }
        Call::JobApply(changes) => {
            let changes = changes.iter().map(change_to).collect();
            WireCall::JobApply(v1::JobApplyRequest { app: app(), changes })
        }
        Call::Trigger(fires) => WireCall::Trigger(v1::TriggerRequest {
            app: app(),
            triggers: fires.iter().map(run::fire_to).collect(),
        }),
        Call::JobBackfill(part) => WireCall::JobBackfill(backfill_to(part)),
        Call::RunCancel { run } => {
            WireCall::RunCancel(v1::RunCancelRequest { app: app(), id: field::id_to(run) })
        }
        Call::RunRetry { run, request } => WireCall::RunRetry(v1::RunRetryRequest {
            app: app(),
            id: field::id_to(run),
            request_id: field::id_to(request),
        }),
        Call::Workers => WireCall::Workers(v1::WorkerListRequest { app: app() }),
        Call::Progress { run } => WireCall::Progress(v1::RunGetRequest {
            app: app(),
            by: Some(v1::run_get_request::By::Id(field::id_to(run))),
        }),
        Call::Report(report) => WireCall::Report(report_to(report, shard)),
        Call::Inbox(_) | Call::Overdue => return None,
    })
}

fn backfill_to(part: &Backfill) -> v1::BackfillPart {
    v1::BackfillPart {
        job: part.job.as_str().into(),
        id: field::id_to(&part.id),
        first: part.first,
        ticks: part.ticks.iter().map(|tick| tick.get()).collect(),
        overlap: part.overlap.map(|overlap| job::overlap_to(overlap).into()),
    }
}

fn backfill(part: v1::BackfillPart) -> Result<Backfill, Refusal> {
    field::items("ticks", part.ticks.len(), 0..=Backfill::MAX_PART)?;
    Ok(Backfill {
        job: field::name("job", &part.job)?,
        id: field::id("id", &part.id)?,
        first: part.first,
        ticks: part.ticks.iter().map(|ms| field::instant("ticks", *ms)).collect::<Result<_, _>>()?,
        overlap: part.overlap.map(|overlap| job::overlap("overlap", overlap)).transpose()?,
    })
}

fn put_to(put: &JobPut) -> v1::JobSpec {
    v1::JobSpec { enabled: put.enabled, ..job::spec(&put.name, &put.definition, true) }
}

fn change_to(change: &JobChange) -> v1::JobChange {
    let edit = match &change.edit {
        JobEdit::Put(put) => v1::job_change::Change::Put(put_to(put)),
        JobEdit::Delete(name) => v1::job_change::Change::Delete(name.as_str().into()),
    };
    v1::JobChange { change: Some(edit), seen: change.seen }
}

fn report_to(report: &WorkerReport, shard: u16) -> v1::ReportRequest {
    v1::ReportRequest {
        app: String::new(),
        session: field::id_to(&report.session),
        outcomes: report.outcomes.iter().map(|outcome| session::outcome_to(outcome, shard)).collect(),
        beat: report.life.map(|life| v1::Beat { ping: 0, life }),
        running: report.running.iter().map(|key| session::key_to(key, shard)).collect(),
    }
}

/// Reads a call that another server hands on.
///
/// # Errors
/// The first wrong field; nothing that a server of this version sends is refused.
pub fn call(given: Option<WireCall>, now: Millis) -> Result<Call, Refusal> {
    let given = given.ok_or_else(|| {
        Refusal::invalid("call_missing", "call", "is missing, or of a newer version")
            .remedy("upgrade this server")
    })?;
    Ok(match given {
        WireCall::JobPut(request) => {
            field::items("jobs", request.jobs.len(), 0..=job::MAX_PUT)?;
            let put = |(at, spec)| job::put(spec, now).map_err(|inner| inner.within(&format!("jobs[{at}]")));
            Call::JobPut(request.jobs.into_iter().enumerate().map(put).collect::<Result<_, _>>()?)
        }
        WireCall::JobEnable(request) => {
            Call::JobEnable { name: field::name("name", &request.name)?, enabled: true }
        }
        WireCall::JobDisable(request) => {
            Call::JobEnable { name: field::name("name", &request.name)?, enabled: false }
        }
        WireCall::JobDelete(request) => Call::JobDelete { name: field::name("name", &request.name)? },
        WireCall::JobApply(request) => Call::JobApply(job::changes(request.changes, now)?),
        WireCall::Trigger(request) => {
            field::items("triggers", request.triggers.len(), 0..=run::MAX_TRIGGERS)?;
            let read = |(at, spec)| run::fire(spec).map_err(|inner| inner.within(&format!("triggers[{at}]")));
            Call::Trigger(request.triggers.into_iter().enumerate().map(read).collect::<Result<_, _>>()?)
        }
        WireCall::JobBackfill(part) => Call::JobBackfill(backfill(part)?),
        WireCall::RunCancel(request) => Call::RunCancel { run: field::id("id", &request.id)? },
        WireCall::RunRetry(request) => Call::RunRetry {
            run: field::id("id", &request.id)?,
            request: field::id("request_id", &request.request_id)?,
        },
        WireCall::Workers(_) => Call::Workers,
        WireCall::Progress(request) => match request.by {
            Some(v1::run_get_request::By::Id(id)) => Call::Progress { run: field::id("id", &id)? },
            _ => return Err(Refusal::invalid("run_missing", "id", "is missing").remedy("give the run's id")),
        },
        WireCall::Report(request) => {
            let AppReport { session, life, running, outcomes } = report(request)?;
            Call::Report(WorkerReport {
                session,
                life,
                running: running.into_iter().map(|(_, key)| key).collect(),
                outcomes: outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
            })
        }
    })
}

/// A report as it came: for every shard of the app.
#[derive(Clone, PartialEq, Debug)]
pub struct AppReport {
    /// As in [`WorkerReport`].
    pub session: crate::id::SessionId,
    /// As in [`WorkerReport`].
    pub life: Option<u64>,
    /// Each with its shard.
    pub running: Vec<(u16, crate::id::AttemptKey)>,
    /// Each with its shard.
    pub outcomes: Vec<(u16, crate::domain::Outcome)>,
}

/// Reads a report.
///
/// # Errors
/// The first wrong field, as `outcomes[2].key.run`.
pub fn report(request: v1::ReportRequest) -> Result<AppReport, Refusal> {
    field::items("outcomes", request.outcomes.len(), 0..=MAX_OUTCOMES)?;
    field::items("running", request.running.len(), 0..=MAX_RUNNING)?;
    let outcome =
        |(at, given)| session::outcome(given).map_err(|inner| inner.within(&format!("outcomes[{at}]")));
    let key =
        |(at, given)| session::key(Some(given)).map_err(|inner| inner.within(&format!("running[{at}]")));
    Ok(AppReport {
        session: field::id("session", &request.session)?,
        life: request.beat.map(|beat| beat.life),
        running: request.running.iter().enumerate().map(key).collect::<Result<_, _>>()?,
        outcomes: request.outcomes.into_iter().enumerate().map(outcome).collect::<Result<_, _>>()?,
    })
}

/// An owner's reply for the wire, whole: its sender cuts it to what a message may hold. `None`: a refusal, which is a
/// status, or the reply to a call that stays within its server.
pub fn reply_to(reply: &Reply, shard: u16, app: &Name) -> Option<WireReply> {
    Some(match reply {
        Reply::Put(done) => WireReply::JobPut(v1::JobPutReply {
            results: done.iter().map(|done| job::put_done(done, app)).collect(),
        }),
        Reply::Job(changed) => WireReply::Job(job::job(changed, app)),
        Reply::Deleted => WireReply::JobDelete(v1::JobDeleteReply {}),
        Reply::Applied(done) => {
            WireReply::JobApply(v1::JobApplyReply { results: done.iter().map(job::applied).collect() })
        }
        Reply::Triggered(results) => WireReply::Trigger(v1::TriggerReply {
            results: results.iter().map(|result| run::triggered(result, app)).collect(),
        }),
        Reply::Backfilled(done) => {
            WireReply::JobBackfill(v1::JobBackfillReply { created: done.created, existed: done.existed })
        }
        Reply::Run(found) => WireReply::Run(run::run(found, app)),
        Reply::Workers(workers) => WireReply::Workers(v1::WorkerListReply {
            workers: workers.iter().map(|worker| session::worker(worker, shard)).collect(),
        }),
        Reply::Progress(progress) => WireReply::Progress(v1::ProgressReply {
            percent: progress.as_ref().map(|(percent, _)| u32::from(*percent)),
            note: progress.as_ref().map(|(_, note)| note.to_string()).unwrap_or_default(),
        }),
        Reply::Reported(verdicts) => WireReply::Report(v1::ReportReply {
            acks: verdicts.iter().map(|(key, verdict)| session::ack(key, *verdict, shard)).collect(),
            reached: vec![shard.into()],
            server_time: 0,
        }),
        Reply::Taken | Reply::Overdue(_) | Reply::Refused(_) => return None,
    })
}
