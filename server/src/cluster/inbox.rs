//! Reads the inbox of all shards that this server owns with one query a second, and hands each owner what is its own. It
//! decides nothing and deletes nothing: that is a turn's. Rows commit out of order, so there is no cursor.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::Clock;
use fastjob_core::domain::Refusal;
use fastjob_core::id::{InboxId, ServerId, ShardKey};
use fastjob_core::shard::{Call, Command, Order, Reply};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::command;
use super::peers::Seldom;
use crate::metrics;
use crate::owner::door::{Door, Doors};
use crate::store::{App, InboxRow, Store, StoreError};
use crate::trust::Trust;
use crate::trust::time::DatabaseTime;

/// How often the inbox is read when nobody says that there is something in it.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Rows of one reading, beside those that are known to wait for something.
const READ: u32 = 500;
/// Rows of one reading at most: behind so many that wait for slow owners, the others wait too.
const MAX_READ: u32 = 5_000;
/// Commands of one message to an owner.
const MAX_COMMANDS: usize = 500;
/// What an owner answers if the database refuses the rows of a turn for their data.
const REFUSED_BY_DATABASE: &str = "refused_by_database";

/// What the reader of the inbox is made of.
pub struct InboxParts {
    /// This server.
    pub server: ServerId,
    /// Where the inbox is.
    pub store: Store,
    /// Of the shards owned here.
    pub doors: Doors,
    /// Whether this server may act.
    pub trust: Trust,
    /// The database's time.
    pub time: DatabaseTime,
    /// Woken when there is something in the inbox.
    pub nudge: Arc<Notify>,
}

/// The reader of the inbox.
pub struct InboxReader {
    parts: InboxParts,
    /// Apps by name, as last read: an app keeps its name and its number of shards.
    apps: HashMap<String, App>,
    /// With an owner at the moment: each shard has one message at a time.
    handed: JoinSet<Handed>,
    busy: HashSet<ShardKey>,
    in_flight: HashSet<InboxId>,
    /// Of a message that the database refused for its data: each goes alone, until the guilty one is found.
    suspects: HashSet<InboxId>,
    /// Refused alone: to be set aside.
    guilty: HashSet<InboxId>,
    /// Rows seen in the last reading that were not for an owner here, or not now.
    passed_over: u32,
    told: Seldom,
}

/// A message to an owner, answered.
struct Handed {
    shard: ShardKey,
    ids: Vec<InboxId>,
    answer: Result<Reply, Refusal>,
}

impl InboxReader {
    /// A reader that has read nothing.
    pub fn new(parts: InboxParts) -> Self {
        Self {
            parts,
            apps: HashMap::new(),
            handed: JoinSet::new(),
            busy: HashSet::new(),
            in_flight: HashSet::new(),
            suspects: HashSet::new(),
            guilty: HashSet::new(),
            passed_over: 0,
            told: Seldom::default(),
        }
    }

