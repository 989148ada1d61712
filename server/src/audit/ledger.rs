//! The walk along a ledger: the ticks that the history expects on one side, runs and gaps on the other.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Gap, GapReason, Source};
use fastjob_core::schedule::Schedule;

use super::chain::Chain;
use super::history::{self, History, Marks, Stretch};
use super::{Code, Entry, Finding, LedgerGap, LedgerRun, Range, reasons};

/// A mark that has not moved this long after its tick stands still.
const OVERDUE_MS: i64 = 60_000;

/// An audit of one job under way. Entries are taken in the order of the ledger, findings leave in that order; what is kept
/// between them does not grow with the ledger.
#[derive(Debug)]
pub struct Audit<'a> {
    history: &'a History,
    marks: &'a Marks,
    range: Range,
    /// What is to be accounted for lies before here.
    upto: Millis,
    place: usize,
    stretch: Option<Stretch>,
    /// The first expected tick that is not accounted for yet.
    next: Option<Millis>,
    /// The last tick that was accounted for.
    last: Option<Millis>,
    /// The last tick that stands at or after the mark.
    beyond: Option<Millis>,
    chain: Chain,
    done: Audited,
}

/// How much was audited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Audited {
    /// Ticks that were expected.
    pub ticks: u64,
    /// Runs of the ledger.
    pub runs: u64,
    /// Gaps of the ledger.
    pub gaps: u64,
}

impl<'a> Audit<'a> {
    /// Begins; `marks` were read before the history, and both before the ledger.
    pub fn new(history: &'a History, marks: &'a Marks, range: Range) -> Self {
        let ends = [range.to, marks.next_at].into_iter().flatten();
        let mut audit = Self {
            history,
            marks,
            range,
            upto: ends.min().unwrap_or(Millis::MAX),
            place: 0,
            stretch: history.stretch(0, marks),
            next: None,
            last: None,
            beyond: None,
            chain: Chain::default(),
            done: Audited::default(),
        };
        audit.expect_after(range.from.plus(-1));
        audit
    }

    /// Takes the next line of the ledger.
    pub fn take(&mut self, entry: Entry, found: &mut Vec<Finding>) {
        match entry {
            Entry::Run(run) => self.take_run(run, found),
            Entry::Gap(gap) => self.take_gap(&gap, found),
        }
    }

    fn take_run(&mut self, run: LedgerRun, found: &mut Vec<Finding>) {
        self.done.runs += 1;
        let in_chain = run.ordinal.is_some() || run.source == Source::FixedDelay;
        if !in_chain && run.tick.is_none() {
            return;
        }
        reasons::check_start(&run, self.history, found);
        match run.tick {
            Some(tick) if !in_chain => self.take_tick(&run, tick, found),
            _ => {
                let whole = self.range.from <= self.marks.created_at;
                self.chain.take(run, whole, self.history, found);
            }
        }
    }

    fn take_tick(&mut self, run: &LedgerRun, tick: Millis, found: &mut Vec<Finding>) {
        if tick >= self.upto {
            self.beyond = self.beyond.max(Some(tick));
            return;
        }
        self.miss_until(tick, Code::MissingTick, found);
        match &self.stretch {
            Some(stretch) if self.next == Some(tick) => {
                reasons::check(run, tick, stretch, self.history, found);
                self.done.ticks += 1;
                self.account(tick);
            }
            _ => found.extend(self.unexpected(run, tick)),
        }
    }

    /// A run of a tick that is not expected now.
    fn unexpected(&self, run: &LedgerRun, tick: Millis) -> Option<Finding> {
        let stretch = self.stretch_at(tick)?;
        if stretch.unknown || self.is_of_older_rule(run, tick) {
            return None;
        }
        let is_tick = stretch.schedule.as_ref().is_some_and(|schedule| has(schedule, tick));
        let (code, what) = match self.last {
            Some(last) if is_tick && tick <= last => (Code::DoubledTick, "the tick is accounted for already"),
            _ => (Code::TickOfNoRule, "the rule that stood then has no such tick"),
        };
        Some(Finding::of(code, what).at(tick).by(stretch.revision).in_run(run.id))
    }

