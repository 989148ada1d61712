//! A fresh database for each case, and values to put into it.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fastjob_core::clock::{Clock as _, ManualClock, Millis};
use fastjob_core::domain::{
    Assignment, Attempt, AttemptEnd, CatchUp, Definition, Ended, FireKey, Job, Limits, ManagedBy, Name,
    Payload, Run, Source, State, Timing, Trigger,
};
use fastjob_core::id::{AttemptKey, Chance, Epoch, Id, ServerId, SessionId, ShardKey, Token};
use fastjob_core::shard::{Rows, RunEnded, RunStarted};
use fastjob_server::store::{
    App, Claimed, NewApp, NewServer, NewToken, Owned, Release, Renewal, Store, StoreError, StoreOptions,
    Turn, TurnEnd,
};
use parking_lot::Mutex;
use sqlx::{Connection, MySqlConnection, PgConnection, SqliteConnection};

use crate::mariadb::MariaDb;
use crate::postgres_harness::{Durability, Postgres};

/// The instant at which each bundle begins; ids of the bundle rise from it.
pub(crate) const START: Millis = Millis::new(1_800_000_000_000);

/// A store with one app of two shards, and a server that owns the first.
pub(crate) struct Bundle {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) app: App,
    pub(crate) server: ServerId,
    pub(crate) shard: ShardKey,
    pub(crate) epoch: Epoch,
    chance: Mutex<(Chance, i64)>,
    place: Place,
}

/// Where its database is.
pub(crate) enum Place {
    /// In a directory of its own, with one file.
    File(tempfile::TempDir),
    /// On the PostgreSQL server of all bundles, at this url.
    Postgres(String),
    /// At this url; gone with its server.
    Elsewhere(String),
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Postgres(url) = self {
            let name = url.rsplit('/').next().unwrap();
            postgres_server().execute("postgres", &format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
        }
    }
}

/// One for all cases of this process. What is tested on it is logic, not what outlives a loss of power.
pub(crate) fn postgres_server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start_with(Durability::Memory).unwrap())
}

/// As [`postgres_server`].
pub(crate) fn mariadb_server() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(|| MariaDb::start().unwrap())
}

/// As [`postgres_server`]; of the files that `scripts/mysql.sh` leaves.
pub(crate) fn mysql_server() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    let files = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/mysql");
    SERVER.get_or_init(|| MariaDb::start_mysql(&files).unwrap())
}

impl Deref for Bundle {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Bundle {
    pub(crate) async fn sqlite() -> Self {
        Self::at(Place::File(tempfile::tempdir().unwrap())).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Place::Postgres(postgres_server().fresh_database().unwrap())).await
    }

    pub(crate) async fn mariadb() -> Self {
        Self::at(Place::Elsewhere(mariadb_server().fresh_database().unwrap())).await
    }

    pub(crate) async fn mysql() -> Self {
        Self::at(Place::Elsewhere(mysql_server().fresh_database().unwrap())).await
    }

    /// At a server of the case's own.
    pub(crate) async fn at_url(url: String) -> Self {
        Self::at(Place::Elsewhere(url)).await
    }

