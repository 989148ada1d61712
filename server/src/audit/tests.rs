//! An honest ledger is made from a history by brute force; it is green, and each thing that is done to it is named.

use fastjob_core::domain::{
    Cron, Definition, Dialect, Ended, Limits, Overlap, Revision, SkipReason, Trigger,
};
use fastjob_core::id::Id;
use fastjob_core::protocol::{job, v1};
use fastjob_core::schedule::Schedule;
use proptest::prelude::*;

use super::*;

const START: i64 = 1_700_000_000_000;

/// What happens to a job, one after the other.
#[derive(Clone, Debug)]
enum Edit {
    Every(i64),
    EverySecondAndMinute,
    Chain(i64),
    Api,
    Disable,
    Enable,
    Delete,
}

/// A job's life, and the ledger that it leaves.
#[derive(Clone, Debug)]
struct Life {
    revisions: Vec<Revision>,
    marks: Marks,
    entries: Vec<Entry>,
    now: Millis,
}

fn definition(trigger: Trigger) -> Definition {
    let api = v1::Trigger { kind: Some(v1::trigger::Kind::Api(v1::ApiOnly {})) };
    let spec =
        v1::JobSpec { name: "job".into(), handler: "work".into(), trigger: Some(api), ..Default::default() };
    Definition { trigger, ..job::put(spec, Millis::new(0)).unwrap().definition }
}

fn cron(expression: &str) -> Trigger {
    Trigger::Cron(Cron::new(expression, Dialect::Quartz, "UTC"))
}

fn every(period_ms: i64) -> Trigger {
    Trigger::FixedRate { period_ms, phase: None }
}

impl Life {
    /// Put at START, then each edit at its instant; written ahead to 15 s after `now`.
    fn new(first: Trigger, edits: &[(i64, Edit)], now: i64) -> Self {
        let start = Millis::new(START);
        let first = Revision {
            revision: 1,
            from: start,
            definition: definition(first).into(),
            enabled: true,
            deleted: false,
        };
        let mut revisions = vec![first];
        for (at, edit) in edits {
            let last = revisions.last().unwrap().clone();
            let put = |trigger| Revision { definition: definition(trigger).into(), ..last.clone() };
            let next = match edit {
                Edit::Every(ms) => put(every(*ms)),
                Edit::EverySecondAndMinute => put(cron("0,1,2 * * * * ?")),
                Edit::Chain(delay_ms) => put(Trigger::FixedDelay { delay_ms: *delay_ms }),
                Edit::Api => put(Trigger::Api),
                Edit::Disable => Revision { enabled: false, ..last.clone() },
                Edit::Enable => Revision { enabled: true, ..last.clone() },
                Edit::Delete => Revision { deleted: true, ..last.clone() },
            };
            if last.deleted
                || (next.enabled, &next.definition, next.deleted)
                    == (last.enabled, &last.definition, last.deleted)
            {
                continue;
            }
            revisions.push(Revision { revision: last.revision + 1, from: Millis::new(START + at), ..next });
        }
        let newest = revisions.last().unwrap();
        let marks = Marks {
            id: Id::from_bytes([1; 16]),
            revision: newest.revision,
            definition: newest.definition.clone(),
            enabled: newest.enabled,
            next_at: None,
            chain_seq: 0,
            created_at: start,
            updated_at: newest.from,
            deleted_at: newest.deleted.then_some(newest.from),
        };
        let mut life = Self { marks, revisions, entries: Vec::new(), now: Millis::new(START + now) };
        life.fire();
        life
    }

