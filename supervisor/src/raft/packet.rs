//! What one node says to another.

use raft::eraftpb::Message;

use super::ids::{ClusterId, Incarnation, RaftId, RequestId};
use super::request::{Refusal, Request};

/// A message with who it is from and for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// The cluster that both belong to.
    pub cluster: ClusterId,
    /// Who sends it.
    pub from: RaftId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Who is to have it.
    pub to: RaftId,
    /// What it says.
    pub body: Body,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A message of the algorithm. Its `from` and `to` are those of the packet.
    Raft(Box<Message>),
    /// Requests of a follower's clients, for the leader. They never travel further: a node that does
    /// not lead drops them, and the sender asks again.
    Propose(Vec<Request>),
    /// The leader will not do this. What it does, the sender sees in its own log.
    Refuse(RequestId, Refusal),
}
