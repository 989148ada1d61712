//! Faults of servers.

use std::thread;
use std::time::Duration;

use fastjob_core::client::{Job, Overlap};

use super::super::load::late;
use super::super::nodes::{Armed, free_address};
use super::super::stage::{Harm, Stage};

/// Where a server is killed; each must be hit with attempts in flight.
const FAILPOINTS: [&str; 7] = [
    "after_write_ahead_commit",
    "after_dispatch_commit",
    "inside_transaction",
    "after_send",
    "before_acknowledgement",
    "inside_renewal",
    "during_boot",
];
/// A failpoint on the main path is reached at once.
const REACHED: Duration = Duration::from_secs(30);

/// Starts that are tried until a point is hit with attempts in flight.
const TRIES: u64 = 4;

/// Starts a server that kills itself at each point in turn.
pub(super) fn die_at_failpoints(stage: &mut Stage) -> Result<(), String> {
    let alone = stage.nodes.len() == 1;
    if alone {
        stage.must_hit(&FAILPOINTS, stage.setting.rounds);
    }
    for _ in 0..stage.setting.rounds {
        for failpoint in FAILPOINTS {
            for _ in 0..TRIES {
                // Of several servers it takes two takeovers, and what is in flight meanwhile is nobody's choice.
                if die_at(stage, failpoint)? || !alone {
                    break;
                }
            }
        }
        kill_a_worker(stage)?;
    }
    Ok(())
}

/// Kills a server and starts it armed, until it has killed or stopped itself. Of several, others own its shards by then,
/// and are asked to hand them to it.
fn strike(stage: &mut Stage, which: usize, failpoint: &str) -> Result<Armed, String> {
    stage.kill(which)?;
    stage.nodes[which].start_armed(failpoint)?;
    let mut moves = Vec::new();
    let mut struck = Armed::NotReached;
    for _ in 0..REACHED.as_secs() {
        struck = stage.nodes[which].was_struck(Duration::from_secs(1))?;
        if struck != Armed::NotReached {
            break;
        }
        if stage.nodes.len() > 1 {
            moves.push(stage.move_app(which)?);
        }
    }
    // What stands still is to go on after its time, however long these take to end.
    thread::spawn(move || moves.iter_mut().for_each(|asked| drop(asked.wait())));
    Ok(struck)
}

/// Answers whether the point was hit with attempts in flight. Of several servers two may die in a row: who owned, and who
/// was armed; how long that takes is not judged.
fn die_at(stage: &mut Stage, failpoint: &'static str) -> Result<bool, String> {
    let passes = if failpoint == "during_boot" { 1 } else { 1 + stage.chance.below(4) };
    stage.work_for(500, 2_000)?;
    stage.wait_for_work()?;
    let which = victim(stage);
    stage.fault(failpoint, Harm::OUTAGE, |stage| {
        match strike(stage, which, &format!("{failpoint}:{passes}"))? {
            Armed::Killed => {
                let hit = stage.killed(Some(failpoint));
                stage.nodes[which].start()?;
                Ok(hit)
            }
            other => Err(format!("failpoint {failpoint}: {other:?}")),
        }
    })
}

pub(super) fn die_at_random(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..4 * stage.setting.rounds {
        stage.work_for(300, 2_500)?;
        let which = victim(stage);
        stage.fault("kill of a server", harm(stage), |stage| {
            stage.kill(which)?;
            let down = stage.chance.below(3_000);
            thread::sleep(Duration::from_millis(down));
            stage.nodes[which].start()
        })?;
        stage.wait_for_progress()?;
        if stage.chance.below(2) == 0 {
            kill_a_worker(stage)?;
        }
    }
    Ok(())
}

/// SIGKILL to a worker, and another in its place.
pub(super) fn kill_a_worker(stage: &mut Stage) -> Result<(), String> {
    stage.wait_for_work()?;
    let which = stage.chance.index(stage.workers.count());
    stage.fault("kill of a worker", Harm::NONE, |stage| {
        stage.workers.kill(which)?;
        stage.workers.start_all()
    })
}

