//! Who others are, as far as this node knows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::hearing::Heard;
use super::name::{Address, NodeName};
use super::peer::Peer;
use crate::limits::LEARNED_ADDRESSES_MAX;
use crate::raft::core::TurnedAway;
use crate::raft::ids::RaftId;
use crate::raft::request::Member;
use crate::raft::state::Members;

/// Who others are.
#[derive(Debug, Default)]
pub(super) struct Roster(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    members: Members,
    heard: Heard,
    /// As they said themselves. It counts before what the members say: a node that has moved is reached
    /// where it is, and one that has just come before it is a member.
    learned: BTreeMap<RaftId, Peer>,
    /// What a node is told when it speaks next.
    verdicts: BTreeMap<RaftId, TurnedAway>,
}

impl Roster {
    pub(super) fn set_members(&self, members: &Members) {
        let mut books = self.books();
        books.members = members.clone();
        books.heard.keep(members, Instant::now());
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.books().members.present.clone()
    }

    /// Whether that is a member.
    pub(super) fn has(&self, id: RaftId) -> bool {
        self.books().members.get(id).is_some()
    }

    /// The member of this name.
    pub(super) fn named(&self, name: &NodeName) -> Option<Member> {
        let books = self.books();
        let mut present = books.members.present.iter();
        present.find(|member| member.name == name.as_str()).cloned()
    }

    /// Whether a node may speak; it does so from this address. What it was to be told is told now.
    pub(super) fn meet(&self, peer: &Peer) -> Result<(), TurnedAway> {
        let mut books = self.books();
        if books.members.was_removed(peer.id) {
            return Err(TurnedAway::Removed);
        }
        let known = books.members.get(peer.id);
        let is_other = |member: &Member| {
            member.incarnation != peer.incarnation || member.name != peer.name.as_str()
        };
        if known.is_some_and(is_other) {
            return Err(TurnedAway::OtherLife);
        }
        books.learn(peer);
        books.heard.note(peer.id, Instant::now());
        match books.verdicts.remove(&peer.id) {
            Some(verdict) => Err(verdict),
            None => Ok(()),
        }
    }

    /// Takes note of where a node says that it is.
    pub(super) fn learn(&self, peer: &Peer) {
        self.books().learn(peer);
    }

    /// Tells a node something when it speaks next.
    pub(super) fn turn_away(&self, to: RaftId, why: TurnedAway) {
        let mut books = self.books();
        if books.verdicts.len() < LEARNED_ADDRESSES_MAX || books.verdicts.contains_key(&to) {
            books.verdicts.insert(to, why);
        }
    }

    /// For how long each member has not been heard.
    pub(super) fn silences(&self, now: Instant) -> Vec<(RaftId, Duration)> {
        self.books().heard.silences(now)
    }

    /// This node heard nobody for so long, whoever spoke.
    pub(super) fn stood_still(&self, missed: Duration) {
        self.books().heard.stood_still(missed);
    }

    /// Where a node is, and what it is called.
    pub(super) fn find(&self, id: RaftId) -> Option<(Address, NodeName)> {
        let books = self.books();
        if let Some(peer) = books.learned.get(&id) {
            return Some((peer.address.clone(), peer.name.clone()));
        }
        let member = books.members.get(id)?;
        Some((member.address.parse().ok()?, member.name.parse().ok()?))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn learn(&mut self, peer: &Peer) {
        if self.learned.get(&peer.id) == Some(peer) {
            return;
        }
        if self.learned.len() >= LEARNED_ADDRESSES_MAX {
            let members = &self.members;
            self.learned.retain(|id, _| members.get(*id).is_some());
        }
        if self.learned.len() < LEARNED_ADDRESSES_MAX {
            self.learned.insert(peer.id, peer.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::ids::Incarnation;

    fn peer(name: &str, life: u8, address: &str) -> Peer {
        let incarnation = Incarnation([life; 16]);
        Peer::new(name.parse().unwrap(), incarnation, address.parse().unwrap())
    }

    #[test]
    fn a_node_is_where_it_says_that_it_is() {
        let roster = Roster::default();
        let (before, after) = (peer("a", 1, "a:1"), peer("a", 1, "b:2"));
        assert_eq!(roster.find(before.id), None);
        roster.set_members(&Members {
            present: vec![before.as_member(false)],
            removed: Vec::new(),
        });
        assert_eq!(roster.find(before.id).unwrap().0, before.address);
        assert_eq!(roster.meet(&after), Ok(()));
        assert_eq!(roster.find(before.id).unwrap().0, after.address);
    }

    #[test]
    fn who_was_removed_is_told_so_and_what_is_to_be_told_is_told_once() {
        let roster = Roster::default();
        let (gone, here) = (peer("a", 1, "a:1"), peer("b", 1, "b:1"));
        roster.set_members(&Members {
            present: vec![here.as_member(false)],
            removed: vec![gone.id],
        });
        assert_eq!(roster.meet(&gone), Err(TurnedAway::Removed));
        assert_eq!(roster.find(gone.id), None, "nothing is believed of it");
        roster.turn_away(here.id, TurnedAway::DataLost);
        assert_eq!(roster.meet(&here), Err(TurnedAway::DataLost));
        assert_eq!(roster.meet(&here), Ok(()));
    }

    #[test]
    fn strangers_fill_nothing() {
        let roster = Roster::default();
        let member = peer("a", 1, "a:1");
        roster.set_members(&Members {
            present: vec![member.as_member(false)],
            removed: Vec::new(),
        });
        for number in 0..3 * LEARNED_ADDRESSES_MAX {
            roster.learn(&peer(&format!("n{number}"), 1, "x:1"));
            roster.turn_away(
                peer(&format!("n{number}"), 1, "x:1").id,
                TurnedAway::NotForMe,
            );
        }
        roster.learn(&member);
        let books = roster.books();
        assert!(books.learned.len() <= LEARNED_ADDRESSES_MAX);
        assert!(books.verdicts.len() <= LEARNED_ADDRESSES_MAX);
        assert!(books.learned.contains_key(&member.id));
    }
}
