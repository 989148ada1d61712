//! All that is durable. The front: every sentence of [`backend`] with a span, a deadline, and another try where an error
//! says that it is worth one. What a database does for a sentence is in its own module; nothing outside of this one
//! knows which database it is.

mod backend;
mod error;
mod shape;
mod sqlite;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::domain::{Attempt, FireKey, Job, Name, Run};
use fastjob_core::id::{AppId, Epoch, JobId, RunId, ServerId, ShardKey, TokenId};
use fastjob_core::shard::{Facts, Needs, OpenPage};
use tracing::Instrument;

pub use backend::{
    App, Claimed, LedgerEntry, LedgerFilter, NewApp, NewServer, NewToken, Owned, Renewal, RunFilter, Server,
    ServerPhase, Token, Turn, TurnEnd,
};
pub use error::{ErrorKind, StoreError};

use backend::{Apps, Ownership, Queries, Shards};
use sqlite::SqliteStore;

/// How long one sentence may take, with all its tries.
const DEADLINE: Duration = Duration::from_secs(10);
/// Tries of one sentence.
const MAX_TRIES: u32 = 5;
/// The wait before the second try; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<Backend>,
}

/// How to open a [`Store`].
#[derive(Clone)]
pub struct StoreOptions {
    /// The most connections that are open at a time; at least 2 are used.
    pub max_connections: u32,
    /// The database's time, where a database has no clock of its own: SQLite.
    pub clock: Arc<dyn Clock>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { max_connections: 8, clock: Arc::new(SystemClock) }
    }
}

enum Backend {
    Sqlite(SqliteStore),
}

/// What a deadline that ran out says of the sentence.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl Store {
    /// Opens the database at `url`, as `sqlite:fastjob.db`, creates it if it is not there, and brings its schema up to
    /// date. Errors: [`ErrorKind::Busy`] if another server holds it, [`ErrorKind::Newer`] if a newer program migrated
    /// it, [`ErrorKind::ReadOnly`], [`ErrorKind::Corrupt`] if it is no database, [`ErrorKind::Unavailable`].
    pub async fn open(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let Some(path) = url.strip_prefix("sqlite:") else {
            let message = "the database's url has no scheme that is known: give a file, as sqlite:fastjob.db";
            return Err(StoreError::new(ErrorKind::Unavailable, message));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        let store = SqliteStore::open(Path::new(path), options).await?;
        Ok(Self { backend: Arc::new(Backend::Sqlite(store)) })
    }

    /// Ends all connections. Sentences that come later fail with [`ErrorKind::Unavailable`].
    pub async fn close(&self) {
        match &*self.backend {
            Backend::Sqlite(store) => store.close().await,
        }
    }

    async fn ask<T, Answer>(
        &self,
        sentence: &'static str,
        access: Access,
        once: impl Fn() -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        let tries = async {
            let mut wait = FIRST_WAIT;
            for _ in 1..MAX_TRIES {
                match once().await {
                    Err(error) if error.is_worth_another_try() => {
                        tracing::debug!(%error, "trying again");
                        tokio::time::sleep(wait).await;
                        wait *= 2;
                    }
                    answer => return answer,
                }
            }
            once().await
        };
        let span = tracing::debug_span!("store", sentence);
        let answer = tokio::time::timeout(DEADLINE, tries.instrument(span)).await;
        answer.unwrap_or_else(|_| Err(late(sentence, access)))
    }
}

fn late(sentence: &str, access: Access) -> StoreError {
    let kind = match access {
        Access::Read => ErrorKind::Unavailable,
        Access::Write => ErrorKind::Unknown,
    };
    StoreError::new(kind, format!("{sentence}: no answer from the database for {} s", DEADLINE.as_secs()))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}

/// Apps and their tokens.
impl Store {
    /// Creates an app, its shards without an owner, and its first token. `None`: the name is taken.
    pub async fn app_create(&self, app: &NewApp) -> Result<Option<App>, StoreError> {
        self.ask("app_create", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.app_create(app).await,
            }
        })
        .await
    }

    /// All apps in order of name.
    pub async fn app_list(&self) -> Result<Vec<App>, StoreError> {
        self.ask("app_list", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.app_list().await,
            }
        })
        .await
    }

    /// Writes the administrator's token unless there ever was one; tells whether it was written.
    pub async fn admin_token_init(&self, token: &NewToken) -> Result<bool, StoreError> {
        self.ask("admin_token_init", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.admin_token_init(token).await,
            }
        })
        .await
    }

    /// Writes a token. An app has at most two that are valid: `false` if it would be the third.
    pub async fn token_create(&self, token: &NewToken) -> Result<bool, StoreError> {
        self.ask("token_create", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.token_create(token).await,
            }
        })
        .await
    }

    /// The app's tokens, oldest first; those of the administrator for `None`.
    pub async fn token_list(&self, app: Option<AppId>) -> Result<Vec<Token>, StoreError> {
        self.ask("token_list", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.token_list(app).await,
            }
        })
        .await
    }

    /// Revokes one; `false` if the app has no such token that is valid.
    pub async fn token_revoke(
        &self,
        app: Option<AppId>,
        token: TokenId,
        now: Millis,
    ) -> Result<bool, StoreError> {
        self.ask("token_revoke", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.token_revoke(app, token, now).await,
            }
        })
        .await
    }

    /// Every token that is neither revoked nor expired, with its hash.
    pub async fn token_valid(&self, now: Millis) -> Result<Vec<Token>, StoreError> {
        self.ask("token_valid", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.token_valid(now).await,
            }
        })
        .await
    }
}

