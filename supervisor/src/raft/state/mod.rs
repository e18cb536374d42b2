//! What all nodes know, and the one function that changes it.
//!
//! [`apply()`] is deterministic: it looks at nothing but the entry and the state, so that every node that
//! has applied the same entries has the same state, and gives the same answers. Where the state lies is
//! behind [`State`]; how it is stored decides nothing.
//!
//! A single node takes the same path with no log in front: its writer commits each batch of commands,
//! counts its own positions, and gives the answers to whoever waits. So one program has one meaning of
//! "append to a session", and a node that is given a cluster port later begins it with a snapshot of the
//! state that it has.

mod memory;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use raft::eraftpb::ConfState;

pub use self::memory::{MemoryState, SessionEntry};

use super::command::{
    self, Command, CommandError, CursorKey, Ended, Execution, ExecutionKey, HeapKey, Kept, Outcome,
    Retag, TagChange,
};
use super::ids::{RaftId, RequestId};
use super::log::Position;
use super::request::{Member, MemberChange};
use crate::limits::DEDUP_ENTRIES;

/// What the cluster is made of, as of some entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// The members, learners included.
    pub present: Vec<Member>,
    /// Who has left, and may never come back under this id.
    pub removed: Vec<RaftId>,
}

impl Members {
    /// The member of this id.
    pub fn get(&self, id: RaftId) -> Option<&Member> {
        self.present.iter().find(|member| member.id == id)
    }

    /// Whether this id has left for good.
    pub fn was_removed(&self, id: RaftId) -> bool {
        self.removed.contains(&id)
    }
}

/// A request by its name and its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Its name.
    pub id: RequestId,
    /// What its node had applied when it was made.
    pub born: u64,
}

/// A committed entry, ready to be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Where it stands.
    pub at: Position,
    /// What it does.
    pub what: What,
}

/// What a committed entry does.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Nothing: a leader began with it.
    Nothing,
    /// A command, still encoded.
    Command(Ticket, Bytes),
    /// The membership changes.
    Members {
        /// Who asked; nobody when the leader did so by itself.
        ticket: Option<Ticket>,
        /// The change; none when a step in between ends.
        change: Option<MemberChange>,
        /// The configuration from here on; none when the algorithm has refused the change.
        conf: Option<ConfState>,
    },
}

/// Why an entry cannot be applied. The node must stop: it would differ from the others.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError<E> {
    /// Another version made the command.
    #[error(
        "entry {index} cannot be applied: {source}; this node needs the version that the others have"
    )]
    Command {
        /// Which.
        index: u64,
        /// Why.
        source: CommandError,
    },
    /// It does not follow the last one.
    #[error("entry {index} does not follow entry {applied}")]
    Order {
        /// Which.
        index: u64,
        /// The last that was applied.
        applied: u64,
    },
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] E),
}

/// Where the state lies. Each operation is a part of [`apply()`] and is called by it alone; all that one
/// entry does is committed together with its position, or not at all.
pub trait State {
    /// What can go wrong.
    type Error: std::error::Error;

    /// The last entry that was applied.
    ///
    /// # Errors
    /// The state's own, as of all of these.
    fn applied(&self) -> Result<Position, Self::Error>;
    /// Notes what was applied, with the configuration if it has changed.
    ///
    /// # Errors
    /// The state's own.
    fn set_applied(&mut self, at: Position, conf: Option<&ConfState>) -> Result<(), Self::Error>;

    /// What a request was answered.
    ///
    /// # Errors
    /// The state's own.
    fn answer(&self, request: RequestId) -> Result<Option<Outcome>, Self::Error>;
    /// Keeps an answer.
    ///
    /// # Errors
    /// The state's own.
    fn keep_answer(
        &mut self,
        request: RequestId,
        index: u64,
        outcome: Outcome,
    ) -> Result<(), Self::Error>;
    /// Forgets the answers of entries before this one.
    ///
    /// # Errors
    /// The state's own.
    fn forget_answers_before(&mut self, index: u64) -> Result<(), Self::Error>;

