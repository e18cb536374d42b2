//! What an operator decides about a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::name::{Address, Listed, NodeName};
use super::times::Times;
use super::trust::{Credentials, TrustError};
use crate::http::TlsFiles;

/// The cluster that this node takes part in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What this node is called.
    pub name: NodeName,
    /// Where others reach it.
    pub advertise: Address,
    /// How it comes to a cluster, where its disk does not say.
    pub begin: Begin,
    /// Whether the members that are gone are given up.
    pub forces_new: bool,
    /// How it keeps time.
    pub times: Times,
    /// How nodes know each other.
    pub trust: Trust,
    /// Whether anybody may ask how the cluster stands.
    pub is_status_public: bool,
}

/// How a node with an empty disk comes to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It is a cluster of one, which others can join.
    Alone,
    /// It makes one together with these.
    With(Vec<Listed>),
    /// It joins the one that this node is in.
    Join {
        /// Any member.
        seed: Address,
        /// Whether it never votes.
        as_learner: bool,
    },
}

/// How nodes know each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// By certificates.
    Tls {
        /// This node's own.
        own: TlsFiles,
        /// Those who sign certificates of nodes.
        authorities: PathBuf,
    },
    /// By a secret that all of them have, in this file.
    Secret(PathBuf),
    /// Not at all.
    Nobody,
}

impl ClusterConfig {
    /// Whether the files can be used by which nodes know each other.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn check_trust(&self) -> Result<(), TrustError> {
        Credentials::open(&self.trust, &self.name).map(drop)
    }

    /// The other nodes that it was told of.
    pub fn others(&self) -> Vec<Address> {
        match &self.begin {
            Begin::Alone => Vec::new(),
            Begin::With(listed) => listed.iter().map(|one| one.address.clone()).collect(),
            Begin::Join { seed, .. } => vec![seed.clone()],
        }
    }
}
