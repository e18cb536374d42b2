//! What nodes take at most. Each begins anew whenever it is killed, so that there is no trend to see.

use e2e::cluster::Cluster;
use e2e::processes;
use serde_json::{Value, json};

/// Memory of a node that is resident: its log is in memory too, and caches of its database.
const RESIDENT_BYTES_MAX: u64 = 512 << 20;
/// Descriptors of a node: four for each worker, one for each connection of a client, some for other nodes.
const DESCRIPTORS_MAX: usize = 512;
/// Threads of a node.
const THREADS_MAX: u64 = 256;

/// The most that any node has taken when somebody looked.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    looks: usize,
    resident_bytes: u64,
    descriptors: usize,
    threads: u64,
}

impl Bounds {
    /// Looks at all nodes that run.
    pub(super) fn look(&mut self, cluster: &Cluster) {
        for node in cluster.nodes().iter().filter(|node| node.is_up()) {
            let usage = processes::usage(node.pid());
            self.looks += 1;
            self.resident_bytes = self.resident_bytes.max(usage.resident_bytes);
            self.descriptors = self.descriptors.max(usage.descriptors);
            self.threads = self.threads.max(usage.threads);
        }
    }

    /// What was more than it may be.
    pub(super) fn exceeded(&self) -> Vec<String> {
        let figures = [
            (
                "bytes are resident",
                self.resident_bytes,
                RESIDENT_BYTES_MAX,
            ),
            (
                "descriptors are open",
                self.descriptors as u64,
                DESCRIPTORS_MAX as u64,
            ),
            ("threads run", self.threads, THREADS_MAX),
        ];
        let exceeded = figures.iter().filter(|(_, most, bound)| most > bound);
        exceeded
            .map(|(what, most, bound)| format!("{most} {what} in a node, and {bound} may be"))
            .collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "looks": self.looks,
            "resident_bytes": {"most": self.resident_bytes, "allowed": RESIDENT_BYTES_MAX},
            "descriptors": {"most": self.descriptors, "allowed": DESCRIPTORS_MAX},
            "threads": {"most": self.threads, "allowed": THREADS_MAX},
        })
    }
}
