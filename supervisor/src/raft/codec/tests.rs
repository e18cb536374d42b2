//! Round trips, and bytes that are no packet.

use bytes::Bytes;
use proptest::prelude::*;
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};

use super::super::ids::{ClusterId, Incarnation, RaftId, RequestId};
use super::super::packet::{Body, Packet};
use super::super::request::{Ask, Member, MemberChange, Refusal, Request};
use super::{PacketError, decode, encode};

fn ids() -> impl Strategy<Value = RaftId> {
    (1..i64::MAX as u64).prop_map(|id| RaftId::from_u64(id).unwrap())
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

fn entries() -> impl Strategy<Value = Entry> {
    let kinds = prop::sample::select(vec![EntryType::EntryNormal, EntryType::EntryConfChangeV2]);
    (kinds, any::<u64>(), any::<u64>(), bytes(64), bytes(100)).prop_map(
        |(kind, index, term, context, data)| {
            let mut entry = Entry::default();
            entry.set_entry_type(kind);
            (entry.index, entry.term) = (index, term);
            (entry.context, entry.data) = (context, data);
            entry
        },
    )
}

fn confs() -> impl Strategy<Value = ConfState> {
    let list = || prop::collection::vec(any::<u64>(), 0..5);
    (list(), list(), list(), list(), any::<bool>()).prop_map(|(a, b, c, d, leave)| {
        let mut conf = ConfState::default();
        conf.set_voters(a);
        conf.set_learners(b);
        conf.set_voters_outgoing(c);
        conf.set_learners_next(d);
        conf.auto_leave = leave;
        conf
    })
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    (any::<u64>(), any::<u64>(), confs(), bytes(50)).prop_map(|(index, term, conf, data)| {
        let mut snapshot = Snapshot::default();
        snapshot.mut_metadata().index = index;
        snapshot.mut_metadata().term = term;
        snapshot.mut_metadata().set_conf_state(conf);
        snapshot.data = data;
        snapshot
    })
}

fn messages() -> impl Strategy<Value = Message> {
    let kinds = prop::sample::select(vec![
        MessageType::MsgAppend,
        MessageType::MsgSnapshot,
        MessageType::MsgRequestPreVoteResponse,
    ]);
    let parts = (
        kinds,
        any::<[u64; 7]>(),
        any::<i64>(),
        any::<bool>(),
        bytes(64),
        prop::collection::vec(entries(), 0..4),
        prop::option::of(snapshots()),
    );
    parts.prop_map(
        |(kind, numbers, priority, reject, context, entries, snapshot)| {
            let mut message = Message::default();
            message.set_msg_type(kind);
            [
                message.term,
                message.log_term,
                message.index,
                message.commit,
                message.commit_term,
                message.request_snapshot,
                message.reject_hint,
            ] = numbers;
            message.priority = priority;
            message.reject = reject;
            message.context = context;
            message.set_entries(entries.into());
            if let Some(snapshot) = snapshot {
                message.set_snapshot(snapshot);
            }
            message
        },
    )
}

fn changes() -> impl Strategy<Value = MemberChange> {
    let member = (ids(), ".{0,9}", ".{0,9}", any::<[u8; 16]>(), any::<bool>()).prop_map(
        |(id, name, address, incarnation, learner)| Member {
            id,
            name,
            address,
            incarnation: Incarnation(incarnation),
            is_learner_for_good: learner,
        },
    );
    prop_oneof![
        member.prop_map(MemberChange::Join),
        ids().prop_map(MemberChange::Remove),
        (ids(), ids()).prop_map(|(old, new)| MemberChange::Replace { old, new }),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    let asks = prop_oneof![
        bytes(100).prop_map(Ask::Command),
        changes().prop_map(Ask::Member)
    ];
    (any::<[u8; 16]>(), any::<u64>(), asks).prop_map(|(id, born, ask)| Request {
        id: RequestId(id),
        born,
        ask,
    })
}

pub(in crate::raft) fn packets() -> impl Strategy<Value = Packet> {
    let bodies = prop_oneof![
        messages().prop_map(|message| Body::Raft(Box::new(message))),
        prop::collection::vec(requests(), 0..4).prop_map(Body::Propose),
        (
            any::<[u8; 16]>(),
            prop::sample::select(Refusal::ALL.to_vec())
        )
            .prop_map(|(id, refusal)| Body::Refuse(RequestId(id), refusal)),
    ];
    (any::<[u8; 16]>(), ids(), any::<[u8; 16]>(), ids(), bodies).prop_map(
        |(cluster, from, incarnation, to, mut body)| {
            if let Body::Raft(message) = &mut body {
                message.from = from.get();
                message.to = to.get();
            }
            Packet {
                cluster: ClusterId(cluster),
                from,
                incarnation: Incarnation(incarnation),
                to,
                body,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_packet_is_read_as_it_was_written(packet in packets()) {
        let bytes = encode(&packet).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap(), packet);
    }

    #[test]
    fn a_packet_cut_short_or_made_longer_is_none(packet in packets(), at in any::<prop::sample::Index>()) {
        let mut bytes = encode(&packet).unwrap();
        let cut = at.index(bytes.len());
        prop_assert!(decode(&bytes[..cut]).is_err());
        bytes.push(0);
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn changed_bytes_never_panic(
        packet in packets(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&packet).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // What can be read can also be written, and is the same then.
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&read).unwrap()).unwrap(), read);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }
}

fn packet(message: Message) -> Packet {
    Packet {
        cluster: ClusterId([1; 16]),
        from: RaftId::from_u64(3).unwrap(),
        incarnation: Incarnation([2; 16]),
        to: RaftId::from_u64(5).unwrap(),
        body: Body::Raft(Box::new(message)),
    }
}

#[test]
fn a_count_that_is_only_claimed_costs_nothing() {
    let mut bytes = encode(&packet(Message::default_append())).unwrap();
    // The count of entries stands before the last byte, which says that there is no snapshot.
    let at = bytes.len() - 5;
    bytes[at..at + 4].copy_from_slice(&4000_u32.to_le_bytes());
    assert_eq!(
        decode(&bytes),
        Err(PacketError::Malformed { what: "entries" })
    );
}

#[test]
fn what_a_node_says_to_itself_does_not_travel() {
    for kind in [
        MessageType::MsgHup,
        MessageType::MsgBeat,
        MessageType::MsgPropose,
        MessageType::MsgUnreachable,
        MessageType::MsgSnapStatus,
        MessageType::MsgCheckQuorum,
        MessageType::MsgTransferLeader,
    ] {
        let mut message = Message::default();
        message.set_msg_type(kind);
        assert!(encode(&packet(message)).is_err(), "{kind:?}");
    }
}

trait DefaultAppend {
    fn default_append() -> Message;
}

impl DefaultAppend for Message {
    fn default_append() -> Message {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgAppend);
        message
    }
}
