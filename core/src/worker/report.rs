//! Tells another server what an owner should know that cannot be reached.

use super::hub::Hub;
use super::outbox::Report;
use crate::client::{Client, Error};
use crate::clock::{Clock, SystemClock};
use crate::protocol::v1;

/// One report through a server other than the `owners`.
pub(super) async fn through_another(
    hub: &Hub,
    client: &Client,
    report: Report,
    owners: &[String],
) -> Result<(), Error> {
    let request = v1::ReportRequest {
        app: hub.profile.app.clone(),
        session: hub.profile.session.clone(),
        outcomes: report.outcomes,
        // A count that has not risen proves nothing; no other server knows what it was.
        beat: hub.life.risen().map(|life| v1::Beat { ping: 0, life }),
        running: report.running,
    };
    let reply = client.report_once(request, owners).await?;
    hub.server_clock.learn(reply.server_time, SystemClock.elapsed());
    hub.change(|outbox, now, _| {
        for ack in &reply.acks {
            outbox.acknowledge(ack);
        }
        for shard in reply.reached {
            outbox.reached(shard, now);
        }
    });
    hub.has_settled();
    Ok(())
}
