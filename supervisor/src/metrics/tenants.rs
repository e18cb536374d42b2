//! Figures by tenant. There may be any number of tenants, and each series costs whoever keeps them: so
//! the first of those that an operator has configured have a series each, and all others share one.

use std::collections::HashMap;
use std::sync::Arc;

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
    named: HashMap<String, Counter>,
    others: Counter,
}

impl ByTenant {
    /// For the first of these.
    pub fn new<'a>(tenants: impl IntoIterator<Item = &'a str>) -> Self {
        let named = tenants
            .into_iter()
            .filter(|tenant| *tenant != OTHERS)
            .take(METRICS_TENANTS_MAX)
            .map(|tenant| (tenant.to_owned(), Counter::default()))
            .collect();
        Self(Arc::new(Counters {
            named,
            others: Counter::default(),
        }))
    }

    /// The counter of a tenant.
    pub fn of(&self, tenant: &str) -> &Counter {
        self.0.named.get(tenant).unwrap_or(&self.0.others)
    }
}

impl EncodeMetric for ByTenant {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let named = self.0.named.iter();
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
        let counters = ByTenant::new(names.iter().map(String::as_str));
        for name in &names {
            counters.of(name).inc();
        }
        counters.of(OTHERS).inc();
        counters.of("a tenant that nobody configured").inc();
        assert_eq!(counters.of("t0").get(), 1);
        assert_eq!(counters.of("nobody").get(), 5 + 2);
        assert_eq!(counters.0.named.len(), METRICS_TENANTS_MAX);
    }
}
