//! Which packets are taken. The raft crate trusts what it is given: it would end the process, or lose
//! entries, over some of what is refused here.

use raft::StateRole;
use raft::eraftpb::{ConfState, Entry, Message, MessageType};

use super::super::ids::RaftId;
use super::super::packet::{Body, Packet};
use super::Core;

/// Why a packet is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnedAway {
    /// It is of another cluster.
    #[error("this node belongs to another cluster")]
    OtherCluster,
    /// It is for another node.
    #[error("this is another node, or another life of it")]
    NotForMe,
    /// Its sender was removed.
    #[error("the sender was removed from the cluster")]
    Removed,
    /// Its sender is not who the members know under this id.
    #[error("the members know the sender's id for another node")]
    OtherLife,
    /// It makes no sense.
    #[error("the packet has a {0} that makes no sense")]
    Nonsense(&'static str),
    /// It speaks of entries that were confirmed here once and are gone.
    #[error("entries that this node has confirmed are gone: it has lost data")]
    DataLost,
}

impl Core {
    /// Whether a packet can be taken, as of now. A sender that the members do not know yet can be: a
    /// node that lags behind may hear of its leader's membership only from that leader.
    ///
    /// # Errors
    /// [`TurnedAway`].
    pub fn admit(&self, packet: &Packet) -> Result<(), TurnedAway> {
        if packet.cluster != self.me.cluster {
            return Err(TurnedAway::OtherCluster);
        }
        if packet.to != self.me.id || packet.from == self.me.id {
            return Err(TurnedAway::NotForMe);
        }
        if self.members.was_removed(packet.from) {
            return Err(TurnedAway::Removed);
        }
        let known = self.members.get(packet.from);
        if known.is_some_and(|member| member.incarnation != packet.incarnation) {
            return Err(TurnedAway::OtherLife);
        }
        match &packet.body {
            Body::Raft(message) => self.admit_message(packet.from, message),
            Body::Propose(_) | Body::Refuse(..) => Ok(()),
        }
    }

    fn admit_message(&self, from: RaftId, message: &Message) -> Result<(), TurnedAway> {
        if message.from != from.get() || message.to != self.me.id.get() {
            return Err(TurnedAway::Nonsense("sender"));
        }
        let kind = message.get_msg_type();
        let has_no_term = kind == MessageType::MsgReadIndex;
        if has_no_term != (message.term == 0) {
            return Err(TurnedAway::Nonsense("term"));
        }
        let last = self.raw.raft.raft_log.last_index();
        match kind {
            MessageType::MsgAppend => check_entries(message),
            MessageType::MsgHeartbeat if self.obeys(message) && message.commit > last => {
                Err(TurnedAway::DataLost)
            }
            MessageType::MsgAppendResponse
                if self.raw.raft.state == StateRole::Leader
                    && message.term == self.raw.raft.term
                    && !message.reject
                    && message.index > last =>
            {
                Err(TurnedAway::Nonsense("index"))
            }
            MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => {
                let one = message
                    .entries
                    .first()
                    .filter(|_| message.entries.len() == 1);
                let is_one = one.is_some_and(|entry| !entry.data.is_empty());
                is_one.then_some(()).ok_or(TurnedAway::Nonsense("read"))
            }
            MessageType::MsgSnapshot => check_snapshot(message),
            MessageType::MsgAppendResponse
            | MessageType::MsgHeartbeat
            | MessageType::MsgHeartbeatResponse
            | MessageType::MsgRequestVote
            | MessageType::MsgRequestVoteResponse
            | MessageType::MsgRequestPreVote
            | MessageType::MsgRequestPreVoteResponse
            | MessageType::MsgTimeoutNow => Ok(()),
            MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgPropose
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgTransferLeader => Err(TurnedAway::Nonsense("type of message")),
        }
    }

    /// Whether the algorithm will do what this message of a leader says.
    fn obeys(&self, message: &Message) -> bool {
        message.term > self.raw.raft.term
            || (message.term == self.raw.raft.term && self.raw.raft.state != StateRole::Leader)
    }
}

fn check_entries(message: &Message) -> Result<(), TurnedAway> {
    let is_next = |(before, entry): (&Entry, &Entry)| {
        entry.index == before.index.wrapping_add(1) && entry.term >= before.term
    };
    let first = message.entries.first();
    let begins = first.is_none_or(|entry| {
        entry.index == message.index.wrapping_add(1) && entry.term >= message.log_term
    });
    let follow = message.entries.iter().zip(message.entries.iter().skip(1));
    let is_old = message
        .entries
        .last()
        .is_none_or(|entry| entry.term <= message.term && entry.index < u64::MAX / 4);
    if begins && is_old && follow.into_iter().all(is_next) {
        Ok(())
    } else {
        Err(TurnedAway::Nonsense("entry"))
    }
}

fn check_snapshot(message: &Message) -> Result<(), TurnedAway> {
    let metadata = message.get_snapshot().get_metadata();
    let is_placed = metadata.index > 0 && metadata.term > 0 && metadata.term <= message.term;
    if is_placed && is_sound(metadata.get_conf_state()) {
        Ok(())
    } else {
        Err(TurnedAway::Nonsense("snapshot"))
    }
}

