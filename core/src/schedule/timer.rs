//! What is to be done at which instant. It holds no clock: the caller says what time it is.

use std::collections::BTreeSet;

use crate::clock::Millis;

/// Things armed for instants, handed out in order. Arming the same thing for the same instant twice is arming it once;
/// one thing may be armed for several instants.
#[derive(Clone, Debug)]
pub struct Timer<T: Ord + Copy>(BTreeSet<(Millis, T)>);

impl<T: Ord + Copy> Timer<T> {
    /// Nothing armed.
    pub const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// `what` becomes due at `at`.
    pub fn arm(&mut self, at: Millis, what: T) {
        self.0.insert((at, what));
    }

    /// Takes back what was armed for this very instant; nothing happens if nothing was.
    pub fn disarm(&mut self, at: Millis, what: T) {
        self.0.remove(&(at, what));
    }

    /// Takes out what is due at `now` or earlier, in order of (instant, thing), at most `limit`; the rest stays due.
    pub fn due(&mut self, now: Millis, limit: usize) -> Vec<(Millis, T)> {
        let mut due = Vec::new();
        while due.len() < limit {
            match self.0.first() {
                Some((at, _)) if *at <= now => due.extend(self.0.pop_first()),
                _ => break,
            }
        }
        due
    }

    /// What is due at `now` or earlier, in order of (instant, thing); it stays armed.
    pub fn peek(&self, now: Millis) -> impl Iterator<Item = (Millis, T)> {
        self.0.iter().copied().take_while(move |(at, _)| *at <= now)
    }

    /// The earliest instant for which something is armed.
    pub fn next(&self) -> Option<Millis> {
        self.0.first().map(|(at, _)| *at)
    }

    /// How much is armed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord + Copy> Default for Timer<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_out_in_order_of_instant_and_then_of_themselves_and_never_more_than_asked_for() {
        let mut timer = Timer::new();
        for (at, what) in [(30, 1), (10, 9), (20, 4), (10, 2), (20, 4)] {
            timer.arm(Millis::new(at), what);
        }
        assert_eq!(timer.len(), 4);
        assert_eq!(timer.next(), Some(Millis::new(10)));
        assert_eq!(timer.due(Millis::new(9), 10), []);
        assert_eq!(timer.due(Millis::new(20), 2), [(Millis::new(10), 2), (Millis::new(10), 9)]);
        assert_eq!(timer.due(Millis::new(20), 2), [(Millis::new(20), 4)]);
        assert_eq!(timer.due(Millis::MAX, 0), []);
        assert_eq!(timer.next(), Some(Millis::new(30)));
    }

    #[test]
    fn disarming_takes_out_one_instant_of_one_thing() {
        let mut timer = Timer::default();
        timer.arm(Millis::new(1), 'a');
        timer.arm(Millis::new(2), 'a');
        timer.disarm(Millis::new(1), 'a');
        timer.disarm(Millis::new(1), 'b');
        assert_eq!(timer.due(Millis::MAX, 10), [(Millis::new(2), 'a')]);
        assert!(timer.is_empty());
    }
}
