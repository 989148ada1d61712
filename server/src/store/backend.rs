//! What every database must do. Each method is one sentence, one transaction, and one statement if it can be.
//! The conformance suite in `server/tests/store.rs` runs on every backend and defines what the sentences mean.

use bytes::Bytes;
use fastjob_core::clock::Millis;
use fastjob_core::domain::{self, Attempt, FireKey, Gap, Job, Name, Revision, Run};
use fastjob_core::id::{AppId, Epoch, InboxId, JobId, RunId, ServerId, ShardKey, TokenId};
use fastjob_core::shard::{Facts, Needs, OpenPage, Rows};

use super::error::StoreError;

/// Apps and their tokens.
pub(super) trait Apps {
    /// Creates an app, its shards without an owner, and its first token. `None`: the name is taken.
    async fn app_create(&self, app: &NewApp) -> Result<Option<App>, StoreError>;
    /// All apps in order of name.
    async fn app_list(&self) -> Result<Vec<App>, StoreError>;
    /// Writes the administrator's token unless there ever was one; tells whether it was written.
    async fn admin_token_init(&self, token: &NewToken) -> Result<bool, StoreError>;
    /// Writes a token. An app has at most two that are valid: `false` if it would be the third.
    async fn token_create(&self, token: &NewToken) -> Result<bool, StoreError>;
    /// The app's tokens, oldest first; those of the administrator for `None`.
    async fn token_list(&self, app: Option<AppId>) -> Result<Vec<Token>, StoreError>;
    /// Revokes one; `false` if the app has no such token that is valid.
    async fn token_revoke(&self, app: Option<AppId>, token: TokenId, now: Millis)
    -> Result<bool, StoreError>;
    /// Every token that is neither revoked nor expired, with its hash.
    async fn token_valid(&self, now: Millis) -> Result<Vec<Token>, StoreError>;
}

/// Servers, and who owns what.
pub(super) trait Ownership {
    /// Writes down whose database this is, if nobody has, or if it is still the one who is replaced. Answers whose it is.
    async fn cluster_key_set(&self, key_id: &str, replaced: Option<&str>) -> Result<String, StoreError>;
    /// Writes a new server, state up, seq 0.
    async fn server_join(&self, server: &NewServer) -> Result<(), StoreError>;
    /// Raises the server's own seq from `seq` to `seq + 1`. `None`: the row is not as expected: this server was
    /// declared dead.
    async fn server_renew(&self, server: ServerId, seq: u64) -> Result<Option<Renewal>, StoreError>;
    /// Declares a server draining or dead if it is not dead and its seq is still `seq`; tells whether it was.
    async fn server_mark(&self, server: ServerId, seq: u64, state: ServerPhase) -> Result<bool, StoreError>;
    /// Removes at most `limit` rows of servers that are dead, renewed last before `before`, and own nothing. Answers how
    /// many.
    async fn servers_forget(&self, before: Millis, limit: u32) -> Result<u64, StoreError>;
    /// All servers, newest first.
    async fn server_list(&self) -> Result<Vec<Server>, StoreError>;
    /// Every shard with its owner, in order of (app, shard).
    async fn owner_list(&self) -> Result<Vec<Owned>, StoreError>;
    /// Gives to `server` each of these shards whose owner and epoch are still as seen and whose owner is null or dead; all
    /// in one transaction. The new epoch is max(old + 1, now); `outage_from` becomes the dead owner's last renewal unless
    /// it is set; what was desired is cleared. Each is logged in `owner_log`. Answers those that were given.
    async fn shards_claim(
        &self,
        seen: &[Owned],
        server: ServerId,
        now: Millis,
    ) -> Result<Vec<(ShardKey, Claimed)>, StoreError>;
    /// Gives up each of these shards that `server` still holds at that epoch, all in one transaction. From now on nobody
    /// sees their ticks: `outage_from` becomes `now` unless it is set. Answers those that were given up.
    async fn shards_release(
        &self,
        released: &[Release],
        server: ServerId,
        now: Millis,
    ) -> Result<Vec<ShardKey>, StoreError>;
    /// Asks the owners of these shards to hand them over. Answers how many of them exist.
    async fn shards_desire(&self, shards: &[ShardKey], desired: Desired) -> Result<u64, StoreError>;
    /// Raises the epoch of a shard that `server` still holds at `epoch`, to max(epoch + 1, now). `None`: it does not.
    async fn epoch_raise(
        &self,
        shard: ShardKey,
        server: ServerId,
        epoch: Epoch,
        now: Millis,
    ) -> Result<Option<Claimed>, StoreError>;
}