    /// Whether an execution has ended; `None` when nobody has heard of it.
    ///
    /// # Errors
    /// The state's own.
    fn has_ended(&self, id: &ExecutionKey) -> Result<Option<bool>, Self::Error>;
    /// Writes an execution: all of it, or how it goes on if it is known.
    ///
    /// # Errors
    /// The state's own.
    fn put_execution(&mut self, execution: &Execution) -> Result<(), Self::Error>;
    /// An execution that has not ended; `None` when it has, or nobody has heard of it.
    ///
    /// # Errors
    /// The state's own.
    fn unfinished(&self, id: &ExecutionKey) -> Result<Option<Execution>, Self::Error>;
    /// Forgets an execution.
    ///
    /// # Errors
    /// The state's own.
    fn forget_execution(&mut self, id: &ExecutionKey) -> Result<(), Self::Error>;

    /// Writes a heap that is stored, or that it was stored again.
    ///
    /// # Errors
    /// The state's own.
    fn put_heap(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        stored_bytes: u64,
        at_us: i64,
    ) -> Result<(), Self::Error>;
    /// Notes a use of a heap; whether it is there.
    ///
    /// # Errors
    /// The state's own.
    fn touch_heap(&mut self, tenant: &str, heap: &HeapKey, at_us: i64)
    -> Result<bool, Self::Error>;
    /// When a heap was used last.
    ///
    /// # Errors
    /// The state's own.
    fn heap_used(&self, tenant: &str, heap: &HeapKey) -> Result<Option<i64>, Self::Error>;
    /// Whether a session, a tag or an unfinished execution names a heap.
    ///
    /// # Errors
    /// The state's own.
    fn is_heap_needed(&self, tenant: &str, heap: &HeapKey) -> Result<bool, Self::Error>;
    /// Removes a heap.
    ///
    /// # Errors
    /// The state's own.
    fn remove_heap(&mut self, tenant: &str, heap: &HeapKey) -> Result<(), Self::Error>;

    /// Appends to a session, which begins with its first entry; the entry's index.
    ///
    /// # Errors
    /// The state's own.
    fn append_entry(
        &mut self,
        tenant: &str,
        session: &str,
        entry: SessionEntry,
    ) -> Result<u64, Self::Error>;

    /// Replaces all tags of a heap.
    ///
    /// # Errors
    /// The state's own.
    fn set_tags(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        tags: &[(String, String)],
    ) -> Result<(), Self::Error>;
    /// Deletes some tags of a heap.
    ///
    /// # Errors
    /// The state's own.
    fn delete_tags(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        keys: &[String],
    ) -> Result<(), Self::Error>;

    /// Keeps the key that hides places in lists, unless there is one.
    ///
    /// # Errors
    /// The state's own.
    fn keep_cursor_key(&mut self, key: CursorKey) -> Result<(), Self::Error>;

    /// The members.
    ///
    /// # Errors
    /// The state's own.
    fn members(&self) -> Result<Members, Self::Error>;
    /// Writes all members.
    ///
    /// # Errors
    /// The state's own.
    fn set_members(&mut self, members: &Members) -> Result<(), Self::Error>;
}

