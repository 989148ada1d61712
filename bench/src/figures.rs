//! Samples and what is said of them.

/// What was measured, once per round.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What it is.
    pub(crate) name: String,
    /// Of the samples.
    pub(crate) unit: &'static str,
    /// One per round, in their order.
    pub(crate) rounds: Vec<f64>,
    /// What stands beside it: a goal, or a figure taken elsewhere.
    pub(crate) beside: String,
}

impl Figure {
    /// A figure without anything beside it.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, rounds: Vec<f64>) -> Self {
        Self { name: name.into(), unit, rounds, beside: String::new() }
    }

    /// With this beside it.
    #[must_use]
    pub(crate) fn beside(mut self, beside: impl Into<String>) -> Self {
        self.beside = beside.into();
        self
    }

    /// The middle of the rounds.
    pub(crate) fn median(&self) -> f64 {
        percentile(&self.sorted(), 50.0)
    }

    /// The lowest and the highest round.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let sorted = self.sorted();
        (percentile(&sorted, 0.0), percentile(&sorted, 100.0))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// The value that `percent` of the sorted samples do not exceed (nearest rank; the middle of two for the median of an
/// even number). NaN without samples.
pub(crate) fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    if percent == 50.0 && last % 2 == 1 {
        return f64::midpoint(sorted[last / 2], sorted[last / 2 + 1]);
    }
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.saturating_sub(1).min(last)]
}

/// Each of `ours` in proportion to the one of `theirs` from the same round.
pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank_and_a_median_the_middle() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 99.0), 99.0);
        assert_eq!(percentile(&sorted, 100.0), 100.0);
        assert_eq!(percentile(&sorted, 0.0), 1.0);
        assert_eq!(percentile(&sorted, 50.0), 50.5);
        assert_eq!(percentile(&[3.0], 99.0), 3.0);
        assert!(percentile(&[], 50.0).is_nan());
    }

    #[test]
    fn a_median_does_not_depend_on_the_order_of_the_rounds() {
        let figure = Figure::new("rows", "rows/s", vec![3.0, 1.0, 2.0]);
        assert_eq!(figure.median(), 2.0);
        assert_eq!(figure.spread(), (1.0, 3.0));
    }
}
