//! Requests on their way to the leader.

use bytes::Bytes;

use super::super::command;
use super::super::ids::RequestId;
use super::super::request::{Ask, Request};
use super::reader::{PacketError, Reader, write_bytes, write_count};
use crate::limits::{COMMAND_BYTES_MAX, PROPOSALS_AT_ONCE_MAX};

const ASK_COMMAND: u8 = 0;
const ASK_MEMBER: u8 = 1;
/// Name, birth, kind, a length.
const REQUEST_BYTES_MIN: usize = 16 + 8 + 1 + 4;

pub(super) fn write(out: &mut Vec<u8>, requests: &[Request]) -> Result<(), PacketError> {
    write_count(out, "requests", PROPOSALS_AT_ONCE_MAX, requests.len())?;
    for request in requests {
        out.extend(request.id.0);
        out.extend(request.born.to_le_bytes());
        match &request.ask {
            Ask::Command(bytes) => {
                out.push(ASK_COMMAND);
                write_bytes(out, "command", COMMAND_BYTES_MAX, bytes)?;
            }
            Ask::Member(change) => {
                out.push(ASK_MEMBER);
                let bytes = command::encode(change).map_err(|_| PacketError::TooLong)?;
                write_bytes(out, "change", COMMAND_BYTES_MAX, &bytes)?;
            }
        }
    }
    Ok(())
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Request>, PacketError> {
    let count = reader.count("requests", PROPOSALS_AT_ONCE_MAX, REQUEST_BYTES_MIN)?;
    let mut requests = Vec::with_capacity(count);
    for _ in 0..count {
        requests.push(read_one(reader)?);
    }
    Ok(requests)
}

fn read_one(reader: &mut Reader<'_>) -> Result<Request, PacketError> {
    let id = RequestId(reader.array()?);
    let born = reader.u64()?;
    let kind = reader.u8()?;
    let bytes = reader.bytes("command", COMMAND_BYTES_MAX)?;
    let ask = match kind {
        ASK_COMMAND => Ask::Command(Bytes::copy_from_slice(bytes)),
        ASK_MEMBER => {
            let change = command::decode(bytes);
            Ask::Member(change.map_err(|_| PacketError::Malformed { what: "change" })?)
        }
        _ => return Err(PacketError::Malformed { what: "request" }),
    };
    Ok(Request { id, born, ask })
}
