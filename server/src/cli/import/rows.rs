//! Rows of another scheduler's tables: as JSON, or from the INSERT statements of an SQL dump.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sql;

/// The most rows of a file.
pub(super) const MAX_ROWS: usize = 200_000;

/// A row: its table, and its columns in lower case. An absent value is null.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    /// In lower case; empty if the file does not say.
    pub(super) table: String,
    columns: BTreeMap<String, Value>,
}

impl Row {
    pub(super) fn new(table: &str, columns: impl IntoIterator<Item = (String, Value)>) -> Self {
        let columns = columns.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Self { table: table.to_ascii_lowercase(), columns }
    }

    /// With other names for columns.
    pub(super) fn renamed(&self, names: &[(&str, &str)]) -> Self {
        let name = |column: &String| {
            let known = names.iter().find(|(old, _)| old == column);
            known.map_or_else(|| column.clone(), |(_, new)| (*new).to_owned())
        };
        let columns = self.columns.iter().map(|(column, value)| (name(column), value.clone())).collect();
        Self { table: self.table.clone(), columns }
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// A text that is not empty; numbers as they are written.
    pub(super) fn text(&self, column: &str) -> Option<String> {
        match self.columns.get(column)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(yes) => Some(yes.to_string()),
            _ => None,
        }
    }

    pub(super) fn whole(&self, column: &str) -> Option<i64> {
        self.text(column)?.parse().ok()
    }

    /// True in the ways that databases write it.
    pub(super) fn flag(&self, column: &str) -> bool {
        let yes = ["1", "t", "true", "y", "yes"];
        self.text(column).is_some_and(|text| yes.contains(&&*text.to_ascii_lowercase()))
    }

    /// Names a row to people.
    pub(super) fn name(&self, columns: &[&str]) -> String {
        let parts: Vec<String> = columns.iter().filter_map(|column| self.text(column)).collect();
        parts.join(".")
    }
}

/// Reads the rows of a file, whichever form it has.
///
/// # Errors
/// What is wrong, with the line.
pub(super) fn read(text: &str) -> Result<Vec<Row>, String> {
    let begins = text.trim_start();
    let rows = if begins.starts_with(['[', '{']) { json(text)? } else { sql::rows(text)? };
    if rows.len() > MAX_ROWS {
        return Err(format!(
            "holds {} rows: at most {MAX_ROWS} are read; export the tables of jobs alone",
            rows.len()
        ));
    }
    if rows.is_empty() {
        return Err("holds no row: give INSERT statements of a dump, or rows as JSON".to_owned());
    }
    Ok(rows)
}

/// A list of rows, a row a line, or a mapping of tables to lists of rows.
fn json(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|error| format!("line {}: is not JSON: {error}", error.line()))?;
        match value {
            Value::Array(list) => {
                for value in list {
                    rows.push(row("", value)?);
                }
            }
            Value::Object(tables) if !tables.is_empty() && tables.values().all(Value::is_array) => {
                for (table, list) in tables {
                    for value in list.as_array().into_iter().flatten() {
                        rows.push(row(&table, value.clone())?);
                    }
                }
            }
            value => rows.push(row("", value)?),
        }
    }
    Ok(rows)
}

fn row(table: &str, value: Value) -> Result<Row, String> {
    match value {
        Value::Object(columns) => Ok(Row::new(table, columns)),
        _ => Err("holds something that is no row: give objects whose fields are the columns".to_owned()),
    }
}
