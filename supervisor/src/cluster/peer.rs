//! One life of a node, as it names itself.

use super::name::{Address, NodeName};
use crate::raft::ids::{Incarnation, RaftId};
use crate::raft::request::Member;

/// One life of a node. Its id follows from its name and its life: so whoever shows that it is called so
/// can speak for that id and for no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it is called.
    pub name: NodeName,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Its id.
    pub id: RaftId,
    /// Where others reach it.
    pub address: Address,
}

impl Peer {
    /// This life of a node.
    pub fn new(name: NodeName, incarnation: Incarnation, address: Address) -> Self {
        Self {
            id: RaftId::of(name.as_str(), incarnation),
            name,
            incarnation,
            address,
        }
    }

    /// As a member of a cluster.
    pub fn as_member(&self, is_learner_for_good: bool) -> Member {
        Member {
            id: self.id,
            name: self.name.as_str().to_owned(),
            address: self.address.to_string(),
            incarnation: self.incarnation,
            is_learner_for_good,
        }
    }
}