    async fn at(place: Place) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let store = open(&place.url(), clock.clone()).await.unwrap();
        let chance = Mutex::new((Chance::from_seed(7), 0));
        let app = App { id: fastjob_core::id::AppId(0), name: name("none"), shards: 0, created_at: START };
        let shard = ShardKey { app: app.id, shard: 0 };
        let server = ServerId::from_bytes([0; 16]);
        let mut bundle = Self { store, clock, app, server, shard, epoch: Epoch(0), chance, place };
        bundle.app = bundle.store.app_create(&bundle.new_app("demo", 2)).await.unwrap().unwrap();
        bundle.shard = ShardKey { app: bundle.app.id, shard: 0 };
        bundle.server = bundle.join().await;
        bundle.epoch = bundle.claim(bundle.shard, bundle.server).await.epoch;
        bundle
    }

    /// Where its database is.
    pub(crate) fn url(&self) -> String {
        self.place.url()
    }

    /// SQLite's file.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(dir) => dir.path().join("fastjob.db"),
            Place::Postgres(url) | Place::Elsewhere(url) => panic!("{url} is no file"),
        }
    }

    /// Changes rows behind the store's back.
    pub(crate) async fn change(&self, sql: &str) {
        let (sql, url) = (sqlx::raw_sql(sqlx::AssertSqlSafe(sql)), self.url());
        match url.split(':').next().unwrap() {
            "sqlite" => {
                let mut foreign = SqliteConnection::connect(&url).await.unwrap();
                sql.execute(&mut foreign).await.unwrap();
                foreign.close().await.unwrap();
            }
            "postgres" => {
                let mut foreign = PgConnection::connect(&url).await.unwrap();
                sql.execute(&mut foreign).await.unwrap();
                foreign.close().await.unwrap();
            }
            _ => {
                let mut foreign = MySqlConnection::connect(&url).await.unwrap();
                sql.execute(&mut foreign).await.unwrap();
                foreign.close().await.unwrap();
            }
        }
    }

    /// The same database opened by another server beside this one.
    pub(crate) async fn beside(&self) -> Store {
        open(&self.url(), self.clock.clone()).await.unwrap()
    }

    /// The same database opened anew, the old store dropped without a close.
    pub(crate) async fn reopen(self) -> Self {
        let Self { store, clock, app, server, shard, epoch, chance, place } = self;
        drop(store);
        let store = open(&place.url(), clock.clone()).await.unwrap();
        Self { store, clock, app, server, shard, epoch, chance, place }
    }

    /// Where its database is, without the store that held it.
    pub(crate) fn into_place(self) -> Place {
        self.place
    }

    /// The instant of a renewal, by the clock that the database goes by.
    pub(crate) fn instant(&self, renewal: &Renewal) -> Millis {
        renewal.now.unwrap_or_else(|| self.clock.now())
    }

    /// A new id, above all that were given before.
    pub(crate) fn id<Kind>(&self) -> Id<Kind> {
        let mut guard = self.chance.lock();
        guard.1 += 1;
        let at = START.plus(guard.1);
        Id::new(at, &mut guard.0)
    }

    pub(crate) fn new_token(&self, app: Option<fastjob_core::id::AppId>) -> NewToken {
        NewToken {
            id: self.id(),
            app,
            hash: [7; 32],
            note: "first".into(),
            created_at: START,
            expires_at: None,
        }
    }

    pub(crate) fn new_app(&self, app: &str, shards: u16) -> NewApp {
        NewApp { name: name(app), shards, token: self.new_token(None), created_at: START }
    }

    pub(crate) async fn join(&self) -> ServerId {
        let id = self.id();
        self.server_join(&new_server(id)).await.unwrap();
        id
    }

    pub(crate) async fn seen(&self, shard: ShardKey) -> Owned {
        self.owner_list().await.unwrap().into_iter().find(|owned| owned.shard == shard).unwrap()
    }

    pub(crate) async fn claim(&self, shard: ShardKey, server: ServerId) -> Claimed {
        let seen = self.seen(shard).await;
        self.try_claim(&seen, server).await.unwrap()
    }

    /// `None`: it was not given.
    pub(crate) async fn try_claim(&self, seen: &Owned, server: ServerId) -> Option<Claimed> {
        let won = self.shards_claim(std::slice::from_ref(seen), server, START).await.unwrap();
        won.into_iter().next().map(|(_, claimed)| claimed)
    }

    /// Tells whether it was given up.
    pub(crate) async fn release(&self, shard: ShardKey, server: ServerId, epoch: Epoch, at: Millis) -> bool {
        let release = Release { shard, epoch, desired: None };
        self.shards_release(&[release], server, at).await.unwrap() == [shard]
    }

    pub(crate) fn turn<'a>(&self, rows: &'a Rows) -> Turn<'a> {
        Turn { shard: self.shard, server: self.server, epoch: self.epoch, rows, at: START }
    }

    pub(crate) async fn try_commit(&self, rows: &Rows) -> Result<Vec<TurnEnd>, StoreError> {
        self.turns_commit(&[self.turn(rows)]).await
    }

    pub(crate) async fn commit(&self, rows: Rows) {
        assert_eq!(self.try_commit(&rows).await.unwrap(), [TurnEnd::Committed]);
    }

    pub(crate) fn job(&self, job: &str) -> Job {
        Job {
            id: self.id(),
            shard: self.shard,
            name: name(job),
            revision: 1,
            definition: Arc::new(definition()),
            enabled: true,
            next_at: None,
            chain_seq: 0,
            created_at: START,
            updated_at: START,
            deleted_at: None,
        }
    }

    /// A scheduled run of the tick at `due`.
    pub(crate) fn run(&self, job: &Job, due: Millis) -> Run {
        Run {
            id: self.id(),
            shard: job.shard,
            job: job.id,
            job_name: job.name.clone(),
            fire_key: FireKey::Tick(due),
            source: Source::Cron,
            tick: Some(due),
            jitter_ms: 0,
            due,
            revision: job.revision,
            handler: job.definition.handler.clone(),
            params: job.definition.params.clone(),
            limits: Arc::new(job.definition.limits.clone()),
            state: State::Scheduled,
            attempt: 0,
            assignment: None,
            fail_count: 0,
            lost_count: 0,
            created_at: START,
            started_at: None,
            cancel: None,
            ended_at: None,
            result: None,
            error: None,
            idempotency_key: None,
            retry_of: None,
        }
    }

    pub(crate) fn assignment(&self) -> Assignment {
        Assignment {
            token: Token(u64::MAX - 1),
            session: SessionId::from_bytes([3; 16]),
            worker: "host:1".into(),
            server: self.server,
            epoch: self.epoch,
            dispatched_at: START.plus(5),
        }
    }

    pub(crate) fn started(&self, run: &Run) -> RunStarted {
        RunStarted { run: run.id, attempt: run.attempt + 1, assignment: self.assignment() }
    }

    pub(crate) fn attempt(&self, run: &Run, ordinal: u32) -> Attempt {
        let assignment = self.assignment();
        Attempt {
            key: AttemptKey { run: run.id, attempt: ordinal, token: assignment.token },
            assignment,
            started_at: None,
            ended_at: START.plus(9),
            end: AttemptEnd::Undelivered,
            error: None,
        }
    }
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::File(dir) => format!("sqlite:{}", dir.path().join("fastjob.db").display()),
            Self::Postgres(url) | Self::Elsewhere(url) => url.clone(),
        }
    }
}

