//! What clients and people ask.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Definition, Ended, FireKey, Gap, GapReason, Job, Revision, Run, SkipReason, Source, Trigger,
};
use fastjob_core::id::{AppId, RunId};
use fastjob_core::shard::Rows;
use fastjob_server::store::{JobFilter, LedgerEntry, LedgerFilter, RunFilter};

use crate::bundle::{Bundle, START, after_end, after_start, ended, name};

crate::on_every_backend! {
    jobs_are_listed_in_order_of_name_page_by_page
    the_newest_job_of_a_name_is_the_living_one_else_the_last_deleted
    every_job_that_there_ever_was_is_listed_in_order_of_name_and_id_page_by_page
    the_revisions_of_a_job_are_read_in_order_page_by_page
    enabled_jobs_without_a_next_tick_are_found_page_by_page
    a_run_is_given_to_its_own_app_with_its_attempts_oldest_first
    a_run_is_found_by_its_fire_key_also_when_its_job_is_deleted
    runs_are_listed_newest_first_by_job_state_and_page
    a_ledger_holds_runs_and_gaps_of_its_range_in_order_page_by_page
    a_ledger_reads_instants_before_2001_and_runs_without_a_tick
}

async fn jobs_are_listed_in_order_of_name_page_by_page(on: Bundle) {
    let jobs = ["c", "a", "b", "gone"].map(|text| on.job(text));
    let gone = Job { deleted_at: Some(START), ..jobs[3].clone() };
    let jobs_created = vec![jobs[0].clone(), jobs[1].clone(), jobs[2].clone(), gone];
    on.commit(Rows { jobs_created, ..Rows::default() }).await;
    let first = on.job_list(on.app.id, None, 2).await.unwrap();
    assert_eq!(first, [jobs[1].clone(), jobs[2].clone()]);
    let second = on.job_list(on.app.id, Some(&first[1].name), 2).await.unwrap();
    assert_eq!(second, [jobs[0].clone()]);
    assert_eq!(on.job_list(AppId(99), None, 2).await.unwrap(), []);
    assert_eq!(on.job_get(AppId(99), &name("a")).await.unwrap(), None);
}

async fn the_newest_job_of_a_name_is_the_living_one_else_the_last_deleted(on: Bundle) {
    let gone = |at: i64| Job { deleted_at: Some(START.plus(at)), ..on.job("a") };
    let (last, first, living) = (gone(9), gone(5), on.job("b"));
    let past = Job { deleted_at: Some(START.plus(99)), ..on.job("b") };
    let jobs_created = vec![last.clone(), first, living.clone(), past];
    on.commit(Rows { jobs_created, ..Rows::default() }).await;
    assert_eq!(on.job_newest(on.app.id, &name("a")).await.unwrap(), Some(last));
    assert_eq!(on.job_newest(on.app.id, &name("b")).await.unwrap(), Some(living));
    assert_eq!(on.job_newest(on.app.id, &name("c")).await.unwrap(), None);
}

async fn every_job_that_there_ever_was_is_listed_in_order_of_name_and_id_page_by_page(on: Bundle) {
    let gone = |text: &str, at: i64| Job { deleted_at: Some(START.plus(at)), ..on.job(text) };
    let mut jobs = vec![gone("b", 1), gone("b", 2), on.job("b"), on.job("a"), gone("c", 3)];
    on.commit(Rows { jobs_created: jobs.clone(), ..Rows::default() }).await;
    jobs.sort_by(|one, other| (&one.name, one.id.as_bytes()).cmp(&(&other.name, other.id.as_bytes())));
    for limit in [1, 2, 9] {
        assert_eq!(every_job(&on, None, limit).await, jobs);
        assert_eq!(every_job(&on, Some("b"), limit).await, jobs[1..4]);
    }
    assert_eq!(every_job(&on, Some("d"), 9).await, []);
    let foreign = JobFilter { limit: 9, ..JobFilter::default() };
    assert_eq!(on.job_list_all(AppId(99), &foreign).await.unwrap(), []);
    assert_eq!(on.job_by_id(on.app.id, jobs[2].id).await.unwrap().as_ref(), Some(&jobs[2]));
    assert_eq!(on.job_by_id(AppId(99), jobs[2].id).await.unwrap(), None);
    assert_eq!(on.job_by_id(on.app.id, on.id()).await.unwrap(), None);
}

async fn every_job(on: &Bundle, named: Option<&str>, limit: u32) -> Vec<Job> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let filter = JobFilter { name: named.map(name), after, limit };
        let page = on.job_list_all(on.app.id, &filter).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some((last.name.clone(), last.id));
        all.extend(page);
    }
}

