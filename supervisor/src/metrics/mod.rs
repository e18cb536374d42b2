//! What an operator watches: one home for names, help and labels.
//!
//! ```text
//! execution ─▶ ExecutionFigures ┐
//! workers   ─▶ PoolFigures      │
//! store     ─▶ StoreFigures     ├─▶ Figures ─▶ Exposition ─▶ http (/metrics)
//! heaps     ─▶ HeapFigures      │
//! cluster   ─▶ ClusterFigures   │
//! fetch     ─▶ FetchFigures     ┘
//! ```
//!
//! Each part makes its own figures and counts in them, with atomics; none knows the registry, or whether
//! anybody looks. All labels are out of fixed lists: nothing that a client or a script sends makes a
//! series. docs/metrics.md lists them all, and a test holds it to that.

mod by;
mod cluster;
mod executions;
mod fetch;
mod heaps;
mod histogram;
mod pool;
mod process;
mod store;
mod tenants;

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use self::by::{By, Label};
pub use self::cluster::{
    Answered, ClusterFigures, Crowded, Leads, NodeFigures, SnapshotTravel, SnapshotWork,
    TransportFigures, Way,
};
pub use self::executions::{DeathClass, ExecutionFigures, LimitName, Phase};
pub use self::fetch::{Decision, FetchFailure, FetchFigures};
pub use self::heaps::{FoundIn, HeapFigures};
pub use self::histogram::Histogram;
pub use self::pool::{PoolFigures, Replacement, Supply};
pub use self::store::StoreFigures;
pub use self::tenants::ByTenant;

/// What stands before every name but those of the process.
const PREFIX: &str = "mcp_v8";

/// The content type of the text (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of all parts. Those of parts that are not there stay 0, so that dashboards and this
/// server's documentation name the same series on every server.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Of executions.
    pub executions: ExecutionFigures,
    /// Of the pool of workers.
    pub pool: PoolFigures,
    /// Of the store.
    pub store: StoreFigures,
    /// Of stored heaps.
    pub heaps: HeapFigures,
    /// Of requests of scripts.
    pub fetch: FetchFigures,
    /// Of the node of a cluster.
    pub cluster: ClusterFigures,
}

/// Which programs these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// V8's version.
    pub v8: String,
    /// The version of the protocol between server and workers.
    pub protocol: String,
    /// SQLite's version.
    pub sqlite: String,
}

/// All figures, ready to be shown.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    /// Shows these.
    pub fn new(figures: &Figures, build: &Build) -> Self {
        let mut all = Registry::default();
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH);
        all.register_collector(Box::new(process::Process {
            started_at: started_at.map_or(0.0, |since| since.as_secs_f64()),
        }));
        let registry = all.sub_registry_with_prefix(PREFIX);
        let labels = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("v8", build.v8.clone()),
            ("protocol", build.protocol.clone()),
            ("sqlite", build.sqlite.clone()),
        ];
        registry.register("build", "Which programs these are", Info::new(labels));
        figures.executions.register(registry);
        figures.pool.register(registry);
        figures.store.register(registry);
        figures.heaps.register(registry);
        figures.fetch.register(registry);
        figures.cluster.register(registry);
        Self(all)
    }

    /// Shows one more, under the prefix.
    pub fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        let registry = self.0.sub_registry_with_prefix(PREFIX);
        registry.register(name, help, metric);
    }

    /// Shows what is looked up when it is asked for, under the prefix.
    pub fn add_collector(&mut self, collector: Box<dyn Collector>) {
        let registry = self.0.sub_registry_with_prefix(PREFIX);
        registry.register_collector(collector);
    }

    /// The text of all of them.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut shown = String::new();
        text::encode(&mut shown, &self.0)?;
        Ok(shown)
    }
}

/// Shows a figure that is looked up when it is asked for.
pub(crate) fn show(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    figure: &impl EncodeMetric,
) -> fmt::Result {
    figure.encode(encoder.encode_descriptor(name, help, None, figure.metric_type())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_said_once_with_its_help_and_the_text_ends() {
        let build = Build {
            v8: "1".to_owned(),
            protocol: "2".to_owned(),
            sqlite: "3".to_owned(),
        };
        let shown = Exposition::new(&Figures::default(), &build).text().unwrap();
        let mut names: Vec<&str> = shown
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter_map(|rest| rest.split(' ').next())
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(shown.ends_with("# EOF\n"));
        assert!(shown.contains("mcp_v8_build_info{version="), "{shown}");
    }
}
