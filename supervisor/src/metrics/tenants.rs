//! Figures by tenant. There may be any number of tenants, and each series costs whoever keeps them: so
//! the first of those that an operator has configured have a series each, and all others share one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::limits::METRICS_TENANTS_MAX;

/// The label.
const KEY: &str = "tenant";

/// The value that all tenants share who have no series of their own.
const OTHERS: &str = "other";

/// A counter for each of the tenants that have one. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ByTenant(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    named: RwLock<BTreeMap<String, Counter>>,
    others: Counter,
}

impl ByTenant {
    /// Gives a series to each of these that has none, as long as there are not too many. Who has one keeps
    /// it: a series that ends is a gap.
    pub fn name<'a>(&self, tenants: impl IntoIterator<Item = &'a str>) {
        let named = self.0.named.write();
        let mut named = named.unwrap_or_else(PoisonError::into_inner);
        for tenant in tenants.into_iter().filter(|tenant| *tenant != OTHERS) {
            if named.len() < METRICS_TENANTS_MAX && !named.contains_key(tenant) {
                named.insert(tenant.to_owned(), Counter::default());
            }
        }
    }

    /// The counter of a tenant.
    pub fn of(&self, tenant: &str) -> Counter {
        let named = self.named();
        named.get(tenant).unwrap_or(&self.0.others).clone()
    }

    fn named(&self) -> RwLockReadGuard<'_, BTreeMap<String, Counter>> {
        // Each change is one step: it is whole even if somebody panicked.
        self.0.named.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EncodeMetric for ByTenant {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let named = self.named();
        let named = named.iter();
        let named = named.map(|(tenant, counter)| (tenant.as_str(), counter));
        for (tenant, counter) in named.chain([(OTHERS, &self.0.others)]) {
            let labels = [(KEY, tenant)];
            counter.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for ByTenant {
    const TYPE: MetricType = MetricType::Counter;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_among_the_first_is_counted_with_all_others() {
        let names: Vec<String> = (0..METRICS_TENANTS_MAX + 5)
            .map(|n| format!("t{n}"))
            .collect();
        let counters = ByTenant::default();
        counters.name(names.iter().map(String::as_str));
        for name in &names {
            counters.of(name).inc();
        }
        counters.of(OTHERS).inc();
        counters.of("a tenant that nobody configured").inc();
        assert_eq!(counters.of("t0").get(), 1);
        assert_eq!(counters.of("nobody").get(), 5 + 2);
        assert_eq!(counters.named().len(), METRICS_TENANTS_MAX);
        // Who is named later finds none left, and takes nobody's.
        counters.name(["late", "t0"]);
        counters.of("late").inc();
        assert_eq!(counters.of("nobody").get(), 5 + 3);
        assert_eq!(counters.of("t0").get(), 1);
    }

    #[test]
    fn who_is_named_later_has_a_series_from_then_on() {
        let counters = ByTenant::default();
        counters.of("a").inc();
        counters.name(["a", OTHERS]);
        counters.of("a").inc();
        assert_eq!((counters.of("a").get(), counters.of("b").get()), (1, 1));
        assert_eq!(counters.named().len(), 1);
    }
}
