//! The limits of what lies between nodes of a cluster.

use std::time::Duration;

use super::PACKET_BYTES_MAX;

/// The shortest time that a node may be told to keep, in milliseconds.
pub const CLUSTER_MS_MIN: u64 = 10;
/// The longest.
pub const CLUSTER_MS_MAX: u64 = 60_000;
/// The finest look at the clock.
pub const CLUSTER_TICK_MIN: Duration = Duration::from_millis(5);
/// The coarsest.
pub const CLUSTER_TICK_MAX: Duration = Duration::from_millis(50);
/// Ticks from one heartbeat to the next, at least, where the finest tick allows them.
pub const CLUSTER_TICKS_OF_HEARTBEAT: u64 = 5;
/// Ticks among which a node draws when it stands for election, where the finest tick allows them.
pub const CLUSTER_TICKS_OF_ELECTION: u64 = 20;

/// How far the clocks of two nodes may be apart.
pub const PEER_CLOCK_SKEW_MAX: Duration = Duration::from_secs(30);
/// Connections whose requests are remembered, so that none is taken twice. Only those who have the
/// secret make one; when there are this many, new ones are refused.
pub const PEER_SESSIONS_MAX: usize = 4096;
/// Connections of those who have not shown who they are; a new one takes the place of the oldest.
pub const STRANGER_CONNECTIONS_MAX: usize = 64;
/// Connections of one node; a new one takes the place of its oldest. It needs three.
pub const PEER_CONNECTIONS_MAX: usize = 8;
/// Nodes whose connections are counted apart; others count as strangers.
pub const PEERS_COUNTED_MAX: usize = 128;
/// Connections that may come from one address at once. Those of nodes stay: so many are never needed, also
/// when several nodes share an address.
pub const PEER_CONNECTS_AT_ONCE: u32 = 1024;
/// The pause after which one more may come from there.
pub const PEER_CONNECT_PAUSE: Duration = Duration::from_millis(4);
/// Addresses whose connections are counted apart; all others count as one.
pub const PEER_SOURCES_MAX: usize = 1024;
/// The largest head of a request, in bytes.
pub const PEER_HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a connection may be silent before its next request, and how long a head may take.
pub const PEER_HEAD_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the body of a request may take.
pub const PEER_BODY_WAIT_MAX: Duration = Duration::from_secs(10);
/// The bodies of all requests that are in hand, in bytes.
pub const PEER_BODIES_BYTES_MAX: usize = 64 << 20;
/// How long both ends may take to agree on TLS.
pub const PEER_TLS_WAIT_MAX: Duration = Duration::from_secs(5);
/// The pause after a connection could not be accepted.
pub const PEER_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest body of a request that is JSON, in bytes.
pub const PEER_JSON_BYTES_MAX: usize = 4096;
/// The longest answer, in bytes: the members of a cluster, with names and addresses.
pub const PEER_ANSWER_BYTES_MAX: usize = 256 << 10;

/// Packets in one request, in bytes: one of the largest size, with its length.
pub const BATCH_BYTES_MAX: usize = PACKET_BYTES_MAX + 4;
/// Packets in one request.
pub const BATCH_PACKETS_MAX: usize = 4096;
/// Packets without entries that wait for one node.
pub const CONTROL_PACKETS_MAX: usize = 1024;
/// Packets with entries that wait for one node, in bytes. One is always taken.
pub const BULK_BYTES_MAX: usize = 16 << 20;
/// Packets with entries that wait for one node.
pub const BULK_PACKETS_MAX: usize = 4096;
/// How long a node may take to accept a connection.
pub const PEER_CONNECT_WAIT_MAX: Duration = Duration::from_millis(200);
/// How long it may take to answer a request without entries.
pub const CONTROL_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long it may take to answer one with entries, beside the time that these need.
pub const BULK_WAIT_MAX: Duration = Duration::from_secs(2);
/// Bytes a second that any network between nodes carries.
pub const PEER_BYTES_PER_SEC_MIN: u64 = 2 << 20;
/// How long a question about the cluster may take.
pub const PEER_QUESTION_WAIT_MAX: Duration = Duration::from_secs(3);
/// How long a change of the membership may take.
pub const MEMBER_CHANGE_WAIT_MAX: Duration = Duration::from_secs(10);
/// The pause after a node could not be reached. It doubles each time.
pub const PEER_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
pub const PEER_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Nodes that this one speaks to, members or not.
pub const LINKS_MAX: usize = 128;
/// Nodes whose address was heard from themselves.
pub const LEARNED_ADDRESSES_MAX: usize = 128;
/// How often a node looks whether it has stood still, and could hear nobody.
pub const HEARING_PAUSE: Duration = Duration::from_millis(500);
/// The pause before nodes that have not answered are asked again, while a cluster begins.
pub const FOUNDING_PAUSE: Duration = Duration::from_millis(500);
/// The pause before the log says again what a cluster that begins waits for.
pub const FOUNDING_WORD_PAUSE: Duration = Duration::from_secs(10);

/// A piece of a snapshot as it is sent, in bytes.
pub const SNAPSHOT_PIECE_BYTES: usize = 1 << 20;
/// How fast a snapshot is sent, in bytes a second: the log goes over the same network.
pub const SNAPSHOT_BYTES_PER_SEC: u64 = 64 << 20;
/// How long a node may take to answer a piece.
pub const SNAPSHOT_PIECE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often in a row a piece may fail before the snapshot is given up.
pub const SNAPSHOT_FAILURES_MAX: u32 = 8;
/// Bytes a second of a snapshot that any node verifies: it reads all of it twice.
pub const SNAPSHOT_VERIFY_BYTES_PER_SEC: u64 = 10 << 20;
/// Snapshots that were received whole and wait for the node to take them; the oldest of more than these
/// was of a leader that is gone.
pub const SNAPSHOTS_KEPT: usize = 4;
