//! What programs and people call.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Name, Refusal, RefusalKind};
use fastjob_core::id::{JobId, RunId};
use fastjob_core::protocol::v1::client_server::Client;
use fastjob_core::protocol::{field, job, run, v1};
use fastjob_core::shard::Load;
use tonic::{Request, Response, Status};

use super::{answer, caller, of_app, refused};
use crate::api::apps::AppSeen;
use crate::api::backfill::BackfillOrder;
use crate::api::jobs::JobBy;
use crate::api::runs::{RunBy, RunSeen};
use crate::api::{Api, Room};
use crate::cluster::directory::Owner;
use crate::store::{JobFilter, LedgerEntry, LedgerFilter, RunFilter, Server};

type Answer<T> = Result<Response<T>, Status>;

/// The service `Client`.
pub(super) struct ClientDoor {
    api: Api,
}

impl ClientDoor {
    pub(super) fn new(api: Api) -> Self {
        Self { api }
    }
}

#[tonic::async_trait]
impl Client for ClientDoor {
    async fn job_put(&self, request: Request<v1::JobPutRequest>) -> Answer<v1::JobPutReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        field::items("jobs", message.jobs.len(), 0..=job::MAX_PUT).map_err(refused)?;
        let now = self.api.now();
        let mut puts = Vec::with_capacity(message.jobs.len());
        for (at, spec) in message.jobs.into_iter().enumerate() {
            let put = job::put(spec, now).map_err(|inner| inner.within(&format!("jobs[{at}]")));
            puts.push(put.map_err(refused)?);
        }
        let done = self.api.job_put(&by, puts).await.map_err(refused)?;
        let mut room = Room::of_reply();
        let results = done.into_iter().map(|result| room.put(result)).collect();
        answer(v1::JobPutReply { results })
    }

    async fn job_get(&self, request: Request<v1::JobGetRequest>) -> Answer<v1::Job> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let name = field::name("name", &message.name).map_err(refused)?;
        let found = self.api.job_get(&by, &name).await.map_err(refused)?;
        answer(job::job(&found, &by.app().name))
    }

    async fn job_list(&self, request: Request<v1::JobListRequest>) -> Answer<v1::JobListReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let after = (!message.after.is_empty()).then(|| field::name("after", &message.after));
        let after = after.transpose().map_err(refused)?;
        let jobs = self.api.job_list(&by, after.as_ref(), message.limit).await.map_err(refused)?;
        answer(v1::JobListReply { jobs: jobs.iter().map(|found| job::job(found, &by.app().name)).collect() })
    }

    async fn job_enable(&self, request: Request<v1::JobSetEnabledRequest>) -> Answer<v1::Job> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let name = field::name("name", &message.name).map_err(refused)?;
        answer(self.api.job_enable(&by, name).await.map_err(refused)?)
    }

    async fn job_disable(&self, request: Request<v1::JobSetEnabledRequest>) -> Answer<v1::Job> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let name = field::name("name", &message.name).map_err(refused)?;
        answer(self.api.job_disable(&by, name).await.map_err(refused)?)
    }

    async fn job_delete(&self, request: Request<v1::JobDeleteRequest>) -> Answer<v1::JobDeleteReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let name = field::name("name", &message.name).map_err(refused)?;
        self.api.job_delete(&by, name).await.map_err(refused)?;
        answer(v1::JobDeleteReply {})
    }

    async fn job_apply(&self, request: Request<v1::JobApplyRequest>) -> Answer<v1::JobApplyReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let changes = job::changes(message.changes, self.api.now()).map_err(refused)?;
        let results = self.api.job_apply(&by, changes).await.map_err(refused)?;
        answer(v1::JobApplyReply { results })
    }

    async fn job_next(&self, request: Request<v1::JobNextRequest>) -> Answer<v1::JobNextReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let name = field::name("name", &message.name).map_err(refused)?;
        let from = message.from.map(|from| field::instant("from", from)).transpose().map_err(refused)?;
        let ticks = self.api.job_next(&by, &name, from, message.count).await.map_err(refused)?;
        answer(v1::JobNextReply { ticks: ticks.into_iter().map(Millis::get).collect() })
    }

    async fn job_backfill(&self, request: Request<v1::JobBackfillRequest>) -> Answer<v1::JobBackfillReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let order = backfill(&message).map_err(refused)?;
        answer(self.api.job_backfill(&by, order).await.map_err(refused)?)
    }

    async fn job_ledger(&self, request: Request<v1::JobLedgerRequest>) -> Answer<v1::JobLedgerReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let which = job_by(&message.id, &message.name).map_err(refused)?;
        let filter = LedgerFilter {
            from: Millis::new(message.from),
            to: Millis::new(message.to),
            after: page(&message.page).map_err(refused)?,
            limit: message.limit,
        };
        let ledger = self.api.job_ledger(&by, &which, filter).await.map_err(refused)?;
        let app = &by.app().name;
        let entry = |entry: &LedgerEntry| match entry {
            LedgerEntry::Run(found) if message.brief => {
                v1::ledger_entry::Entry::Run(run::brief(run::run(found, app)))
            }
            LedgerEntry::Run(found) => v1::ledger_entry::Entry::Run(run::run(found, app)),
            LedgerEntry::Gap(gap) => v1::ledger_entry::Entry::Gap(run::gap(gap, app, &ledger.job)),
        };
        let entries = ledger.entries.iter().map(|of| v1::LedgerEntry { entry: Some(entry(of)) }).collect();
        let next = ledger.next.map(|(at, id)| [&at.get().to_be_bytes()[..], id.as_bytes()].concat());
        answer(v1::JobLedgerReply { entries, next: next.unwrap_or_default().into() })
    }

    async fn job_list_all(&self, request: Request<v1::JobListAllRequest>) -> Answer<v1::JobListAllReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let name = (!message.name.is_empty()).then(|| field::name("name", &message.name));
        let filter = JobFilter {
            name: name.transpose().map_err(refused)?,
            after: jobs_page(&message.page).map_err(refused)?,
            limit: message.limit,
        };
        let (jobs, next) = self.api.job_list_all(&by, filter).await.map_err(refused)?;
        let jobs = jobs.iter().map(|found| job::record(found, &by.app().name)).collect();
        let next = next.map(|(name, id)| [id.as_bytes(), name.as_str().as_bytes()].concat());
        answer(v1::JobListAllReply { jobs, next: next.unwrap_or_default().into() })
    }

    async fn job_history(&self, request: Request<v1::JobHistoryRequest>) -> Answer<v1::JobHistoryReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let which = job_by(&message.id, &message.name).map_err(refused)?;
        let server_time = self.api.now().get();
        let (found, revisions) =
            self.api.job_history(&by, &which, message.after, message.limit).await.map_err(refused)?;
        answer(v1::JobHistoryReply {
            record: Some(job::record(&found, &by.app().name)),
            revisions: revisions.iter().map(|each| job::revision(each, &found.name)).collect(),
            server_time,
        })
    }

    async fn trigger(&self, request: Request<v1::TriggerRequest>) -> Answer<v1::TriggerReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let read = |(at, spec)| run::fire(spec).map_err(|inner| inner.within(&format!("triggers[{at}]")));
        field::items("triggers", message.triggers.len(), 0..=run::MAX_TRIGGERS).map_err(refused)?;
        let fires = message.triggers.into_iter().enumerate().map(read).collect();
        let results = self.api.trigger(&by, fires).await.map_err(refused)?;
        let mut room = Room::of_reply();
        let results = results.into_iter().map(|result| room.triggered(result)).collect();
        answer(v1::TriggerReply { results })
    }

    async fn run_get(&self, request: Request<v1::RunGetRequest>) -> Answer<v1::Run> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let which = run_by(message.by).map_err(refused)?;
        let RunSeen { run: found, attempts, progress } =
            self.api.run_get(&by, which).await.map_err(refused)?;
        let (percent, note) = progress
            .map_or((None, String::new()), |(percent, note)| (Some(u32::from(percent)), note.to_string()));
        let mut attempts = run::attempts(&found, &attempts);
        Room::of_reply().attempts(&mut attempts);
        answer(v1::Run {
            attempts,
            progress_percent: percent,
            progress_note: note,
            ..run::run(&found, &by.app().name)
        })
    }

    async fn run_list(&self, request: Request<v1::RunListRequest>) -> Answer<v1::RunListReply> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let job = (!message.job.is_empty()).then(|| field::name("job", &message.job));
        let filter = RunFilter {
            job: job.transpose().map_err(refused)?,
            states: run::states(&message.states).map_err(refused)?,
            before: field::optional_id("before", &message.before).map_err(refused)?,
            limit: message.limit,
        };
        let runs = self.api.run_list(&by, filter).await.map_err(refused)?;
        answer(v1::RunListReply { runs: runs.iter().map(|found| run::run(found, &by.app().name)).collect() })
    }

    async fn run_wait(&self, request: Request<v1::RunWaitRequest>) -> Answer<v1::Run> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let which = waited(&message).map_err(refused)?;
        let found = self.api.run_wait(&by, which, message.timeout_ms).await.map_err(refused)?;
        answer(run::run(&found, &by.app().name))
    }

    async fn run_cancel(&self, request: Request<v1::RunCancelRequest>) -> Answer<v1::Run> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let id = field::id("id", &message.id).map_err(refused)?;
        answer(self.api.run_cancel(&by, id).await.map_err(refused)?)
    }

    async fn run_retry(&self, request: Request<v1::RunRetryRequest>) -> Answer<v1::Run> {
        let (by, message) = of_app(&self.api, request, |message| &message.app).await?;
        let id = field::id("id", &message.id).map_err(refused)?;
        let repeat = field::id("request_id", &message.request_id).map_err(refused)?;
        answer(self.api.run_retry(&by, id, repeat).await.map_err(refused)?)
    }

    async fn app_list(&self, request: Request<v1::AppListRequest>) -> Answer<v1::AppListReply> {
        let by = caller(&self.api, &request).await.map_err(refused)?;
        answer(v1::AppListReply { apps: self.api.app_list(&by).into_iter().map(app).collect() })
    }

    async fn worker_list(&self, request: Request<v1::WorkerListRequest>) -> Answer<v1::WorkerListReply> {
        let (by, _) = of_app(&self.api, request, |message| &message.app).await?;
        let workers = self.api.worker_list(&by).await.map_err(refused)?;
        answer(v1::WorkerListReply { workers })
    }

    async fn server_list(&self, request: Request<v1::ServerListRequest>) -> Answer<v1::ServerListReply> {
        let by = caller(&self.api, &request).await.map_err(refused)?;
        let servers = self.api.server_list(&by).await.map_err(refused)?;
        let now = self.api.now();
        let servers = servers.into_iter().map(|each| server(each, now)).collect();
        answer(v1::ServerListReply { servers })
    }
}

