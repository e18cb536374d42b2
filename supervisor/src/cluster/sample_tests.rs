//! Packets and snapshots for tests.

use std::path::Path;
use std::thread;

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};
use sha2::{Digest as _, Sha256};

use crate::raft::command::{self, Command, Retag, TagChange};
use crate::raft::ids::{ClusterId, Incarnation, RaftId, RequestId};
use crate::raft::log::{ConfState, Position};
use crate::raft::packet::{Body, Packet};
use crate::raft::request::{Ask, Request};
use crate::raft::state::{Item, Members, Ticket, What};
use crate::store::snapshot::{Made, Manifest};
use crate::store::{Retention, SharedState, Store, StorePlace};

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

/// So many entries of nothing.
pub(super) fn appends(entries: usize) -> Packet {
    let mut append = message(MessageType::MsgAppend, 0);
    append.set_entries(vec![Entry::default(); entries].into());
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

/// What names a file with this content, whatever it is.
pub(super) fn manifest_of(content: &[u8]) -> Manifest {
    Manifest {
        at: Position::FIRST,
        bytes: content.len() as u64,
        sha256: Sha256::digest(content).into(),
    }
}

/// A snapshot of another node, made in this directory: as of this entry, with tags of so many megabytes.
pub(super) fn made(directory: &Path, index: u64, megabytes: u64) -> Made {
    let directory = directory.to_owned();
    // What the thread of a node does must not be done where tasks run.
    let making = thread::spawn(move || make(&directory, index, megabytes));
    making.join().unwrap()
}

fn make(directory: &Path, index: u64, megabytes: u64) -> Made {
    let place = tempfile::tempdir().unwrap();
    let owner = RaftId::from_u64(3).unwrap();
    let in_place = StorePlace::Directory(place.path().to_owned());
    let store = Store::open_in_cluster(in_place, Retention::default(), owner).unwrap();
    let state = store.replication();
    let mut conf = ConfState::default();
    conf.set_voters(vec![3, 5]);
    let before = Position {
        index: index - 2 * megabytes,
        term: 2,
    };
    let founded = SharedState {
        applied: before,
        conf,
        members: Members::default(),
    };
    state.found(founded).unwrap();
    for (command, index) in tagged(megabytes).into_iter().zip(before.index + 1..) {
        let ticket = Ticket {
            id: RequestId(u128::from(index).to_le_bytes()),
            born: index - 1,
        };
        let bytes = command::encode(&command).unwrap();
        let what = What::Command(ticket, bytes.into());
        let at = Position { index, term: 2 };
        state.apply(vec![Item { at, what }], false).unwrap();
    }
    state.make_snapshot(directory).unwrap()
}

/// Heaps with a tag of a megabyte each.
fn tagged(count: u64) -> Vec<Command> {
    let mut commands = Vec::new();
    for number in 0..count {
        let mut heap = [0; 32];
        heap[..8].copy_from_slice(&number.to_le_bytes());
        commands.push(Command::Adopt {
            tenant: "t".to_owned(),
            heap,
            stored_bytes: 1,
            at_us: 1,
        });
        commands.push(Command::Retag(Box::new(Retag {
            tenant: "t".to_owned(),
            heap,
            change: TagChange::Replace(vec![("v".to_owned(), "x".repeat(1 << 20))]),
            at_us: 2,
        })));
    }
    commands
}

/// The message that announces it.
pub(super) fn announced(made: &Made) -> Packet {
    let mut snapshot = message(MessageType::MsgSnapshot, 0);
    snapshot.mut_snapshot().data = made.manifest.to_bytes().into();
    let metadata = snapshot.mut_snapshot().mut_metadata();
    metadata.set_conf_state(made.conf.clone());
    metadata.index = made.manifest.at.index;
    metadata.term = made.manifest.at.term;
    packed(snapshot)
}
