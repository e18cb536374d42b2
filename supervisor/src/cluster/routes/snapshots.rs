//! Snapshots of other nodes.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::task::spawn_blocking;

use super::shapes::{self, Next};
use super::{Refusal, one_packet, speaker};
use crate::cluster::desk::Desk;
use crate::cluster::snapshot::shelf::{Shelf, ShelfError};
use crate::cluster::trust::door::Guest;
use crate::metrics::{SnapshotTravel, Way};
use crate::raft::codec::{PacketError, Reader};
use crate::raft::core::Event;
use crate::raft::packet::Packet;
use crate::store::snapshot::{Manifest, SnapshotError};

/// A node wants to send one. The answer is the first byte that is missing.
pub(super) async fn offer(
    State(desk): State<Arc<Desk>>,
    Extension(guest): Extension<Guest>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (peer, node) = speaker(&desk, &guest)?;
    let packet = one_packet(&desk, &peer, &body)?;
    let manifest = manifest(&packet)?;
    let next = on(&node.shelf, move |shelf| shelf.offer(peer.id, manifest)).await?;
    Ok(shapes::json(StatusCode::OK, &Next { next }))
}

/// A piece: the SHA-256 of the whole, the place of its first byte, its bytes.
pub(super) async fn piece(
    State(desk): State<Arc<Desk>>,
    Extension(guest): Extension<Guest>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (peer, node) = speaker(&desk, &guest)?;
    let mut reader = Reader::new(&body);
    let whole: Result<([u8; 32], u64), PacketError> = reader
        .array()
        .and_then(|sha256| Ok((sha256, reader.u64()?)));
    let whole = whole?;
    let begin = body.len() - reader.rest().len();
    let bytes = desk.figures.received_bytes.of(Way::Snapshot);
    bytes.inc_by(reader.rest().len() as u64);
    let next = on(&node.shelf, move |shelf| {
        let piece = body.get(begin..).unwrap_or_default();
        shelf.add(peer.id, whole, piece)
    })
    .await?;
    Ok(shapes::json(StatusCode::OK, &Next { next }))
}

/// All pieces have been sent. The message is taken when the file is what was announced.
pub(super) async fn finish(
    State(desk): State<Arc<Desk>>,
    Extension(guest): Extension<Guest>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let (peer, node) = speaker(&desk, &guest)?;
    let packet = one_packet(&desk, &peer, &body)?;
    let manifest = manifest(&packet)?;
    let finished = on(&node.shelf, move |shelf| shelf.finish(peer.id, manifest)).await;
    match &finished {
        Ok(_) => desk.figures.snapshots.of(SnapshotTravel::Received).inc(),
        Err(Refusal::Shelf(ShelfError::Damaged(_))) => {
            desk.figures.snapshots.of(SnapshotTravel::Refused).inc()
        }
        Err(_) => 0,
    };
    finished?;
    node.inbox.offer(Event::Packet(packet))?;
    Ok(StatusCode::NO_CONTENT)
}

fn manifest(packet: &Packet) -> Result<Manifest, SnapshotError> {
    Manifest::from_bytes(packet.manifest().ok_or(SnapshotError::Manifest)?)
}

/// Works with files where that delays nobody.
async fn on<T: Send + 'static>(
    shelf: &Arc<Shelf>,
    work: impl FnOnce(&Shelf) -> Result<T, ShelfError> + Send + 'static,
) -> Result<T, Refusal> {
    let shelf = Arc::clone(shelf);
    let done = spawn_blocking(move || work(&shelf)).await;
    Ok(done.map_err(|_| Refusal::Ending)??)
}
