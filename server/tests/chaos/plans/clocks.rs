//! The database's clock is set while everything works. It ends where it shows the latest time that it ever showed: until
//! then ticks that were lived through once do not come again.

use super::super::stage::{Harm, Stage};

const HOUR_MS: i64 = 3_600_000;
const TEN_MINUTES_MS: i64 = 600_000;

/// Back by an hour, and right again; then once more, and the owner dies each time.
pub(super) fn set_back(stage: &mut Stage) -> Result<(), String> {
    steps(stage, &[-HOUR_MS, 0])
}

/// Ahead by ten minutes, right again, and ahead for good; then once more, and the owner dies each time.
pub(super) fn set_ahead(stage: &mut Stage) -> Result<(), String> {
    steps(stage, &[TEN_MINUTES_MS, 0, TEN_MINUTES_MS])
}

fn steps(stage: &mut Stage, offsets_ms: &[i64]) -> Result<(), String> {
    for round in 0..2 {
        for offset_ms in offsets_ms {
            stage.work_for(3_000, 6_000)?;
            let name = format!("database's clock at {offset_ms} ms");
            stage.fault(&name, Harm::NONE, |stage| stage.set_clock(*offset_ms))?;
            stage.wait_for_progress()?;
            if round > 0 {
                replace_owner(stage)?;
            }
        }
    }
    stage.work_for(3_000, 6_000)
}

/// Whoever boots reads what the clock of another day has left.
fn replace_owner(stage: &mut Stage) -> Result<(), String> {
    stage.work_for(1_500, 3_000)?;
    let which = super::servers::victim(stage);
    let harm = super::servers::harm(stage);
    stage.fault("kill of the owner", harm, |stage| {
        stage.kill(which)?;
        if stage.nodes.len() > 1 {
            stage.wait_for_progress()?;
        }
        stage.nodes[which].start()?;
        stage.wait_for_progress()
    })
}
