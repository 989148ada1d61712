//! The jobs of every plan.

use std::time::Duration;

use fastjob_core::client::{Backoff, CatchUp, Job, Overlap};
use fastjob_core::protocol::v1;

/// The jobs, as they are put at first.
pub(crate) struct Jobs(pub(crate) Vec<v1::JobSpec>);

/// A worker of a plan is lost so soon.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(5);

impl Jobs {
    /// Of each trigger and policy one.
    pub(super) fn of_a_plan() -> Self {
        let every_second = |name: &str, handler: &str| Job::named(name).handler(handler).cron("* * * * * ?");
        let every_two = |name: &str, handler: &str| Job::named(name).handler(handler).cron("0/2 * * * * ?");
        let jobs = [
            late(every_second("cron", "quick").overlap(Overlap::AllowAll)),
            late(every_two("skipping", "work")),
            late(every_two("failing", "fail").overlap(Overlap::AllowAll).retries(2).backoff(
                Backoff::Fixed,
                Duration::from_millis(200),
                Duration::from_secs(1),
            )),
            late(
                Job::named("pace").handler("quick").every(Duration::from_secs(1)).overlap(Overlap::AllowAll),
            ),
            late(Job::named("chain").handler("quick").delay(Duration::from_millis(400))),
            late(Job::named("called").handler("work").api().overlap(Overlap::AllowAll)),
            late(every_two("toggled", "quick").overlap(Overlap::AllowAll)),
            given_up(every_second("edited", "quick").overlap(Overlap::AllowAll), CatchUp::Latest),
            given_up(every_second("latest", "quick").overlap(Overlap::AllowAll), CatchUp::Latest),
            given_up(every_second("none", "quick").overlap(Overlap::AllowAll), CatchUp::None),
        ];
        Self(jobs.into())
    }
}

/// Every missed tick fires late.
pub(crate) fn late(job: Job) -> v1::JobSpec {
    spec(job, CatchUp::Latest, 600_000)
}

/// Missed ticks are given up when they are a second late.
pub(crate) fn given_up(job: Job, policy: CatchUp) -> v1::JobSpec {
    spec(job, policy, 1_000)
}

fn spec(job: Job, policy: CatchUp, threshold_ms: i64) -> v1::JobSpec {
    let mut spec = job.catch_up(policy).worker_lost_after(LOST_AFTER).into_spec();
    spec.catch_up.get_or_insert_default().threshold_ms = Some(threshold_ms);
    spec
}
