//! Faults of the network between workers, callers and servers.

use std::thread;
use std::time::Duration;

use fastjob_core::client::{Job, Overlap};

use super::super::load::late;
use super::super::proxy::{Cut, Flow};
use super::super::stage::{Harm, LOST_AFTER_MS, Stage};

/// A link of workers or callers fails in a way that is drawn.
pub(super) fn fail(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..8 * stage.setting.rounds {
        stage.work_for(300, 1_500)?;
        let peer = *stage.chance.one_of(&["worker-", "worker-0", "worker-1", "client", ""]);
        let time = Duration::from_millis(500 + stage.chance.below(3_500));
        match stage.chance.below(7) {
            0 => held(stage, "both ways held", peer, Flow::Held, Flow::Held, time)?,
            1 => held(stage, "to the server held", peer, Flow::Held, Flow::Passes, time)?,
            2 => held(stage, "from the server held", peer, Flow::Passes, Flow::Held, time)?,
            3 => {
                let late = Flow::Late(Duration::from_millis(50 + stage.chance.below(400)));
                held(stage, "late", peer, late, late, time)?;
            }
            4 => cut(stage, "reset", peer, Cut::Reset)?,
            5 => cut(stage, "half open", peer, Cut::HalfOpen)?,
            _ => {
                let bytes = 1 + stage.chance.below(20_000);
                stage.fault("cut after some bytes", Harm::NONE, |stage| {
                    stage.nodes.iter().for_each(|node| node.front.cut_after(bytes.cast_signed()));
                    thread::sleep(time);
                    stage.nodes.iter().for_each(|node| node.front.heal());
                    Ok(())
                })?;
            }
        }
        stage.wait_for_progress()?;
    }
    Ok(())
}

/// One worker is away for longer than it may be: its attempts run elsewhere, and its late reports are refused.
pub(super) fn worker_away(stage: &mut Stage) -> Result<(), String> {
    // Their attempts end while their worker is away, and run again when it comes back.
    stage.put(late(Job::named("slow").handler("long").cron("* * * * * ?").overlap(Overlap::AllowAll)))?;
    stage.work_for(4_000, 5_000)?;
    for _ in 0..stage.setting.rounds {
        stage.wait_for_work()?;
        let which = stage.chance.index(stage.workers.count());
        let away = Duration::from_millis(LOST_AFTER_MS.unsigned_abs() + 1_000 + stage.chance.below(1_500));
        let one_way = stage.chance.below(2) == 0;
        let up = if one_way { Flow::Passes } else { Flow::Held };
        held(stage, "worker away", &format!("worker-{which}"), up, Flow::Held, away)?;
        stage.wait_for_progress()?;
    }
    Ok(())
}

fn held(
    stage: &mut Stage,
    name: &str,
    peer: &str,
    up: Flow,
    down: Flow,
    time: Duration,
) -> Result<(), String> {
    stage.fault(&format!("{name}: {peer}"), Harm::NONE, |stage| {
        stage.nodes.iter().for_each(|node| node.front.set(peer, up, down));
        thread::sleep(time);
        stage.nodes.iter().for_each(|node| node.front.heal());
        Ok(())
    })
}

fn cut(stage: &mut Stage, name: &str, peer: &str, how: Cut) -> Result<(), String> {
    stage.fault(&format!("{name}: {peer}"), Harm::NONE, |stage| {
        stage.nodes.iter().for_each(|node| node.front.cut(peer, how));
        Ok(())
    })
}
