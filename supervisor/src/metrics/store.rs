//! What the store counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::histogram::Histogram;

/// What the store counts. Clones share it.
#[derive(Debug, Clone)]
pub struct StoreFigures {
    /// Writes in one transaction.
    pub batch: Histogram,
    /// Time of a transaction that wrote.
    pub commit: Histogram,
    /// Writes that were given up.
    pub given_up: Counter,
    /// Transactions that had to be tried again.
    pub retries: Counter,
    /// Whether the last write failed.
    pub trouble: Gauge,
    /// Expired executions that were removed.
    pub expired: Counter,
}

impl Default for StoreFigures {
    fn default() -> Self {
        Self {
            batch: Histogram::of_counts(),
            commit: Histogram::of_seconds(),
            given_up: Counter::default(),
            retries: Counter::default(),
            trouble: Gauge::default(),
            expired: Counter::default(),
        }
    }
}

impl StoreFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "store_batch_writes",
            "Writes that were committed together",
            self.batch.clone(),
        );
        registry.register(
            "store_commit_seconds",
            "Seconds that a transaction took, with its commit",
            self.commit.clone(),
        );
        registry.register(
            "store_writes_given_up",
            "Writes that the session database did not take",
            self.given_up.clone(),
        );
        registry.register(
            "store_retries",
            "Transactions that failed and were tried again",
            self.retries.clone(),
        );
        registry.register(
            "store_trouble",
            "1 while the session database takes no writes",
            self.trouble.clone(),
        );
        registry.register(
            "store_executions_expired",
            "Ended executions that were removed by the retention",
            self.expired.clone(),
        );
    }
}