pub(crate) async fn open(url: &str, clock: Arc<ManualClock>) -> Result<Store, StoreError> {
    Store::open(url, StoreOptions { max_connections: 4, clock }).await
}

pub(crate) fn new_server(id: ServerId) -> NewServer {
    NewServer {
        id,
        rpc_address: "127.0.0.1:1".into(),
        http_address: "127.0.0.1:2".into(),
        version: "0.1.0".into(),
        at: START,
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn definition() -> Definition {
    Definition {
        handler: name("greet"),
        trigger: Trigger::Api,
        params: Payload::text("world"),
        timing: Timing::default(),
        catch_up: CatchUp::default(),
        limits: Limits::default(),
        managed_by: ManagedBy::Code,
        source_version: None,
    }
}

pub(crate) fn ended(run: &Run, how: Ended) -> RunEnded {
    RunEnded {
        run: run.id,
        ended: how,
        ended_at: START.plus(20),
        started_at: Some(START.plus(6)),
        fail_count: run.fail_count,
        lost_count: run.lost_count,
        result: None,
        error: None,
    }
}

/// The run as these rows leave it.
pub(crate) fn after_start(run: &Run, started: &RunStarted) -> Run {
    Run {
        state: State::Dispatched,
        attempt: started.attempt,
        assignment: Some(started.assignment.clone()),
        ..run.clone()
    }
}

/// The run as these rows leave it.
pub(crate) fn after_end(run: &Run, ended: &RunEnded) -> Run {
    Run {
        state: State::Ended(ended.ended),
        ended_at: Some(ended.ended_at),
        started_at: ended.started_at,
        fail_count: ended.fail_count,
        lost_count: ended.lost_count,
        result: ended.result.clone(),
        error: ended.error.clone(),
        ..run.clone()
    }
}
