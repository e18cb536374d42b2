//! Packets for tests.

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};

use crate::raft::ids::{ClusterId, Incarnation, RaftId, RequestId};
use crate::raft::packet::{Body, Packet};
use crate::raft::request::{Ask, Request};

/// A message from one node to another.
pub(super) fn message(kind: MessageType, index: u64) -> Message {
    let mut message = Message::default();
    message.set_msg_type(kind);
    (message.index, message.term, message.log_term) = (index, 3, 2);
    message
}

/// It, as a packet between nodes that do not matter.
pub(super) fn packed(message: Message) -> Packet {
    let (from, to) = (RaftId::from_u64(3), RaftId::from_u64(5));
    let mut packet = Packet {
        cluster: ClusterId([1; 16]),
        from: from.unwrap(),
        incarnation: Incarnation([2; 16]),
        to: to.unwrap(),
        body: Body::Raft(Box::new(message)),
    };
    address(&mut packet);
    packet
}

/// Has the message say what its packet says.
pub(super) fn address(packet: &mut Packet) {
    if let Body::Raft(message) = &mut packet.body {
        message.from = packet.from.get();
        message.to = packet.to.get();
    }
}

/// A packet without entries that is told from others by a number.
pub(super) fn packet(number: u64) -> Packet {
    packed(message(MessageType::MsgAppendResponse, number))
}

/// A leader's sign of life.
pub(super) fn heartbeat(commit: u64) -> Packet {
    let mut beat = message(MessageType::MsgHeartbeat, 0);
    beat.commit = commit;
    packed(beat)
}

/// An entry of these bytes.
pub(super) fn append(index: u64, bytes: Bytes) -> Packet {
    let mut append = message(MessageType::MsgAppend, index);
    let entry = Entry {
        index: index + 1,
        term: 3,
        data: bytes,
        ..Entry::default()
    };
    append.set_entries(vec![entry].into());
    packed(append)
}

/// A request of these bytes.
pub(super) fn propose(bytes: Bytes) -> Packet {
    let mut packet = packet(1);
    packet.body = Body::Propose(vec![Request {
        id: RequestId([4; 16]),
        born: 1,
        ask: Ask::Command(bytes),
    }]);
    packet
}
