//! Packets of other nodes.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;

use super::{Refusal, check, speaker};
use crate::cluster::batch;
use crate::cluster::desk::Desk;
use crate::cluster::link::way_of;
use crate::cluster::trust::door::Guest;
use crate::raft::core::Event;
use crate::raft::packet::Lane;

/// All of them are taken, as far as there is room, or none.
pub(super) async fn take(
    State(desk): State<Arc<Desk>>,
    Extension(guest): Extension<Guest>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let (peer, node) = speaker(&desk, &guest)?;
    let packets = batch::decode(&body)?;
    if let Some(first) = packets.first() {
        // All of a request go one way.
        let bytes = desk.figures.received_bytes.of(way_of(first.lane()));
        bytes.inc_by(body.len() as u64);
    }
    for packet in &packets {
        check(&desk, &peer, packet)?;
        if packet.lane() == Lane::Snapshot {
            // Without its file nobody could do what it says.
            return Err(Refusal::Malformed(
                "a snapshot comes with its file".to_owned(),
            ));
        }
    }
    for packet in packets {
        let way = way_of(packet.lane());
        node.inbox.offer(Event::Packet(packet))?;
        desk.figures.received.of(way).inc();
    }
    Ok(StatusCode::NO_CONTENT)
}
