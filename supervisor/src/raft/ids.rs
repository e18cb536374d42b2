//! What nodes, clusters and requests are called.

use std::fmt;

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};

/// The name of a node in the log: never 0, and 63 bits, because SQLite's integers are signed.
///
/// It comes from the node's name and its incarnation, so that a node that has lost its disk can never
/// pass for the one that it was: that one may have voted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct RaftId(u64);

impl RaftId {
    const MASK: u64 = u64::MAX >> 1;

    /// The id of one life of a node.
    pub fn of(node: &str, incarnation: Incarnation) -> Self {
        let digest = Sha256::new()
            .chain_update((node.len() as u64).to_le_bytes())
            .chain_update(node)
            .chain_update(incarnation.0)
            .finalize();
        let mut first = [0; 8];
        first.copy_from_slice(digest.get(..8).unwrap_or(&[0; 8]));
        Self((u64::from_le_bytes(first) & Self::MASK) | 1)
    }

    /// An id as it was sent or stored; `None` for what is none.
    pub const fn from_u64(id: u64) -> Option<Self> {
        if id == 0 || id > Self::MASK {
            None
        } else {
            Some(Self(id))
        }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RaftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // JSON readers lose digits of numbers of this size.
        write!(f, "{:016x}", self.0)
    }
}

/// One life of a node: from an empty disk until that disk is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Incarnation(pub [u8; 16]);

/// What tells a cluster from every other, so that nodes of two never talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// The cluster that these first members make, whoever computes it.
    pub fn of(name: &str, members: &[RaftId]) -> Self {
        let mut members = members.to_vec();
        members.sort_unstable();
        let mut hash = Sha256::new()
            .chain_update((name.len() as u64).to_le_bytes())
            .chain_update(name);
        for member in members {
            hash.update(member.0.to_le_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(hash.finalize().get(..16).unwrap_or(&[0; 16]));
        Self(id)
    }
}

/// A request for a change, however often it is sent. Random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct RequestId(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_life_is_another_node() {
        let first = RaftId::of("a", Incarnation([1; 16]));
        assert_eq!(first, RaftId::of("a", Incarnation([1; 16])));
        assert_ne!(first, RaftId::of("a", Incarnation([2; 16])));
        assert_ne!(first, RaftId::of("b", Incarnation([1; 16])));
        assert!(i64::try_from(first.get()).is_ok());
    }

    #[test]
    fn the_order_of_members_makes_no_other_cluster() {
        let [one, two] = [1, 2].map(|id| RaftId::from_u64(id).unwrap());
        assert_eq!(
            ClusterId::of("c", &[one, two]),
            ClusterId::of("c", &[two, one])
        );
        assert_ne!(ClusterId::of("c", &[one]), ClusterId::of("c", &[one, two]));
        assert_ne!(ClusterId::of("d", &[one]), ClusterId::of("c", &[one]));
    }

    #[test]
    fn what_is_no_id_is_none() {
        assert_eq!(RaftId::from_u64(0), None);
        assert_eq!(RaftId::from_u64(1 << 63), None);
        assert!(RaftId::from_u64(1).is_some());
    }
}
