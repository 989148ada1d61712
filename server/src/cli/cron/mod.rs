//! `fastjob cron`: what cron expressions mean, without a server.

mod batch;
mod question;
#[cfg(test)]
mod tests;

use clap::{Args, Subcommand, ValueEnum};
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::domain::{Cron, Dialect, GapRule, OverlapRule};
use fastjob_core::schedule::Language;
use serde_json::json;

use super::connect::Output;
use super::print::Printer;
use super::{Exit, Failure, args, shape};
use question::{Asked, Question};

/// The most ticks of one answer.
const MAX_COUNT: u32 = 100_000;
/// How many there are if nothing is said.
const COUNT: u32 = 10;

/// `fastjob cron`.
#[derive(Args, Debug)]
pub(super) struct CronCommand {
    #[command(subcommand)]
    verb: Verb,
    /// How to print: a table (default on a terminal), or one JSON object a line (default elsewhere).
    #[arg(short, long, value_name = "FORMAT", global = true)]
    output: Option<Output>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Show the ticks after an instant.
    Next(Ticks),
    /// Show the ticks before an instant, newest first.
    Prev(Ticks),
    /// Say what an expression means, and show the next ticks.
    Explain(Explain),
    /// Tell whether a job with this expression would be taken.
    Check(Check),
}

/// Which expression.
#[derive(Args, Debug)]
struct Rule {
    /// The cron expression; or -, to read JSON lines {"expression","dialect","zone","from","count","gap","overlap"} from
    /// stdin and to answer each with a line.
    #[arg(value_name = "EXPR")]
    expression: String,
    /// How it is read: quartz, unix or spring.
    #[arg(long, value_name = "D", value_parser = args::dialect, default_value = "quartz")]
    dialect: Dialect,
    /// The IANA zone of its civil times.
    #[arg(long, value_name = "Z", default_value = "UTC")]
    zone: String,
    /// What becomes of civil times that a gap of the zone swallows: next or skip. Only for fixed rules [default: next].
    #[arg(long, value_name = "R", value_parser = args::gap)]
    gap: Option<GapRule>,
    /// In which passes of an overlap of the zone it fires: first or both. Only for fixed rules [default: first].
    #[arg(long, value_name = "R", value_parser = args::overlap_rule)]
    overlap: Option<OverlapRule>,
}

#[derive(Args, Debug)]
struct Ticks {
    #[command(flatten)]
    rule: Rule,
    /// Strictly after, or before, this instant [default: now].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: Option<i64>,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = COUNT, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT)))]
    count: u32,
}

#[derive(Args, Debug)]
struct Explain {
    #[command(flatten)]
    ticks: Ticks,
    /// The language of the words.
    #[arg(long, value_name = "L", value_enum, default_value_t = Lang::En)]
    lang: Lang,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lang {
    /// English.
    En,
    /// Chinese.
    Zh,
}

#[derive(Args, Debug)]
struct Check {
    #[command(flatten)]
    rule: Rule,
    /// Taken at this instant, so with a tick in the 100 years after it [default: now].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: Option<i64>,
}

impl Rule {
    fn cron(self) -> Cron {
        let Self { expression, dialect, zone, gap, overlap } = self;
        Cron { expression, dialect, zone, gap, overlap }
    }
}

impl CronCommand {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let printer = Printer::new(self.output);
        let (asked, rule, from, count, lang) = match self.verb {
            Verb::Next(Ticks { rule, from, count }) => (Asked::Next, rule, from, count, Lang::En),
            Verb::Prev(Ticks { rule, from, count }) => (Asked::Previous, rule, from, count, Lang::En),
            Verb::Explain(Explain { ticks, lang }) => {
                (Asked::Explain, ticks.rule, ticks.from, ticks.count, lang)
            }
            Verb::Check(Check { rule, from }) => (Asked::Check, rule, from, COUNT, Lang::En),
        };
        let question = Question {
            cron: rule.cron(),
            from: from.map_or_else(|| SystemClock.now(), Millis::new),
            count,
            language: match lang {
                Lang::En => Language::English,
                Lang::Zh => Language::Chinese,
            },
        };
        if question.cron.expression == "-" {
            return batch::answer_lines(asked, &question);
        }
        show(asked, &question, &printer)?;
        Ok(Exit::Done)
    }
}

fn show(asked: Asked, question: &Question, printer: &Printer) -> Result<(), Failure> {
    let refused = |error| Failure::from(question::Refused::from(error));
    match asked {
        Asked::Next | Asked::Previous => {
            let ticks = question.ticks(asked).map_err(refused)?;
            let tick = |at: Millis| json!({"tick": shape::instant(at.get())});
            printer.list(&["tick"], &ticks.into_iter().map(tick).collect::<Vec<_>>())
        }
        Asked::Explain => printer.one(&question.explain().map_err(refused)?),
        Asked::Check => {
            question.check().map_err(refused)?;
            printer.one(&json!({"ok": true}))
        }
    }
}
