//! Who this node is, for others who want to make a cluster with it, or to join its own.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::shapes::{self, Hello, Known};
use crate::cluster::desk::Desk;
use crate::hex::Hex;

/// Who it is.
pub(super) async fn say(State(desk): State<Arc<Desk>>) -> Response {
    let me = &desk.local.me;
    let members = desk.roster.members();
    let hello = Hello {
        node_id: me.name.to_string(),
        addr: me.address.to_string(),
        incarnation: Hex(&me.incarnation.0).to_string(),
        cluster_id: desk.local.cluster.get().copied().map(shapes::shown),
        proposal: desk.proposal().map(shapes::shown),
        members: members.iter().map(Known::new).collect(),
    };
    shapes::json(StatusCode::OK, &hello)
}