/// The owner stands still for less and for more than its lease.
pub(super) fn pause(stage: &mut Stage) -> Result<(), String> {
    for seconds in [2_u64, 6, 20] {
        stage.work_for(1_000, 2_000)?;
        let which = victim(stage);
        let harm = away(stage);
        stage.fault(&format!("{seconds} s pause"), harm, |stage| {
            stage.nodes[which].pause();
            thread::sleep(Duration::from_secs(seconds));
            stage.nodes[which].go_on();
            Ok(())
        })?;
        revive(stage)?;
        stage.wait_for_progress()?;
    }
    Ok(())
}

/// The owner stands still with a transaction open: for less than its lease; for longer than the database waits for such a
/// transaction (5 s); and for a time between these. That comes last: what an owner commits after the next one has read
/// would be found by the one after that. Hence the callers too, whose runs nobody else hears of.
pub(super) fn pause_in_transaction(stage: &mut Stage) -> Result<(), String> {
    stage.put(late(Job::named("held").handler("long").api().overlap(Overlap::AllowAll)))?;
    stage.call_more("held", 12)?;
    for pause_ms in [2_000, 8_000, 6_000, 20_000, 4_750] {
        stage.work_for(1_000, 2_000)?;
        let which = victim(stage);
        let passes = 12 + stage.chance.below(20);
        stage.fault("pause in a transaction", Harm::OUTAGE, |stage| {
            let armed = strike(stage, which, &format!("inside_transaction:{passes}:pause"))?;
            if armed != Armed::Paused {
                return Err(format!("{armed:?}"));
            }
            thread::sleep(Duration::from_millis(pause_ms));
            stage.nodes[which].go_on();
            Ok(())
        })?;
        revive(stage)?;
        stage.wait_for_progress()?;
    }
    Ok(())
}

/// A second server with the configuration of a first: on the same address, or the same file, it is refused; elsewhere it
/// joins. The first does not feel it.
pub(super) fn twins(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..2 * stage.setting.rounds {
        stage.work_for(1_000, 2_000)?;
        let which = victim(stage);
        let address = stage.nodes[which].server.rpc.clone();
        stage.fault("a second server with the same configuration", Harm::NONE, |stage| {
            let mut twin = stage.twin(which, &address)?;
            twin.spawn(&[])?;
            match twin.ended(REACHED)? {
                Some(status) if !status.success() => stage.wait_for_progress(),
                other => Err(format!("it was not refused: {other:?}")),
            }
        })?;
        let elsewhere = free_address(&mut stage.chance)?.to_string();
        let alone = stage.nodes.len() == 1;
        stage.fault("a server with the same configuration elsewhere", Harm::NONE, |stage| {
            let mut twin = stage.twin(which, &elsewhere)?;
            twin.settings.push(("FASTJOB_RPC__ADVERTISE", elsewhere.leak()));
            match (twin.start(), alone) {
                (Ok(()), false) => {
                    stage.wait_for_progress()?;
                    thread::sleep(Duration::from_secs(5));
                    twin.stop()
                }
                (Err(_), true) => Ok(()),
                (started, _) => Err(format!("it should join a database of several alone: {started:?}")),
            }
        })?;
        stage.wait_for_progress()?;
    }
    Ok(())
}

/// Each server is stopped in order and started again.
pub(super) fn restart(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..2 * stage.setting.rounds {
        for which in 0..stage.nodes.len() {
            stage.work_for(500, 2_000)?;
            stage.fault("restart in order", Harm::OUTAGE, |stage| {
                stage.nodes[which].stop()?;
                stage.nodes[which].start()
            })?;
            stage.wait_for_progress()?;
        }
    }
    Ok(())
}

/// Gives a server that was away the time to see whether it was declared dead, and starts it again if so.
pub(super) fn revive(stage: &mut Stage) -> Result<(), String> {
    thread::sleep(Duration::from_millis(1_500));
    stage.revive()
}

/// Whom a fault of the owner meets.
pub(super) fn victim(stage: &mut Stage) -> usize {
    let all = stage.nodes.len();
    stage.owner().unwrap_or_else(|| stage.chance.index(all))
}

/// Of one server alone, its death is an outage but nobody takes over.
pub(super) fn harm(stage: &Stage) -> Harm {
    if stage.nodes.len() > 1 { Harm::TAKEOVER } else { Harm::OUTAGE }
}

/// As [`harm`], if it comes back.
fn away(stage: &Stage) -> Harm {
    if stage.nodes.len() > 1 { Harm::AWAY } else { Harm::OUTAGE }
}
