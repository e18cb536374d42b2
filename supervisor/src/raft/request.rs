//! Requests for changes, as they travel to the leader.

use bincode::{Decode, Encode};
use bytes::Bytes;

use super::ids::{Incarnation, RaftId, RequestId};

/// A change that somebody asks for. It may be sent often; it is done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// The last entry that its node had applied when the request was first made. It is refused when
    /// the log has grown by more than [`crate::limits::DEDUP_ENTRIES`] since, because nobody knows any
    /// more whether it was done.
    pub born: u64,
    /// What is asked for.
    pub ask: Ask,
}

impl Request {
    /// About how much memory it takes, in bytes.
    pub const fn held_bytes(&self) -> usize {
        let asked = match &self.ask {
            Ask::Command(bytes) => bytes.len(),
            Ask::Member(_) => 0,
        };
        asked + size_of::<Self>()
    }

    /// About how many bytes it has.
    pub fn weight(&self) -> usize {
        match &self.ask {
            Ask::Command(bytes) => 64 + bytes.len(),
            Ask::Member(_) => 1024,
        }
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A command, encoded.
    Command(Bytes),
    /// Another membership.
    Member(MemberChange),
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// Its id, which follows from its name and its incarnation.
    pub id: RaftId,
    /// What its operator calls it.
    pub name: String,
    /// Where others reach it: host and port.
    pub address: String,
    /// Its life.
    pub incarnation: Incarnation,
    /// Whether it only learns and never votes.
    pub is_learner_for_good: bool,
}

/// A change of the membership.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum MemberChange {
    /// A node comes in as a learner. The leader makes a voter of it when it has caught up.
    Join(Member),
    /// A learner becomes a voter.
    Promote(RaftId),
    /// A node leaves for good: its id never comes back.
    Remove(RaftId),
    /// A learner takes the vote of a node that leaves for good, in one step.
    Replace {
        /// Who leaves.
        old: RaftId,
        /// Who votes in its place.
        new: RaftId,
    },
}

/// Why a leader does not do what it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// The command is none that this program knows.
    #[error("the command is not one that the leader knows; all nodes need the same version")]
    Malformed,
    /// The command is larger than a command may be.
    #[error("the change is too large to be replicated")]
    TooLarge,
    /// A node of this name or address is a member, and it is another one.
    #[error("another member has this name or this address; remove that one first, or replace it")]
    Taken,
    /// This id has left for good.
    #[error("this node was removed; it can come back with an empty data directory")]
    WasRemoved,
    /// No such member.
    #[error("there is no such member")]
    Unknown,
    /// It is as asked already.
    #[error("the membership is so already")]
    Already,
    /// Too few voters would be left alive to decide anything.
    #[error("without this member too few of the others can be reached to decide anything")]
    LosesQuorum,
    /// The learner is too far behind to vote.
    #[error("this node has not caught up yet")]
    NotCaughtUp,
    /// The cluster is full.
    #[error("the cluster has as many members as it may have")]
    Full,
    /// Another change came before it, after which it cannot be made.
    #[error("another change of the membership came before this one; look at the members again")]
    Overtaken,
}

impl Refusal {
    /// All of them, by their number in packets.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::TooLarge,
        Self::Taken,
        Self::WasRemoved,
        Self::Unknown,
        Self::Already,
        Self::LosesQuorum,
        Self::NotCaughtUp,
        Self::Full,
        Self::Overtaken,
    ];
}
