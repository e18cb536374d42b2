//! Families over a fixed list of label values. Every series is there from the start, so that counting
//! takes an index and an atomic, nothing that is sent can add one, and a rate has no gap at its first.

use std::marker::PhantomData;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::histogram::Histogram;

/// The values of a label: all of them.
pub trait Label: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// The label's name.
    const KEY: &'static str;
    /// Its values.
    const ALL: &'static [Self];

    /// A value's name.
    fn name(self) -> &'static str;

    /// Its place in [`Label::ALL`].
    fn place(self) -> usize;
}

/// A metric for each value of a label. Clones share it.
#[derive(Debug, Clone)]
pub struct By<L, M> {
    metrics: Arc<[M]>,
    label: PhantomData<L>,
}

impl<L: Label, M> By<L, M> {
    fn new(metric: impl Fn() -> M) -> Self {
        Self {
            metrics: L::ALL.iter().map(|_| metric()).collect(),
            label: PhantomData,
        }
    }

    /// The metric of this value.
    pub fn of(&self, value: L) -> &M {
        // A place is that of a value in the list that this was made of.
        &self.metrics[value.place()]
    }
}

impl<L: Label> Default for By<L, Counter> {
    fn default() -> Self {
        Self::new(Counter::default)
    }
}

impl<L: Label> By<L, Histogram> {
    /// Distributions of times.
    pub fn of_seconds() -> Self {
        Self::new(Histogram::of_seconds)
    }
}

impl<L: Label, M: EncodeMetric + TypedMetric> EncodeMetric for By<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (value, metric) in L::ALL.iter().zip(self.metrics.iter()) {
            let labels = [(L::KEY, value.name())];
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// Makes an enumeration whose variants are the values of a label.
macro_rules! label {
    (
        $(#[$about:meta])*
        $visible:vis $name:ident, $key:literal: $($(#[$of_value:meta])* $value:ident = $text:literal,)+
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visible enum $name {
            $($(#[$of_value])* $value,)+
        }

        impl crate::metrics::Label for $name {
            const KEY: &'static str = $key;
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

pub(super) use label;

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    label! {
        /// Of a test.
        Side, "side":
            /// One.
            Left = "left",
            /// The other.
            Right = "right",
    }

    #[test]
    fn every_value_is_shown_from_the_start_and_each_is_counted_alone() {
        let sides: By<Side, Counter> = By::default();
        sides.of(Side::Right).inc();
        let mut registry = Registry::default();
        registry.register("turns", "T", sides.clone());
        let mut shown = String::new();
        text::encode(&mut shown, &registry).unwrap();
        assert!(shown.contains("turns_total{side=\"left\"} 0\n"), "{shown}");
        assert!(shown.contains("turns_total{side=\"right\"} 1\n"), "{shown}");
    }

    #[test]
    fn places_are_those_of_the_list() {
        for (place, value) in Side::ALL.iter().enumerate() {
            assert_eq!(value.place(), place);
        }
    }
}
