//! What a request of the API or of MCP passes on its way to its route, in this order.
//!
//! One layer for all: a layer of routes is cloned for each request, with all layers beneath it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::access::{self, Gate};
use super::body::{self, Bodies};
use super::in_flight::{self, Room};
use super::{rest, trace};
use crate::app::Executions;

/// What decides on a request. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Entrance(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    gate: Gate,
    executions: Executions,
    bodies: Bodies,
    room: Room,
}

impl Entrance {
    pub(super) fn new(gate: Gate, executions: Executions, room: Room) -> Self {
        Self(Arc::new(Parts {
            gate,
            bodies: Bodies::new(executions.sharing()),
            executions,
            room,
        }))
    }
}

/// Passes a request on with its caller and all of its body, if there is room for it.
pub(super) async fn pass(
    State(Entrance(parts)): State<Entrance>,
    request: Request,
    next: Next,
) -> Response {
    let parts = &*parts;
    let answer = |request| next.run(request);
    let limit = |request| in_flight::limit(&parts.room, request, answer);
    // Before a place is taken: who sends slowly holds nothing that others need.
    let take = |request| body::take(&parts.bodies, request, limit);
    let refuse = |request| rest::early::refuse(&parts.executions, request, take);
    let follow = |request| trace::follow(request, refuse);
    access::check(&parts.gate, request, follow).await
}
