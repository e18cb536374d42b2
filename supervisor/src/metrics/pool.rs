//! What the pool of workers counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::by::{By, label};

label! {
    /// Where an execution's worker came from.
    pub Supply, "from":
        /// It was parked, and there at once.
        Parked = "parked",
        /// It had to be waited for.
        Awaited = "awaited",
}

label! {
    /// Why a fork server made room for another one.
    pub Replacement, "reason":
        /// It has served long enough.
        Age = "age",
        /// A worker of it died a suspicious death.
        Suspect = "suspect",
        /// It did not answer.
        Hung = "hung",
        /// Too many of its workers ran out of memory.
        Worn = "worn",
        /// It ended, or broke the protocol.
        Ended = "ended",
        /// Its workers came to nothing.
        Barren = "barren",
}

/// What the pool counts. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct PoolFigures {
    /// Workers that are parked now.
    pub parked: Gauge,
    /// Executions that wait for a worker now.
    pub waiting: Gauge,
    /// Whether a fork server serves now.
    pub is_serving: Gauge,
    /// The number of the fork server that serves.
    pub generation: Gauge,
    /// Workers that were given out.
    pub given: By<Supply, Counter>,
    /// Forks that were asked for.
    pub forks: Counter,
    /// Workers that were executed because no fork server could make them in time.
    pub executed: Counter,
    /// Fork servers that were replaced.
    pub replaced: By<Replacement, Counter>,
    /// Fork servers that did not start.
    pub start_failures: Counter,
    /// Workers that were forked and came to nothing.
    pub park_failures: Counter,
}

impl PoolFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "pool_workers_parked",
            "Workers that are ready and wait for an execution",
            self.parked.clone(),
        );
        registry.register(
            "pool_executions_waiting",
            "Executions that have a slot and wait for a worker",
            self.waiting.clone(),
        );
        registry.register(
            "pool_fork_server_up",
            "1 while a fork server serves; 0 while workers are executed one by one",
            self.is_serving.clone(),
        );
        registry.register(
            "pool_generation",
            "The number of the fork server that serves: it grows by one with each",
            self.generation.clone(),
        );
        registry.register(
            "pool_workers_given",
            "Workers that executions got, by whether they were there at once (parked, awaited)",
            self.given.clone(),
        );
        registry.register(
            "pool_forks",
            "Workers that fork servers were asked for",
            self.forks.clone(),
        );
        registry.register(
            "pool_workers_executed",
            "Workers that were executed because no fork server made them in time",
            self.executed.clone(),
        );
        registry.register(
            "pool_fork_servers_replaced",
            "Fork servers that made room for another one, by reason",
            self.replaced.clone(),
        );
        registry.register(
            "pool_fork_server_start_failures",
            "Fork servers that did not start",
            self.start_failures.clone(),
        );
        registry.register(
            "pool_park_failures",
            "Workers that were forked and did not become ready",
            self.park_failures.clone(),
        );
    }
}
