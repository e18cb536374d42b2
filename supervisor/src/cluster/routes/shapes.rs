//! The JSON between nodes, and of those who look after them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::Refusal;
use crate::cluster::peer::Peer;
use crate::hex::{self, Hex};
use crate::raft::ids::{ClusterId, Incarnation, RaftId};
use crate::raft::request::Member;

/// Why something was not done.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) error: String,
}

/// A node wants to come in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cluster) struct Join {
    pub(in crate::cluster) node_id: String,
    pub(in crate::cluster) addr: String,
    #[serde(default)]
    pub(in crate::cluster) as_learner: bool,
}

/// It is in.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct Joined {
    pub(in crate::cluster) ok: bool,
    pub(in crate::cluster) cluster_id: String,
    pub(in crate::cluster) members: Vec<Known>,
}

/// A node has to go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leave {
    pub(super) node_id: String,
}

/// It is done.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    pub(super) ok: bool,
}

/// The next byte of a snapshot that is missing.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct Next {
    pub(in crate::cluster) next: u64,
}

/// How a node stands.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) node_id: String,
    pub(super) role: &'static str,
    pub(super) term: u64,
    pub(super) leader_id: Option<String>,
    pub(super) commit_index: u64,
    pub(super) last_applied: u64,
    pub(super) log_length: u64,
    pub(super) peers: Vec<String>,
    pub(super) peer_addrs: BTreeMap<String, String>,
    pub(super) learners: Vec<String>,
    pub(super) is_learner: bool,
    pub(super) cluster_id: String,
    pub(super) raft_id: String,
}

/// Who a node is, and whether it is in a cluster.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct Hello {
    pub(in crate::cluster) node_id: String,
    pub(in crate::cluster) addr: String,
    pub(in crate::cluster) incarnation: String,
    /// The cluster that it is in.
    pub(in crate::cluster) cluster_id: Option<String>,
    /// The one that it would make.
    pub(in crate::cluster) proposal: Option<String>,
    /// Who is in it.
    pub(in crate::cluster) members: Vec<Known>,
}

/// A member.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cluster) struct Known {
    pub(in crate::cluster) node_id: String,
    pub(in crate::cluster) addr: String,
    pub(in crate::cluster) raft_id: String,
    pub(in crate::cluster) incarnation: String,
    pub(in crate::cluster) is_learner: bool,
}

impl Known {
    pub(super) fn new(member: &Member) -> Self {
        Self {
            node_id: member.name.clone(),
            addr: member.address.clone(),
            raft_id: member.id.to_string(),
            incarnation: Hex(&member.incarnation.0).to_string(),
            is_learner: member.is_learner_for_good,
        }
    }

    /// The member; `None` for what is none.
    pub(in crate::cluster) fn read(&self) -> Option<Member> {
        let peer = peer(&self.node_id, &self.incarnation, &self.addr)?;
        Some(peer.as_member(self.is_learner))
    }
}

/// A node that another one speaks of, or that speaks of itself.
pub(in crate::cluster) fn peer(name: &str, incarnation: &str, address: &str) -> Option<Peer> {
    let incarnation = Incarnation(hex::read(incarnation)?);
    Some(Peer::new(
        name.parse().ok()?,
        incarnation,
        address.parse().ok()?,
    ))
}

pub(in crate::cluster) fn cluster(text: &str) -> Option<ClusterId> {
    hex::read(text).map(ClusterId)
}

pub(super) fn shown(cluster: ClusterId) -> String {
    Hex(&cluster.0).to_string()
}

/// The name of a member.
pub(super) fn name_of(members: &[Member], id: RaftId) -> Option<String> {
    let mut found = members.iter().filter(|member| member.id == id);
    found.next().map(|member| member.name.clone())
}

/// An answer.
pub(super) fn json(status: StatusCode, shape: &impl Serialize) -> Response {
    match serde_json::to_vec(shape) {
        Ok(body) => {
            let kind = HeaderValue::from_static("application/json");
            (status, [(header::CONTENT_TYPE, kind)], body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What a request says.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))
}

/// Why a node says no, as far as it can be read.
pub(in crate::cluster) fn problem(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Told {
        error: String,
    }
    let told = serde_json::from_slice::<Told>(body);
    told.map_or_else(|_| "no reason was given".to_owned(), |told| told.error)
}