/// Applies one entry. The answer goes to whoever asked, on whichever node.
///
/// # Errors
/// [`ApplyError`].
pub fn apply<S: State>(
    state: &mut S,
    item: &Item,
) -> Result<Option<(RequestId, Outcome)>, ApplyError<S::Error>> {
    let (applied, index) = (state.applied()?.index, item.at.index);
    if index != applied + 1 {
        return Err(ApplyError::Order { index, applied });
    }
    let (answer, conf) = match &item.what {
        What::Nothing => (None, None),
        What::Command(ticket, bytes) => {
            let command =
                command::decode(bytes).map_err(|source| ApplyError::Command { index, source })?;
            let outcome = once(state, *ticket, index, |state| perform(state, &command))?;
            (Some((ticket.id, outcome)), None)
        }
        What::Members {
            ticket,
            change,
            conf,
        } => {
            let outcome = match (change, conf) {
                (_, None) => Outcome::Refused,
                (change, Some(conf)) => change_members(state, change.as_ref(), conf)?,
            };
            (ticket.map(|ticket| (ticket.id, outcome)), conf.as_ref())
        }
    };
    state.forget_answers_before(index.saturating_sub(DEDUP_ENTRIES))?;
    state.set_applied(item.at, conf)?;
    Ok(answer)
}

/// Does something unless it was done before.
///
/// An answer is kept for [`DEDUP_ENTRIES`] entries. One that is gone belonged to an entry so long ago
/// that the request, which is older still, is refused here: so nothing is ever done twice, whatever the
/// clocks say.
fn once<S: State>(
    state: &mut S,
    ticket: Ticket,
    index: u64,
    perform: impl FnOnce(&mut S) -> Result<Outcome, S::Error>,
) -> Result<Outcome, S::Error> {
    if let Some(outcome) = state.answer(ticket.id)? {
        return Ok(outcome);
    }
    if ticket.born.saturating_add(DEDUP_ENTRIES) < index {
        return Ok(Outcome::Expired);
    }
    let outcome = perform(state)?;
    state.keep_answer(ticket.id, index, outcome)?;
    Ok(outcome)
}

/// Does what a command says. On a single node, whose commands stand in no log, this is all; whoever calls
/// it there counts their positions.
///
/// # Errors
/// The state's own.
pub fn perform<S: State>(state: &mut S, command: &Command) -> Result<Outcome, S::Error> {
    match command {
        Command::Begin(execution) => begin(state, execution),
        Command::End(execution, kept) => end(state, execution, kept.as_deref()),
        Command::Abandon {
            executions,
            at_us,
            error,
        } => abandon(state, executions, *at_us, error),
        Command::Retag(change) => retag(state, change),
        Command::Touch {
            tenant,
            heap,
            at_us,
        } => Ok(done_if(state.touch_heap(tenant, heap, *at_us)?)),
        Command::Forget {
            tenant,
            heap,
            unused_since_us,
        } => forget(state, tenant, heap, *unused_since_us),
        Command::Adopt {
            tenant,
            heap,
            stored_bytes,
            at_us,
        } => {
            if !state.touch_heap(tenant, heap, *at_us)? {
                state.put_heap(tenant, heap, *stored_bytes, *at_us)?;
            }
            Ok(Outcome::Done)
        }
        Command::Expire(executions) => {
            for id in executions {
                if state.has_ended(id)? == Some(true) {
                    state.forget_execution(id)?;
                }
            }
            Ok(Outcome::Done)
        }
        Command::HidePlaces(key) => {
            state.keep_cursor_key(*key)?;
            Ok(Outcome::Done)
        }
    }
}

const fn done_if(found: bool) -> Outcome {
    if found {
        Outcome::Done
    } else {
        Outcome::Missing
    }
}

/// What [`Command::Begin`] does.
///
/// # Errors
/// The state's own.
pub fn begin<S: State>(state: &mut S, execution: &Execution) -> Result<Outcome, S::Error> {
    if state.has_ended(&execution.id)? == Some(true) {
        return Ok(Outcome::AlreadyEnded);
    }
    state.put_execution(execution)?;
    if let Some(heap) = &execution.input_heap {
        state.touch_heap(&execution.tenant, heap, execution.submitted_us)?;
    }
    Ok(Outcome::Done)
}