/// Whether a configuration can exist.
fn is_sound(conf: &ConfState) -> bool {
    let (voters, outgoing) = (conf.get_voters(), conf.get_voters_outgoing());
    let (learners, next) = (conf.get_learners(), conf.get_learners_next());
    let is_set = |ids: &[u64]| {
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.len() == ids.len() && !ids.contains(&0)
    };
    let votes = |id: &u64| voters.contains(id) || outgoing.contains(id);
    !voters.is_empty()
        && [voters, outgoing, learners, next].into_iter().all(is_set)
        && !learners.iter().any(votes)
        && next
            .iter()
            .all(|id| outgoing.contains(id) && !voters.contains(id))
        && (!outgoing.is_empty() || (next.is_empty() && !conf.auto_leave))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::raft::codec;
    use crate::raft::core::{Begin, Settings};
    use crate::raft::ids::{ClusterId, Incarnation};
    use crate::raft::log::{Identity, Position, StoredLog};
    use crate::raft::request::Member;
    use crate::raft::state::Members;

    /// One of two voters.
    fn core() -> Core {
        let incarnation = Incarnation([1; 16]);
        let ids = ["a", "b"].map(|name| (RaftId::of(name, incarnation), name));
        let present = ids.map(|(id, name)| Member {
            id,
            name: name.to_owned(),
            address: name.to_owned(),
            incarnation,
            is_learner_for_good: false,
        });
        let begin = Begin {
            me: Identity {
                cluster: ClusterId([2; 16]),
                id: ids[0].0,
                incarnation,
            },
            log: StoredLog::first(),
            applied: Position::FIRST,
            conf: conf([&ids.map(|(id, _)| id.get()), &[], &[], &[]], false),
            members: Members {
                present: present.to_vec(),
                removed: Vec::new(),
            },
        };
        Core::start(begin, Settings::new(10, (30, 50), [3; 16])).unwrap()
    }

    proptest! {
        /// Neither as they come, nor from a member who means this node.
        #[test]
        fn no_bytes_panic_on_their_way_into_a_node(
            packet in codec::tests::packets(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut bytes = codec::encode(&packet).unwrap();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let Ok(mut read) = codec::decode(&bytes) else {
                return Ok(());
            };
            let core = core();
            prop_assert!(core.admit(&read).is_err());
            (read.cluster, read.to) = (core.me.cluster, core.me.id);
            let other = core.members.present[1].clone();
            (read.from, read.incarnation) = (other.id, other.incarnation);
            if let Body::Raft(message) = &mut read.body {
                (message.from, message.to) = (other.id.get(), core.me.id.get());
            }
            if core.admit(&read).is_ok() {
                let mut core = core;
                let _ = core.handle([crate::raft::core::Event::Packet(read)]);
            }
        }
    }

    fn conf(lists: [&[u64]; 4], auto_leave: bool) -> ConfState {
        let mut conf = ConfState::default();
        conf.set_voters(lists[0].to_vec());
        conf.set_learners(lists[1].to_vec());
        conf.set_voters_outgoing(lists[2].to_vec());
        conf.set_learners_next(lists[3].to_vec());
        conf.auto_leave = auto_leave;
        conf
    }

    #[test]
    fn a_configuration_that_cannot_be_is_seen() {
        for good in [
            conf([&[1], &[], &[], &[]], false),
            conf([&[1, 2], &[3], &[1, 4], &[4]], true),
        ] {
            assert!(is_sound(&good), "{good:?}");
        }
        for bad in [
            conf([&[], &[1], &[], &[]], false),
            conf([&[1, 1], &[], &[], &[]], false),
            conf([&[1, 0], &[], &[], &[]], false),
            conf([&[1], &[1], &[], &[]], false),
            conf([&[1], &[2], &[2], &[]], false),
            conf([&[1], &[], &[2], &[3]], false),
            conf([&[1], &[], &[1], &[1]], false),
            conf([&[1], &[], &[], &[]], true),
        ] {
            assert!(!is_sound(&bad), "{bad:?}");
        }
    }

    #[test]
    fn entries_must_follow_each_other() {
        let message = |places: &[(u64, u64)]| {
            let mut message = Message::default();
            (message.index, message.log_term, message.term) = (4, 2, 3);
            let entries: Vec<_> = places
                .iter()
                .map(|(index, term)| {
                    let mut entry = Entry::default();
                    (entry.index, entry.term) = (*index, *term);
                    entry
                })
                .collect();
            message.set_entries(entries.into());
            message
        };
        for good in [&[][..], &[(5, 2)], &[(5, 2), (6, 3)]] {
            assert_eq!(check_entries(&message(good)), Ok(()), "{good:?}");
        }
        for bad in [
            &[(6, 2)][..],
            &[(5, 1)],
            &[(5, 4)],
            &[(5, 2), (7, 2)],
            &[(5, 3), (6, 2)],
        ] {
            assert!(check_entries(&message(bad)).is_err(), "{bad:?}");
        }
    }
}
