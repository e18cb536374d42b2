//! What many measurements come to.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Many measurements of one thing, sorted.
#[derive(Debug)]
pub(crate) struct Distribution {
    sorted: Vec<Duration>,
}

impl Distribution {
    /// Of these measurements.
    pub(crate) fn new(mut measured: Vec<Duration>) -> Self {
        measured.sort_unstable();
        Self { sorted: measured }
    }

    /// The measurement that so many percent do not exceed, in milliseconds.
    fn percentile_ms(&self, percent: usize) -> f64 {
        let count = self.sorted.len();
        let at = (count * percent).div_ceil(100).saturating_sub(1);
        self.sorted.get(at).map_or(f64::NAN, |&time| millis(time))
    }

    /// The median, in milliseconds.
    pub(crate) fn p50_ms(&self) -> f64 {
        self.percentile_ms(50)
    }

    /// What all but five in a hundred stay below, in milliseconds.
    pub(crate) fn p95_ms(&self) -> f64 {
        self.percentile_ms(95)
    }

    /// What all but one in a hundred stay below, in milliseconds.
    pub(crate) fn p99_ms(&self) -> f64 {
        self.percentile_ms(99)
    }

    /// The mean, in milliseconds.
    pub(crate) fn mean_ms(&self) -> f64 {
        let sum: Duration = self.sorted.iter().sum();
        rounded(sum.as_secs_f64() * 1000.0 / self.sorted.len().max(1) as f64)
    }

    /// Its figures, in milliseconds.
    pub(crate) fn json(&self) -> Value {
        json!({
            "samples": self.sorted.len(),
            "min": self.sorted.first().map(|&time| millis(time)),
            "mean": self.mean_ms(),
            "p50": self.percentile_ms(50),
            "p95": self.percentile_ms(95),
            "p99": self.percentile_ms(99),
            "max": self.sorted.last().map(|&time| millis(time)),
        })
    }
}

/// The one in the middle; of an even number the larger of two. There has to be one.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Does something again and again: `count` times, or until `budget` is used up.
pub(crate) fn repeat(count: usize, budget: Duration, mut once: impl FnMut()) {
    let until = Instant::now() + budget;
    for _ in 0..count {
        once();
        if Instant::now() >= until {
            break;
        }
    }
}

/// A time in milliseconds, to the microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1000.0)
}

/// How many times the floor a figure is; `None` where there is no floor.
pub(crate) fn ratio(number: f64, floor: f64) -> Option<f64> {
    (floor > 0.0).then(|| (number / floor * 100.0).round() / 100.0)
}

/// Three digits behind the point.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
