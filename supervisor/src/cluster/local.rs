//! What this node says of itself.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::peer::Peer;
use super::trust::Credentials;
use super::trust::head::Claims;
use crate::raft::ids::{ClusterId, RaftId};

/// This node.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) me: Peer,
    pub(super) credentials: Credentials,
    /// The cluster that it is in, from when it is in one.
    pub(super) cluster: OnceLock<ClusterId>,
}

impl Local {
    /// What it says to somebody.
    pub(super) fn claims(&self, to: Option<RaftId>) -> Claims {
        Claims {
            cluster: self.cluster.get().copied(),
            from: Some(self.me.clone()),
            to,
        }
    }
}

/// The time, in seconds since 1970.
pub(super) fn now_secs() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