/// An app for the wire.
pub(super) fn app(seen: AppSeen) -> v1::App {
    let states = seen.owners.iter().zip(seen.loads).map(|(owner, load)| v1::ShardState {
        server: owner.server.map(|server| server.as_bytes().to_vec().into()).unwrap_or_default(),
        load: load.map(shard_load),
    });
    v1::App {
        name: seen.app.name.as_str().into(),
        shards: seen.app.shards.into(),
        created_at: seen.app.created_at.get(),
        states: states.collect(),
        owners: seen.owners.into_iter().map(owner).collect(),
    }
}

fn backfill(message: &v1::JobBackfillRequest) -> Result<BackfillOrder, Refusal> {
    Ok(BackfillOrder {
        job: field::name("name", &message.name)?,
        id: field::id("request_id", &message.request_id)?,
        from: field::instant("from", message.from)?,
        to: field::instant("to", message.to)?,
        overlap: message.overlap.map(|overlap| job::overlap("overlap", overlap)).transpose()?,
    })
}

fn shard_load(load: Load) -> v1::ShardLoad {
    v1::ShardLoad {
        waiting: load.waiting as u64,
        buffered: load.buffered as u64,
        scheduled: load.scheduled as u64,
        dispatched: load.dispatched as u64,
    }
}

/// The owner of a shard for the wire.
pub(super) fn owner(owner: Owner) -> v1::ShardOwner {
    v1::ShardOwner {
        shard: owner.shard.shard.into(),
        epoch: owner.epoch.0,
        address: owner.address.unwrap_or_default(),
    }
}

