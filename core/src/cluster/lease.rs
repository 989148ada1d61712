//! The arithmetic of a lease, by a clock that only moves forward.

use std::time::Duration;

use crate::id::Chance;

/// How a lease is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaseTerms {
    /// A server that others have not seen renew for this long is dead to them.
    pub lease: Duration,
    /// From one renewal to the next.
    pub renew: Duration,
    /// Taken off the lease, for what the clocks of two machines may differ in their pace.
    pub margin: Duration,
}

impl LeaseTerms {
    /// How long a server may act from the moment it *sent* a renewal that succeeded.
    pub fn trusted(&self) -> Duration {
        self.lease.saturating_sub(self.margin)
    }

    /// How long to wait for the answer to one renewal. Twice that still fits into the time of trust, so that one answer
    /// that gets lost does not cost the lease.
    pub fn patience(&self) -> Duration {
        self.trusted() / 2
    }

    /// The pause after a renewal that failed: short, and never the same on two servers.
    pub fn pause(&self, chance: &mut Chance) -> Duration {
        (self.renew / 4).mul_f64(0.5 + chance.next_fraction() / 2.0)
    }

    /// Two renewals further apart than this leave an observer's view of the others with a gap.
    pub fn gap(&self) -> Duration {
        self.lease / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: LeaseTerms = LeaseTerms {
        lease: Duration::from_millis(4_000),
        renew: Duration::from_millis(1_000),
        margin: Duration::from_millis(250),
    };

    #[test]
    fn two_lost_answers_in_a_row_fit_into_the_time_of_trust() {
        let mut chance = Chance::from_seed(1);
        for _ in 0..1_000 {
            assert!(TERMS.patience() * 2 <= TERMS.trusted());
            let pause = TERMS.pause(&mut chance);
            assert!(pause >= TERMS.renew / 8 && pause <= TERMS.renew / 4, "{pause:?}");
        }
    }
}