/// What an owner reads and writes.
pub(super) trait Shards {
    /// Open runs after `after` in order of id that are dispatched, due up to `until`, or have had an attempt.
    async fn open_page(
        &self,
        shard: ShardKey,
        until: Millis,
        after: Option<RunId>,
        limit: u32,
    ) -> Result<OpenPage, StoreError>;
    /// What a turn needs: one read per kind that is asked for.
    async fn facts(&self, shard: ShardKey, needs: &Needs) -> Result<Facts, StoreError>;
    /// Commits turns of different shards in one transaction, fences first. A turn whose fence is missing is refused
    /// alone. An error refuses them all; nothing was written unless its kind is unknown.
    async fn turns_commit(&self, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError>;
}

/// Commands that wait for an owner, put by servers that could not reach it and by plain SQL.
pub(super) trait Inbox {
    /// Writes rows; one whose id is there already stays as it is.
    async fn inbox_put(&self, rows: &[InboxRow]) -> Result<(), StoreError>;
    /// Rows that have not failed, of the apps of which `server` owns a shard and of names that no app has; by
    /// (created_at, id), at most `limit`.
    async fn inbox_read(&self, server: ServerId, limit: u32) -> Result<Vec<InboxRow>, StoreError>;
    /// Sets rows aside whose app does not exist. Others, and those set aside before, stay as they are.
    async fn inbox_refuse(&self, rows: &[InboxId], now: Millis, reason: &str) -> Result<(), StoreError>;
    /// Rows that were set aside, newest first.
    async fn inbox_failed(&self, app: &str, limit: u32) -> Result<Vec<InboxRow>, StoreError>;
}

/// What clients and people ask. Answered without the owner.
pub(super) trait Queries {
    /// A living job by name.
    async fn job_get(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError>;
    /// Living jobs in order of name, after `after`.
    async fn job_list(&self, app: AppId, after: Option<&Name>, limit: u32) -> Result<Vec<Job>, StoreError>;
    /// A run and its superseded attempts, oldest first.
    async fn run_get(&self, app: AppId, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError>;
    /// The run of a job, living or deleted, by fire key.
    async fn run_fired(&self, app: AppId, job: &Name, key: &FireKey) -> Result<Option<RunId>, StoreError>;
    /// Runs, newest first.
    async fn run_list(&self, app: AppId, filter: &RunFilter) -> Result<Vec<Run>, StoreError>;
    /// Runs of a job (the newest of its name) whose tick, or due instant without one, lies in [from, to), and gaps that
    /// overlap it, in order of (instant, id).
    async fn ledger(&self, job: JobId, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError>;
    /// The newest job of this name, a tombstone if none lives.
    async fn job_newest(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError>;
    /// A job by id, living or deleted.
    async fn job_by_id(&self, app: AppId, id: JobId) -> Result<Option<Job>, StoreError>;
    /// Jobs, living and deleted, in order of (name, id).
    async fn job_list_all(&self, app: AppId, filter: &JobFilter) -> Result<Vec<Job>, StoreError>;
    /// Revisions of a job after `after`, in order, at most `limit`.
    async fn job_history(&self, job: JobId, after: u64, limit: u32) -> Result<Vec<Revision>, StoreError>;
    /// Enabled living jobs of all apps that have no next tick, in order of id after `after`. Those whose trigger has no
    /// ticks need not be among them.
    async fn jobs_tickless(&self, after: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError>;
}

/// An app to create.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// Unique.
    pub name: Name,
    /// Fixed for its life; at least 1.
    pub shards: u16,
    /// Its first token; `app` is ignored.
    pub token: NewToken,
    /// Now.
    pub created_at: Millis,
}

/// An app.
#[derive(Clone, PartialEq, Debug)]
pub struct App {
    /// Its row.
    pub id: AppId,
    /// Its name.
    pub name: Name,
    /// How many shards it has.
    pub shards: u16,
    /// When it was created.
    pub created_at: Millis,
}

impl App {
    /// The shard of a job: by the hash of its name, so that every server finds it without asking.
    pub fn shard_of(&self, job: &str) -> ShardKey {
        ShardKey { app: self.id, shard: domain::shard_of(job, self.shards) }
    }
}

/// A token to write: its hash alone.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Names it.
    pub id: TokenId,
    /// Whose; `None`: the administrator's.
    pub app: Option<AppId>,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// For people.
    pub note: String,
    /// Now.
    pub created_at: Millis,
    /// `None`: never.
    pub expires_at: Option<Millis>,
}

/// A token as its row holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Token {
    /// Names it.
    pub id: TokenId,
    /// Whose; `None`: the administrator's.
    pub app: Option<AppId>,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// For people.
    pub note: String,
    /// When it was made.
    pub created_at: Millis,
    /// `None`: never.
    pub expires_at: Option<Millis>,
    /// `None`: valid.
    pub revoked_at: Option<Millis>,
}

/// A server that joins.
#[derive(Clone, Debug)]
pub struct NewServer {
    /// Of this process.
    pub id: ServerId,
    /// Where workers, clients and servers reach it.
    pub rpc_address: String,
    /// Where people reach it.
    pub http_address: String,
    /// Of the program.
    pub version: String,
    /// Now.
    pub at: Millis,
}

/// A server as its row holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Server {
    /// Of the process.
    pub id: ServerId,
    /// Where workers, clients and servers reach it.
    pub rpc_address: String,
    /// Where people reach it.
    pub http_address: String,
    /// Of the program.
    pub version: String,
    /// What it says, or others say, of it.
    pub phase: ServerPhase,
    /// Rises with each renewal.
    pub seq: u64,
    /// When it renewed last.
    pub renewed_at: Millis,
}

/// What a server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerPhase {
    /// At work.
    Up,
    /// Giving its shards away.
    Draining,
    /// Gone, or declared so.
    Dead,
}

impl ServerPhase {
    /// As people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Draining => "draining",
            Self::Dead => "dead",
        }
    }
}

