//! Rows of any database to domain values. A value that no server has written names its table, column and id.

mod apps;
mod inbox;
mod inspect;
mod ownership;
mod runs;

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use fastjob_core::clock::Millis;
use fastjob_core::domain::{Encoding, Failure, Name, Payload};
use fastjob_core::id::{AppId, Id, ShardKey};

use super::error::StoreError;

pub(super) use apps::{TOKEN, app, token};
pub(super) use inbox::{INBOX, inbox_row, outcomes, readable};
pub(super) use inspect::{KEYED, keyed_run, sizes, violations};
pub(super) use ownership::{OWNED, SERVER, claimed, owned, phase_word, renewal, server};
pub(super) use runs::{ATTEMPT, GAP, JOB, REVISION, RUN, Runs, attempt, gap, job, revision, state_number};

/// What a database answers for a row: the values of its columns by name, in the few kinds that the schema uses.
pub(super) trait Cells {
    /// A whole number of any width.
    fn whole(&self, column: &str) -> Result<Option<i64>, Unreadable>;
    /// Text.
    fn text(&self, column: &str) -> Result<Option<&str>, Unreadable>;
    /// Bytes.
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, Unreadable>;
    /// An id.
    fn uuid(&self, column: &str) -> Result<Option<[u8; 16]>, Unreadable>;
    /// Yes or no.
    fn flag(&self, column: &str) -> Result<bool, Unreadable>;
}

/// Why a column cannot be read.
pub(super) type Unreadable = Box<dyn Error + Send + Sync>;

/// A row that is being read.
pub(super) struct Reader<'r, R> {
    row: &'r R,
    table: &'static str,
    id: &'static str,
}

impl<'r, R: Cells> Reader<'r, R> {
    /// Reads `row` of `table`, whose column `id` names it in errors.
    pub(super) fn new(row: &'r R, table: &'static str, id: &'static str) -> Self {
        Self { row, table, id }
    }

    pub(super) fn id<Kind>(&self, column: &'static str) -> Result<Id<Kind>, StoreError> {
        self.there(column, self.maybe_id(column)?)
    }

    pub(super) fn maybe_id<Kind>(&self, column: &'static str) -> Result<Option<Id<Kind>>, StoreError> {
        let bytes = self.row.uuid(column).map_err(|error| self.corrupt(column, error))?;
        Ok(bytes.map(Id::from_bytes))
    }

    pub(super) fn whole(&self, column: &'static str) -> Result<i64, StoreError> {
        self.there(column, self.maybe_whole(column)?)
    }

    pub(super) fn maybe_whole(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.row.whole(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.there(column, self.maybe_text(column)?)
    }

    pub(super) fn maybe_text(&self, column: &'static str) -> Result<Option<&'r str>, StoreError> {
        self.row.text(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn bytes(&self, column: &'static str) -> Result<&'r [u8], StoreError> {
        self.there(column, self.maybe_bytes(column)?)
    }

    pub(super) fn maybe_bytes(&self, column: &'static str) -> Result<Option<&'r [u8]>, StoreError> {
        self.row.bytes(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        self.row.flag(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn at(&self, column: &'static str) -> Result<Millis, StoreError> {
        self.whole(column).map(Millis::new)
    }

    pub(super) fn maybe_at(&self, column: &'static str) -> Result<Option<Millis>, StoreError> {
        Ok(self.maybe_whole(column)?.map(Millis::new))
    }

    pub(super) fn name(&self, column: &'static str) -> Result<Name, StoreError> {
        Name::parse(self.text(column)?).map_err(|error| self.corrupt(column, error))
    }

    /// A number narrower than 64 bits.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number = self.whole(column)?;
        T::try_from(number).map_err(|_| self.corrupt(column, format_args!("{number} is out of range")))
    }

    /// 64 bits without a sign.
    pub(super) fn bits(&self, column: &'static str) -> Result<u64, StoreError> {
        self.whole(column).map(i64::cast_unsigned)
    }

    pub(super) fn word<T>(
        &self,
        column: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let word = self.text(column)?;
        parse(word).ok_or_else(|| self.corrupt(column, format_args!("unknown word {word:?}")))
    }

    pub(super) fn shard(&self) -> Result<ShardKey, StoreError> {
        Ok(ShardKey { app: AppId(self.whole("app_id")?), shard: self.number("shard")? })
    }

    pub(super) fn corrupt(&self, column: &str, what: impl fmt::Display) -> StoreError {
        StoreError::corrupt(self.table, column, &self.row_id(), what)
    }

    fn there<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(column, "is null"))
    }

    fn row_id(&self) -> String {
        if let Ok(Some(number)) = self.row.whole(self.id) {
            return number.to_string();
        }
        match self.row.uuid(self.id) {
            Ok(Some(bytes)) => Id::<()>::from_bytes(bytes).to_string(),
            _ => "(unreadable)".to_owned(),
        }
    }

    pub(super) fn payload(&self, encoding: &'static str, bytes: &'static str) -> Result<Payload, StoreError> {
        let data = Bytes::copy_from_slice(self.bytes(bytes)?);
        Ok(Payload { encoding: self.word(encoding, encoding_parse)?, data })
    }

    pub(super) fn failure(&self) -> Result<Option<Failure>, StoreError> {
        let Some(class) = self.maybe_text("error_class")? else { return Ok(None) };
        let (message, trace) = (self.text("error_message")?, self.text("error_trace")?);
        Ok(Some(Failure { class: class.into(), message: message.into(), trace: trace.into() }))
    }
}

/// The word of an encoding.
pub(super) const fn encoding_word(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::Text => "text",
        Encoding::Binary => "binary",
    }
}

fn encoding_parse(word: &str) -> Option<Encoding> {
    [Encoding::Json, Encoding::Text, Encoding::Binary].into_iter().find(|known| encoding_word(*known) == word)
}
