//! What stored heaps count.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::by::{By, label};

label! {
    /// Where a heap was found.
    pub FoundIn, "in":
        /// In this server's memory.
        Memory = "memory",
        /// Where heaps are kept.
        Place = "place",
        /// On another node of the cluster.
        Peer = "peer",
        /// Nowhere, or it cannot be used.
        Nowhere = "nowhere",
}

/// What stored heaps count. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct HeapFigures {
    /// Heaps that were put.
    pub put: Counter,
    /// What they take, sealed, in bytes.
    pub put_bytes: Counter,
    /// Heaps that were asked for.
    pub fetched: By<FoundIn, Counter>,
    /// What came from the place where they are kept, sealed, in bytes.
    pub fetched_bytes: Counter,
    /// What came from other nodes, packed, in bytes.
    pub peer_fetched_bytes: Counter,
    /// Heaps that were put on another node too.
    pub copied: Counter,
    /// What they take, packed, in bytes.
    pub copied_bytes: Counter,
    /// Heaps that were put on another node because they were on this one alone.
    pub recopied: Counter,
    /// What they take, packed, in bytes.
    pub recopied_bytes: Counter,
    /// Heaps of this node of which no other is known to have a copy, when they were counted last.
    pub short: Gauge,
    /// 1 while this node looks whether what it has is on another too, or is about to because somebody came or went.
    pub counting: Gauge,
    /// Heaps that were kept for another node.
    pub taken: Counter,
    /// What they take, packed, in bytes.
    pub taken_bytes: Counter,
    /// Heaps that were given to another node.
    pub given: Counter,
    /// What they take, packed, in bytes.
    pub given_bytes: Counter,
    /// Heaps that could not be put or fetched.
    pub failures: Counter,
    /// Heaps that were removed.
    pub removed: Counter,
    /// What they took, in bytes.
    pub removed_bytes: Counter,
}

impl HeapFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("heaps_put", "Heaps that were kept", self.put.clone());
        registry.register(
            "heaps_put_bytes",
            "Bytes of heaps that were kept, sealed",
            self.put_bytes.clone(),
        );
        registry.register(
            "heaps_fetched",
            "Heaps that were asked for, by where they were found",
            self.fetched.clone(),
        );
        registry.register(
            "heaps_fetched_bytes",
            "Bytes of heaps that came from where they are kept, sealed",
            self.fetched_bytes.clone(),
        );
        self.register_those_of_peers(registry);
        registry.register(
            "heaps_failures",
            "Heaps that could not be kept or fetched because their place failed",
            self.failures.clone(),
        );
        registry.register(
            "heaps_removed",
            "Heaps that nothing needed and that were removed",
            self.removed.clone(),
        );
        registry.register(
            "heaps_removed_bytes",
            "Bytes of heaps that were removed",
            self.removed_bytes.clone(),
        );
    }

    fn register_those_of_peers(&self, registry: &mut Registry) {
        registry.register(
            "heaps_peer_fetched_bytes",
            "Bytes of heaps that came from other nodes, packed",
            self.peer_fetched_bytes.clone(),
        );
        registry.register(
            "heaps_copied",
            "Heaps that were put on another node too",
            self.copied.clone(),
        );
        registry.register(
            "heaps_copied_bytes",
            "Bytes of heaps that were put on another node too, packed",
            self.copied_bytes.clone(),
        );
        registry.register(
            "heaps_recopied",
            "Heaps that were put on another node again, because they were on this one alone",
            self.recopied.clone(),
        );
        registry.register(
            "heaps_recopied_bytes",
            "Bytes of heaps that were put on another node again, packed",
            self.recopied_bytes.clone(),
        );
        registry.register(
            "heaps_short",
            "Heaps of this node of which no other is known to have a copy, when it last looked",
            self.short.clone(),
        );
        registry.register(
            "heaps_counting",
            "1 while the node looks for copies of its heaps, or is about to because it has started or a member came or went",
            self.counting.clone(),
        );
        registry.register(
            "heaps_taken",
            "Heaps that were kept because another node put them here",
            self.taken.clone(),
        );
        registry.register(
            "heaps_taken_bytes",
            "Bytes of heaps that were kept because another node put them here, packed",
            self.taken_bytes.clone(),
        );
        registry.register(
            "heaps_given",
            "Heaps that were given to another node",
            self.given.clone(),
        );
        registry.register(
            "heaps_given_bytes",
            "Bytes of heaps that were given to another node, packed",
            self.given_bytes.clone(),
        );
    }
}
