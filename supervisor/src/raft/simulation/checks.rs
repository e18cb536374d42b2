//! What must hold after every step.

use std::collections::{BTreeMap, BTreeSet};

use raft::eraftpb::{ConfState, MessageType};

use super::{Checked, must};
use crate::dice::hash;
use crate::raft::command::{self, Outcome};
use crate::raft::core::Core;
use crate::raft::ids::{RaftId, RequestId};
use crate::raft::packet::{Body, Packet};
use crate::raft::request::MemberChange;
use crate::raft::state::{Item, MemoryState, State, What};

/// A committed entry, as the first node that applied it saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    term: u64,
    digest: u64,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    leaders: BTreeMap<u64, RaftId>,
    /// Whom each node voted for in each term.
    votes: BTreeMap<(RaftId, u64), RaftId>,
    /// By index, from 2 on.
    committed: Vec<Entry>,
    /// The configurations, each with the entry that made it.
    confs: Vec<(u64, ConfState)>,
    /// The answer of each entry.
    answers: BTreeMap<u64, Option<(RequestId, Outcome)>>,
    /// A hash of all of the state as of some entries.
    states: BTreeMap<u64, u64>,
    /// Requests, in the order in which they were first applied.
    pub(super) order: Vec<RequestId>,
    seen: BTreeSet<RequestId>,
    /// Joins, promotions, removals and replacements that were done.
    pub(super) changes: [u64; 4],
}

const FIRST: u64 = 2;

impl Checks {
    pub(super) fn new(conf: ConfState) -> Self {
        Self {
            confs: vec![(1, conf)],
            ..Self::default()
        }
    }

    pub(super) fn leaders(&self) -> usize {
        self.leaders.len()
    }

    pub(super) fn committed(&self) -> u64 {
        FIRST + self.committed.len() as u64 - 1
    }

    /// A node after a step.
    pub(super) fn node(&mut self, core: &Core) -> Checked {
        must(core.log().base().index <= core.applied(), || {
            format!("{core:?} has dropped what it has not applied")
        })?;
        must(core.applied() <= core.committed(), || {
            format!("{core:?} has applied what is not committed")
        })?;
        if !core.is_leader() {
            return Ok(());
        }
        let (term, id) = (core.term(), core.me().id);
        let known = self.leaders.get(&term).copied();
        if let Some(other) = known {
            return must(other == id, || {
                format!("{id} and {other} both lead in term {term}")
            });
        }
        self.leaders.insert(term, id);
        self.is_complete(core)
    }

    /// A new leader has everything that was committed in earlier terms.
    fn is_complete(&self, core: &Core) -> Checked {
        let older = self
            .committed
            .iter()
            .rposition(|one| one.term < core.term());
        let Some(at) = older else {
            return Ok(());
        };
        let (index, wanted) = (FIRST + at as u64, self.committed[at].term);
        if index < core.log().base().index {
            return Ok(());
        }
        let found = core.term_at(index);
        must(found == Some(wanted), || {
            format!("{core:?} leads without entry {index} of term {wanted}; it has {found:?}")
        })
    }

    /// A packet that a node sends.
    pub(super) fn sent(&mut self, packet: &Packet) -> Checked {
        let Body::Raft(message) = &packet.body else {
            return Ok(());
        };
        let to = match message.get_msg_type() {
            MessageType::MsgRequestVoteResponse if !message.reject => packet.to,
            // Who stands for election votes for itself.
            MessageType::MsgRequestVote => packet.from,
            _ => return Ok(()),
        };
        let key = (packet.from, message.term);
        let before = *self.votes.entry(key).or_insert(to);
        must(before == to, || {
            format!("{} voted for {before} and {to} in term {}", key.0, key.1)
        })
    }

    /// An entry that a node applies. `holds` says which nodes have it durable.
    pub(super) fn applied(
        &mut self,
        item: &Item,
        answer: Option<(RequestId, Outcome)>,
        holds: impl Fn(RaftId) -> bool,
    ) -> Checked {
        let (index, term) = (item.at.index, item.at.term);
        let entry = Entry {
            term,
            digest: digest(&item.what),
        };
        let at = (index - FIRST) as usize;
        if let Some(known) = self.committed.get(at) {
            must(*known == entry, || {
                format!("entry {index} was {known:?} for one node and is {entry:?} for another")
            })?;
            let before = self.answers.get(&index);
            return must(before == Some(&answer), || {
                format!("entry {index} was answered {before:?} and now {answer:?}")
            });
        }
        must(at == self.committed.len(), || {
            format!("entry {index} is applied before the one before it")
        })?;
        self.on_quorum(index, holds)?;
        self.committed.push(entry);
        self.answers.insert(index, answer);
        if let Some((id, _)) = answer
            && self.seen.insert(id)
        {
            self.order.push(id);
        }
        if let What::Members {
            conf: Some(conf),
            change,
            ..
        } = &item.what
        {
            let kind = change.as_ref().map(|change| match change {
                MemberChange::Join(_) => 0,
                MemberChange::Promote(_) => 1,
                MemberChange::Remove(_) => 2,
                MemberChange::Replace { .. } => 3,
            });
            if let Some(kind) = kind {
                self.changes[kind] += 1;
            }
            self.confs.push((index, conf.clone()));
        }
        Ok(())
    }

    /// An entry that counts as committed is durable on a majority, of the configuration that its leader
    /// had applied: the newest one before it, or the one before that.
    fn on_quorum(&self, index: u64, holds: impl Fn(RaftId) -> bool) -> Checked {
        let newest = self.confs.iter().rev().filter(|(made, _)| *made < index);
        let is_there = newest.take(2).any(|(_, conf)| has_quorum(conf, &holds));
        must(is_there, || {
            format!("entry {index} is committed, and not durable on a majority")
        })
    }

    /// All of a node's state.
    pub(super) fn state(&mut self, state: &MemoryState) -> Checked {
        let Ok(applied) = state.applied();
        let bytes = command::encode(state).unwrap_or_default();
        let now = hash(1, &bytes);
        let before = *self.states.entry(applied.index).or_insert(now);
        must(before == now, || {
            format!(
                "two nodes have different states after entry {}",
                applied.index
            )
        })
    }

    /// The newest configuration.
    pub(super) fn conf(&self) -> ConfState {
        self.confs
            .last()
            .map(|(_, conf)| conf.clone())
            .unwrap_or_default()
    }
}

/// Whether a majority of each of the configuration's halves does something.
pub(super) fn has_quorum(conf: &ConfState, does: &impl Fn(RaftId) -> bool) -> bool {
    let majority = |ids: &[u64]| {
        let doing = ids
            .iter()
            .filter(|id| RaftId::from_u64(**id).is_some_and(does));
        ids.is_empty() || doing.count() > ids.len() / 2
    };
    majority(conf.get_voters()) && majority(conf.get_voters_outgoing())
}

fn digest(what: &What) -> u64 {
    match what {
        What::Nothing => 1,
        What::Command(ticket, bytes) => hash(hash(2, &ticket.id.0), bytes),
        What::Members {
            ticket,
            change,
            conf,
        } => hash(3, format!("{ticket:?} {change:?} {conf:?}").as_bytes()),
    }
}
