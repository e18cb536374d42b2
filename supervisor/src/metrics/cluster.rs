//! What a node of a cluster counts, and what carries its words to others.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::by::{By, label};
use super::histogram::Histogram;

label! {
    /// Whom a node sees lead from now on.
    pub Leads, "leader":
        /// Itself.
        Me = "self",
        /// Another one.
        Other = "other",
        /// Nobody.
        Nobody = "none",
}

label! {
    /// What became of something that a node was asked for.
    pub Answered, "outcome":
        /// It was done.
        Done = "done",
        /// The leader did not want to.
        Refused = "refused",
        /// The node had too much to do.
        Overloaded = "overloaded",
        /// Nobody knows.
        Unknown = "unknown",
        /// The node has stopped.
        Stopped = "stopped",
}

label! {
    /// What a node's thread has no room for.
    pub Crowded, "what":
        /// Entries and requests.
        Bulk = "bulk",
        /// Signs of life, votes and answers.
        Control = "control",
}

label! {
    /// What happened to a snapshot on its node.
    pub SnapshotWork, "event":
        /// It was made.
        Made = "made",
        /// It could not be made.
        Failed = "failed",
        /// It took the place of the state.
        Installed = "installed",
}

label! {
    /// What happened to a snapshot between nodes.
    pub SnapshotTravel, "event":
        /// Another node has it.
        Sent = "sent",
        /// Another node has not got it.
        Unsent = "unsent",
        /// This node has got it, whole and sound.
        Received = "received",
        /// What this node got was not what was announced.
        Refused = "refused",
}

label! {
    /// The way of a packet.
    pub Way, "way":
        /// Signs of life, votes and answers.
        Control = "control",
        /// Entries and requests.
        Bulk = "bulk",
        /// Snapshots.
        Snapshot = "snapshot",
}

/// What is counted where nodes make a cluster. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ClusterFigures {
    /// By the node.
    pub node: NodeFigures,
    /// Between nodes.
    pub transport: TransportFigures,
}

/// What a node counts. Clones share it.
#[derive(Debug, Clone)]
pub struct NodeFigures {
    /// Whether it leads.
    pub leads: Gauge,
    /// Its term.
    pub term: Gauge,
    /// The last entry that is known to be committed.
    pub committed: Gauge,
    /// The last entry that is applied.
    pub applied: Gauge,
    /// Entries in its log.
    pub log_entries: Gauge,
    /// What they take, in bytes.
    pub log_bytes: Gauge,
    /// How often it saw another leader.
    pub leader_changes: By<Leads, Counter>,
    /// Time of a durable write of its log.
    pub log_commit: Histogram,
    /// Time in which entries were applied.
    pub apply: Histogram,
    /// Changes that it was asked for.
    pub changes: By<Answered, Counter>,
    /// Reads of what is certain that it was asked for.
    pub reads: By<Answered, Counter>,
    /// What its thread had no room for.
    pub inbox_full: By<Crowded, Counter>,
    /// Snapshots on it.
    pub snapshots: By<SnapshotWork, Counter>,
    /// How often it stood still for longer than it may.
    pub stood_still: Counter,
    /// Whether it waits for room on its disk.
    pub disk_full: Gauge,
}

impl Default for NodeFigures {
    fn default() -> Self {
        Self {
            leads: Gauge::default(),
            term: Gauge::default(),
            committed: Gauge::default(),
            applied: Gauge::default(),
            log_entries: Gauge::default(),
            log_bytes: Gauge::default(),
            leader_changes: By::default(),
            log_commit: Histogram::of_seconds(),
            apply: Histogram::of_seconds(),
            changes: By::default(),
            reads: By::default(),
            inbox_full: By::default(),
            snapshots: By::default(),
            stood_still: Counter::default(),
            disk_full: Gauge::default(),
        }
    }
}

