//! The front of the store: every sentence of [`backend`](super::backend) with a span, a deadline, and another try where
//! an error says that it is worth one.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Attempt, FireKey, Job, Name, Revision, Run};
use fastjob_core::id::{AppId, Epoch, InboxId, JobId, RunId, ServerId, ShardKey, TokenId};
use fastjob_core::shard::{Facts, Needs, OpenPage};

use super::backend::{
    App, Apps, Claimed, Desired, Inbox, InboxRow, JobFilter, LedgerEntry, LedgerFilter, NewApp, NewServer,
    NewToken, Owned, Ownership, Queries, Release, Renewal, RunFilter, Server, ServerPhase, Shards, Token,
    Turn, TurnEnd,
};
use super::error::StoreError;
use super::inspect::{Inspect, KeyedRun, Rights, Schema, Setting, Sizes, Violations};
use super::scans::Scan;
use super::{Access, Backend, Store};

/// `Read name(arguments) -> answer` or `Write ...`: the same sentence of the backend that is open.
macro_rules! sentences {
    ($($(#[$doc:meta])* $access:ident $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        impl Store {$(
            $(#[$doc])*
            pub async fn $name(&self, $($argument: $kind),*) -> Result<$answer, StoreError> {
                self.ask(stringify!($name), Access::$access, || async {
                    match &*self.backend {
                        Backend::Sqlite(store) => store.$name($($argument),*).await,
                        Backend::MySql(store) => store.$name($($argument),*).await,
                        Backend::Postgres(store) => store.settle(store.$name($($argument),*).await),
                    }
                })
                .await
            }
        )+}
    };
}

// Apps and their tokens.
sentences! {
    /// Creates an app, its shards without an owner, and its first token. `None`: the name is taken.
    Write app_create(app: &NewApp) -> Option<App>;
    /// All apps in order of name.
    Read app_list() -> Vec<App>;
    /// Writes the administrator's token unless there ever was one; tells whether it was written.
    Write admin_token_init(token: &NewToken) -> bool;
    /// Writes a token. An app has at most two that are valid: `false` if it would be the third.
    Write token_create(token: &NewToken) -> bool;
    /// The app's tokens, oldest first; those of the administrator for `None`.
    Read token_list(app: Option<AppId>) -> Vec<Token>;
    /// Revokes one; `false` if the app has no such token that is valid.
    Write token_revoke(app: Option<AppId>, token: TokenId, now: Millis) -> bool;
    /// Every token that is neither revoked nor expired, with its hash.
    Read token_valid(now: Millis) -> Vec<Token>;
}

// Servers, and who owns what.
sentences! {
    /// Writes down whose database this is, if nobody has, or if it is still the one who is replaced. Answers whose it is.
    Write cluster_key_set(key_id: &str, replaced: Option<&str>) -> String;
    /// Writes a new server, state up, seq 0.
    Write server_join(server: &NewServer) -> ();
    /// Raises the server's own seq from `seq` to `seq + 1`. `None`: the row is not as expected: this server was declared
    /// dead.
    Write server_renew(server: ServerId, seq: u64) -> Option<Renewal>;
    /// Declares a server draining or dead if it is not dead and its seq is still `seq`; tells whether it was.
    Write server_mark(server: ServerId, seq: u64, phase: ServerPhase) -> bool;
    /// Removes at most `limit` rows of servers that are dead, renewed last before `before`, and own nothing. Answers how
    /// many.
    Write servers_forget(before: Millis, limit: u32) -> u64;
    /// All servers, newest first.
    Read server_list() -> Vec<Server>;
    /// Every shard with its owner, in order of (app, shard).
    Read owner_list() -> Vec<Owned>;
    /// Gives to `server` each of these shards whose owner and epoch are still as seen and whose owner is null or dead;
    /// all in one transaction. The new epoch is max(old + 1, now); `outage_from` becomes the dead owner's last renewal
    /// unless it is set; what was desired is cleared. Each is logged in `owner_log`. Answers those that were given.
    Write shards_claim(seen: &[Owned], server: ServerId, now: Millis) -> Vec<(ShardKey, Claimed)>;
    /// Gives up each of these shards that `server` still holds at that epoch, all in one transaction. From now on nobody
    /// sees their ticks: `outage_from` becomes `now` unless it is set. Answers those that were given up.
    Write shards_release(released: &[Release], server: ServerId, now: Millis) -> Vec<ShardKey>;
    /// Asks the owners of these shards to hand them over. Answers how many of them exist.
    Write shards_desire(shards: &[ShardKey], desired: Desired) -> u64;
    /// Raises the epoch of a shard that `server` still holds at `epoch`, to max(epoch + 1, now). `None`: it does not. Waits
    /// for every commit of this process that is under way.
    Write epoch_raise(shard: ShardKey, server: ServerId, epoch: Epoch, now: Millis) -> Option<Claimed>;
}

// What an owner reads and writes.
sentences! {
    /// Open runs after `after` in order of id that are dispatched, due up to `until`, or have had an attempt.
    Read open_page(shard: ShardKey, until: Millis, after: Option<RunId>, limit: u32) -> OpenPage;
    /// What a turn needs: one read per kind that is asked for, all of one state of the database.
    Read facts(shard: ShardKey, needs: &Needs) -> Facts;
    /// Commits turns of different shards in one transaction, fences first; the ends are in the order of `turns`. A turn
    /// whose fence is missing is refused alone. An error refuses them all; nothing was written unless its kind is
    /// [`ErrorKind::Unknown`](super::ErrorKind::Unknown).
    Write turns_commit(turns: &[Turn<'_>]) -> Vec<TurnEnd>;
}

// Commands that wait for an owner.
sentences! {
    /// Writes rows; one whose id is there already stays as it is.
    Write inbox_put(rows: &[InboxRow]) -> ();
    /// Rows that have not failed, of the apps of which `server` owns a shard and of names that no app has; by
    /// (created_at, id), at most `limit`.
    Read inbox_read(server: ServerId, limit: u32) -> Vec<InboxRow>;
    /// Sets rows aside whose app does not exist. Others, and those set aside before, stay as they are.
    Write inbox_refuse(rows: &[InboxId], now: Millis, reason: &str) -> ();
    /// Rows that were set aside, newest first.
    Read inbox_failed(app: &str, limit: u32) -> Vec<InboxRow>;
}

// What clients and people ask. Answered without the owner.
sentences! {
    /// A living job by name.
    Read job_get(app: AppId, name: &Name) -> Option<Job>;
    /// Living jobs in order of name, after `after`.
    Read job_list(app: AppId, after: Option<&Name>, limit: u32) -> Vec<Job>;
    /// A run and its superseded attempts, oldest first.
    Read run_get(app: AppId, run: RunId) -> Option<(Run, Vec<Attempt>)>;
    /// The run of a job, living or deleted, by fire key.
    Read run_fired(app: AppId, job: &Name, key: &FireKey) -> Option<RunId>;
    /// Runs, newest first.
    Read run_list(app: AppId, filter: &RunFilter) -> Vec<Run>;
    /// Runs of a job whose tick, or due instant without one, lies in [from, to), and gaps that overlap it, in order of
    /// (instant, id); a gap's instant is its first tick, and its id is above every run's.
    Read ledger(job: JobId, filter: &LedgerFilter) -> Vec<LedgerEntry>;
    /// The newest job of this name, a tombstone if none lives.
    Read job_newest(app: AppId, name: &Name) -> Option<Job>;
    /// A job by id, living or deleted.
    Read job_by_id(app: AppId, id: JobId) -> Option<Job>;
    /// Jobs, living and deleted, in order of (name, id).
    Read job_list_all(app: AppId, filter: &JobFilter) -> Vec<Job>;
    /// Revisions of a job after `after`, in order, at most `limit`.
    Read job_history(job: JobId, after: u64, limit: u32) -> Vec<Revision>;
    /// Enabled living jobs of all apps that have no next tick, in order of id after `after`. Those whose trigger has no
    /// ticks need not be among them.
    Read jobs_tickless(after: Option<JobId>, limit: u32) -> Vec<Job>;
}

// What `fastjob doctor` looks at.
sentences! {
    /// Settings on which durability, isolation and time depend, as a new connection has them.
    Read inspect_settings() -> Vec<Setting>;
    /// The database's time; `None` where its server's clock is it.
    Read inspect_time() -> Option<Millis>;
    /// What this program's user may do.
    Read inspect_rights() -> Rights;
    /// Which schema is there.
    Read inspect_schema() -> Schema;
    /// How much there is.
    Scan inspect_sizes() -> Sizes;
    /// What breaks an invariant.
    Scan inspect_scan(scan: &Scan) -> Violations;
    /// Runs with an idempotency key after `after`, in order of id, at most `limit`.
    Scan inspect_keys(after: Option<RunId>, limit: u32) -> Vec<KeyedRun>;
}
