//! The worker with the smallest share of its slots in use.

use std::cmp::{Ordering, Reverse};

use super::Candidate;
use crate::id::SessionId;

/// The candidate with the smallest running / slots; of equals the one with the most credit, then the lowest session.
pub fn least_busy(candidates: impl Iterator<Item = Candidate>) -> Option<SessionId> {
    candidates.min_by(by_share).map(|chosen| chosen.session)
}

fn by_share(a: &Candidate, b: &Candidate) -> Ordering {
    // a.running / a.slots <=> b.running / b.slots, without the rounding.
    let share = (u64::from(a.running) * u64::from(b.slots)).cmp(&(u64::from(b.running) * u64::from(a.slots)));
    share.then_with(|| (Reverse(a.credit), a.session).cmp(&(Reverse(b.credit), b.session)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(n: u8, running: u32, slots: u32, credit: u32) -> Candidate {
        Candidate { session: SessionId::from_bytes([n; 16]), running, slots, credit }
    }

    fn chosen(candidates: &[Candidate]) -> Option<u8> {
        least_busy(candidates.iter().copied()).map(|session| session.as_bytes()[0])
    }

    #[test]
    fn the_smallest_share_of_slots_wins_then_the_most_credit_then_the_lowest_session() {
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[worker(1, 1, 2, 1), worker(2, 3, 8, 1)]), Some(2));
        assert_eq!(chosen(&[worker(1, 1, 2, 1), worker(2, 2, 4, 2)]), Some(2));
        assert_eq!(chosen(&[worker(2, 1, 2, 1), worker(1, 1, 2, 1)]), Some(1));
    }
}
