//! Identities. Every id is a type of its own, so that one cannot stand where another is meant.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use uuid::Uuid;

use crate::clock::Millis;

/// A 128-bit id of one kind of thing, shown as a UUID. New ones are UUID version 7, so that they sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<Kind>(Uuid, PhantomData<Kind>);

/// Names one job for ever; its name may be given to another once it is deleted.
pub type JobId = Id<kind::Job>;
/// Names one run.
pub type RunId = Id<kind::Run>;
/// Names one server process; a restart is a new server.
pub type ServerId = Id<kind::Server>;
/// Names one worker process, over all its reconnects.
pub type SessionId = Id<kind::Session>;
/// Made by the first caller of a trigger and kept over its retries.
pub type RequestId = Id<kind::Request>;
/// Names one command in the inbox; a trigger's is the request id of its run.
pub type InboxId = Id<kind::Inbox>;
/// Names an access token without giving it away.
pub type TokenId = Id<kind::Token>;

/// The kinds of [`Id`].
pub mod kind {
    /// Of [`super::JobId`].
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Job {}
    /// Of [`super::RunId`].
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Run {}
    /// Of [`super::ServerId`].
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Server {}
    /// Of [`super::SessionId`].
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Session {}
    /// Of [`super::RequestId`].
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Request {}
    /// Of [`super::InboxId`].
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Inbox {}
    /// Of [`super::TokenId`].
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Token {}
}

impl<Kind> Id<Kind> {
    /// A new id of this instant.
    pub fn new(now: Millis, chance: &mut Chance) -> Self {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&chance.next_u64().to_be_bytes());
        random[8..].copy_from_slice(&chance.next_u64().to_be_bytes()[..2]);
        let unix_ms = u64::try_from(now.get()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid(), PhantomData)
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes), PhantomData)
    }

    /// The id with these bytes, or `None` unless there are 16.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(|id| Self(id, PhantomData))
    }

    /// Its 16 bytes, big endian.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl<Kind> fmt::Display for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<Kind> fmt::Debug for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<Kind> FromStr for Id<Kind> {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(|id| Self(id, PhantomData))
    }
}

/// An app, by its row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AppId(pub i64);

/// One shard of one app: the unit that is owned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardKey {
    /// The app.
    pub app: AppId,
    /// 0 to the app's number of shards, less one.
    pub shard: u16,
}

impl fmt::Display for ShardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app.0, self.shard)
    }
}

/// The fencing number of an ownership: rises with each claim and reload, at least to the milliseconds of its instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(pub i64);

/// The secret half of an attempt's name: random, so that a stale report cannot settle a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// Names one attempt: only the run's current one settles it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptKey {
    /// The run.
    pub run: RunId,
    /// 1 for the run's first dispatch.
    pub attempt: u32,
    /// Drawn at the dispatch.
    pub token: Token,
}

/// A source of chance that is passed in: seeded by the operating system in a server, by the test in a test.
/// SplitMix64 (Steele, Lea and Flood 2014): unique enough for ids and tokens, no secret is made of it.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [0, 1).
    pub fn next_fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
