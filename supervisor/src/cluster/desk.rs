//! What the routes of this node and its ways to others share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Semaphore;

use super::control::ClusterControl;
use super::heaps::Counter;
use super::inbox::Inbox;
use super::lines::Lines;
use super::link::Links;
use super::local::Local;
use super::peer::Peer;
use super::phone::Answers;
use super::roster::Roster;
use super::snapshot::shelf::Shelf;
use super::trust::Credentials;
use super::trust::door::Door;
use crate::limits::PEER_BODIES_BYTES_MAX;
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
    /// What the bodies that are in hand may still take.
    pub(super) bodies: Arc<Semaphore>,
    pub(super) is_status_public: bool,
    pub(super) figures: TransportFigures,
    /// The cluster that this node would make with those whom it has asked.
    proposal: Mutex<Option<ClusterId>>,
    /// From when it is in a cluster.
    pub(super) node: OnceLock<Node>,
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
            bodies: Arc::new(Semaphore::new(PEER_BODIES_BYTES_MAX)),
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