/// What is counted between nodes. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct TransportFigures {
    /// Packets that other nodes have taken.
    pub sent: By<Way, Counter>,
    /// The bodies of requests that other nodes have taken, in bytes.
    pub sent_bytes: By<Way, Counter>,
    /// Packets that were given up.
    pub dropped: By<Way, Counter>,
    /// Packets of others that the node has taken.
    pub received: By<Way, Counter>,
    /// The bodies of requests of others, in bytes.
    pub received_bytes: By<Way, Counter>,
    /// Snapshots between nodes.
    pub snapshots: By<SnapshotTravel, Counter>,
    /// Connections of others.
    pub connections: Gauge,
    /// Connections that came too fast.
    pub hurried: Counter,
    /// Requests of those who did not show that they are nodes.
    pub strangers: Counter,
}

impl ClusterFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.node.register(registry);
        self.transport.register(registry);
    }
}

impl NodeFigures {
    fn register(&self, registry: &mut Registry) {
        self.register_log(registry);
        registry.register(
            "cluster_leads",
            "1 while this node leads its cluster",
            self.leads.clone(),
        );
        registry.register(
            "cluster_leader_changes",
            "Times that this node saw another leader, or none, by whom it sees then",
            self.leader_changes.clone(),
        );
        registry.register(
            "cluster_changes",
            "Changes that this node was asked for, by what became of them",
            self.changes.clone(),
        );
        registry.register(
            "cluster_reads",
            "Reads of what is certain that this node was asked for, by what became of them",
            self.reads.clone(),
        );
        registry.register(
            "cluster_inbox_full",
            "What the node's thread had no room for, and was sent again",
            self.inbox_full.clone(),
        );
        registry.register(
            "cluster_snapshots",
            "Snapshots of the shared state on this node, by what happened",
            self.snapshots.clone(),
        );
        registry.register(
            "cluster_stood_still",
            "Times that the node's thread stood still for longer than its leader would wait",
            self.stood_still.clone(),
        );
        registry.register(
            "cluster_disk_full",
            "1 while this node takes no part because its disk is full",
            self.disk_full.clone(),
        );
    }

    fn register_log(&self, registry: &mut Registry) {
        registry.register("cluster_term", "The term of the cluster", self.term.clone());
        registry.register(
            "cluster_committed",
            "The last entry of the log that is known to be committed",
            self.committed.clone(),
        );
        registry.register(
            "cluster_applied",
            "The last entry of the log that is applied",
            self.applied.clone(),
        );
        registry.register(
            "cluster_log_entries",
            "Entries that the log holds",
            self.log_entries.clone(),
        );
        registry.register(
            "cluster_log_bytes",
            "What the entries of the log take in memory",
            self.log_bytes.clone(),
        );
        registry.register(
            "cluster_log_commit_seconds",
            "Seconds that a durable write of the log took",
            self.log_commit.clone(),
        );
        registry.register(
            "cluster_apply_seconds",
            "Seconds that entries of the log took to be applied together",
            self.apply.clone(),
        );
    }
}

impl TransportFigures {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "cluster_packets_sent",
            "Packets that other nodes have taken, by their way",
            self.sent.clone(),
        );
        registry.register(
            "cluster_sent_bytes",
            "Bytes of packets and snapshots that other nodes have taken, by their way",
            self.sent_bytes.clone(),
        );
        registry.register(
            "cluster_packets_dropped",
            "Packets to other nodes that were given up, by their way",
            self.dropped.clone(),
        );
        registry.register(
            "cluster_packets_received",
            "Packets of other nodes that this one has taken, by their way",
            self.received.clone(),
        );
        registry.register(
            "cluster_received_bytes",
            "Bytes of packets and snapshots that other nodes have sent, by their way",
            self.received_bytes.clone(),
        );
        registry.register(
            "cluster_snapshots_carried",
            "Snapshots between this node and others, by what happened",
            self.snapshots.clone(),
        );
        registry.register(
            "cluster_connections",
            "Connections of other nodes that are open",
            self.connections.clone(),
        );
        registry.register(
            "cluster_connections_cut",
            "Connections that were cut at once because their address connects too fast",
            self.hurried.clone(),
        );
        registry.register(
            "cluster_strangers_refused",
            "Requests on the port of the cluster of those who did not show that they are nodes",
            self.strangers.clone(),
        );
    }
}
