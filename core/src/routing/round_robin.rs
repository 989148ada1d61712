//! Each worker in turn, job by job.

use std::collections::HashMap;

use super::Candidate;
use crate::id::{JobId, SessionId};

/// Whose turn was last, for each job that asks for it.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    last: HashMap<JobId, SessionId>,
}

impl Rotation {
    /// Above this many jobs the turns begin anew: memory is worth more than an even start.
    const MAX_JOBS: usize = 100_000;

    /// The candidate after the one chosen last for this job, in order of session, around the circle.
    pub fn choose(&mut self, job: JobId, candidates: impl Iterator<Item = Candidate>) -> Option<SessionId> {
        let last = self.last.get(&job).copied();
        let chosen =
            candidates.map(|each| each.session).min_by_key(|session| (Some(*session) <= last, *session))?;
        if self.last.len() >= Self::MAX_JOBS && !self.last.contains_key(&job) {
            self.last.clear();
        }
        self.last.insert(job, chosen);
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(numbers: &[u8]) -> impl Iterator<Item = Candidate> {
        let all: Vec<_> = numbers.iter().map(|n| SessionId::from_bytes([*n; 16])).collect();
        all.into_iter().map(|session| Candidate { session, running: 0, slots: 1, credit: 1 })
    }

    #[test]
    fn each_job_goes_around_its_workers_and_steps_over_those_that_cannot() {
        let mut rotation = Rotation::default();
        let (one, two) = (JobId::from_bytes([1; 16]), JobId::from_bytes([2; 16]));
        let mut next =
            |job, numbers: &[u8]| rotation.choose(job, workers(numbers)).map(|id| id.as_bytes()[0]);
        assert_eq!(
            [next(one, &[2, 1, 3]), next(one, &[2, 1, 3]), next(one, &[1, 3])],
            [Some(1), Some(2), Some(3)]
        );
        assert_eq!(next(one, &[2, 1, 3]), Some(1));
        assert_eq!(next(two, &[2, 1, 3]), Some(1));
        assert_eq!(next(one, &[]), None);
    }
}
