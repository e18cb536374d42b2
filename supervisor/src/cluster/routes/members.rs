//! Who is in the cluster, and how that is changed.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::time::timeout;

use super::Refusal;
use super::shapes::{self, Done, Join, Joined, Known, Leave, Status};
use crate::cluster::desk::{Desk, Node};
use crate::cluster::name::NodeName;
use crate::cluster::peer::Peer;
use crate::cluster::questions;
use crate::cluster::trust::door::Guest;
use crate::limits::MEMBER_CHANGE_WAIT_MAX;
use crate::raft::core::Failure;
use crate::raft::ids::ClusterId;
use crate::raft::request::{Member, MemberChange};

/// A node asks to come in, for itself. It has to be where it says: others could not reach it, and would
/// wait for it in vain.
pub(super) async fn join(
    State(desk): State<Arc<Desk>>,
    Extension(guest): Extension<Guest>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (node, cluster) = here(&desk)?;
    let asked: Join = shapes::read(&body)?;
    let peer = guest.claims.from.ok_or(Refusal::NoNode)?;
    if asked.node_id != peer.name.as_str() || asked.addr != peer.address.to_string() {
        return Err(Refusal::Stolen);
    }
    is_there(&desk, &peer).await?;
    change(node, MemberChange::Join(peer.as_member(asked.as_learner))).await?;
    desk.roster.learn(&peer);
    let members = desk.roster.members();
    let joined = Joined {
        ok: true,
        cluster_id: shapes::shown(cluster),
        members: members.iter().map(Known::new).collect(),
    };
    Ok(shapes::json(StatusCode::OK, &joined))
}

/// A node has to go. Any node may say so, and whoever looks after them.
pub(super) async fn leave(State(desk): State<Arc<Desk>>, body: Bytes) -> Result<Response, Refusal> {
    let (node, _) = here(&desk)?;
    let asked: Leave = shapes::read(&body)?;
    let name: Option<NodeName> = asked.node_id.parse().ok();
    let member = name.and_then(|name| desk.roster.named(&name));
    let member = member.ok_or(Refusal::NoMember)?;
    change(node, MemberChange::Remove(member.id)).await?;
    Ok(shapes::json(StatusCode::OK, &Done { ok: true }))
}

/// How this node stands.
pub(super) async fn status(State(desk): State<Arc<Desk>>) -> Result<Response, Refusal> {
    let (node, cluster) = here(&desk)?;
    let status = node.control.status();
    let me = &desk.local.me;
    let members = desk.roster.members();
    let names = |is_wanted: fn(&Member) -> bool| -> Vec<String> {
        let wanted = members.iter().filter(|member| is_wanted(member));
        wanted.map(|member| member.name.clone()).collect()
    };
    let others = members.iter().filter(|member| member.id != me.id);
    let own = members.iter().find(|member| member.id == me.id);
    let shown = Status {
        node_id: me.name.to_string(),
        role: status.role.name(),
        term: status.term,
        leader_id: status
            .leader
            .and_then(|leader| shapes::name_of(&members, leader)),
        commit_index: status.commit_index,
        last_applied: status.last_applied,
        log_length: status.log_length,
        peers: names(|member| !member.is_learner_for_good)
            .into_iter()
            .filter(|name| name != me.name.as_str())
            .collect(),
        peer_addrs: others
            .map(|member| (member.name.clone(), member.address.clone()))
            .collect(),
        learners: names(|member| member.is_learner_for_good),
        is_learner: own.is_some_and(|member| member.is_learner_for_good),
        cluster_id: shapes::shown(cluster),
        raft_id: me.id.to_string(),
    };
    Ok(shapes::json(StatusCode::OK, &shown))
}

fn here(desk: &Desk) -> Result<(&Node, ClusterId), Refusal> {
    let node = desk.node.get().ok_or(Refusal::NoCluster)?;
    let cluster = desk.local.cluster.get().ok_or(Refusal::NoCluster)?;
    Ok((node, *cluster))
}

async fn change(node: &Node, change: MemberChange) -> Result<(), Refusal> {
    let changed = timeout(MEMBER_CHANGE_WAIT_MAX, node.control.change(change)).await;
    Ok(changed.unwrap_or(Err(Failure::Unknown))?)
}

/// Whether this life of a node answers where it says that it is.
async fn is_there(desk: &Desk, peer: &Peer) -> Result<(), Refusal> {
    let not_there = |problem: String| Refusal::NotThere {
        address: peer.address.to_string(),
        problem,
    };
    let found = questions::hello(&desk.local, &peer.address).await;
    let found = found.map_err(|error| not_there(error.to_string()))?;
    if found.peer == *peer {
        Ok(())
    } else {
        Err(not_there(format!("{} does", found.peer.name)))
    }
}
