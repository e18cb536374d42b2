//! What this node wants said, on its way from the thread that drives it.

use std::path::PathBuf;

use crate::raft::core::TurnedAway;
use crate::raft::ids::RaftId;
use crate::raft::packet::Packet;
use crate::raft::state::Members;

/// Who delivers. Nothing here waits for anybody.
pub trait Outbox: Send + 'static {
    /// Delivers this, or loses it.
    fn send(&mut self, packet: Packet);
    /// Delivers a snapshot's file, then its packet, and says in any case what has become of it.
    fn send_snapshot(&mut self, packet: Packet, file: PathBuf);
    /// These are the members from now on.
    fn members(&mut self, members: &Members);
    /// A packet of this node was not taken; it may want to know why.
    fn turn_away(&mut self, to: RaftId, why: TurnedAway);
}
