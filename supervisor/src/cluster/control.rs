//! What is asked of the node itself: how it stands, and changes of the membership.

use crate::raft::core::Failure;
use crate::raft::ids::RaftId;
use crate::raft::request::MemberChange;

/// What a node is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Leader,
    /// It votes.
    Follower,
    /// It has no leader, and may stand for election.
    Candidate,
    /// It has no vote.
    Learner,
}

impl Role {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leader => "Leader",
            Self::Follower => "Follower",
            Self::Candidate => "Candidate",
            Self::Learner => "Learner",
        }
    }
}

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeStatus {
    /// What it is.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<RaftId>,
    /// The last entry that is known to be committed.
    pub commit_index: u64,
    /// The last entry that is applied.
    pub last_applied: u64,
    /// Entries in its log.
    pub log_length: u64,
}

/// The node, as those who ask it see it. Whichever is asked, the leader decides: the node brings a change
/// there in one hop.
#[async_trait::async_trait]
pub trait ClusterControl: Send + Sync + 'static {
    /// How it stands.
    fn status(&self) -> NodeStatus;
    /// Changes the membership, and waits until that is done.
    ///
    /// # Errors
    /// [`Failure`].
    async fn change(&self, change: MemberChange) -> Result<(), Failure>;
}
