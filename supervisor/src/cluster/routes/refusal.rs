//! What a node is answered whose request is not taken.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::shapes::{self, Problem};
use crate::cluster::inbox::Full;
use crate::cluster::snapshot::shelf::ShelfError;
use crate::cluster::trust::door::Stranger;
use crate::limits::PEER_BODY_WAIT_MAX;
use crate::raft::codec::PacketError;
use crate::raft::core::{Failure, TurnedAway};
use crate::store::snapshot::SnapshotError;

/// Why it is not.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// There is nothing at this path.
    #[error("not found")]
    Unknown,
    /// This path is asked in another way.
    #[error("this is asked with another method")]
    WrongMethod,
    /// It is not let in.
    #[error(transparent)]
    Stranger(#[from] Stranger),
    /// It does not say how long its body is.
    #[error("the length of the body is missing")]
    NoLength,
    /// Its body is too long.
    #[error("the body of this request has {0} bytes at most")]
    TooLong(usize),
    /// Its body takes too long.
    #[error("the body did not come within {} seconds", PEER_BODY_WAIT_MAX.as_secs())]
    TooSlow,
    /// Its body ends early.
    #[error("the body ended early")]
    CutOff,
    /// Its body is not the one that was signed.
    #[error("the body is not the one that was signed")]
    OtherBody,
    /// Its body cannot be read.
    #[error("the body cannot be read: {0}")]
    Malformed(String),
    /// Only nodes may ask this.
    #[error("only a node can ask this")]
    NoNode,
    /// This node is in no cluster yet.
    #[error("this node is in no cluster yet")]
    NoCluster,
    /// The sender is of another cluster.
    #[error("this node belongs to another cluster")]
    OtherCluster,
    /// It is for another node.
    #[error("this is another node, or another life of it")]
    NotForMe,
    /// It speaks for another node.
    #[error("a node can speak for itself alone")]
    Stolen,
    /// The node said so, of what came before.
    #[error(transparent)]
    TurnedAway(#[from] TurnedAway),
    /// The node cannot take more.
    #[error(transparent)]
    Full(#[from] Full),
    /// There is no room for the body.
    #[error("too much is in hand; try again later")]
    NoRoom,
    /// No snapshot is named, or one that may not be sent.
    #[error(transparent)]
    Manifest(#[from] SnapshotError),
    /// A piece of a snapshot cannot be taken.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// There is no such member.
    #[error("there is no member of this name")]
    NoMember,
    /// Who wants to join is not where it says.
    #[error("nobody answers as this node at {address}: {problem}")]
    NotThere {
        /// Where.
        address: String,
        /// What happened.
        problem: String,
    },
    /// The membership cannot be changed so.
    #[error(transparent)]
    Change(#[from] Failure),
    /// Who asks is not known to be a member.
    #[error("only a member can ask this, and this node does not know the sender as one")]
    NoMemberAsks,
    /// Nodes do not give each other heaps.
    #[error(
        "this node gives and takes no heaps: all nodes have to keep them in directories of their own"
    )]
    NoHeaps,
    /// What was asked took too long.
    #[error("there is no answer in time")]
    NoAnswer,
    /// The answer is too long.
    #[error("the answer has more than {0} bytes")]
    LongAnswer(usize),
    /// A part of this program has ended.
    #[error("this node is about to end")]
    Ending,
}

impl From<PacketError> for Refusal {
    fn from(error: PacketError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown | Self::NoMember | Self::NoHeaps => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Stranger(stranger) => stranger.status(),
            Self::NoLength => StatusCode::LENGTH_REQUIRED,
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::OtherBody => StatusCode::UNAUTHORIZED,
            Self::CutOff | Self::Malformed(_) | Self::Manifest(_) => StatusCode::BAD_REQUEST,
            Self::NoNode | Self::Stolen | Self::NoMemberAsks => StatusCode::FORBIDDEN,
            Self::LongAnswer(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::OtherCluster | Self::NotForMe | Self::NotThere { .. } => StatusCode::CONFLICT,
            Self::TurnedAway(why) => match why {
                TurnedAway::OtherCluster | TurnedAway::NotForMe | TurnedAway::OtherLife => {
                    StatusCode::CONFLICT
                }
                TurnedAway::Removed => StatusCode::GONE,
                TurnedAway::Nonsense(_) | TurnedAway::DataLost => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Self::Shelf(error) => match error {
                ShelfError::Busy => StatusCode::SERVICE_UNAVAILABLE,
                ShelfError::Unknown => StatusCode::NOT_FOUND,
                ShelfError::Elsewhere(_) => StatusCode::CONFLICT,
                ShelfError::Damaged(_) => StatusCode::UNPROCESSABLE_ENTITY,
                ShelfError::Disk(_) => StatusCode::INSUFFICIENT_STORAGE,
            },
            Self::Change(Failure::Refused(_)) => StatusCode::CONFLICT,
            Self::NoCluster
            | Self::Full(_)
            | Self::NoRoom
            | Self::NoAnswer
            | Self::Change(_)
            | Self::Ending => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = self.to_string();
        tracing::debug!(error, "a request of a node was not taken");
        shapes::json(self.status(), &Problem { error })
    }
}
