//! The guarantees that can only be judged over a whole history.

use std::collections::BTreeMap;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Ended, Job, OutcomeKind, Overlap, Run, SkipReason, State, Trigger};
use fastjob_core::id::{AttemptKey, JobId};

use crate::rows::Tables;
use crate::worker::Execution;

/// What is judged: what was stored, and what was done.
#[derive(Clone, Copy)]
pub(crate) struct Past<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) executions: &'a BTreeMap<AttemptKey, Execution>,
    /// Outcomes that were answered `accepted`.
    pub(crate) accepted: &'a BTreeMap<AttemptKey, OutcomeKind>,
}

/// Of any definition in these tests; an edit may lower them while a run waits for its next attempt.
const MOST_RETRIES: u32 = 2;

/// The ticks of a trigger in (after, until], by plain arithmetic.
fn ticks(job: &Job, after: Millis, until: Millis) -> Vec<Millis> {
    let grid = |phase: i64, period: i64| {
        let first = phase + ((after.get() - phase).div_euclid(period) + 1) * period;
        (first..=until.get()).step_by(period as usize).map(Millis::new).collect()
    };
    let timing = &job.definition.timing;
    let lives = |tick: &Millis| {
        timing.start_at.is_none_or(|start| start <= *tick) && timing.end_at.is_none_or(|end| *tick < end)
    };
    let ticks: Vec<Millis> = match &job.definition.trigger {
        // The only expressions of these tests: every hour, and every n seconds, in UTC.
        Trigger::Cron(cron) if cron.expression == "0 0 * * * ?" => grid(0, 3_600_000),
        Trigger::Cron(cron) => grid(0, cron.expression[2..3].parse::<i64>().unwrap() * 1_000),
        Trigger::FixedRate { period_ms, phase } => grid(phase.unwrap_or(job.created_at).get(), *period_ms),
        Trigger::At(instants) => instants.iter().copied().filter(|at| after < *at && *at <= until).collect(),
        Trigger::DailyWindow(_) => unreachable!("these tests have none"),
        Trigger::FixedDelay { .. } | Trigger::Api => vec![],
    };
    ticks.into_iter().filter(lives).collect()
}

/// G1: each tick of each enabled job has exactly one run, or lies in exactly one gap.
pub(crate) fn every_tick_is_accounted_for(past: Past<'_>) {
    for (id, revisions) in &past.tables.revisions {
        let mut accounted: BTreeMap<Millis, Vec<&Run>> = BTreeMap::new();
        for run in past.tables.runs.values().filter(|run| run.job == *id) {
            if let Some(tick) = run.tick.filter(|_| run.fire_key.is_tick()) {
                accounted.entry(tick).or_default().push(run);
            }
        }
        for (index, revised) in revisions.iter().enumerate() {
            let job = &revised.job;
            if job.deleted_at.is_some() {
                continue;
            }
            let until = match revisions.get(index + 1) {
                Some(next) => next.at,
                None => past.tables.jobs[id].next_at.map_or(far(job, revised.at), |next| next.plus(-1)),
            };
            if until <= revised.at {
                continue;
            }
            for tick in ticks(job, revised.at, until) {
                let of_tick = accounted.remove(&tick).unwrap_or_default();
                let runs = of_tick.len() as u32;
                let gaps = past
                    .tables
                    .gaps
                    .iter()
                    .filter(|gap| gap.job == *id && gap.from <= tick && tick <= gap.to);
                let gaps = gaps.count() as u32;
                assert_eq!(runs + gaps, 1, "G1: {runs} runs and {gaps} gaps at {tick:?} of {job:?}");
                let skipped = State::Ended(Ended::Skipped(SkipReason::Disabled));
                let before = of_tick.iter().all(|run| run.revision < job.revision || run.state == skipped);
                assert!(job.enabled || before, "G1: a disabled job fired: {of_tick:?}");
            }
        }
        // What is left had started or ended before an edit moved the ticks that were to come.
        let early = |(tick, runs): (&Millis, &Vec<&Run>)| {
            let moved = revisions.iter().skip(1).any(|revised| revised.at < *tick);
            moved && runs.iter().all(|run| run.attempt > 0 || matches!(run.state, State::Ended(_)))
        };
        assert!(accounted.iter().all(early), "G1: runs without a tick: {accounted:?}");
        gaps_count_their_ticks(past, *id);
    }
}

fn far(job: &Job, from: Millis) -> Millis {
    let last = match &job.definition.trigger {
        Trigger::At(instants) => Some(*instants.last().unwrap()),
        _ => None,
    };
    let end = job.definition.timing.end_at.map(|end| end.plus(-1));
    [last, end].into_iter().flatten().min().unwrap_or(from)
}

