//! Messages of the algorithm. Their `from` and `to` are written with the packet.

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};

use super::reader::{PacketError, Reader, write_bytes, write_count};
use crate::limits::{
    CLUSTER_MEMBERS_MAX, COMMAND_BYTES_MAX, ENTRY_CONTEXT_BYTES_MAX, MESSAGE_CONTEXT_BYTES_MAX,
    PACKET_ENTRIES_MAX, SNAPSHOT_MANIFEST_BYTES_MAX,
};

/// The largest entry: a command, or a change of the membership around one.
const ENTRY_BYTES_MAX: usize = COMMAND_BYTES_MAX + 1024;
/// Index and term, type, two lengths.
const ENTRY_BYTES_MIN: usize = 8 + 8 + 1 + 4 + 4;

/// The messages that travel, by their number in packets. The others are a node's words to itself, or
/// are sent in another way (proposals), and have no number.
const TYPES: [MessageType; 12] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

const ENTRY_TYPES: [EntryType; 3] = [
    EntryType::EntryNormal,
    EntryType::EntryConfChange,
    EntryType::EntryConfChangeV2,
];

pub(super) fn write(out: &mut Vec<u8>, message: &Message) -> Result<(), PacketError> {
    write_number(out, "type of message", &TYPES, &message.get_msg_type())?;
    for number in [
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.request_snapshot,
        message.reject_hint,
    ] {
        out.extend(number.to_le_bytes());
    }
    out.extend(message.priority.to_le_bytes());
    out.push(u8::from(message.reject));
    let context = &message.context;
    write_bytes(out, "context", MESSAGE_CONTEXT_BYTES_MAX, context)?;
    write_count(out, "entries", PACKET_ENTRIES_MAX, message.entries.len())?;
    for entry in message.entries.iter() {
        write_entry(out, entry)?;
    }
    out.push(u8::from(message.has_snapshot()));
    if message.has_snapshot() {
        write_snapshot(out, message.get_snapshot())?;
    }
    Ok(())
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Message, PacketError> {
    let mut message = Message::default();
    message.set_msg_type(read_number(reader, "type of message", &TYPES)?);
    message.term = reader.u64()?;
    message.log_term = reader.u64()?;
    message.index = reader.u64()?;
    message.commit = reader.u64()?;
    message.commit_term = reader.u64()?;
    message.request_snapshot = reader.u64()?;
    message.reject_hint = reader.u64()?;
    message.priority = i64::from_le_bytes(reader.array()?);
    message.reject = reader.bool()?;
    let context = reader.bytes("context", MESSAGE_CONTEXT_BYTES_MAX)?;
    message.context = Bytes::copy_from_slice(context);
    let count = reader.count("entries", PACKET_ENTRIES_MAX, ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(read_entry(reader)?);
    }
    message.set_entries(entries.into());
    if reader.bool()? {
        message.set_snapshot(read_snapshot(reader)?);
    }
    Ok(message)
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry) -> Result<(), PacketError> {
    write_number(out, "type of entry", &ENTRY_TYPES, &entry.get_entry_type())?;
    out.extend(entry.index.to_le_bytes());
    out.extend(entry.term.to_le_bytes());
    write_bytes(out, "context", ENTRY_CONTEXT_BYTES_MAX, &entry.context)?;
    write_bytes(out, "entry", ENTRY_BYTES_MAX, &entry.data)
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, PacketError> {
    let mut entry = Entry::default();
    entry.set_entry_type(read_number(reader, "type of entry", &ENTRY_TYPES)?);
    entry.index = reader.u64()?;
    entry.term = reader.u64()?;
    let context = reader.bytes("context", ENTRY_CONTEXT_BYTES_MAX)?;
    entry.context = Bytes::copy_from_slice(context);
    entry.data = Bytes::copy_from_slice(reader.bytes("entry", ENTRY_BYTES_MAX)?);
    Ok(entry)
}

fn write_snapshot(out: &mut Vec<u8>, snapshot: &Snapshot) -> Result<(), PacketError> {
    let metadata = snapshot.get_metadata();
    out.extend(metadata.index.to_le_bytes());
    out.extend(metadata.term.to_le_bytes());
    write_conf(out, metadata.get_conf_state())?;
    let manifest = snapshot.get_data();
    write_bytes(out, "manifest", SNAPSHOT_MANIFEST_BYTES_MAX, manifest)
}

fn read_snapshot(reader: &mut Reader<'_>) -> Result<Snapshot, PacketError> {
    let mut snapshot = Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = reader.u64()?;
    metadata.term = reader.u64()?;
    metadata.set_conf_state(read_conf(reader)?);
    let manifest = reader.bytes("manifest", SNAPSHOT_MANIFEST_BYTES_MAX)?;
    snapshot.data = Bytes::copy_from_slice(manifest);
    Ok(snapshot)
}

/// Writes a configuration.
///
/// # Errors
/// [`PacketError`] when it has too many members.
pub fn write_conf(out: &mut Vec<u8>, conf: &ConfState) -> Result<(), PacketError> {
    for ids in [
        conf.get_voters(),
        conf.get_learners(),
        conf.get_voters_outgoing(),
        conf.get_learners_next(),
    ] {
        write_count(out, "members", CLUSTER_MEMBERS_MAX, ids.len())?;
        for id in ids {
            out.extend(id.to_le_bytes());
        }
    }
    out.push(u8::from(conf.auto_leave));
    Ok(())
}

/// Reads [`write_conf`] back.
///
/// # Errors
/// [`PacketError`].
pub fn read_conf(reader: &mut Reader<'_>) -> Result<ConfState, PacketError> {
    let mut lists: [Vec<u64>; 4] = Default::default();
    for list in &mut lists {
        let count = reader.count("members", CLUSTER_MEMBERS_MAX, 8)?;
        for _ in 0..count {
            list.push(reader.u64()?);
        }
    }
    let [voters, learners, outgoing, next] = lists;
    let mut conf = ConfState::default();
    conf.set_voters(voters);
    conf.set_learners(learners);
    conf.set_voters_outgoing(outgoing);
    conf.set_learners_next(next);
    conf.auto_leave = reader.bool()?;
    Ok(conf)
}

fn write_number<T: PartialEq>(
    out: &mut Vec<u8>,
    what: &'static str,
    all: &[T],
    one: &T,
) -> Result<(), PacketError> {
    let position = all.iter().position(|other| other == one);
    let number = position.and_then(|at| u8::try_from(at).ok());
    out.push(number.ok_or(PacketError::Malformed { what })?);
    Ok(())
}

fn read_number<T: Copy>(
    reader: &mut Reader<'_>,
    what: &'static str,
    all: &[T],
) -> Result<T, PacketError> {
    let found = all.get(usize::from(reader.u8()?)).copied();
    found.ok_or(PacketError::Malformed { what })
}
