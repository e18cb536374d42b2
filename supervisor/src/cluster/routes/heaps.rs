//! Heaps that other members fetch, or want one more node to have.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;

use super::{Refusal, member};
use crate::cluster::desk::Desk;
use crate::cluster::trust::door::Guest;

/// What is said about one.
pub(super) async fn hear(
    State(desk): State<Arc<Desk>>,
    Extension(guest): Extension<Guest>,
    said: Bytes,
) -> Result<Bytes, Refusal> {
    let (peer, node) = member(&desk, &guest)?;
    let counter = node.heaps.as_ref().ok_or(Refusal::NoHeaps)?;
    let told = counter.answer(peer.id, &said).await;
    told.map_err(|garbled| Refusal::Malformed(garbled.to_string()))
}
