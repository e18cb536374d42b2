//! What one node says to another.

use raft::eraftpb::{Entry, Message, MessageType};

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

/// The way that a packet travels. Order is kept within each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Votes, signs of life, answers, reads: small, and soon.
    Control,
    /// What goes into logs. Messages of a leader that carry no entries go this way too: they say how
    /// far is committed, and a node that hears that before it has the entries asks for them again.
    Bulk,
    /// With a file, which arrives before it.
    Snapshot,
}

impl Packet {
    /// The way that it travels.
    pub fn lane(&self) -> Lane {
        match &self.body {
            Body::Raft(message) => match message.get_msg_type() {
                MessageType::MsgSnapshot => Lane::Snapshot,
                MessageType::MsgAppend => Lane::Bulk,
                _ => Lane::Control,
            },
            Body::Propose(_) => Lane::Bulk,
            Body::Refuse(..) => Lane::Control,
        }
    }

    /// Whether it is a leader's sign of life: a newer one says all that an older one does.
    pub fn is_heartbeat(&self) -> bool {
        matches!(&self.body, Body::Raft(message) if message.get_msg_type() == MessageType::MsgHeartbeat)
    }

    /// What names the file that it comes with.
    pub fn manifest(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Raft(message) if self.lane() == Lane::Snapshot => {
                Some(&message.get_snapshot().data)
            }
            _ => None,
        }
    }

    /// About how much memory its body takes beside itself, in bytes. What costs its sender next to nothing,
    /// such as an entry that is empty, takes some all the same.
    pub fn held_bytes(&self) -> usize {
        match &self.body {
            Body::Raft(message) => {
                let held =
                    |entry: &Entry| size_of::<Entry>() + entry.data.len() + entry.context.len();
                let entries: usize = message.entries.iter().map(held).sum();
                let texts = message.context.len() + message.get_snapshot().data.len();
                size_of::<Message>() + entries + texts
            }
            Body::Propose(requests) => requests.iter().map(Request::held_bytes).sum(),
            Body::Refuse(..) => 0,
        }
    }

    /// About how many bytes it has, and no fewer than it has without a snapshot's manifest.
    pub fn weight(&self) -> usize {
        const HEAD: usize = 256;
        let body: usize = match &self.body {
            Body::Raft(message) => {
                let each = |entry: &Entry| entry.data.len() + entry.context.len() + 32;
                message.entries.iter().map(each).sum()
            }
            Body::Propose(requests) => requests.iter().map(Request::weight).sum(),
            Body::Refuse(..) => 0,
        };
        HEAD + body
    }
}
