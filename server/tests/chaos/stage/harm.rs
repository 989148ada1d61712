//! What a plan does to the stage, and what the history says of it.

use serde_json::json;

use super::super::clock::now_ms;
use super::super::harness::Server;
use super::super::mutants::Mutant;
use super::{APP, Stage};

/// To ask the database what time it is may take so long.
const CLOCK_MS: i64 = 5_000;

/// What a fault means to the checker.
#[derive(Clone, Copy, Default)]
pub(crate) struct Harm {
    /// Ticks may go unwatched.
    pub(crate) outage: bool,
    /// A shard's owner is killed.
    pub(crate) takeover: bool,
    /// A shard's owner stands still or is cut off, and comes back.
    pub(crate) away: bool,
}

impl Harm {
    /// Nobody but workers and callers feels it.
    pub(crate) const NONE: Self = Self { outage: false, takeover: false, away: false };
    /// Ticks may go unwatched.
    pub(crate) const OUTAGE: Self = Self { outage: true, ..Self::NONE };
    /// The owner is killed.
    pub(crate) const TAKEOVER: Self = Self { takeover: true, ..Self::OUTAGE };
    /// The owner stands still or is cut off.
    pub(crate) const AWAY: Self = Self { away: true, ..Self::OUTAGE };
}

impl Stage {
    /// Starts each server again, with the bug.
    pub(super) fn plant(&mut self, mutant: Mutant) -> Result<(), String> {
        self.fault("restart in order", Harm::OUTAGE, |stage| {
            for node in &mut stage.nodes {
                node.stop()?;
                node.server.settings.push(("FASTJOB_MUTANT", mutant.name));
                node.start()?;
            }
            Ok(())
        })
    }

    /// Does something to somebody and notes it. What `act` does is the fault from its beginning to its end.
    pub(crate) fn fault<T>(
        &mut self,
        name: &str,
        harm: Harm,
        act: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let in_flight = self.observer.in_flight(&self.workers.pids());
        let begin_ms = now_ms();
        let done = act(self).map_err(|why| format!("{name}: {why}"))?;
        self.record.add(json!({
            "kind": "fault", "name": name, "begin_ms": begin_ms, "end_ms": now_ms(), "in_flight": in_flight,
            "outage": harm.outage, "takeover": harm.takeover, "away": harm.away,
        }));
        Ok(done)
    }

    /// A server with the configuration of another, that would listen here.
    pub(crate) fn twin(&self, which: usize, address: &str) -> Result<Server, String> {
        let home = self.place.join("twin");
        std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        let mut twin = self.database.server(&self.place, &home, APP)?;
        twin.settings.clone_from(&self.nodes[which].server.settings);
        address.clone_into(&mut twin.rpc);
        Ok(twin)
    }

    /// Sets the database's clock against that of everybody else, and makes sure that it moved.
    pub(crate) fn set_clock(&mut self, offset_ms: i64) -> Result<(), String> {
        let Some(clock) = &self.clock else { return Err("the database of this plan has no clock".into()) };
        let begin_ms = now_ms();
        clock.set(offset_ms)?;
        let shown = self.database.now_ms()?;
        if let Some(ahead) =
            shown.map(|shown| shown - now_ms()).filter(|ahead| (ahead - offset_ms).abs() > CLOCK_MS)
        {
            return Err(format!("the database's clock is {ahead} ms ahead, and not {offset_ms}"));
        }
        self.record.add(json!({"kind": "clock", "at_ms": begin_ms, "offset_ms": offset_ms}));
        Ok(())
    }

    /// SIGKILL to a server, at a moment that was drawn.
    pub(crate) fn kill(&mut self, which: usize) -> Result<(), String> {
        self.nodes[which].kill()?;
        self.killed(None);
        Ok(())
    }

    /// Notes that a server was killed just now, at a failpoint or at a moment that was drawn; answers whether workers that
    /// live hold attempts.
    pub(crate) fn killed(&mut self, point: Option<&str>) -> bool {
        let pids = self.workers.pids();
        self.record.add(json!({"kind": "kill", "point": point, "at_ms": now_ms(), "pids": pids}));
        self.observer.held(&pids) > 0
    }
}