    fn fire(&mut self) {
        for place in 0..self.revisions.len() {
            let revision = self.revisions[place].clone();
            let next = self.revisions.get(place + 1);
            let end = next.map_or(self.now.plus(15_000), |next| next.from);
            if revision.deleted {
                continue;
            }
            let schedule = Schedule::compile(&revision.definition.trigger, Millis::new(START)).unwrap();
            let ticks = std::iter::successors(schedule.next(revision.from), |tick| schedule.next(*tick));
            let ticks: Vec<Millis> = ticks.take_while(|tick| *tick <= end).collect();
            if next.is_none() {
                self.marks.next_at = schedule.next(if revision.enabled { end } else { revision.from });
            }
            match (ticks.first(), ticks.last()) {
                (Some(from), Some(to)) if !revision.enabled && next.is_some() => {
                    let (from, to, count) = (*from, *to, Some(ticks.len() as u64));
                    let reason = GapReason::Disabled;
                    self.entries.push(Entry::Gap(LedgerGap {
                        from,
                        to,
                        count,
                        reason,
                        revision: revision.revision,
                    }));
                }
                _ if !revision.enabled => {}
                _ => self.entries.extend(ticks.into_iter().map(|tick| Entry::Run(run(tick, &revision)))),
            }
        }
    }

    fn audit(&self) -> Vec<Finding> {
        self.audit_of(Range { from: Millis::new(0), to: None })
    }

    fn audit_of(&self, range: Range) -> Vec<Finding> {
        let mut history = History::default();
        history.extend(self.revisions.iter().cloned());
        let mut found = history.check(&self.marks);
        let mut audit = Audit::new(&history, &self.marks, range);
        for entry in &self.entries {
            let (first, last) = match entry {
                Entry::Run(run) => (run.tick.unwrap_or(run.due), run.tick.unwrap_or(run.due)),
                Entry::Gap(gap) => (gap.from, gap.to),
            };
            if last >= range.from && range.to.is_none_or(|to| first < to) {
                audit.take(entry.clone(), &mut found);
            }
        }
        audit.finish(&self.marks, self.now, &mut found);
        found
    }

    fn codes(&self) -> Vec<Code> {
        self.audit().iter().map(|finding| finding.code).collect()
    }

    fn run_mut(&mut self, at: usize) -> &mut LedgerRun {
        match &mut self.entries[at] {
            Entry::Run(run) => run,
            Entry::Gap(_) => panic!("entry {at} is a gap"),
        }
    }

    fn gap_mut(&mut self) -> &mut LedgerGap {
        let gap = self.entries.iter_mut().find_map(|entry| match entry {
            Entry::Gap(gap) => Some(gap),
            Entry::Run(_) => None,
        });
        gap.expect("a gap")
    }
}

fn run(tick: Millis, revision: &Revision) -> LedgerRun {
    let ended = tick.plus(5);
    LedgerRun {
        id: Id::from_bytes([7; 16]),
        source: history::source_of(&revision.definition.trigger),
        tick: Some(tick),
        ordinal: None,
        due: tick,
        revision: revision.revision,
        state: State::Ended(Ended::Succeeded),
        attempt: 1,
        created_at: tick.plus(-15_000),
        dispatched_at: Some(tick),
        ended_at: Some(ended),
    }
}

/// A minute's life by seconds, disabled from 20 s to 30 s, put anew at 45 s.
fn example() -> Life {
    let edits = [(20_000, Edit::Disable), (30_000, Edit::Enable), (45_000, Edit::Every(2_000))];
    Life::new(every(1_000), &edits, 60_000)
}

#[test]
fn an_honest_ledger_is_green() {
    assert_eq!(example().audit(), []);
}

#[test]
fn a_missing_tick_is_named_with_its_neighbours() {
    let mut life = example();
    life.entries.drain(3..6);
    let found = life.audit();
    assert_eq!(found.len(), 1, "{found:?}");
    let first = &found[0];
    let span = (first.from.unwrap().get() - START, first.to.unwrap().get() - START, first.count);
    assert_eq!((first.code, span, first.revision), (Code::MissingTick, (4_000, 6_000, Some(3)), Some(1)));
}

