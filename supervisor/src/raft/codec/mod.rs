//! The bytes of packets.
//!
//! The raft crate would read its messages with protobuf 2, which can be made to recurse until the stack
//! ends (RUSTSEC-2024-0437). No byte of a peer gets there: what follows reads every field itself, checks
//! each length before it allocates, and leaves nothing unread. Numbers are little-endian.
//!
//! ```text
//! format u8 | cluster 16 | from u64 | incarnation 16 | to u64 | kind u8 | ...
//! ```

mod message;
mod reader;
mod requests;
#[cfg(test)]
pub(super) mod tests;

use super::ids::{ClusterId, Incarnation, RaftId, RequestId};
use super::packet::{Body, Packet};
use super::request::Refusal;
use crate::limits::PACKET_BYTES_MAX;

pub use self::message::{read_conf, write_conf};
pub use self::reader::{PacketError, Reader};

/// The first byte of a packet.
pub const PACKET_FORMAT: u8 = 1;

const KIND_RAFT: u8 = 0;
const KIND_PROPOSE: u8 = 1;
const KIND_REFUSE: u8 = 2;

/// A packet's bytes.
///
/// # Errors
/// [`PacketError`] when the other end would refuse it.
pub fn encode(packet: &Packet) -> Result<Vec<u8>, PacketError> {
    let mut bytes = vec![PACKET_FORMAT];
    bytes.extend(packet.cluster.0);
    bytes.extend(packet.from.get().to_le_bytes());
    bytes.extend(packet.incarnation.0);
    bytes.extend(packet.to.get().to_le_bytes());
    match &packet.body {
        Body::Raft(message) => {
            bytes.push(KIND_RAFT);
            message::write(&mut bytes, message)?;
        }
        Body::Propose(requests) => {
            bytes.push(KIND_PROPOSE);
            requests::write(&mut bytes, requests)?;
        }
        Body::Refuse(request, refusal) => {
            bytes.push(KIND_REFUSE);
            bytes.extend(request.0);
            bytes.push(refusal_number(*refusal));
        }
    }
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(PacketError::TooLong);
    }
    Ok(bytes)
}

/// Reads a packet. What it says is well-formed, and may still be a lie: the core checks it against what
/// it knows.
///
/// # Errors
/// [`PacketError`].
pub fn decode(bytes: &[u8]) -> Result<Packet, PacketError> {
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(PacketError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    let format = reader.u8()?;
    if format != PACKET_FORMAT {
        return Err(PacketError::Format { found: format });
    }
    let cluster = ClusterId(reader.array()?);
    let from = read_id(&mut reader)?;
    let incarnation = Incarnation(reader.array()?);
    let to = read_id(&mut reader)?;
    let body = match reader.u8()? {
        KIND_RAFT => {
            let mut message = message::read(&mut reader)?;
            message.from = from.get();
            message.to = to.get();
            Body::Raft(Box::new(message))
        }
        KIND_PROPOSE => Body::Propose(requests::read(&mut reader)?),
        KIND_REFUSE => Body::Refuse(RequestId(reader.array()?), read_refusal(&mut reader)?),
        _ => return Err(PacketError::Malformed { what: "kind" }),
    };
    reader.end()?;
    Ok(Packet {
        cluster,
        from,
        incarnation,
        to,
        body,
    })
}

fn read_id(reader: &mut Reader<'_>) -> Result<RaftId, PacketError> {
    RaftId::from_u64(reader.u64()?).ok_or(PacketError::Malformed { what: "id" })
}

fn refusal_number(refusal: Refusal) -> u8 {
    let position = Refusal::ALL.iter().position(|other| *other == refusal);
    position
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

fn read_refusal(reader: &mut Reader<'_>) -> Result<Refusal, PacketError> {
    let number = usize::from(reader.u8()?);
    let refusal = Refusal::ALL.get(number).copied();
    refusal.ok_or(PacketError::Malformed { what: "refusal" })
}
