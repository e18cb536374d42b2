//! The limits of what lies between nodes of a cluster.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{HEAP_BYTES_MAX, HEAP_GRACE, PACKET_BYTES_MAX};

/// The shortest time that a node may be told to keep, in milliseconds.
pub const CLUSTER_MS_MIN: u64 = 10;
/// The longest.
pub const CLUSTER_MS_MAX: u64 = 60_000;

/// How far the clocks of two nodes may be apart.
pub const PEER_CLOCK_SKEW_MAX: Duration = Duration::from_secs(30);
/// Connections whose requests are remembered, so that none is taken twice. Only those who have the
/// secret make one; when there are this many, new ones are refused.
pub const PEER_SESSIONS_MAX: usize = 4096;
/// Connections of those who have not shown who they are; a new one takes the place of the oldest. Those
/// that two nodes make for questions at the same moment are all among them.
pub const STRANGER_CONNECTIONS_MAX: usize = 2 * QUESTIONS_AT_ONCE;
/// Connections of one node; a new one takes the place of its oldest. It needs three, and those for its
/// questions and for heaps; the rest are some that it has lost, before this end knows.
pub const PEER_CONNECTIONS_MAX: usize = 3 + QUESTIONS_AT_ONCE + HEAP_TRANSFERS_AT_ONCE + 21;
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
/// The bodies of all requests that are in hand, in bytes. A node may have as much of it as is left free.
pub const PEER_BODIES_BYTES_MAX: usize = 64 << 20;
/// Bodies up to this size have room of their own.
pub const PEER_SMALL_BODY_BYTES_MAX: usize = 16 << 10;
/// All of these, in bytes; shared in the same way.
pub const PEER_SMALL_BODIES_BYTES_MAX: usize = 8 << 20;
/// Answers that other nodes have not taken yet, in bytes; shared in the same way.
pub const PEER_ANSWERS_BYTES_MAX: usize = 64 << 20;
/// What the kernel holds of an answer that another node has not taken yet, in bytes.
pub const PEER_SEND_BUFFER_BYTES: usize = 256 << 10;
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
/// Questions to one node that are on their way at once, each on a connection of its own.
pub const QUESTIONS_AT_ONCE: usize =
    QUICK_QUESTIONS_AT_ONCE + DECISIVE_QUESTIONS_AT_ONCE + LONG_QUESTIONS_AT_ONCE;
/// Those that are answered with what is there.
pub const QUICK_QUESTIONS_AT_ONCE: usize = 32;
/// Those that end something: they may be slow, and nobody who only waits takes their places.
pub const DECISIVE_QUESTIONS_AT_ONCE: usize = 16;
/// Those that wait for something to happen.
pub const LONG_QUESTIONS_AT_ONCE: usize = 96;
/// Connections to one node that stay open while nothing is asked.
pub const IDLE_LINES_MAX: usize = 8;
/// The longest question to another node, in bytes.
pub const PHONE_QUESTION_BYTES_MAX: usize = 2 << 20;
/// The longest answer to one.
pub const PHONE_ANSWER_BYTES_MAX: usize = 2 << 20;
/// How long a node may look for an answer: longer than any client waits.
pub const PHONE_ANSWER_WAIT_MAX: Duration = Duration::from_secs(75);
/// How long what was sent to a node may stay unheard, before the connection is given up; and how long a
/// connection may have been dead without a word.
pub const PEER_UNHEARD_WAIT_MAX: Duration = Duration::from_secs(15);
/// How long a connection is silent before the kernel asks whether the other end is still there.
pub const PEER_SILENCE_MAX: Duration = Duration::from_secs(5);
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