#[test]
fn a_doubled_tick_is_named_as_run_and_as_gap() {
    let mut life = example();
    let again = life.entries[3].clone();
    life.entries.insert(3, again);
    assert_eq!(life.codes(), [Code::DoubledTick]);

    let mut life = example();
    let gap = life.gap_mut().clone();
    let at = life.entries.iter().position(|entry| *entry == Entry::Gap(gap.clone())).unwrap();
    life.entries.insert(at + 1, Entry::Gap(LedgerGap { from: gap.from.plus(2_000), count: None, ..gap }));
    assert_eq!(life.codes(), [Code::DoubledTick]);
}

#[test]
fn a_run_between_ticks_is_of_no_rule() {
    let mut life = example();
    let strange = LedgerRun { tick: Some(Millis::new(START + 3_500)), ..life.run_mut(2).clone() };
    life.entries.insert(3, Entry::Run(strange));
    assert_eq!(life.codes(), [Code::TickOfNoRule]);
}

#[test]
fn a_wrong_reason_is_named_in_runs_and_gaps() {
    for reason in [SkipReason::Disabled, SkipReason::Deleted, SkipReason::CatchUp, SkipReason::StartDeadline]
    {
        let mut life = example();
        life.run_mut(3).state = State::Ended(Ended::Skipped(reason));
        assert_eq!(life.codes(), [Code::WrongReason], "{reason:?}");
    }
    let mut life = example();
    life.run_mut(3).state = State::Ended(Ended::Skipped(SkipReason::Overlap));
    assert_eq!(life.codes(), []);
    for revision in &mut life.revisions {
        let limits = Limits { overlap: Overlap::AllowAll, ..Limits::default() };
        revision.definition = Definition { limits, ..(*revision.definition).clone() }.into();
    }
    life.marks.definition = life.revisions.last().unwrap().definition.clone();
    assert_eq!(life.codes(), [Code::WrongReason]);

    let mut life = example();
    life.gap_mut().reason = GapReason::CatchUp;
    assert_eq!(life.codes(), [Code::WrongReason]);
}

#[test]
fn a_run_while_its_job_was_disabled_is_a_wrong_reason() {
    let mut life = example();
    let gap = life.gap_mut().clone();
    let at = life.entries.iter().position(|entry| *entry == Entry::Gap(gap.clone())).unwrap();
    let fired = LedgerRun { revision: gap.revision, ..run(gap.from, &life.revisions[1]) };
    life.entries[at] = Entry::Run(fired);
    let rest = LedgerGap { from: gap.from.plus(1_000), count: gap.count.map(|count| count - 1), ..gap };
    life.entries.insert(at + 1, Entry::Gap(rest));
    assert_eq!(life.codes(), [Code::WrongReason]);
}

#[test]
fn a_mark_that_was_moved_is_named_in_both_directions_and_when_it_is_gone() {
    let mut life = example();
    let mark = life.marks.next_at.unwrap();
    life.marks.next_at = Some(mark.plus(3_600_000));
    let found = life.audit();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, found[0].from, found[0].count), (Code::MovedMark, Some(mark), Some(1_800)));
    life.marks.next_at = Some(mark.plus(-6_000));
    assert_eq!(life.codes(), [Code::MovedMark]);
    life.marks.next_at = Some(mark.plus(-1));
    assert_eq!(life.codes(), [Code::MovedMark]);
    life.marks.next_at = None;
    assert_eq!(life.codes(), [Code::MovedMark]);
}

#[test]
fn a_mark_that_stands_still_is_overdue() {
    let mut life = example();
    life.now = life.now.plus(3_600_000);
    assert_eq!(life.codes(), [Code::Overdue]);
    let disabled = Life::new(every(1_000), &[(20_000, Edit::Disable)], 9_000_000);
    assert_eq!(disabled.codes(), []);
}

#[test]
fn a_miscounted_gap_is_named_and_an_uncounted_one_is_counted() {
    let mut life = example();
    life.gap_mut().count = Some(9);
    assert_eq!(life.codes(), [Code::MiscountedGap]);
    life.gap_mut().count = None;
    assert_eq!(life.codes(), []);
}