fn server((server, shards): (Server, u32), now: Millis) -> v1::ServerState {
    v1::ServerState {
        id: server.id.as_bytes().to_vec().into(),
        rpc_address: server.rpc_address,
        http_address: server.http_address,
        version: server.version,
        state: server.phase.as_str().into(),
        renewed_at: server.renewed_at.get(),
        renewed_ago_ms: now.since(server.renewed_at).max(0),
        shards,
    }
}

fn run_by(by: Option<v1::run_get_request::By>) -> Result<RunBy, Refusal> {
    match by {
        Some(v1::run_get_request::By::Id(id)) => Ok(RunBy::Id(field::id("id", &id)?)),
        Some(v1::run_get_request::By::Key(key)) => Ok(RunBy::Key {
            job: field::name("key.job", &key.job)?,
            key: field::shared_text("key.idempotency_key", &key.idempotency_key, run::MAX_KEY_CHARS)?,
        }),
        Some(v1::run_get_request::By::Request(given)) => Ok(RunBy::Request {
            job: field::name("request.job", &given.job)?,
            request: field::id("request.request_id", &given.request_id)?,
        }),
        None => Err(Refusal::new(RefusalKind::Invalid, "run_missing", "the call names no run")
            .remedy("give its id, or its job and idempotency key")),
    }
}

fn waited(message: &v1::RunWaitRequest) -> Result<RunBy, Refusal> {
    let by = match (&message.request, &message.key) {
        (Some(request), _) => v1::run_get_request::By::Request(request.clone()),
        (None, Some(key)) => v1::run_get_request::By::Key(key.clone()),
        (None, None) => v1::run_get_request::By::Id(message.id.clone()),
    };
    run_by(Some(by))
}

fn page(bytes: &[u8]) -> Result<Option<(Millis, RunId)>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (at, id) = bytes.split_first_chunk::<8>().ok_or_else(bad_page)?;
    let id = RunId::from_slice(id).ok_or_else(bad_page)?;
    Ok(Some((Millis::new(i64::from_be_bytes(*at)), id)))
}

fn jobs_page(bytes: &[u8]) -> Result<Option<(Name, JobId)>, Refusal> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (id, name) = bytes.split_first_chunk::<16>().ok_or_else(bad_page)?;
    let name = std::str::from_utf8(name).ok().and_then(|name| Name::parse(name).ok()).ok_or_else(bad_page)?;
    Ok(Some((name, JobId::from_bytes(*id))))
}

fn bad_page() -> Refusal {
    Refusal::invalid("bad_page", "page", "is not one of ours").remedy("give the `next` of a reply")
}

fn job_by(id: &[u8], name: &str) -> Result<JobBy, Refusal> {
    match field::optional_id("id", id)? {
        Some(id) => Ok(JobBy::Id(id)),
        None => field::name("name", name).map(JobBy::Name),
    }
}