/// A piece of a heap as it is sent, in bytes.
pub const HEAP_PIECE_BYTES: usize = 1 << 20;
/// What nodes say to each other about a heap at once, in bytes: a piece, and which heap is meant.
pub const HEAP_WORD_BYTES_MAX: usize = HEAP_PIECE_BYTES + (4 << 10);
/// Heaps that are on their way from or to one other node at once; more wait.
pub const HEAP_TRANSFERS_AT_ONCE: usize = 8;
/// The heaps that all other nodes have half fetched or half brought, in bytes. A node may have as much of it
/// as is left free.
pub const HEAP_TRANSFERS_BYTES_MAX: u64 = 320 << 20;
/// How long a node may say nothing about a heap that is half said.
pub const HEAP_TRANSFER_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Heaps that are read or kept for other nodes at once; more wait. Each takes memory and a thread.
pub const HEAP_ANSWERS_AT_ONCE: usize = 4;
/// How long they wait.
pub const HEAP_ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a node may take to answer a word about a heap, beside the time that its disk needs.
pub const HEAP_WORD_WAIT_MAX: Duration = Duration::from_secs(20);
/// The next node is asked beside one that has said nothing about a heap for so long.
pub const HEAP_NEXT_PEER_PAUSE: Duration = Duration::from_secs(1);
/// For how long nodes that cannot be asked for a heap are asked again.
pub const HEAP_FETCH_ROUNDS_WAIT_MAX: Duration = Duration::from_secs(5);
/// For how long a second place is looked for, while no other node takes a heap.
pub const HEAP_COPY_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long a node that has taken a heap is believed to have it, without being asked again.
pub const HEAP_COPY_FRESH: Duration = Duration::from_secs(5 * 60);
/// A node that was slow to give or take a heap is asked after the others for so long at first.
pub const HEAP_SLOW_PEER_REST_MIN: Duration = Duration::from_secs(10);
/// The same at most, when it is slow each time.
pub const HEAP_SLOW_PEER_REST_MAX: Duration = Duration::from_secs(5 * 60);
/// How often a node looks whether what it has is on a second node too, when nobody comes or goes.
pub const HEAP_RECOUNT_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How long after its start it begins with that.
pub const HEAP_RECOUNT_DELAY: Duration = Duration::from_secs(5);
/// How long after somebody has come or gone: who comes and goes together is counted together.
pub const HEAP_RECOUNT_CHANGE_DELAY: Duration = Duration::from_secs(1);
/// Heaps that others are asked about at once.
pub const HEAP_RECOUNT_LENGTH: usize = 256;
/// The pause after each such question, so that looking takes little of anybody's disk.
pub const HEAP_RECOUNT_PAUSE: Duration = Duration::from_millis(50);
/// What a node that says nothing may have is not copied again before it was silent for so long: one that is
/// only started again brings all back.
pub const HEAP_ABSENCE_GRACE: Duration = Duration::from_secs(10 * 60);
/// How fast a node copies again what is on it alone, in bytes a second.
pub const HEAP_RECOPY_BYTES_PER_SEC: u64 = 8 << 20;
/// Heaps of which that is remembered.
pub const HEAP_COPIES_REMEMBERED: NonZeroUsize = NonZeroUsize::new(16 << 10).expect("it is not 0");

const _: () = {
    // One heap always finds room.
    assert!(2 * HEAP_BYTES_MAX as u64 <= HEAP_TRANSFERS_BYTES_MAX);
    // What a node sends at once while it is the only one: entries, a piece of a snapshot, and heaps.
    assert!(
        2 * (BATCH_BYTES_MAX + SNAPSHOT_PIECE_BYTES + HEAP_TRANSFERS_AT_ONCE * HEAP_WORD_BYTES_MAX)
            <= PEER_BODIES_BYTES_MAX
    );
    // What is asked about at once fits in one word.
    assert!(HEAP_RECOUNT_LENGTH * (16 + 32) < HEAP_WORD_BYTES_MAX / 2);
    // A row comes to name a copy before anybody may remove it as old.
    assert!(HEAP_COPY_FRESH.as_secs() < HEAP_GRACE.as_secs() / 2);
};
