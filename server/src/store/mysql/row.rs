//! What a row of MariaDB or MySQL says.

use fastjob_core::id::Id;
use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use crate::store::row::{Cells, Unreadable};

impl Cells for MySqlRow {
    fn whole(&self, column: &str) -> Result<Option<i64>, Unreadable> {
        Ok(self.try_get(column)?)
    }

    fn text(&self, column: &str) -> Result<Option<&str>, Unreadable> {
        Ok(self.try_get(column)?)
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, Unreadable> {
        Ok(self.try_get(column)?)
    }

    fn uuid(&self, column: &str) -> Result<Option<[u8; 16]>, Unreadable> {
        let Some(bytes) = self.bytes(column)? else { return Ok(None) };
        match Id::<()>::from_slice(bytes) {
            Some(id) => Ok(Some(*id.as_bytes())),
            None => Err(format!("has {} bytes, not 16", bytes.len()).into()),
        }
    }

    fn flag(&self, column: &str) -> Result<bool, Unreadable> {
        Ok(self.whole(column)?.is_some_and(|flag| flag != 0))
    }
}