async fn the_revisions_of_a_job_are_read_in_order_page_by_page(on: Bundle) {
    let (job, other) = (on.job("a"), on.job("b"));
    on.commit(Rows { jobs_created: vec![job.clone(), other.clone()], ..Rows::default() }).await;
    let off = Job { revision: 2, enabled: false, updated_at: START.plus(5), ..job.clone() };
    let gone = Job { revision: 3, deleted_at: Some(START.plus(9)), updated_at: START.plus(9), ..off.clone() };
    for revised in [&off, &gone] {
        on.commit(Rows { jobs_revised: vec![revised.clone()], ..Rows::default() }).await;
    }
    let revision = |job: &Job, from| Revision {
        revision: job.revision,
        from,
        definition: job.definition.clone(),
        enabled: job.enabled,
        deleted: job.deleted_at.is_some(),
    };
    let all = [revision(&job, job.updated_at), revision(&off, START.plus(5)), revision(&gone, START.plus(9))];
    assert_eq!(on.job_history(job.id, 0, 9).await.unwrap(), all);
    assert_eq!(on.job_history(job.id, 0, 2).await.unwrap(), all[..2]);
    assert_eq!(on.job_history(job.id, 2, 2).await.unwrap(), all[2..]);
    assert_eq!(on.job_history(job.id, 3, 2).await.unwrap(), []);
    assert_eq!(on.job_history(other.id, 0, 9).await.unwrap(), [revision(&other, other.updated_at)]);
}

async fn enabled_jobs_without_a_next_tick_are_found_page_by_page(on: Bundle) {
    let triggered = |text: &str, trigger: Trigger| {
        let job = on.job(text);
        let definition = Definition { trigger, ..(*job.definition).clone() };
        Job { definition: definition.into(), next_at: None, ..job }
    };
    let every = Trigger::FixedRate { period_ms: 5_000, phase: None };
    let mut found = ["a", "b", "c"].map(|text| triggered(text, every.clone()));
    found.sort_by_key(|job| job.id);
    let others = [
        Job { enabled: false, ..triggered("d", every.clone()) },
        Job { deleted_at: Some(START), ..triggered("e", every.clone()) },
        Job { next_at: Some(START), ..triggered("f", every) },
        triggered("g", Trigger::Api),
        triggered("h", Trigger::FixedDelay { delay_ms: 5 }),
    ];
    let jobs_created = found.iter().cloned().chain(others).collect();
    on.commit(Rows { jobs_created, ..Rows::default() }).await;
    assert_eq!(on.jobs_tickless(None, 2).await.unwrap(), found[..2]);
    assert_eq!(on.jobs_tickless(Some(found[1].id), 2).await.unwrap(), found[2..]);
}

async fn a_run_is_given_to_its_own_app_with_its_attempts_oldest_first(on: Bundle) {
    let job = on.job("a");
    let run = on.run(&job, START);
    let attempts = vec![on.attempt(&run, 2), on.attempt(&run, 1)];
    let rows = Rows {
        jobs_created: vec![job],
        runs_created: vec![run.clone()],
        attempts: attempts.clone(),
        ..Rows::default()
    };
    on.commit(rows).await;
    let (read, oldest_first) = on.run_get(on.app.id, run.id).await.unwrap().unwrap();
    assert_eq!(read, run);
    assert_eq!(oldest_first, [attempts[1].clone(), attempts[0].clone()]);
    assert_eq!(on.run_get(AppId(99), run.id).await.unwrap(), None);
    assert_eq!(on.run_get(on.app.id, on.id()).await.unwrap(), None);
}

async fn a_run_is_found_by_its_fire_key_also_when_its_job_is_deleted(on: Bundle) {
    let (gone, living) = (Job { deleted_at: Some(START), ..on.job("a") }, on.job("a"));
    let (both_old, both_new) = (on.run(&gone, START), on.run(&living, START));
    let only = Run { fire_key: FireKey::of_idempotency_key("x"), ..on.run(&gone, START) };
    let rows = Rows {
        jobs_created: vec![gone, living],
        runs_created: vec![both_old, both_new.clone(), only.clone()],
        ..Rows::default()
    };
    on.commit(rows).await;
    let find = async |key: &FireKey| on.run_fired(on.app.id, &name("a"), key).await.unwrap();
    assert_eq!(find(&only.fire_key).await, Some(only.id));
    assert_eq!(find(&both_new.fire_key).await, Some(both_new.id), "the living job's first");
    assert_eq!(find(&FireKey::Chain(1)).await, None);
    assert_eq!(on.run_fired(AppId(99), &name("a"), &only.fire_key).await.unwrap(), None);
}

