//! What the routes of this node and its ways to others share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::control::ClusterControl;
use super::heaps::Counter;
use super::inbox::Inbox;
use super::lines::Lines;
use super::link::Links;
use super::local::Local;
use super::peer::Peer;
use super::phone::Answers;
use super::room::{Part, Room, Whose};
use super::roster::Roster;
use super::snapshot::shelf::Shelf;
use super::trust::Credentials;
use super::trust::door::Door;
use crate::limits::{
    PEER_ANSWERS_BYTES_MAX, PEER_BODIES_BYTES_MAX, PEER_SMALL_BODIES_BYTES_MAX,
    PEER_SMALL_BODY_BYTES_MAX,
};
use crate::metrics::TransportFigures;
use crate::raft::ids::ClusterId;

/// What they share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) local: Arc<Local>,
    pub(super) door: Door,
    pub(super) roster: Roster,
    pub(super) links: Links,
    /// For questions, and for heaps.
    pub(super) lines: Lines,
    /// For what others say and are answered.
    pub(super) rooms: Rooms,
    pub(super) is_status_public: bool,
    pub(super) figures: TransportFigures,
    /// The cluster that this node would make with those whom it has asked.
    proposal: Mutex<Option<ClusterId>>,
    /// From when it is in a cluster.
    pub(super) node: OnceLock<Node>,
}

/// What may be held of what others say to this node and are answered.
#[derive(Debug)]
pub(super) struct Rooms {
    /// Small bodies: whatever others send of large ones, signs of life and votes come through.
    small: Room,
    large: Room,
    answers: Room,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            small: Room::new(PEER_SMALL_BODIES_BYTES_MAX),
            large: Room::new(PEER_BODIES_BYTES_MAX),
            answers: Room::new(PEER_ANSWERS_BYTES_MAX),
        }
    }
}

impl Rooms {
    /// For a body of so many bytes.
    pub(super) fn body(&self, whose: Whose, bytes: usize) -> Option<Part> {
        let room = if bytes <= PEER_SMALL_BODY_BYTES_MAX {
            &self.small
        } else {
            &self.large
        };
        room.take(whose, bytes)
    }

    /// For an answer of so many bytes, until it has been taken.
    pub(super) fn answer(&self, whose: Whose, bytes: usize) -> Option<Part> {
        self.answers.take(whose, bytes)
    }
}

/// The node that has come to a cluster.
pub(super) struct Node {
    pub(super) inbox: Inbox,
    pub(super) control: Arc<dyn ClusterControl>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) answers: Arc<dyn Answers>,
    /// None where all nodes see the same heaps, or there are none.
    pub(super) heaps: Option<Arc<Counter>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new(me: Peer, credentials: Credentials, is_status_public: bool) -> Self {
        Self {
            local: Arc::new(Local {
                me,
                credentials,
                cluster: OnceLock::new(),
            }),
            door: Door::default(),
            roster: Roster::default(),
            links: Links::default(),
            lines: Lines::default(),
            rooms: Rooms::default(),
            is_status_public,
            figures: TransportFigures::default(),
            proposal: Mutex::default(),
            node: OnceLock::new(),
        }
    }

    pub(super) fn proposal(&self) -> Option<ClusterId> {
        *self.proposal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn propose(&self, cluster: Option<ClusterId>) {
        *self.proposal.lock().unwrap_or_else(PoisonError::into_inner) = cluster;
    }
}
