//! Faults that need several servers and a database beside them.

use std::thread;
use std::time::Duration;

use super::super::database::{Access, End};
use super::super::proxy::{Cut, Flow};
use super::super::stage::{Harm, LEASE_MS, Stage};
use super::servers::{revive, victim};

/// The owner is killed, again and again; each time another takes over.
pub(super) fn kill_owners(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..4 * stage.setting.rounds {
        stage.work_for(1_500, 4_000)?;
        let which = victim(stage);
        let epoch = stage.newest_epoch();
        stage.fault("kill of the owner", Harm::TAKEOVER, |stage| {
            stage.kill(which)?;
            stage.wait_until("another owner dispatches", |stage| stage.newest_epoch() > epoch)
        })?;
        stage.work_for(500, 1_500)?;
        stage.nodes[which].start()?;
    }
    Ok(())
}

/// Every server is killed at once.
pub(super) fn kill_all(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..stage.setting.rounds {
        stage.work_for(1_000, 3_000)?;
        stage.fault("kill of all servers", Harm::OUTAGE, |stage| {
            stage.nodes.iter_mut().try_for_each(super::super::nodes::Node::kill)?;
            thread::sleep(Duration::from_millis(500));
            stage.nodes.iter_mut().try_for_each(super::super::nodes::Node::start)?;
            stage.wait_for_progress()
        })?;
    }
    Ok(())
}

/// The database stops in order and by a crash, for less and for more than a lease.
pub(super) fn stop_the_database(stage: &mut Stage) -> Result<(), String> {
    let longest = if stage.setting.rounds > 1 { 30 } else { 10 };
    for (how, seconds) in [(End::Crash, 0), (End::InOrder, 3), (End::Crash, longest)] {
        stage.work_for(1_500, 3_000)?;
        stage.fault(&format!("{seconds} s without the database, {how:?}"), Harm::OUTAGE, |stage| {
            stage.database.stop(how)?;
            thread::sleep(Duration::from_secs(seconds));
            stage.database.start_again()?;
            stage.wait_for_progress()
        })?;
        revive(stage)?;
    }
    Ok(())
}

/// The owner and its database lose each other, both ways and one way.
pub(super) fn part_owner_and_database(stage: &mut Stage) -> Result<(), String> {
    for (up, down) in [(Flow::Held, Flow::Held), (Flow::Held, Flow::Passes), (Flow::Passes, Flow::Held)] {
        stage.work_for(1_500, 3_000)?;
        let which = victim(stage);
        let time = Duration::from_millis(LEASE_MS.unsigned_abs() + 3_000 + stage.chance.below(4_000));
        stage.fault("owner and database parted", Harm::AWAY, |stage| {
            part(stage, which, up, down);
            thread::sleep(time);
            heal(stage, which);
            Ok(())
        })?;
        revive(stage)?;
        stage.wait_for_progress()?;
    }
    Ok(())
}

/// The owner's renewals arrive, and it never hears so: it may not hold its shards by them.
pub(super) fn lose_answers_to_renewals(stage: &mut Stage) -> Result<(), String> {
    stage.work_for(1_500, 3_000)?;
    let which = victim(stage);
    let time = stage.setting.terms.takeover_limit_ms + 6_000;
    stage.fault("answers to renewals lost", Harm::AWAY, |stage| {
        let Some(link) = stage.nodes[which].database.clone() else { return Err("no link".into()) };
        link.mute_renewals();
        thread::sleep(Duration::from_millis(time.unsigned_abs()));
        link.heal();
        Ok(())
    })?;
    revive(stage)?;
    stage.wait_for_progress()
}

/// The owner is away from half of the workers, one worker from all servers, the servers from each other.
pub(super) fn part_peers(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..stage.setting.rounds {
        stage.work_for(1_000, 2_000)?;
        let which = victim(stage);
        let time = Duration::from_millis(6_000 + stage.chance.below(3_000));
        stage.fault("owner and half of the workers parted", Harm::NONE, |stage| {
            stage.nodes[which].front.set("worker-0", Flow::Held, Flow::Held);
            thread::sleep(time);
            stage.nodes[which].front.heal();
            Ok(())
        })?;
        stage.wait_for_progress()?;
        stage.fault("servers parted from each other", Harm::NONE, |stage| {
            stage.nodes.iter().for_each(|node| node.front.set("server-", Flow::Held, Flow::Held));
            thread::sleep(time);
            stage.nodes.iter().for_each(|node| node.front.heal());
            Ok(())
        })?;
        stage.wait_for_progress()?;
    }
    Ok(())
}

/// The database commits, and the owner never hears of it.
pub(super) fn swallow_commits(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..6 * stage.setting.rounds {
        stage.work_for(800, 2_000)?;
        let which = victim(stage);
        let nth = 1 + stage.chance.below(8).cast_signed();
        stage.fault("answer to a COMMIT swallowed", Harm::OUTAGE, |stage| {
            let Some(link) = stage.nodes[which].database.clone() else { return Err("no link".into()) };
            let before = link.swallowed();
            link.swallow_commit(nth);
            stage.wait_until("a COMMIT is swallowed", |_| link.swallowed() > before)?;
            stage.wait_for_progress()
        })?;
    }
    Ok(())
}

/// Connections to the database are reset, slowed down, cut in the middle of what they carry.
pub(super) fn harm_database_links(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..6 * stage.setting.rounds {
        stage.work_for(500, 1_500)?;
        let which = victim(stage);
        let kind = stage.chance.below(4);
        let bytes = 1 + stage.chance.below(8_000).cast_signed();
        let time = Duration::from_millis(500 + stage.chance.below(2_000));
        stage.fault("link to the database harmed", Harm::OUTAGE, |stage| {
            let Some(link) = stage.nodes[which].database.clone() else { return Err("no link".into()) };
            match kind {
                0 => link.cut("", Cut::Reset),
                1 => link.cut("", Cut::HalfOpen),
                2 => link.cut_after(bytes),
                _ => {
                    link.set("", Flow::Late(Duration::from_millis(40)), Flow::Late(Duration::from_millis(40)))
                }
            }
            thread::sleep(time);
            link.heal();
            stage.wait_for_progress()
        })?;
        revive(stage)?;
    }
    Ok(())
}

/// The database turns read-only for a while, as after a failover by mistake.
pub(super) fn read_only(stage: &mut Stage) -> Result<(), String> {
    for seconds in [2, 8] {
        stage.work_for(1_500, 3_000)?;
        stage.fault("read-only database", Harm::OUTAGE, |stage| {
            stage.database.set_access(Access::ReadOnly)?;
            thread::sleep(Duration::from_secs(seconds));
            stage.database.set_access(Access::ReadWrite)?;
            stage.wait_for_progress()
        })?;
        revive(stage)?;
    }
    Ok(())
}

fn part(stage: &Stage, which: usize, up: Flow, down: Flow) {
    if let Some(link) = &stage.nodes[which].database {
        link.set("", up, down);
    }
}

fn heal(stage: &Stage, which: usize) {
    if let Some(link) = &stage.nodes[which].database {
        link.heal();
    }
}