/// Of an execution that somebody else has ended as lost, nothing is kept.
fn end<S: State>(
    state: &mut S,
    execution: &Execution,
    kept: Option<&Kept>,
) -> Result<Outcome, S::Error> {
    if state.has_ended(&execution.id)? == Some(true) {
        return Ok(Outcome::AlreadyEnded);
    }
    state.put_execution(execution)?;
    let Some((kept, (at_us, _))) = kept.zip(execution.end.as_ref()) else {
        return Ok(Outcome::Done);
    };
    keep(state, execution, kept, *at_us)
}

fn keep<S: State>(
    state: &mut S,
    execution: &Execution,
    kept: &Kept,
    at_us: i64,
) -> Result<Outcome, S::Error> {
    let tenant = &execution.tenant;
    state.put_heap(tenant, &kept.heap, kept.stored_bytes, at_us)?;
    if !kept.tags.is_empty() {
        state.set_tags(tenant, &kept.heap, &kept.tags)?;
    }
    let Some(session) = &execution.session else {
        return Ok(Outcome::Done);
    };
    let entry = SessionEntry {
        input_heap: execution.input_heap,
        output_heap: kept.heap,
        kept_us: at_us,
        code: kept.code.clone(),
    };
    let position = state.append_entry(tenant, session, entry)?;
    Ok(Outcome::Kept { position })
}

fn abandon<S: State>(
    state: &mut S,
    executions: &[ExecutionKey],
    at_us: i64,
    error: &str,
) -> Result<Outcome, S::Error> {
    for id in executions {
        let Some(mut execution) = state.unfinished(id)? else {
            continue;
        };
        let failed = Ended::Failed {
            kind: "server".to_owned(),
            error: error.to_owned(),
            error_truncated: false,
        };
        execution.end = Some((at_us, failed));
        state.put_execution(&execution)?;
    }
    Ok(Outcome::Done)
}

fn retag<S: State>(state: &mut S, retag: &Retag) -> Result<Outcome, S::Error> {
    let (tenant, heap) = (&retag.tenant, &retag.heap);
    if !state.touch_heap(tenant, heap, retag.at_us)? {
        return Ok(Outcome::Missing);
    }
    match &retag.change {
        TagChange::Replace(tags) => state.set_tags(tenant, heap, tags)?,
        TagChange::Delete(keys) => state.delete_tags(tenant, heap, keys)?,
        TagChange::DeleteAll => state.set_tags(tenant, heap, &[])?,
    }
    Ok(Outcome::Done)
}

fn forget<S: State>(
    state: &mut S,
    tenant: &str,
    heap: &HeapKey,
    unused_since_us: i64,
) -> Result<Outcome, S::Error> {
    let Some(used) = state.heap_used(tenant, heap)? else {
        return Ok(Outcome::Missing);
    };
    if used > unused_since_us || state.is_heap_needed(tenant, heap)? {
        return Ok(Outcome::Needed);
    }
    state.remove_heap(tenant, heap)?;
    Ok(Outcome::Done)
}

/// The algorithm has accepted the change, so it is done; the table follows it. It is done once by its
/// nature: a second time it leads to the same members.
///
/// Who leaves does so when no configuration names it any more: until a replacement is over, its vote is
/// needed.
fn change_members<S: State>(
    state: &mut S,
    change: Option<&MemberChange>,
    conf: &ConfState,
) -> Result<Outcome, S::Error> {
    let mut members = state.members()?;
    if let Some(MemberChange::Join(member)) = change {
        members.present.retain(|other| other.id != member.id);
        members.present.push(member.clone());
        members.present.sort_by_key(|member| member.id);
    }
    let is_named = |member: &Member| {
        let id = member.id.get();
        conf.get_voters().contains(&id)
            || conf.get_learners().contains(&id)
            || conf.get_voters_outgoing().contains(&id)
    };
    let (present, left): (Vec<_>, Vec<_>) = members.present.into_iter().partition(is_named);
    members.present = present;
    for member in left {
        if !members.was_removed(member.id) {
            members.removed.push(member.id);
        }
    }
    state.set_members(&members)?;
    Ok(Outcome::Done)
}
