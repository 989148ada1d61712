//! Faults of workers.

use std::thread;
use std::time::Duration;

use fastjob_core::client::{CatchUp, Job, Overlap};
use rustix::process::Signal;

use super::super::load::{given_up, late};
use super::super::stage::{Harm, LEASE_MS, LOST_AFTER_MS, Stage};
use super::servers::victim;

/// All at once: killed, paused for longer than they may be silent, and absent.
pub(super) fn fail(stage: &mut Stage) -> Result<(), String> {
    let all = 0..stage.workers.count();
    for _ in 0..stage.setting.rounds {
        stage.wait_for_work()?;
        stage.fault("kill of all workers", Harm::NONE, |stage| {
            all.clone().try_for_each(|which| stage.workers.kill(which))?;
            stage.workers.start_all()
        })?;
        stage.wait_for_progress()?;
        stage.work_for(500, 1_500)?;
        for seconds in [2, 7] {
            stage.fault("pause of all workers", Harm::NONE, |stage| {
                all.clone().for_each(|which| stage.workers.signal(which, Signal::STOP));
                thread::sleep(Duration::from_secs(seconds));
                all.clone().for_each(|which| stage.workers.signal(which, Signal::CONT));
                Ok(())
            })?;
            stage.wait_for_progress()?;
            stage.work_for(500, 1_500)?;
        }
    }
    Ok(())
}

/// Its runs kill every worker that takes them, until they are quarantined.
pub(super) fn quarantine(stage: &mut Stage) -> Result<(), String> {
    stage.put(late(Job::named("killer").handler("kill").api().overlap(Overlap::AllowAll)))?;
    let key = format!("killer-{}", stage.setting.seed);
    stage.fire("killer", &key)?;
    for _ in 0..80 {
        let none = stage.workers.pids();
        stage.fault("a run kills its worker", Harm::NONE, |stage| {
            thread::sleep(Duration::from_millis(500));
            stage.workers.start_all()
        })?;
        if stage.workers.pids() == none && stage.has_ended("killer", &key)? {
            return Ok(());
        }
    }
    Err("the run that kills its workers was not quarantined within 40 s".into())
}

/// The side of a worker that runs handlers stands still, while its SDK speaks on: what it holds runs elsewhere.
pub(super) fn hang(stage: &mut Stage) -> Result<(), String> {
    stage.put(late(Job::named("hanging").handler("hang").api().overlap(Overlap::AllowAll)))?;
    stage.work_for(1_000, 2_000)?;
    let key = format!("hanging-{}", stage.setting.seed);
    stage.fault("the handlers of a worker stand still", Harm::NONE, |stage| {
        stage.fire("hanging", &key)?;
        thread::sleep(Duration::from_millis(3 * LOST_AFTER_MS.unsigned_abs()));
        Ok(())
    })?;
    stage.wait_for_progress()
}

/// Runs wait for a worker for longer than their catch-up threshold, then the server dies: they were watched, so they run.
pub(super) fn wait_over_an_outage(stage: &mut Stage) -> Result<(), String> {
    stage.put(given_up(
        Job::named("watched").handler("quick").cron("* * * * * ?").overlap(Overlap::AllowAll),
        CatchUp::None,
    ))?;
    stage.work_for(500, 1_000)?;
    let all = 0..stage.workers.count();
    stage.fault("no workers", Harm::NONE, |stage| {
        all.clone().try_for_each(|which| stage.workers.kill(which))?;
        thread::sleep(Duration::from_millis(LEASE_MS.unsigned_abs() + 3_000));
        Ok(())
    })?;
    let which = victim(stage);
    stage.fault("kill of a server", Harm::OUTAGE, |stage| {
        stage.kill(which)?;
        stage.nodes[which].start()
    })?;
    stage.workers.start_all()?;
    stage.wait_for_progress()
}
