//! What a node says to others.

use std::path::PathBuf;

use crate::metrics::TransportFigures;
use crate::raft::core::TurnedAway;
use crate::raft::ids::RaftId;
use crate::raft::packet::Packet;
use crate::raft::state::Members;

/// Carries what a node says. The thread that calls it sends signs of life by it: none of this may block.
pub trait Outbox: Send + 'static {
    /// Delivers a packet, or loses it and tells [`crate::raft::core::Event::Unreachable`].
    fn send(&mut self, packet: Packet);
    /// Delivers the content of a snapshot, then the packet that names it. Tells
    /// [`crate::raft::core::Event::SnapshotSent`] in any case: until then the node gets nothing else. The
    /// file may be removed once it is open.
    fn send_snapshot(&mut self, packet: Packet, file: PathBuf);
    /// These are the members from now on.
    fn members(&mut self, members: &Members);
    /// What it counts, where it does.
    fn figures(&self) -> TransportFigures {
        TransportFigures::default()
    }
    /// A packet of this node was not taken.
    fn turn_away(&mut self, to: RaftId, why: TurnedAway);
}
