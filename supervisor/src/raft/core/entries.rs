//! Requests as entries, and entries as what they do.
//!
//! An entry's `context` holds the request's name and age, and of a change of the membership the change
//! itself: the configuration that the raft crate is given follows from it. So its protobuf, which the
//! crate wants in `data` of such an entry, is never read back.

use bytes::Bytes;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry,
    EntryType,
};

use super::super::codec::Reader;
use super::super::command::{self, Command};
use super::super::ids::{RaftId, RequestId};
use super::super::log::{Position, StoredLog};
use super::super::request::MemberChange;
use super::super::state::{Item, Ticket, What};

/// A committed entry, read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Committed {
    Nothing,
    Command(Ticket, Bytes),
    Members(Option<Ticket>, Option<MemberChange>),
}

/// An entry cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} of the log was made by another version of this program, and cannot be read")]
pub struct Unreadable {
    /// Which.
    pub index: u64,
}

/// What a log holds beyond the state, for a node that goes on alone: whatever stands in it may have been
/// answered as done by a leader that is lost. Its changes of the membership mean nothing any more.
///
/// # Errors
/// [`Unreadable`].
pub fn beyond(log: &StoredLog, applied: u64) -> Result<Vec<Item>, Unreadable> {
    let rest = log.entries.iter().filter(|entry| entry.index > applied);
    rest.map(|entry| {
        let unreadable = || Unreadable { index: entry.index };
        let what = match read(entry).ok_or_else(unreadable)? {
            Committed::Command(ticket, bytes) => {
                command::decode::<Command>(&bytes).map_err(|_| unreadable())?;
                What::Command(ticket, bytes)
            }
            Committed::Nothing | Committed::Members(..) => What::Nothing,
        };
        let at = position(entry);
        Ok(Item { at, what })
    })
    .collect()
}

/// The context of a command's entry.
pub(super) fn ticket_bytes(ticket: Ticket) -> Vec<u8> {
    let mut bytes = ticket.id.0.to_vec();
    bytes.extend(ticket.born.to_le_bytes());
    bytes
}

/// The context of a change of the membership; the leader's own have no ticket.
pub(super) fn change_bytes(ticket: Option<Ticket>, change: &MemberChange) -> Option<Vec<u8>> {
    let mut bytes = vec![u8::from(ticket.is_some())];
    bytes.extend(ticket.map(ticket_bytes).unwrap_or_default());
    bytes.extend(command::encode(change).ok()?);
    Some(bytes)
}

/// Reads an entry; `None` when it cannot be read, which ends this node.
pub(super) fn read(entry: &Entry) -> Option<Committed> {
    match entry.get_entry_type() {
        EntryType::EntryNormal if entry.data.is_empty() => Some(Committed::Nothing),
        EntryType::EntryNormal => {
            let ticket = read_ticket(&mut Reader::new(&entry.context))?;
            Some(Committed::Command(ticket, entry.data.clone()))
        }
        // The end of a step in between, which the raft crate proposes by itself.
        EntryType::EntryConfChangeV2 if entry.context.is_empty() => {
            Some(Committed::Members(None, None))
        }
        EntryType::EntryConfChangeV2 => read_change(&entry.context),
        EntryType::EntryConfChange => None,
    }
}

fn read_change(context: &[u8]) -> Option<Committed> {
    let mut reader = Reader::new(context);
    let ticket = if reader.bool().ok()? {
        Some(read_ticket(&mut reader)?)
    } else {
        None
    };
    let change = command::decode(reader.rest()).ok()?;
    Some(Committed::Members(ticket, Some(change)))
}

fn read_ticket(reader: &mut Reader<'_>) -> Option<Ticket> {
    Some(Ticket {
        id: RequestId(reader.array().ok()?),
        born: reader.u64().ok()?,
    })
}

/// What the algorithm is to do for a change. The end of a step in between is an empty one.
pub(super) fn conf_change(change: Option<&MemberChange>) -> ConfChangeV2 {
    let single = |kind, id: RaftId| {
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = id.get();
        single
    };
    let singles = match change {
        None => Vec::new(),
        Some(MemberChange::Join(member)) => {
            vec![single(ConfChangeType::AddLearnerNode, member.id)]
        }
        Some(MemberChange::Promote(id)) => vec![single(ConfChangeType::AddNode, *id)],
        Some(MemberChange::Remove(id)) => vec![single(ConfChangeType::RemoveNode, *id)],
        Some(MemberChange::Replace { old, new }) => vec![
            single(ConfChangeType::AddNode, *new),
            single(ConfChangeType::RemoveNode, *old),
        ],
    };
    let mut conf_change = ConfChangeV2::default();
    if singles.len() > 1 {
        // Both memberships have to agree while the change is under way; then it ends by itself.
        conf_change.set_transition(ConfChangeTransition::Implicit);
    }
    conf_change.set_changes(singles.into());
    conf_change
}

/// A configuration as every node writes it. The raft crate lists members in the order of a hash, which
/// is not the same on all.
pub(super) fn in_order(mut conf: ConfState) -> ConfState {
    conf.mut_voters().sort_unstable();
    conf.mut_learners().sort_unstable();
    conf.mut_voters_outgoing().sort_unstable();
    conf.mut_learners_next().sort_unstable();
    conf
}

/// An entry's place.
pub(super) const fn position(entry: &Entry) -> Position {
    Position {
        index: entry.index,
        term: entry.term,
    }
}
