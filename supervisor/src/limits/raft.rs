//! The limits of the replicated log.

use std::time::Duration;

/// The largest command that is replicated, encoded, in bytes: an end with a result and a session entry
/// with the code that made it.
pub const COMMAND_BYTES_MAX: usize = 4 << 20;
/// The largest packet between two nodes, in bytes.
pub const PACKET_BYTES_MAX: usize = 8 << 20;
/// Entries in one packet. A leader counts bytes, and not entries ([`APPEND_BYTES_MAX`]): so many of the
/// smallest ones are never in one message.
pub const PACKET_ENTRIES_MAX: usize = 64 << 10;
/// The members of a cluster, learners included.
pub const CLUSTER_MEMBERS_MAX: usize = 64;
/// What goes with an entry beside its command, in bytes: the name of its request, a change of the members.
pub const ENTRY_CONTEXT_BYTES_MAX: usize = 2048;
/// The context of a message, in bytes: the name of a read, or of a way to campaign.
pub const MESSAGE_CONTEXT_BYTES_MAX: usize = 64;
/// What describes a snapshot within a message, in bytes; its content travels apart.
pub const SNAPSHOT_MANIFEST_BYTES_MAX: usize = 64 << 10;

/// Entries that a leader puts into one message, in bytes. One is always sent, however large.
pub const APPEND_BYTES_MAX: u64 = 1 << 20;
/// Messages with entries that a leader sends ahead of their answers, to each node.
pub const APPENDS_IN_FLIGHT_MAX: usize = 32;
/// Entries that a leader holds before they are committed, in bytes; more proposals are refused.
pub const UNCOMMITTED_BYTES_MAX: u64 = 64 << 20;
/// Entries that are applied at once, in bytes.
pub const APPLY_BYTES_MAX: u64 = 8 << 20;
/// Proposals that become entries at once.
pub const PROPOSALS_AT_ONCE_MAX: usize = 256;
/// Proposals that become entries at once, in bytes.
pub const PROPOSALS_AT_ONCE_BYTES_MAX: usize = 1 << 20;
/// Requests of this node that wait for their commit; more are refused.
pub const REQUESTS_PENDING_MAX: usize = 4096;

/// Applied entries that stay in the log, for nodes that are a little behind. Others get a snapshot.
pub const LOG_KEPT_ENTRIES: u64 = 10_000;
/// Applied entries that stay in the log, in bytes. The whole log is held in memory too.
pub const LOG_KEPT_BYTES: u64 = 64 << 20;
/// For so many entries the answer to a request is known, so that it is done once however often it is
/// asked; a request that is older is refused.
pub const DEDUP_ENTRIES: u64 = 65_536;

/// How far behind its leader a learner may be to become a voter, in entries.
pub const PROMOTION_LAG_MAX: u64 = 128;
/// The pages of `raft.db`, in bytes.
pub const RAFT_DB_PAGE_BYTES: u32 = 8192;
/// The longest name of a node, in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 128;
/// The longest address of a node, in bytes.
pub const NODE_ADDRESS_BYTES_MAX: usize = 300;
/// Rounds of reads that wait for the leader's word at once; later reads share the next one.
pub const READ_ROUNDS_MAX: usize = 4;
/// Rounds that were asked again, and are answered all the same when the leader's word comes late.
pub const READ_ROUNDS_LATE_MAX: usize = 8;

/// What waits for the thread of a node, in events.
pub const INBOX_LENGTH_MAX: usize = 4096;
/// Room of these that entries and requests leave to signs of life, votes and answers.
pub const INBOX_KEPT_BACK: usize = 1024;
/// Entries and requests that wait for the thread of a node, in bytes.
pub const INBOX_BYTES_MAX: usize = 32 << 20;
/// Events that a node takes note of before it looks at the clock again.
pub const INBOX_TAKE_MAX: usize = 256;
/// The same, in bytes; one is always taken.
pub const INBOX_TAKE_BYTES_MAX: usize = 4 << 20;

/// What a tenant's change counts as while the node is asked for it: one for itself, and one for each of so
/// many bytes.
pub const CHANGE_UNIT_BYTES: usize = 16 << 10;
/// Changes of all tenants that the node is asked for at a time, counted so. They fill neither the inbox of
/// its thread nor the room for requests that wait for their commit.
pub const CHANGE_UNITS: usize = 1024;
/// How long a change may wait for its tenant's turn.
pub const CHANGE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long an execution that has ended waits until that is recorded. It has done what it was to do: nobody
/// would run it again for nothing.
pub const END_PATIENCE: Duration = Duration::from_secs(60);
/// The same from when the server is told to end.
pub const END_PATIENCE_IN_HURRY: Duration = Duration::from_secs(5);
/// The pause before a change that was not made is asked for again.
pub const CHANGE_PAUSE: Duration = Duration::from_millis(100);

/// The largest snapshot of the shared state, in bytes: what executions may take by default, and as much
/// again for the code of sessions, twice.
pub const SNAPSHOT_BYTES_MAX: u64 = 8 << 30;
/// The pages of a snapshot, in bytes.
pub const SNAPSHOT_PAGE_BYTES: u32 = 8192;

/// The shortest and the longest tick of a node's clock. A heartbeat has five at least, and those who stand
/// for election have twenty moments to choose from, where that fits.
pub const TICK_MIN: Duration = Duration::from_millis(5);
/// The longest.
pub const TICK_MAX: Duration = Duration::from_millis(50);
/// How long a client of a node waits for a change, or for a read, to be certain.
pub const CERTAINTY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a node that is about to stop waits for another one to lead.
pub const HAND_OVER_PATIENCE: Duration = Duration::from_secs(2);
/// How long a node whose disk is full waits until it tries again, at first.
pub const DISK_PAUSE_MIN: Duration = Duration::from_millis(500);
/// The same, at last.
pub const DISK_PAUSE_MAX: Duration = Duration::from_secs(15);
/// What is written to `raft.db` between two checkpoints, in bytes, about.
pub const RAFT_CHECKPOINT_BYTES: u64 = 16 << 20;

const _: () = {
    // The name of its request alone takes more of an entry.
    assert!(PACKET_ENTRIES_MAX as u64 * 16 >= APPEND_BYTES_MAX);
    assert!(CHANGE_UNITS * CHANGE_UNIT_BYTES <= INBOX_BYTES_MAX / 2);
    assert!(
        CHANGE_UNITS < INBOX_LENGTH_MAX - INBOX_KEPT_BACK && CHANGE_UNITS < REQUESTS_PENDING_MAX
    );
    assert!(COMMAND_BYTES_MAX / CHANGE_UNIT_BYTES < CHANGE_UNITS / 2);
};