    /// It was started by an older rule before the edit, though its tick lies after it: the clock was set back.
    fn is_of_older_rule(&self, run: &LedgerRun, tick: Millis) -> bool {
        let Some(own) = self.history.get(run.revision) else { return false };
        let ended = self.history.get(run.revision + 1).map(|next| next.from);
        let schedule = history::compile(&own.definition, self.marks);
        ended.is_some_and(|ended| tick > ended && reasons::was_early(run, ended))
            && schedule.is_ok_and(|schedule| has(&schedule, tick))
    }

    fn take_gap(&mut self, gap: &LedgerGap, found: &mut Vec<Finding>) {
        self.done.gaps += 1;
        if gap.from >= self.upto {
            self.beyond = self.beyond.max(Some(gap.to));
            return;
        }
        let stretch = match self.stretch_at(gap.from) {
            // The history lacks its beginning, and says so.
            None if gap.from > self.marks.created_at => return,
            Some(stretch) if stretch.unknown => return self.account(gap.to),
            stretch => stretch,
        };
        match stretch.as_ref().and_then(|stretch| Some((stretch, stretch.schedule.as_ref()?))) {
            Some((stretch, schedule))
                if has(schedule, gap.from) && has(schedule, gap.to) && gap.to <= stretch.until =>
            {
                check_gap(gap, stretch, schedule, found);
                self.cover(gap, schedule, found);
            }
            _ => {
                let detail = "the gap does not begin and end with ticks of the rule that stood then";
                let finding = Finding::of(Code::TickOfNoRule, detail);
                found.push(finding.between(gap.from, gap.to, None).by(gap.revision));
            }
        }
    }

    fn cover(&mut self, gap: &LedgerGap, schedule: &Schedule, found: &mut Vec<Finding>) {
        let from = gap.from.max(self.range.from);
        self.miss_until(from, Code::MissingTick, found);
        if let Some(last) = self.last.filter(|last| *last >= from) {
            let to = last.min(gap.to);
            let count = schedule.count(from, to, Gap::MAX_COUNTED);
            let finding =
                Finding::of(Code::DoubledTick, "the gap holds ticks that are accounted for already");
            found.push(finding.between(from, to, count).by(gap.revision));
        }
        let to = gap.to.min(self.upto.plus(-1));
        if let Some(next) = self.next.filter(|next| *next <= to) {
            self.done.ticks += schedule.count(next, to, u64::MAX).unwrap_or(u64::MAX);
        }
        if gap.to >= self.upto {
            self.beyond = self.beyond.max(Some(gap.to));
        }
        self.account(gap.to);
    }

    /// The ledger is read. `marks` were read after it, at `now`, and name the same revision.
    pub fn finish(mut self, marks: &Marks, now: Millis, found: &mut Vec<Finding>) -> Audited {
        let at_the_mark = marks.next_at.is_none() || self.marks.next_at == Some(self.upto);
        let code = if at_the_mark { Code::MovedMark } else { Code::MissingTick };
        self.miss_until(self.upto, code, found);
        if self.range.to.is_none() {
            found.extend(self.mark_is_wrong(marks));
        }
        let lives = marks.enabled && marks.deleted_at.is_none();
        let in_range = |tick: &Millis| self.range.to.is_none_or(|to| *tick < to);
        let overdue = |tick: &Millis| lives && now.since(*tick) > OVERDUE_MS;
        if let Some(tick) = marks.next_at.filter(in_range).filter(overdue) {
            let detail = format!("nothing has been made of this tick for {} s", now.since(tick) / 1_000);
            found.push(Finding::of(Code::Overdue, detail).at(tick).by(marks.revision));
        }
        let Self { chain, range, .. } = self;
        chain.finish(range.to, marks, found);
        self.done
    }

