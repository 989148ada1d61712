//! Questions as JSON lines, each answered with a line.

use std::io::{self, BufRead, BufReader, Read};

use fastjob_core::schedule::Schedule;
use serde_json::{Value, json};

use super::question::{self, Asked, Line, Question, Refused};
use crate::cli::{Exit, Failure, print};

/// The longest line that is read.
const MAX_LINE: u64 = 4 << 20;
/// How many bytes of answers are gathered before they are written.
const CHUNK: usize = 64 << 10;

/// Answers the lines of stdin. Whoever asks line by line gets each answer before the next question.
pub(super) fn answer_lines(asked: Asked, default: &Question) -> Result<Exit, Failure> {
    let mut batch = Batch { asked, default, last: None, refused: false };
    let mut input = BufReader::with_capacity(CHUNK, io::stdin());
    let (mut line, mut answers) = (Vec::new(), String::new());
    loop {
        let more = read_line(&mut input, &mut line)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot read stdin: {error}")))?;
        if let Some(answer) = more.then(|| batch.answer(&line)).flatten() {
            answers.push_str(&answer.to_string());
            answers.push('\n');
        }
        if !more || answers.len() >= CHUNK || input.buffer().is_empty() {
            print::text(&answers)?;
            answers.clear();
        }
        if !more {
            return Ok(batch.exit());
        }
    }
}

/// Answers questions, and keeps the last schedule for those that only look elsewhere.
pub(super) struct Batch<'a> {
    pub(super) asked: Asked,
    pub(super) default: &'a Question,
    pub(super) last: Option<(Question, Schedule)>,
    pub(super) refused: bool,
}

impl Batch<'_> {
    /// `None` for an empty line.
    pub(super) fn answer(&mut self, line: &[u8]) -> Option<Value> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        Some(self.ask(line).unwrap_or_else(|refused| {
            self.refused = true;
            refused.shape()
        }))
    }

    /// A check fails if one of its lines does; the others have answered what they were asked.
    pub(super) fn exit(&self) -> Exit {
        if self.refused && self.asked == Asked::Check { Exit::Usage } else { Exit::Done }
    }

    fn ask(&mut self, line: &[u8]) -> Result<Value, Refused> {
        if line.len() as u64 > MAX_LINE {
            return Err(Refused::new("line", "is longer than 4 MiB", "give one question a line"));
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            let remedy = "give a JSON object a line, as {\"expression\": \"0 0 3 * * ?\", \"zone\": \"Europe/Berlin\"}";
            Refused::new("line", format!("is no question: {error}"), remedy)
        })?;
        let question = line.question(self.default)?;
        match self.asked {
            Asked::Next | Asked::Previous => {
                let schedule = self.schedule(&question)?;
                Ok(json!({"ticks": question::ticks(&question.ticks_of(&schedule, self.asked))}))
            }
            Asked::Explain => Ok(question.explain()?),
            Asked::Check => {
                self.schedule(&question)?.must_fire_after(question.from)?;
                Ok(json!({"ok": true}))
            }
        }
    }

    fn schedule(&mut self, question: &Question) -> Result<Schedule, Refused> {
        match &self.last {
            Some((last, schedule)) if last.cron == question.cron => Ok(schedule.clone()),
            _ => {
                let schedule = question.schedule()?;
                self.last = Some((question.clone(), schedule.clone()));
                Ok(schedule)
            }
        }
    }
}

/// Reads a line without its end; false at the end of the input. One that is too long comes cut off, one byte longer than
/// allowed.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if input.by_ref().take(MAX_LINE + 1).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > MAX_LINE {
        skip_line(input)?;
    }
    Ok(true)
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffer.len(), |at| at + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}
