//! The state in memory: what the simulator runs on, and the model that other states are held against.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bincode::{Decode, Encode};
use raft::eraftpb::ConfState;

use super::super::codec::{self, Reader};
use super::super::command::{CursorKey, Execution, ExecutionKey, HeapKey, Outcome};
use super::super::ids::{RaftId, RequestId};
use super::super::log::Position;
use super::super::request::Member;
use super::{Members, State};

/// An entry of a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SessionEntry {
    /// The heap that its execution started from.
    pub input_heap: Option<HeapKey>,
    /// The heap that it made.
    pub output_heap: HeapKey,
    /// When.
    pub kept_us: i64,
    /// The code.
    pub code: String,
}

type Tags = BTreeMap<String, String>;
type Owned<K> = (String, K);

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Heap {
    stored_bytes: u64,
    used_us: i64,
    tags: Tags,
}

/// The state, in ordered maps: two that are equal have equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct MemoryState {
    applied: (u64, u64),
    /// As the codec writes it, because the type is the raft crate's.
    conf: Vec<u8>,
    answers: BTreeMap<RequestId, Outcome>,
    answered_at: BTreeMap<u64, RequestId>,
    executions: BTreeMap<ExecutionKey, Execution>,
    heaps: BTreeMap<Owned<HeapKey>, Heap>,
    sessions: BTreeMap<Owned<String>, Vec<SessionEntry>>,
    cursor_key: Option<CursorKey>,
    members: Vec<Member>,
    removed: Vec<RaftId>,
}

impl MemoryState {
    /// The state of the first members of a new cluster.
    pub fn first(members: Vec<Member>, conf: &ConfState) -> Self {
        let mut state = Self {
            members,
            ..Self::default()
        };
        let Ok(()) = state.set_applied(Position::FIRST, Some(conf));
        state
    }

    /// The configuration.
    pub fn conf(&self) -> ConfState {
        codec::read_conf(&mut Reader::new(&self.conf)).unwrap_or_default()
    }

    /// An execution.
    pub fn execution(&self, id: &ExecutionKey) -> Option<&Execution> {
        self.executions.get(id)
    }

    /// A session's entries, oldest first.
    pub fn session(&self, tenant: &str, session: &str) -> &[SessionEntry] {
        let found = self.sessions.get(&(tenant.to_owned(), session.to_owned()));
        found.map_or(&[], Vec::as_slice)
    }

    /// What hides places in lists; none until somebody needed it.
    pub const fn cursor_key(&self) -> Option<CursorKey> {
        self.cursor_key
    }

    /// A heap's tags; none when the heap is not there.
    pub fn tags(&self, tenant: &str, heap: &HeapKey) -> Option<&BTreeMap<String, String>> {
        Some(&self.heap(tenant, heap)?.tags)
    }

    fn heap(&self, tenant: &str, heap: &HeapKey) -> Option<&Heap> {
        self.heaps.get(&(tenant.to_owned(), *heap))
    }

    fn heap_mut(&mut self, tenant: &str, heap: &HeapKey) -> Option<&mut Heap> {
        self.heaps.get_mut(&(tenant.to_owned(), *heap))
    }
}

impl State for MemoryState {
    type Error = Infallible;

    fn applied(&self) -> Result<Position, Infallible> {
        let (index, term) = self.applied;
        Ok(Position { index, term })
    }

    fn set_applied(&mut self, at: Position, conf: Option<&ConfState>) -> Result<(), Infallible> {
        self.applied = (at.index, at.term);
        if let Some(conf) = conf {
            let mut bytes = Vec::new();
            // It has as many members as a packet may name: it came in one.
            if codec::write_conf(&mut bytes, conf).is_ok() {
                self.conf = bytes;
            }
        }
        Ok(())
    }

    fn answer(&self, request: RequestId) -> Result<Option<Outcome>, Infallible> {
        Ok(self.answers.get(&request).copied())
    }

    fn keep_answer(
        &mut self,
        request: RequestId,
        index: u64,
        outcome: Outcome,
    ) -> Result<(), Infallible> {
        self.answers.insert(request, outcome);
        self.answered_at.insert(index, request);
        Ok(())
    }

    fn forget_answers_before(&mut self, index: u64) -> Result<(), Infallible> {
        while let Some(first) = self.answered_at.first_entry()
            && *first.key() < index
        {
            self.answers.remove(&first.remove());
        }
        Ok(())
    }