/// Servers, and who owns what.
impl Store {
    /// Writes a new server, state up, seq 0.
    pub async fn server_join(&self, server: &NewServer) -> Result<(), StoreError> {
        self.ask("server_join", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.server_join(server).await,
            }
        })
        .await
    }

    /// Raises the server's own seq from `seq` to `seq + 1`. `None`: the row is not as expected: this server was declared
    /// dead.
    pub async fn server_renew(&self, server: ServerId, seq: u64) -> Result<Option<Renewal>, StoreError> {
        self.ask("server_renew", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.server_renew(server, seq).await,
            }
        })
        .await
    }

    /// Declares a server draining or dead if it is not dead and its seq is still `seq`; tells whether it was.
    pub async fn server_mark(
        &self,
        server: ServerId,
        seq: u64,
        phase: ServerPhase,
    ) -> Result<bool, StoreError> {
        self.ask("server_mark", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.server_mark(server, seq, phase).await,
            }
        })
        .await
    }

    /// All servers, newest first.
    pub async fn server_list(&self) -> Result<Vec<Server>, StoreError> {
        self.ask("server_list", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.server_list().await,
            }
        })
        .await
    }

    /// Every shard with its owner, in order of (app, shard).
    pub async fn owner_list(&self) -> Result<Vec<Owned>, StoreError> {
        self.ask("owner_list", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.owner_list().await,
            }
        })
        .await
    }

    /// Gives a shard to `server` if its owner and epoch are still as in `seen` and that owner is null or dead. `None`: it
    /// was not given. The new epoch is max(old + 1, now); `outage_from` becomes the dead owner's last renewal unless it
    /// is set.
    pub async fn shard_claim(
        &self,
        seen: &Owned,
        server: ServerId,
        now: Millis,
    ) -> Result<Option<Claimed>, StoreError> {
        self.ask("shard_claim", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.shard_claim(seen, server, now).await,
            }
        })
        .await
    }

    /// Gives a shard up if `server` still holds it at `epoch`; tells whether it did. From now on nobody sees its ticks:
    /// `outage_from` becomes `now` unless it is set.
    pub async fn shard_release(
        &self,
        shard: ShardKey,
        server: ServerId,
        epoch: Epoch,
        now: Millis,
    ) -> Result<bool, StoreError> {
        self.ask("shard_release", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.shard_release(shard, server, epoch, now).await,
            }
        })
        .await
    }

    /// Raises the epoch of a shard that `server` still holds at `epoch`, to max(epoch + 1, now). `None`: it does not. Waits
    /// for every commit of this process that is under way.
    pub async fn epoch_raise(
        &self,
        shard: ShardKey,
        server: ServerId,
        epoch: Epoch,
        now: Millis,
    ) -> Result<Option<Claimed>, StoreError> {
        self.ask("epoch_raise", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.epoch_raise(shard, server, epoch, now).await,
            }
        })
        .await
    }
}

/// What an owner reads and writes.
impl Store {
    /// Open runs after `after` in order of id that are dispatched, due up to `until`, or have had an attempt.
    pub async fn open_page(
        &self,
        shard: ShardKey,
        until: Millis,
        after: Option<RunId>,
        limit: u32,
    ) -> Result<OpenPage, StoreError> {
        self.ask("open_page", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.open_page(shard, until, after, limit).await,
            }
        })
        .await
    }

    /// What a turn needs: one read per kind that is asked for, all of one state of the database.
    pub async fn facts(&self, shard: ShardKey, needs: &Needs) -> Result<Facts, StoreError> {
        self.ask("facts", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.facts(shard, needs).await,
            }
        })
        .await
    }

    /// Commits turns of different shards in one transaction, fences first; the ends are in the order of `turns`. A turn
    /// whose fence is missing is refused alone. An error refuses them all; nothing was written unless its kind is
    /// [`ErrorKind::Unknown`].
    pub async fn turns_commit(&self, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
        self.ask("turns_commit", Access::Write, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.turns_commit(turns).await,
            }
        })
        .await
    }
}

/// What clients and people ask. Answered without the owner.
impl Store {
    /// A living job by name.
    pub async fn job_get(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        self.ask("job_get", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.job_get(app, name).await,
            }
        })
        .await
    }

    /// Living jobs in order of name, after `after`.
    pub async fn job_list(
        &self,
        app: AppId,
        after: Option<&Name>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        self.ask("job_list", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.job_list(app, after, limit).await,
            }
        })
        .await
    }

    /// A run and its superseded attempts, oldest first.
    pub async fn run_get(&self, app: AppId, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError> {
        self.ask("run_get", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.run_get(app, run).await,
            }
        })
        .await
    }

    /// The run of a job, living or deleted, by fire key.
    pub async fn run_fired(
        &self,
        app: AppId,
        job: &Name,
        key: &FireKey,
    ) -> Result<Option<RunId>, StoreError> {
        self.ask("run_fired", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.run_fired(app, job, key).await,
            }
        })
        .await
    }

    /// Runs, newest first.
    pub async fn run_list(&self, app: AppId, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        self.ask("run_list", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.run_list(app, filter).await,
            }
        })
        .await
    }

    /// Runs of a job whose tick, or due instant without one, lies in [from, to), and gaps that overlap it, in order of
    /// (instant, id); a gap's instant is its first tick, and its id is above every run's.
    pub async fn ledger(&self, job: JobId, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        self.ask("ledger", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.ledger(job, filter).await,
            }
        })
        .await
    }

    /// The newest job of this name, a tombstone if none lives.
    pub async fn job_newest(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        self.ask("job_newest", Access::Read, || async {
            match &*self.backend {
                Backend::Sqlite(store) => store.job_newest(app, name).await,
            }
        })
        .await
    }
}