    fn mark_is_wrong(&self, marks: &Marks) -> Option<Finding> {
        let mark = marks.next_at?;
        let newest = self.history.stretch(self.history.len().checked_sub(1)?, marks)?;
        let wrong = |what: String| Some(Finding::of(Code::MovedMark, what).at(mark).by(marks.revision));
        if let Some(beyond) = self.beyond.filter(|beyond| *beyond >= mark) {
            let finding = wrong("the mark stands before ticks that are accounted for".to_owned())?;
            return Some(finding.between(mark, beyond, None));
        }
        let is_tick = newest.schedule.as_ref().is_some_and(|schedule| has(schedule, mark));
        if newest.unknown || is_tick {
            return None;
        }
        wrong("the mark stands at what is no tick of the rule".to_owned())
    }

    /// Expected ticks before `end` are missing.
    fn miss_until(&mut self, end: Millis, code: Code, found: &mut Vec<Finding>) {
        while let (Some(first), Some(stretch)) = (self.next.filter(|next| *next < end), &self.stretch) {
            let Some(schedule) = &stretch.schedule else { return };
            // Without a mark there is no end to what is missing.
            let last = match end {
                Millis::MAX => first,
                end => schedule.previous(end.min(stretch.until.plus(1))).unwrap_or(first),
            };
            let count = schedule.count(first, last, Gap::MAX_COUNTED).filter(|_| end < Millis::MAX);
            let finding = Finding::of(code, missing(code, count)).between(first, last, count);
            found.push(finding.by(stretch.revision));
            let seen = if end < Millis::MAX { last } else { stretch.until };
            self.expect_after(seen);
        }
    }

    fn account(&mut self, tick: Millis) {
        self.last = self.last.max(Some(tick));
        if self.next.is_some_and(|next| next <= tick) {
            self.expect_after(tick);
        }
    }

    /// The next expected tick is the first after `after`.
    fn expect_after(&mut self, after: Millis) {
        while let Some(stretch) = &self.stretch {
            let next = stretch.schedule.as_ref().and_then(|schedule| schedule.next(after.max(stretch.after)));
            self.next = next.filter(|tick| *tick <= stretch.until);
            if self.next.is_some() || stretch.until >= self.upto {
                break;
            }
            self.place += 1;
            self.stretch = self.history.stretch(self.place, self.marks);
        }
        self.next = self.next.filter(|tick| *tick < self.upto);
    }

    fn stretch_at(&self, tick: Millis) -> Option<Stretch> {
        self.history.stretch(self.history.place_of(tick)?, self.marks)
    }
}

fn check_gap(gap: &LedgerGap, stretch: &Stretch, schedule: &Schedule, found: &mut Vec<Finding>) {
    let mut wrong = |code, detail: String| {
        found.push(Finding::of(code, detail).between(gap.from, gap.to, gap.count).by(gap.revision));
    };
    if gap.revision != stretch.revision {
        let (says, stood) = (gap.revision, stretch.revision);
        wrong(Code::AlteredRevision, format!("the gap says revision {says}, revision {stood} stood then"));
    }
    match gap.reason {
        GapReason::Disabled if stretch.enabled => {
            wrong(Code::WrongReason, "the gap says disabled, and its job was enabled".to_owned());
        }
        GapReason::CatchUp if !stretch.enabled => {
            wrong(Code::WrongReason, "the gap says catch_up, and its job was disabled".to_owned());
        }
        GapReason::Disabled | GapReason::CatchUp => {}
    }
    if let Some(count) = gap.count {
        let ticks = schedule.count(gap.from, gap.to, u64::MAX);
        if ticks != Some(count) {
            let ticks = ticks.unwrap_or_default();
            wrong(Code::MiscountedGap, format!("the gap says {count} ticks, and spans {ticks}"));
        }
    }
}

fn missing(code: Code, count: Option<u64>) -> String {
    let ticks = match count {
        Some(1) => "1 tick is".to_owned(),
        Some(count) => format!("{count} ticks are"),
        None => "this tick and those after it are".to_owned(),
    };
    match code {
        Code::MovedMark => format!("{ticks} neither runs nor in a gap, and the mark stands behind them"),
        _ => format!("{ticks} neither runs nor in a gap"),
    }
}

fn has(schedule: &Schedule, tick: Millis) -> bool {
    schedule.next(tick.plus(-1)) == Some(tick)
}