    fn has_ended(&self, id: &ExecutionKey) -> Result<Option<bool>, Infallible> {
        Ok(self.executions.get(id).map(|one| one.end.is_some()))
    }

    fn put_execution(&mut self, execution: &Execution) -> Result<(), Infallible> {
        let known = self
            .executions
            .entry(execution.id)
            .or_insert_with(|| execution.clone());
        known.started_us = execution.started_us;
        known.output_bytes = execution.output_bytes;
        known.output_truncated = execution.output_truncated;
        known.usage = execution.usage;
        known.end.clone_from(&execution.end);
        Ok(())
    }

    fn unfinished(&self, id: &ExecutionKey) -> Result<Option<Execution>, Infallible> {
        let found = self.executions.get(id);
        Ok(found.filter(|one| one.end.is_none()).cloned())
    }

    fn forget_execution(&mut self, id: &ExecutionKey) -> Result<(), Infallible> {
        self.executions.remove(id);
        Ok(())
    }

    fn put_heap(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        stored_bytes: u64,
        at_us: i64,
    ) -> Result<(), Infallible> {
        let row = self
            .heaps
            .entry((tenant.to_owned(), *heap))
            .or_insert(Heap {
                stored_bytes,
                used_us: at_us,
                tags: Tags::new(),
            });
        row.stored_bytes = stored_bytes;
        row.used_us = row.used_us.max(at_us);
        Ok(())
    }

    fn touch_heap(&mut self, tenant: &str, heap: &HeapKey, at_us: i64) -> Result<bool, Infallible> {
        let row = self.heap_mut(tenant, heap);
        Ok(row
            .map(|row| row.used_us = row.used_us.max(at_us))
            .is_some())
    }

    fn heap_used(&self, tenant: &str, heap: &HeapKey) -> Result<Option<i64>, Infallible> {
        Ok(self.heap(tenant, heap).map(|row| row.used_us))
    }

    fn is_heap_needed(&self, tenant: &str, heap: &HeapKey) -> Result<bool, Infallible> {
        let is_tagged = self
            .heap(tenant, heap)
            .is_some_and(|row| !row.tags.is_empty());
        let is_kept = self
            .sessions
            .iter()
            .filter(|((owner, _), _)| owner == tenant)
            .flat_map(|(_, entries)| entries)
            .any(|entry| entry.output_heap == *heap || entry.input_heap == Some(*heap));
        let is_read = self
            .executions
            .values()
            .any(|one| one.tenant == tenant && one.end.is_none() && one.input_heap == Some(*heap));
        Ok(is_tagged || is_kept || is_read)
    }

    fn remove_heap(&mut self, tenant: &str, heap: &HeapKey) -> Result<(), Infallible> {
        self.heaps.remove(&(tenant.to_owned(), *heap));
        Ok(())
    }

    fn append_entry(
        &mut self,
        tenant: &str,
        session: &str,
        entry: SessionEntry,
    ) -> Result<u64, Infallible> {
        let key = (tenant.to_owned(), session.to_owned());
        let entries = self.sessions.entry(key).or_default();
        entries.push(entry);
        Ok(entries.len() as u64 - 1)
    }

    fn set_tags(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        tags: &[(String, String)],
    ) -> Result<(), Infallible> {
        if let Some(row) = self.heap_mut(tenant, heap) {
            row.tags = tags.iter().cloned().collect();
        }
        Ok(())
    }

    fn delete_tags(
        &mut self,
        tenant: &str,
        heap: &HeapKey,
        keys: &[String],
    ) -> Result<(), Infallible> {
        if let Some(row) = self.heap_mut(tenant, heap) {
            row.tags.retain(|key, _| !keys.contains(key));
        }
        Ok(())
    }

    fn keep_cursor_key(&mut self, key: CursorKey) -> Result<(), Infallible> {
        self.cursor_key.get_or_insert(key);
        Ok(())
    }

    fn members(&self) -> Result<Members, Infallible> {
        Ok(Members {
            present: self.members.clone(),
            removed: self.removed.clone(),
        })
    }

    fn set_members(&mut self, members: &Members) -> Result<(), Infallible> {
        self.members.clone_from(&members.present);
        self.removed.clone_from(&members.removed);
        Ok(())
    }
}
