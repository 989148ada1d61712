//! Prints data: as JSON, one object a line, or as tables for people, made from the same objects.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Table, presets};
use serde_json::Value;

use super::connect::Output;
use super::failure::{Lines, escaped};
use super::{Exit, Failure};

/// Prints to stdout.
pub(super) struct Printer {
    output: Output,
}

impl Printer {
    /// Prints as asked for; else a table on a terminal, JSON elsewhere.
    pub(super) fn new(asked: Option<Output>) -> Self {
        let natural = if io::stdout().is_terminal() { Output::Table } else { Output::Json };
        Self { output: asked.unwrap_or(natural) }
    }

    /// For people.
    pub(super) fn is_table(&self) -> bool {
        self.output == Output::Table
    }

    /// Prints text as it is.
    pub(super) fn text(&self, text: &str) -> Result<(), Failure> {
        write(text)
    }

    /// Prints several things of a kind; a table has these columns.
    pub(super) fn list(&self, columns: &[&str], things: &[Value]) -> Result<(), Failure> {
        match self.output {
            Output::Json => lines(things),
            Output::Table => write(&table(columns, things)),
        }
    }

    /// Prints what is to be said of it all: an object, or for people a line beside the data.
    pub(super) fn closing(&self, thing: &Value, words: &str) -> Result<(), Failure> {
        match self.output {
            Output::Json => lines(std::slice::from_ref(thing)),
            Output::Table => {
                eprintln!("{words}");
                Ok(())
            }
        }
    }

    /// Prints the head of a table that grows line by line; its columns have these widths.
    pub(super) fn header(&self, columns: &[(&str, usize)]) -> Result<(), Failure> {
        match self.output {
            Output::Json => Ok(()),
            Output::Table => write(&aligned(columns, |column| column.to_uppercase())),
        }
    }

    /// Prints the next line of it.
    pub(super) fn line(&self, columns: &[(&str, usize)], thing: &Value) -> Result<(), Failure> {
        match self.output {
            Output::Json => lines(std::slice::from_ref(thing)),
            Output::Table => write(&aligned(columns, |column| cell(&thing[column]))),
        }
    }

    /// Prints one thing; a table has a line for each of its keys.
    pub(super) fn one(&self, thing: &Value) -> Result<(), Failure> {
        match (self.output, thing) {
            (Output::Table, Value::Object(keys)) => {
                let mut table = plain();
                for (key, value) in keys {
                    table.add_row([key.clone(), cell(value)]);
                }
                write(&finished(&table))
            }
            _ => lines(std::slice::from_ref(thing)),
        }
    }
}

pub(super) fn table(columns: &[&str], things: &[Value]) -> String {
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    for thing in things {
        table.add_row(columns.iter().map(|column| cell(&thing[*column])));
    }
    finished(&table)
}

fn aligned(columns: &[(&str, usize)], text: impl Fn(&str) -> String) -> String {
    let cells: Vec<String> =
        columns.iter().map(|(column, width)| format!("{:<width$}", text(column))).collect();
    cells.join("  ").trim_end().to_owned() + "\n"
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn finished(table: &Table) -> String {
    table.trim_fmt() + "\n"
}

/// A text as it is, but for control characters; nothing for null; JSON for the rest.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escaped(text, Lines::Escaped),
        other => other.to_string(),
    }
}

fn lines(things: &[Value]) -> Result<(), Failure> {
    write(&things.iter().map(|thing| format!("{thing}\n")).collect::<String>())
}

/// A reader that has seen enough (`| head`) ends the command without complaint.
fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            std::process::exit(i32::from(Exit::Done.code()))
        }
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints a text as it is.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    write(text)
}

/// A duration as the command line and the files of jobs read it: `1h30m`.
pub(super) fn duration_text(ms: i64) -> String {
    let mut left = ms.max(0);
    let mut text = String::new();
    for (unit, ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= ms {
            text += &format!("{}{unit}", left / ms);
            left %= ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// An instant as they read it: RFC 3339 in UTC.
pub(super) fn instant_text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}
