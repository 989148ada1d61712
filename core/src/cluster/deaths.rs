//! Who is dead: observed, never computed from the clocks of others. A server is dead to an observer that has seen its
//! seq unchanged for a full lease of the observer's own time, while the observer itself kept renewing. After any gap in
//! its own renewals the observer knows nothing: the database, the network or its own machine may have stood still for
//! all of them alike.

use std::collections::BTreeMap;
use std::time::Duration;

use super::LeaseTerms;
use crate::id::ServerId;
use crate::mutant::mutant;

/// A server as a renewal showed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Whom.
    pub server: ServerId,
    /// Rises with each of its renewals.
    pub seq: u64,
}

/// One server's observation of the others.
#[derive(Clone, Debug)]
pub struct Watch {
    terms: LeaseTerms,
    /// Since when, by the observer's clock, the seq of each has been this.
    standing: BTreeMap<ServerId, (u64, Duration)>,
    /// When the observer's last renewal was answered, if it was not followed by a failure.
    last: Option<Duration>,
}

impl Watch {
    /// An observer that has seen nothing yet.
    pub fn new(terms: LeaseTerms) -> Self {
        Self { terms, standing: BTreeMap::new(), last: None }
    }

    /// A renewal of the observer, sent at `sent` and answered at `answered`, showed these others. Returns those that are
    /// dead: they may be declared so at the seq that was seen, and at no other.
    pub fn renewed(&mut self, sent: Duration, answered: Duration, others: &[Seen]) -> Vec<Seen> {
        let gap = self.last.is_none_or(|last| answered.saturating_sub(last) > self.terms.gap());
        if gap {
            self.standing.clear();
        }
        self.last = Some(answered);
        let mut dead = Vec::new();
        let mut standing = BTreeMap::new();
        for other in others {
            // The row was read after `sent` and before `answered`: an observation begins at the later of the two, and
            // ends at the earlier.
            let since = match self.standing.get(&other.server) {
                Some(&(seq, since)) if seq == other.seq || mutant("no_seq_compare") => since,
                _ => answered,
            };
            if sent.saturating_sub(since) >= self.terms.lease {
                dead.push(*other);
            }
            standing.insert(other.server, (other.seq, since));
        }
        self.standing = standing;
        dead
    }

    /// A renewal of the observer failed, or got no answer.
    pub fn failed(&mut self) {
        self.last = None;
    }

    /// When the next renewal should be sent, after one that was answered at `answered`: a renewal's pause later, or sooner
    /// if a server that stands still is dead by then.
    pub fn next_renewal(&self, answered: Duration) -> Duration {
        let regular = answered + self.terms.renew;
        let deaths = self.standing.values().map(|(_, since)| *since + self.terms.lease);
        deaths.filter(|death| *death > answered).min().map_or(regular, |death| death.min(regular))
    }
}
