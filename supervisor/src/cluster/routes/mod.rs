//! What other nodes ask of this one.
//!
//! ```text
//! gate (who, then its body) ─▶ packets | snapshots | ask | heaps | members | hello
//! ```
//!
//! Nothing of a request is looked at before its sender has shown who it is, and nothing of a request is
//! taken unless all of it can be.

mod ask;
mod gate;
mod heaps;
mod hello;
mod members;
mod packets;
mod refusal;
pub(super) mod shapes;
mod sizes;
mod snapshots;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use self::refusal::Refusal;
pub(super) use self::sizes::{answer_bytes_max, body_bytes_max};
use super::desk::{Desk, Node};
use super::peer::Peer;
use super::trust::door::Guest;
use crate::raft::codec;
use crate::raft::packet::Packet;

pub(super) const PACKETS: &str = "/raft/msgs";
pub(super) const ASK: &str = "/raft/ask";
pub(super) const HEAPS: &str = "/raft/heaps";
pub(super) const HELLO: &str = "/raft/hello";
pub(super) const JOIN: &str = "/raft/join";
pub(super) const LEAVE: &str = "/raft/leave";
pub(super) const STATUS: &str = "/raft/status";
pub(super) const SNAPSHOT_OFFER: &str = "/raft/snapshot/offer";
pub(super) const SNAPSHOT_PIECE: &str = "/raft/snapshot/piece";
pub(super) const SNAPSHOT_FINISH: &str = "/raft/snapshot/finish";
pub(super) const HEALTH: &str = "/healthz";

/// What is where.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    let gate = from_fn_with_state(Arc::clone(&desk), gate::pass);
    Router::new()
        .route(PACKETS, post(packets::take))
        .route(SNAPSHOT_OFFER, post(snapshots::offer))
        .route(SNAPSHOT_PIECE, post(snapshots::piece))
        .route(SNAPSHOT_FINISH, post(snapshots::finish))
        .route(ASK, post(ask::answer))
        .route(HEAPS, post(heaps::hear))
        .route(HELLO, get(hello::say))
        .route(JOIN, post(members::join))
        .route(LEAVE, post(members::leave))
        .route(STATUS, get(members::status))
        .route(HEALTH, get(async || "ok\n"))
        .fallback(async || Refusal::Unknown)
        .method_not_allowed_fallback(async || Refusal::WrongMethod)
        // The gate has bounded the body, by what is sent there: one entry may be larger than axum's limit.
        .layer(DefaultBodyLimit::disable())
        .layer(gate)
        .with_state(desk)
}

/// A node that speaks to this one, as the node that it is, in the cluster that both are in.
fn speaker<'a>(desk: &'a Desk, guest: &Guest) -> Result<(Peer, &'a Node), Refusal> {
    let node = desk.node.get().ok_or(Refusal::NoCluster)?;
    let peer = guest.claims.from.clone().ok_or(Refusal::NoNode)?;
    if guest.claims.cluster.as_ref() != desk.local.cluster.get() {
        return Err(Refusal::OtherCluster);
    }
    if guest.claims.to != Some(desk.local.me.id) || peer.id == desk.local.me.id {
        return Err(Refusal::NotForMe);
    }
    desk.roster.meet(&peer)?;
    desk.links.heard(peer.id);
    Ok((peer, node))
}

/// A member that asks something of this one.
fn member<'a>(desk: &'a Desk, guest: &Guest) -> Result<(Peer, &'a Node), Refusal> {
    let (peer, node) = speaker(desk, guest)?;
    if desk.roster.has(peer.id) {
        Ok((peer, node))
    } else {
        Err(Refusal::NoMemberAsks)
    }
}

/// Whether a packet is of who sends it, for who gets it.
fn check(desk: &Desk, peer: &Peer, packet: &Packet) -> Result<(), Refusal> {
    let is_of_sender = packet.from == peer.id && packet.incarnation == peer.incarnation;
    if !is_of_sender {
        return Err(Refusal::Stolen);
    }
    if Some(&packet.cluster) != desk.local.cluster.get() {
        return Err(Refusal::OtherCluster);
    }
    if packet.to != desk.local.me.id {
        return Err(Refusal::NotForMe);
    }
    Ok(())
}

/// One packet of who sends it.
fn one_packet(desk: &Desk, peer: &Peer, bytes: &[u8]) -> Result<Packet, Refusal> {
    let packet = codec::decode(bytes)?;
    check(desk, peer, &packet)?;
    Ok(packet)
}
