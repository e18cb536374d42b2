//! Distributions, counted with atomics alone: whoever observes waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The upper bounds of the buckets of times, in nanoseconds: from 250 µs, which is less than any worker
/// takes, to 5 minutes, which no script may run longer.
const SECONDS: &[u64] = &[
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
    300_000_000_000,
];

/// The upper bounds of the buckets of sizes.
const COUNTS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// A distribution. Clones share it.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [u64],
    /// What one shown unit is in counted ones.
    unit: u64,
    /// One more than bounds: the last is for what is above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// Of times.
    pub fn of_seconds() -> Self {
        Self::new(SECONDS, NANOS_PER_SECOND)
    }

    /// Of how many there were.
    pub fn of_counts() -> Self {
        Self::new(COUNTS, 1)
    }

    fn new(bounds: &'static [u64], unit: u64) -> Self {
        Self(Arc::new(Buckets {
            bounds,
            unit,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// One more that took so long.
    pub fn time(&self, took: Duration) {
        self.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// One more of this size.
    pub fn count(&self, size: usize) {
        self.add(size as u64);
    }

    fn add(&self, value: u64) {
        let buckets = &self.0;
        let place = buckets.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = buckets.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        buckets.sum.fetch_add(value, Ordering::Relaxed);
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "what is shown of a sum need not be exact beyond 2^53"
)]
fn shown(value: u64, unit: u64) -> f64 {
    value as f64 / unit as f64
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let buckets = &self.0;
        let bounds = buckets
            .bounds
            .iter()
            .map(|bound| shown(*bound, buckets.unit))
            .chain([f64::INFINITY]);
        let counts = buckets
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let shown_buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // The count is that of the buckets, so that the text is consistent while others count.
        let count = shown_buckets.iter().map(|(_, count)| count).sum();
        let sum = shown(buckets.sum.load(Ordering::Relaxed), buckets.unit);
        encoder.encode_histogram::<NoLabelSet>(sum, count, &shown_buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    fn text_of(histogram: &Histogram) -> String {
        let mut registry = Registry::default();
        registry.register("h", "H", histogram.clone());
        let mut shown = String::new();
        text::encode(&mut shown, &registry).unwrap();
        shown
    }

    #[test]
    fn a_value_is_in_the_bucket_of_the_first_bound_that_it_does_not_pass() {
        let sizes = Histogram::of_counts();
        for size in [0, 1, 2, 3, 512, 513, 9999] {
            sizes.count(size);
        }
        let shown = text_of(&sizes);
        for line in [
            "h_bucket{le=\"1.0\"} 2",
            "h_bucket{le=\"2.0\"} 3",
            "h_bucket{le=\"4.0\"} 4",
            "h_bucket{le=\"512.0\"} 5",
            "h_bucket{le=\"+Inf\"} 7",
            "h_count 7",
            "h_sum 11030.0",
        ] {
            assert!(shown.lines().any(|is| is == line), "{line}:\n{shown}");
        }
    }

    #[test]
    fn times_are_shown_in_seconds() {
        let times = Histogram::of_seconds();
        times.time(Duration::from_micros(2500));
        times.time(Duration::from_secs(1000));
        let shown = text_of(&times);
        for line in [
            "h_bucket{le=\"0.001\"} 0",
            "h_bucket{le=\"0.0025\"} 1",
            "h_bucket{le=\"300.0\"} 1",
            "h_bucket{le=\"+Inf\"} 2",
            "h_sum 1000.0025",
        ] {
            assert!(shown.lines().any(|is| is == line), "{line}:\n{shown}");
        }
    }

    #[test]
    fn bounds_rise() {
        for bounds in [SECONDS, COUNTS] {
            assert!(bounds.is_sorted_by(|lower, upper| lower < upper));
        }
    }
}
