//! Backfills: the ticks of a range are found here, and put by the job's owner part by part.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Job, Name, Overlap, Refusal, RefusalKind};
use fastjob_core::id::RequestId;
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::schedule::Schedule;
use fastjob_core::shard::{Backfill, Call};

use super::auth::Authorized;
use super::{Api, wrong_reply};

/// What is to be run again.
#[derive(Clone, PartialEq, Debug)]
pub struct BackfillOrder {
    /// Of which job.
    pub job: Name,
    /// The same in each retry of the call.
    pub id: RequestId,
    /// The first instant of the range.
    pub from: Millis,
    /// The end of the range, which is not in it.
    pub to: Millis,
    /// `None`: one run after the other.
    pub overlap: Option<Overlap>,
}

impl Api {
    /// Runs the ticks of a range again, whatever became of them. A repeated call with the same id adds what is missing.
    ///
    /// # Errors
    /// `Invalid` for a range that is empty, lies in the future, or has more than [`Backfill::MAX_TICKS`] ticks; `Conflict`
    /// for a job without ticks; as any call to an owner. Then some runs may have been put.
    pub async fn job_backfill(
        &self,
        by: &Authorized,
        order: BackfillOrder,
    ) -> Result<v1::JobBackfillReply, Refusal> {
        check_range(&order, self.now())?;
        let job = self.job_get(by, &order.job).await?;
        let ticks = ticks_of(&order, &job)?;
        let shard = by.app().shard_of(order.job.as_str());
        let mut done = v1::JobBackfillReply::default();
        for (at, part) in ticks.chunks(Backfill::MAX_PART).enumerate() {
            let first = u32::try_from(at * Backfill::MAX_PART).expect("at most MAX_TICKS");
            let (job, id, overlap) = (order.job.clone(), order.id, order.overlap);
            let part = Backfill { job, id, first, ticks: part.to_vec(), overlap };
            match self.call(by.app(), shard, Call::JobBackfill(part)).await? {
                Reply::JobBackfill(reply) => {
                    done.created += reply.created;
                    done.existed += reply.existed;
                }
                other => return Err(wrong_reply(&other)),
            }
        }
        Ok(done)
    }
}

fn check_range(order: &BackfillOrder, now: Millis) -> Result<(), Refusal> {
    if order.from >= order.to {
        return Err(Refusal::invalid("out_of_bounds", "to", "is not later than `from`")
            .remedy("give a half-open range: from < to"));
    }
    if order.to > now {
        return Err(Refusal::invalid("out_of_bounds", "to", "lies in the future")
            .remedy("give an instant that has passed: coming ticks fire by themselves"));
    }
    Ok(())
}

fn ticks_of(order: &BackfillOrder, job: &Job) -> Result<Vec<Millis>, Refusal> {
    let schedule = Schedule::of(job).filter(|_| job.definition.trigger.is_timed()).ok_or_else(|| {
        let message = format!("job \"{}\" has no ticks: it is fired by fixed delay or by call", job.name);
        Refusal::new(RefusalKind::Conflict, "job_has_no_ticks", message)
            .remedy("trigger it, or give it a schedule")
    })?;
    let first = schedule.next(order.from.plus(-1));
    let ticks = std::iter::successors(first, |tick| schedule.next(*tick)).take_while(|tick| *tick < order.to);
    let ticks: Vec<Millis> = ticks.take(Backfill::MAX_TICKS + 1).collect();
    if ticks.len() <= Backfill::MAX_TICKS {
        return Ok(ticks);
    }
    let message = format!("the range has more than {} ticks", Backfill::MAX_TICKS);
    Err(Refusal::invalid("too_many_ticks", "to", message).remedy("split the range"))
}