/// What a renewal returns, all of one instant.
#[derive(Clone, PartialEq, Debug)]
pub struct Renewal {
    /// The database's time; `None` where the server's own clock is it (SQLite).
    pub now: Option<Millis>,
    /// What this server's own row says: others may have asked it to drain.
    pub phase: ServerPhase,
    /// The other servers that are not dead.
    pub others: Vec<(ServerId, u64, ServerPhase)>,
    /// What has changed since it was looked at last.
    pub changes: Changes,
}

/// Counters that rise with each change, so that what seldom changes need not be read to know that it did not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Of servers, apps, owners, and who is desired.
    pub owners: u64,
    /// Of tokens.
    pub tokens: u64,
}

/// A shard and its owner.
#[derive(Clone, PartialEq, Debug)]
pub struct Owned {
    /// Which.
    pub shard: ShardKey,
    /// `None`: nobody.
    pub server: Option<ServerId>,
    /// Of the last owner.
    pub epoch: Epoch,
    /// The owner's address, if there is one.
    pub rpc_address: Option<String>,
    /// The owner is dead.
    pub dead: bool,
    /// Who is to have it.
    pub desired: Option<Desired>,
}

/// Who is to have a shard, and how long the others leave it to that server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Desired {
    /// Whom.
    pub server: ServerId,
    /// After this instant anybody may claim it.
    pub until: Millis,
}

/// A shard to give up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Release {
    /// Which.
    pub shard: ShardKey,
    /// Of its ownership.
    pub epoch: Epoch,
    /// To whom, if that is known.
    pub desired: Option<Desired>,
}

/// A shard won.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// Of this ownership.
    pub epoch: Epoch,
    /// Since when no trusted owner has seen the shard's ticks; `None`: no outage.
    pub outage_from: Option<Millis>,
}

/// One turn of one shard, to commit.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Of which shard.
    pub shard: ShardKey,
    /// By whom.
    pub server: ServerId,
    /// Of that owner.
    pub epoch: Epoch,
    /// What it writes.
    pub rows: &'a Rows,
    /// When it was decided.
    pub at: Millis,
}

/// What became of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TurnEnd {
    /// Its rows are durable.
    Committed,
    /// The shard is no longer this server's at this epoch.
    Fenced,
}

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of the jobs of this name, living or deleted; `None`: of all.
    pub job: Option<Name>,
    /// In these states (`scheduled`, `dispatched`, `succeeded`, `failed`, `cancelled`, `skipped`); empty: all.
    pub states: Vec<&'static str>,
    /// Older than this one.
    pub before: Option<RunId>,
    /// At most this many.
    pub limit: u32,
}

/// Which jobs of all that there ever were.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Of this name; `None`: of all.
    pub name: Option<Name>,
    /// After this one.
    pub after: Option<(Name, JobId)>,
    /// At most this many.
    pub limit: u32,
}

/// Which part of a ledger.
#[derive(Clone, Debug)]
pub struct LedgerFilter {
    /// From here.
    pub from: Millis,
    /// To here, exclusive.
    pub to: Millis,
    /// After the entry of this instant and run (or, for a gap, the highest id).
    pub after: Option<(Millis, RunId)>,
    /// At most this many.
    pub limit: u32,
}

/// A line of the ledger.
#[derive(Clone, PartialEq, Debug)]
pub enum LedgerEntry {
    /// A run.
    Run(Box<Run>),
    /// Ticks without one.
    Gap(Gap),
}

/// A command that waits for an owner.
#[derive(Clone, PartialEq, Debug)]
pub struct InboxRow {
    /// Names it; the request id of the run that a trigger makes.
    pub id: InboxId,
    /// Of which app; as it was written, which may be no name at all.
    pub app: String,
    /// `trigger`: fire `name` with `params`; `call`: a `TriggerSpec` in `body`; `outcome`: an `Outcome` in `body`.
    pub kind: String,
    /// Of which job; as it was written.
    pub name: String,
    /// Of a trigger.
    pub idempotency_key: Option<String>,
    /// When a trigger's run is due; `None`: at once.
    pub due_at: Option<Millis>,
    /// Of a trigger: JSON text; `None`: the job's own.
    pub params: Option<String>,
    /// What only servers write.
    pub body: Option<Bytes>,
    /// Of an outcome: the run it is of.
    pub run: Option<RunId>,
    /// When it was written.
    pub created_at: Millis,
    /// When and why it was set aside.
    pub failed: Option<(Millis, String)>,
}
