//! Whether this server can do its work, as `/readyz` shows it: it holds its lease, and is not stopping.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::http::Readiness;
use crate::trust::Trust;

/// How often the lease is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// Keeps `ready` true until `stop`; then it says that the server is stopping.
pub(super) async fn follow(
    trust: Trust,
    ready: watch::Sender<Readiness>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.cancelled() => break,
        }
        let now = judge(&trust);
        ready.send_if_modified(|shown| std::mem::replace(shown, now.clone()) != now);
    }
    ready.send_replace(Readiness::waiting("stopping"));
    Ok(())
}

fn judge(trust: &Trust) -> Readiness {
    if trust.holds() {
        Readiness::ready()
    } else {
        Readiness::waiting("the lease is not renewed: does the database answer?")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fastjob_core::clock::{ManualClock, Millis};

    use super::*;
    use crate::trust::time::DatabaseTime;

    #[test]
    fn a_server_is_ready_while_it_holds_its_lease() {
        let clock = Arc::new(ManualClock::at(Millis::new(1_000)));
        let trust = Trust::new(DatabaseTime::new(clock.clone()));
        assert_ne!(judge(&trust), Readiness::ready());
        trust.extend(Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(judge(&trust), Readiness::ready());
        clock.advance(3_000);
        assert_ne!(judge(&trust), Readiness::ready());
    }
}