fn gaps_count_their_ticks(past: Past<'_>, id: JobId) {
    for gap in past.tables.gaps.iter().filter(|gap| gap.job == id) {
        let revisions = &past.tables.revisions[&id];
        let job = &revisions.iter().find(|revised| revised.job.revision == gap.revision);
        // A revision that another one followed within its turn is not stored.
        let Some(revised) = job else { continue };
        let within = ticks(&revised.job, gap.from.plus(-1), gap.to);
        assert_eq!(gap.count, Some(within.len() as u64), "{gap:?}");
        assert_eq!((within.first(), within.last()), (Some(&gap.from), Some(&gap.to)));
    }
}

/// G5: as many executions as attempts at most, and those bounded by their recorded causes.
pub(crate) fn executions_are_explained(past: Past<'_>) {
    for run in past.tables.runs.values() {
        let executions = past.executions.keys().filter(|key| key.run == run.id).count() as u32;
        let superseded = past.tables.attempts.keys().filter(|(id, _)| *id == run.id).count() as u32;
        let current = u32::from(run.assignment.is_some());
        assert_eq!(run.attempt, superseded + current, "G5: {run:?}");
        assert!(executions <= run.attempt, "G5: {run:?}");
        assert!(run.fail_count <= MOST_RETRIES + 1 && run.lost_count <= 3, "G5, G13: {run:?}");
        for (key, attempt) in past.tables.attempts.range((run.id, 0)..=(run.id, u32::MAX)) {
            let undelivered = attempt.end == fastjob_core::domain::AttemptEnd::Undelivered;
            let executed = past.executions.contains_key(&attempt.key);
            assert!(!(undelivered && executed), "G5: undelivered, but executed: {key:?} of {run:?}");
        }
    }
}

/// G11: executions that their workers reported in order do not overlap where the job says so.
pub(crate) fn overlap_is_respected(past: Past<'_>) {
    let mut by_job: BTreeMap<JobId, Vec<(Millis, Millis)>> = BTreeMap::new();
    for (key, execution) in past.executions {
        let run = &past.tables.runs[&key.run];
        let reported = past.accepted.get(key).filter(|kind| !matches!(kind, OutcomeKind::Cancelled(_)));
        let job = &past.tables.jobs[&run.job];
        let always = past.tables.revisions[&job.id]
            .iter()
            .all(|revised| is_disjoint(revised.job.definition.limits.overlap));
        if let (Some(_), Some(ended_at), true) =
            (reported, execution.ended_at, always && is_disjoint(run.limits.overlap))
        {
            by_job.entry(run.job).or_default().push((execution.started_at, ended_at));
        }
    }
    for (job, mut spans) in by_job {
        spans.sort_unstable();
        let apart = spans.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        assert!(apart, "G11: executions of {:?} overlap: {spans:?}", past.tables.jobs[&job].name);
    }
}

fn is_disjoint(overlap: Overlap) -> bool {
    !matches!(overlap, Overlap::AllowAll | Overlap::TerminateOther)
}

/// Fixed-delay chains are numbered without a hole, each run after the end of the one before.
pub(crate) fn chains_are_consecutive(past: Past<'_>) {
    for job in past.tables.jobs.values() {
        let runs = past.tables.runs.values().filter(|run| run.job == job.id);
        let chain: BTreeMap<u64, _> = runs
            .filter_map(|run| match run.fire_key {
                fastjob_core::domain::FireKey::Chain(n) => Some((n, run)),
                _ => None,
            })
            .collect();
        let numbers: Vec<u64> = chain.keys().copied().collect();
        assert_eq!(numbers, (1..=job.chain_seq).collect::<Vec<_>>(), "chain of {}", job.name);
        for (before, after) in chain.values().zip(chain.values().skip(1)) {
            assert!(before.ended_at.is_some_and(|ended| ended <= after.created_at), "{before:?} {after:?}");
        }
        let lives = job.enabled && job.deleted_at.is_none() && job.definition.timing.end_at.is_none();
        if let (Trigger::FixedDelay { .. }, true) = (&job.definition.trigger, lives) {
            let open = chain.values().filter(|run| !matches!(run.state, State::Ended(_))).count();
            let ends: Vec<_> =
                chain.iter().map(|(n, run)| (n, run.state, run.due, run.ended_at, run.attempt)).collect();
            assert_eq!(open, 1, "the chain of {job:?} goes on after {ends:?}");
        }
    }
}

/// A run that a start deadline skipped was never dispatched.
pub(crate) fn skipped_runs_never_started(past: Past<'_>) {
    for run in past.tables.runs.values() {
        if let State::Ended(Ended::Skipped(reason)) = run.state {
            let edited = matches!(reason, SkipReason::Disabled | SkipReason::Deleted);
            assert!(edited || run.attempt == 0, "skipped after its start: {run:?}");
        }
    }
}