    /// Reads until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut often = tokio::time::interval(READ_EVERY);
        often.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let nudge = Arc::clone(&self.parts.nudge);
        loop {
            tokio::select! {
                _ = often.tick() => {}
                () = nudge.notified() => {}
                Some(handed) = self.handed.join_next() => {
                    if let Ok(handed) = handed {
                        self.answered(handed);
                    }
                    continue;
                }
                () = stop.cancelled() => break,
            }
            if let Err(error) = self.read().await
                && self.told.now(&self.parts.time)
            {
                tracing::warn!(%error, "failed to read the inbox, trying again");
            }
        }
        self.handed.shutdown().await;
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        if self.parts.doors.is_empty() || !self.parts.trust.holds() {
            return Ok(());
        }
        let waiting =
            u32::try_from(self.in_flight.len()).unwrap_or(MAX_READ).saturating_add(self.passed_over);
        let limit = READ.saturating_add(waiting).min(MAX_READ);
        let rows = self.parts.store.inbox_read(self.parts.server, limit).await?;
        let full = rows.len() >= limit as usize;
        self.learn_apps(&rows).await?;
        let (known, unknown): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| self.apps.contains_key(&row.app));
        self.refuse(unknown).await?;
        self.passed_over = 0;
        let mut by_shard: BTreeMap<ShardKey, Vec<InboxRow>> = BTreeMap::new();
        for row in known {
            let shard = self.apps[&row.app].shard_of(&row.name);
            by_shard.entry(shard).or_default().push(row);
        }
        let mut handed = false;
        for (shard, rows) in by_shard {
            handed |= self.hand_over(shard, rows);
        }
        if full && handed {
            self.parts.nudge.notify_one();
        }
        Ok(())
    }

    /// Apps may be new, and names may be no apps.
    async fn learn_apps(&mut self, rows: &[InboxRow]) -> Result<(), StoreError> {
        if rows.iter().any(|row| !self.apps.contains_key(&row.app)) {
            let apps = self.parts.store.app_list().await?;
            self.apps = apps.into_iter().map(|app| (app.name.as_str().to_owned(), app)).collect();
        }
        Ok(())
    }

    async fn refuse(&self, rows: Vec<InboxRow>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let ids: Vec<InboxId> = rows.iter().map(|row| row.id).collect();
        metrics::inbox_refused(ids.len() as u64);
        tracing::warn!(rows = ids.len(), first = %ids[0], "commands of the inbox set aside: they name no app");
        self.parts.store.inbox_refuse(&ids, self.parts.time.now(), "app: there is none of this name").await
    }

    /// Hands an owner its commands, unless it has not answered the last ones. Tells whether it did.
    fn hand_over(&mut self, shard: ShardKey, rows: Vec<InboxRow>) -> bool {
        let count = u32::try_from(rows.len()).unwrap_or(MAX_READ);
        let fresh: Vec<InboxRow> = rows.into_iter().filter(|row| !self.in_flight.contains(&row.id)).collect();
        let door = self.parts.doors.get(shard).filter(|_| !self.busy.contains(&shard));
        let Some(door) = door.filter(|_| !fresh.is_empty()) else {
            self.passed_over = self.passed_over.saturating_add(count);
            return false;
        };
        let commands = self.commands(fresh);
        let ids: Vec<InboxId> = commands.iter().map(|command| command.id).collect();
        self.busy.insert(shard);
        self.in_flight.extend(&ids);
        self.handed.spawn(ask(door, ids, commands));
        true
    }

    /// At most [`MAX_COMMANDS`]; a suspect goes alone.
    fn commands(&self, rows: Vec<InboxRow>) -> Vec<Command> {
        let command = |row: &InboxRow| {
            let order = if self.guilty.contains(&row.id) {
                Order::Junk("the database refuses what it would write: see the server's log".into())
            } else {
                command::order(row)
            };
            Command { id: row.id, order }
        };
        match rows.iter().find(|row| self.suspects.contains(&row.id)) {
            Some(suspect) => vec![command(suspect)],
            None => rows.iter().take(MAX_COMMANDS).map(command).collect(),
        }
    }

    fn answered(&mut self, handed: Handed) {
        let Handed { shard, ids, answer } = handed;
        self.busy.remove(&shard);
        for id in &ids {
            self.in_flight.remove(id);
            self.suspects.remove(id);
        }
        match answer {
            Ok(_) => {
                self.guilty.retain(|id| !ids.contains(id));
                // There may be more for this shard.
                if ids.len() == MAX_COMMANDS || !self.suspects.is_empty() {
                    self.parts.nudge.notify_one();
                }
            }
            Err(refusal) if refusal.code == REFUSED_BY_DATABASE => {
                if let [alone] = ids[..] {
                    self.guilty.insert(alone);
                } else {
                    self.suspects.extend(ids);
                }
                self.parts.nudge.notify_one();
            }
            Err(refusal) => {
                if self.told.now(&self.parts.time) {
                    tracing::warn!(%shard, rows = ids.len(), %refusal, "commands of the inbox not carried out, trying again");
                }
            }
        }
    }
}

async fn ask(door: Door, ids: Vec<InboxId>, commands: Vec<Command>) -> Handed {
    let shard = door.shard();
    let answer = door.call(Call::Inbox(commands)).await;
    Handed { shard, ids, answer }
}