#[test]
fn an_altered_revision_is_named_wherever_it_stands() {
    let mut life = example();
    life.run_mut(3).revision = 4;
    assert_eq!(life.codes(), [Code::AlteredRevision], "of a run");
    life.run_mut(3).revision = 9;
    assert_eq!(life.codes(), [Code::AlteredRevision], "of a run, to one that never was");
    let mut life = example();
    life.gap_mut().revision = 1;
    assert_eq!(life.codes(), [Code::AlteredRevision], "of a gap");
    let mut life = example();
    life.revisions.last_mut().unwrap().definition = definition(every(4_000)).into();
    assert!(life.codes().contains(&Code::AlteredRevision), "of the newest revision");
    let mut life = example();
    life.revisions[2].definition = definition(every(5_000)).into();
    assert!(life.codes().contains(&Code::TickOfNoRule), "of an earlier one");
    let mut life = example();
    life.revisions.remove(1);
    assert_eq!(life.codes(), [Code::MissingRevision]);
    let mut life = example();
    life.run_mut(3).source = Source::Cron;
    assert_eq!(life.codes(), [Code::WrongSource]);
}

#[test]
fn a_waiting_run_may_follow_an_edit_and_an_early_one_keep_its_own() {
    let mut life = example();
    let place = life
        .entries
        .iter()
        .position(|entry| matches!(entry, Entry::Run(run) if run.tick == Some(Millis::new(START + 44_000))));
    let waiting = life.run_mut(place.unwrap());
    (waiting.revision, waiting.dispatched_at, waiting.ended_at) =
        (4, Some(Millis::new(START + 45_000)), Some(Millis::new(START + 45_100)));
    assert_eq!(life.codes(), []);
    // The clock was set back: what had started stays, though its tick lies after the edit.
    let mut life = Life::new(every(1_000), &[(20_000, Edit::Every(7_000))], 60_000);
    let early = LedgerRun {
        tick: Some(Millis::new(START + 23_000)),
        dispatched_at: Some(Millis::new(START + 19_000)),
        ..life.run_mut(0).clone()
    };
    let place =
        life.entries.iter().position(|entry| matches!(entry, Entry::Run(run) if run.tick > early.tick));
    life.entries.insert(place.unwrap(), Entry::Run(early));
    assert_eq!(life.codes(), []);
}

#[test]
fn a_run_that_an_edit_should_have_stopped_is_stale() {
    let mut life = example();
    let place = |life: &Life, tick: i64| {
        let tick = Some(Millis::new(START + tick));
        life.entries.iter().position(|entry| matches!(entry, Entry::Run(run) if run.tick == tick)).unwrap()
    };
    let at = place(&life, 19_000);
    life.run_mut(at).dispatched_at = Some(Millis::new(START + 20_001));
    assert_eq!(life.codes(), [Code::StaleRevision]);
    life.run_mut(at).attempt = 2;
    assert_eq!(life.codes(), [], "a second attempt keeps its definition");
    life.run_mut(at).attempt = 1;
    life.run_mut(at).dispatched_at = Some(Millis::new(START + 20_000));
    assert_eq!(life.codes(), [], "in the same millisecond it may have been before");
}

fn chain(places: impl IntoIterator<Item = u64>) -> Life {
    let mut life = Life::new(Trigger::FixedDelay { delay_ms: 1_000 }, &[], 60_000);
    let first = life.revisions[0].clone();
    for place in places {
        let due = Millis::new(START + 2_000 * (place as i64 - 1));
        let open = place == 10;
        let begun = Some(due).filter(|_| !open);
        life.entries.push(Entry::Run(LedgerRun {
            tick: None,
            ordinal: Some(place),
            due,
            created_at: due.plus(if place == 1 { 0 } else { -1_000 }),
            dispatched_at: begun,
            ended_at: begun.map(|at| at.plus(1_000)),
            state: if open { State::Scheduled } else { State::Ended(Ended::Succeeded) },
            ..run(due, &first)
        }));
    }
    life.marks.chain_seq = 10;
    life
}

