//! Whether something grows for as long as the server runs.

use serde_json::{Value, json};

/// The part of the samples that is the warm-up: caches fill, pools are made.
const WARM_UP: f64 = 0.2;
/// With fewer samples after it nothing is judged.
const SAMPLES_MIN: usize = 30;

/// What became of a figure, after the warm-up: the median of each third of the time. One look that came at a
/// bad moment changes no median.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    medians: [f64; 3],
    most: f64,
    allowed: f64,
}

impl Trend {
    /// Of these samples, in order. It may grow by so much. `None` where there are too few to say.
    pub(crate) fn of(samples: &[f64], allowed: f64) -> Option<Self> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a length is a length"
        )]
        let warm = (samples.len() as f64 * WARM_UP) as usize;
        let judged = &samples[warm..];
        if judged.len() < SAMPLES_MIN {
            return None;
        }
        let third = judged.len() / 3;
        let medians = [
            median(&judged[..third]),
            median(&judged[third..2 * third]),
            median(&judged[2 * third..]),
        ];
        Some(Self {
            medians,
            most: judged.iter().copied().fold(f64::MIN, f64::max),
            allowed,
        })
    }

    /// How much more it was in the last third than in the first.
    pub(crate) fn growth(&self) -> f64 {
        self.medians[2] - self.medians[0]
    }

    /// Whether that is more than it may be.
    pub(crate) fn leaks(&self) -> bool {
        self.growth() > self.allowed
    }

    /// As the report shows it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "medians_of_thirds": self.medians,
            "most": self.most,
            "growth_allowed": self.allowed,
            "leaks": self.leaks(),
        })
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(samples: impl Iterator<Item = f64>) -> Trend {
        Trend::of(&samples.collect::<Vec<_>>(), 10.0).expect("enough samples")
    }

    #[test]
    fn what_grows_for_as_long_as_it_runs_is_a_leak() {
        let grows = trend((0..100).map(f64::from));
        assert!(grows.leaks());
        assert!(grows.growth() > 50.0);
    }

    #[test]
    fn a_warm_up_and_moments_that_stand_out_are_none() {
        let warms_up = trend((0..100).map(|n| f64::from(n.min(20)) * 100.0));
        assert!(!warms_up.leaks());
        let spikes = trend((0..100).map(|n| if n % 4 == 0 { 1e6 } else { 5.0 }));
        assert!(!spikes.leaks());
        assert!(!trend((0..100).map(|n| f64::from(n % 10))).leaks());
        // What falls is none either.
        assert!(!trend((0..100).rev().map(f64::from)).leaks());
    }

    #[test]
    fn of_little_nothing_is_said() {
        assert_eq!(Trend::of(&[1.0; 36], 0.0), None);
        assert!(Trend::of(&[1.0; 37], 0.0).is_some());
    }
}