async fn runs_are_listed_newest_first_by_job_state_and_page(on: Bundle) {
    let jobs = [on.job("a"), on.job("b")];
    let open = on.run(&jobs[0], START);
    let other = on.run(&jobs[1], START);
    let running = on.run(&jobs[0], START.plus(1));
    let running = after_start(&running, &on.started(&running));
    let skipped = on.run(&jobs[0], START.plus(2));
    let skipped = after_end(&skipped, &ended(&skipped, Ended::Skipped(SkipReason::Overlap)));
    let runs = [&open, &other, &running, &skipped].map(Clone::clone);
    on.commit(Rows { jobs_created: jobs.to_vec(), runs_created: runs.to_vec(), ..Rows::default() }).await;

    let list = async |job: Option<&str>, states: &[&'static str], before: Option<RunId>, limit: u32| {
        let filter = RunFilter { job: job.map(name), states: states.to_vec(), before, limit };
        on.run_list(on.app.id, &filter).await.unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, &[], None, 9).await, [skipped.id, running.id, other.id, open.id]);
    assert_eq!(list(None, &[], None, 2).await, [skipped.id, running.id]);
    assert_eq!(list(None, &[], Some(running.id), 1).await, [other.id]);
    assert_eq!(list(Some("a"), &[], None, 9).await, [skipped.id, running.id, open.id]);
    assert_eq!(list(Some("a"), &[], Some(skipped.id), 1).await, [running.id]);
    assert_eq!(list(Some("a"), &["scheduled", "skipped"], None, 9).await, [skipped.id, open.id]);
    assert_eq!(list(None, &["scheduled", "failed"], None, 9).await, [other.id, open.id]);
    assert_eq!(list(Some("none"), &[], None, 9).await, []);
    let foreign = RunFilter { limit: 9, ..RunFilter::default() };
    assert_eq!(on.run_list(AppId(99), &foreign).await.unwrap(), []);
}

async fn a_ledger_holds_runs_and_gaps_of_its_range_in_order_page_by_page(on: Bundle) {
    let (job, other) = (on.job("a"), on.job("b"));
    let run = |at| on.run(&job, START.plus(at));
    let gap = |from: i64, to: i64| Gap {
        job: job.id,
        from: START.plus(from),
        to: START.plus(to),
        count: Some(3),
        reason: GapReason::CatchUp,
        revision: 1,
    };
    let uncounted = Gap { count: None, reason: GapReason::Disabled, ..gap(12, 12) };
    let (before, first, same, last, end) = (run(9), run(10), run(12), run(19), run(20));
    let rows = Rows {
        jobs_created: vec![job.clone(), other.clone()],
        runs_created: vec![
            last.clone(),
            same.clone(),
            first.clone(),
            before,
            end,
            on.run(&other, START.plus(11)),
        ],
        gaps: vec![uncounted.clone(), gap(5, 10), gap(1, 9), gap(20, 30), gap(13, 99)],
        ..Rows::default()
    };
    on.commit(rows).await;
    let run = |run: &Run| LedgerEntry::Run(Box::new(run.clone()));
    let expected = [
        LedgerEntry::Gap(gap(5, 10)),
        run(&first),
        run(&same),
        LedgerEntry::Gap(uncounted),
        LedgerEntry::Gap(gap(13, 99)),
        run(&last),
    ];
    assert_eq!(pages(&on, &job, START.plus(10), START.plus(20), 100).await, expected);
    for limit in 1..4 {
        assert_eq!(pages(&on, &job, START.plus(10), START.plus(20), limit).await, expected);
    }
}

async fn a_ledger_reads_instants_before_2001_and_runs_without_a_tick(on: Bundle) {
    let job = on.job("a");
    let at = Millis::new;
    let early = [-5, 0, 99_999, 1_000_000].map(|ms| on.run(&job, at(ms)));
    let keys = [FireKey::Chain(7), FireKey::of_idempotency_key("x"), FireKey::Request(on.id())];
    let called =
        keys.map(|fire_key| Run { fire_key, tick: None, source: Source::Api, ..on.run(&job, START) });
    let runs: Vec<Run> = early.into_iter().chain(called).collect();
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created: runs.clone(), ..Rows::default() }).await;
    let expected: Vec<LedgerEntry> = runs.into_iter().map(|run| LedgerEntry::Run(Box::new(run))).collect();
    for limit in [1, 100] {
        assert_eq!(pages(&on, &job, at(-5), Millis::MAX, limit).await, expected);
    }
    assert_eq!(pages(&on, &job, at(0), at(100_000), 2).await, expected[1..3]);
}

/// The whole ledger, read in pages.
async fn pages(on: &Bundle, job: &Job, from: Millis, to: Millis, limit: u32) -> Vec<LedgerEntry> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = on.ledger(job.id, &LedgerFilter { from, to, after, limit }).await.unwrap();
        after = match page.last() {
            None => return all,
            Some(LedgerEntry::Run(run)) => Some((run.tick.unwrap_or(run.due), run.id)),
            Some(LedgerEntry::Gap(gap)) => Some((gap.from, RunId::from_bytes([0xff; 16]))),
        };
        assert!(page.len() <= limit as usize);
        all.extend(page);
    }
}