#[test]
fn a_chain_is_consecutive_or_each_hole_is_named() {
    assert_eq!(chain(1..=10).audit(), []);
    assert_eq!(chain([1, 2, 3, 5, 6, 7, 8, 9, 10]).codes(), [Code::BrokenChain]);
    assert_eq!(chain(2..=10).codes(), [Code::BrokenChain]);
    assert_eq!(chain([1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10]).codes(), [Code::BrokenChain]);
    let mut ended = chain(1..=9);
    ended.marks.chain_seq = 9;
    assert_eq!(ended.codes(), [Code::BrokenChain]);
    let mut moved = chain(1..=10);
    moved.marks.chain_seq = 8;
    assert_eq!(moved.codes(), [Code::MovedMark]);
    let mut hasty = chain(1..=10);
    hasty.run_mut(4).due = hasty.run_mut(4).due.plus(-500);
    assert_eq!(hasty.codes(), [Code::BrokenChain]);
    let mut stray = chain(1..=10);
    stray.run_mut(4).created_at = stray.run_mut(4).created_at.plus(1);
    assert_eq!(stray.codes(), [Code::BrokenChain]);
}

#[test]
fn a_range_is_half_open_and_cuts_gaps() {
    let life = example();
    for (from, to) in [(0, 25_000), (25_000, 50_000), (20_000, 20_001), (24_999, 25_000), (61_000, 70_000)] {
        let range = Range { from: Millis::new(START + from), to: Some(Millis::new(START + to)) };
        assert_eq!(life.audit_of(range), [], "{from}..{to}");
    }
    let mut life = example();
    life.entries.remove(9);
    let ten = |from, to| {
        life.audit_of(Range { from: Millis::new(START + from), to: Some(Millis::new(START + to)) })
    };
    assert_eq!(ten(10_000, 10_001).len(), 1);
    assert_eq!(ten(10_001, 50_000).len(), 0);
    assert_eq!(ten(0, 10_000).len(), 0);
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (1..20_i64).prop_map(|seconds| Edit::Every(seconds * 1_000)),
        Just(Edit::EverySecondAndMinute),
        Just(Edit::Api),
        Just(Edit::Chain(0)),
        Just(Edit::Disable),
        Just(Edit::Disable),
        Just(Edit::Enable),
        Just(Edit::Enable),
        Just(Edit::Delete),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    let edits = proptest::collection::vec((0..600_000_i64, edit()), 0..9);
    (edits, 0..60_000_i64, any::<bool>()).prop_map(|(mut edits, more, chained)| {
        edits.sort_by_key(|(at, _)| *at);
        let now = edits.last().map_or(0, |(at, _)| *at) + more;
        let first = if chained { Trigger::Api } else { every(3_000) };
        let mut life = Life::new(first, &edits, now);
        // Chains are tested apart; an enabled one without runs would be a finding.
        if matches!(life.marks.definition.trigger, Trigger::FixedDelay { .. }) {
            life.marks.chain_seq = 0;
        }
        life
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_honest_life_is_green(life in life()) {
        prop_assert_eq!(life.audit(), vec![]);
    }

    #[test]
    fn every_entry_taken_away_or_doubled_is_found(life in life(), at in any::<prop::sample::Index>(), take in any::<bool>()) {
        prop_assume!(!life.entries.is_empty());
        let mut life = life;
        let at = at.index(life.entries.len());
        if take { life.entries.remove(at); } else { life.entries.insert(at, life.entries[at].clone()); }
        let codes = life.codes();
        prop_assert_eq!(codes.len(), 1, "{:?}", codes);
        prop_assert!(matches!(codes[0], Code::MissingTick | Code::MovedMark | Code::DoubledTick), "{:?}", codes);
    }
}
