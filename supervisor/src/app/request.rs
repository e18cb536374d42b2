//! What callers ask for.

use crate::heaps::HeapId;
use crate::store::{SessionName, Status, Summary, TaggedHeap, Tags};

/// A request to run something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    /// JavaScript or TypeScript: 1 byte to [`crate::limits::SOURCE_BYTES_MAX`].
    pub source: String,
    /// V8's heap, in MiB: [`crate::limits::HEAP_MEMORY_MB_MIN`] to [`crate::limits::HEAP_MEMORY_MB_MAX`].
    pub heap_memory_max_mb: Option<u64>,
    /// The timeout, in seconds: [`crate::limits::EXECUTION_TIMEOUT_SECS_MIN`] to
    /// [`crate::limits::EXECUTION_TIMEOUT_SECS_MAX`].
    pub execution_timeout_secs: Option<u64>,
    /// The heap to start from; `None` for a fresh one.
    pub heap: Option<HeapChoice>,
    /// The session that the heap which it leaves behind is to become the newest of.
    pub session: Option<SessionName>,
    /// The tags that this heap is to get; none leave those that it has.
    pub tags: Tags,
}

impl RunRequest {
    /// This source, and nothing else said.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            heap_memory_max_mb: None,
            execution_timeout_secs: None,
            heap: None,
            session: None,
            tags: Tags::default(),
        }
    }
}

/// Which heap an execution starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeapChoice {
    /// This one.
    Id(HeapId),
    /// The newest of the session that is named beside it.
    Latest,
}

/// A request for a page of the list of executions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Only those that stand so.
    pub status: Option<Status>,
    /// How many: 1 to [`crate::limits::LIST_LENGTH_MAX`].
    pub limit: u32,
    /// [`ListPage::next_cursor`] of the page before.
    pub cursor: Option<String>,
}

/// A page of the list of executions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The executions.
    pub executions: Vec<Summary>,
    /// What to ask for the next page with; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A request for a page of the list of sessions, the last begun first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionsRequest {
    /// How many: 1 to [`crate::limits::LIST_LENGTH_MAX`].
    pub limit: u32,
    /// [`SessionList::next_cursor`] of the page before.
    pub cursor: Option<String>,
}

/// A page of the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionList {
    /// Their names.
    pub sessions: Vec<SessionName>,
    /// What to ask for the next page with; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A request for entries of a session, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotsRequest {
    /// The first, from 0.
    pub from_index: u64,
    /// How many: 1 to [`crate::limits::SESSION_ENTRIES_LENGTH_MAX`]. Fewer come where their code is
    /// long.
    pub limit: u32,
    /// Whether their code is wanted.
    pub with_code: bool,
}

/// A request for heaps by their tags, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapQuery {
    /// The tags that a heap has to have, all of them; one at least.
    pub tags: Tags,
    /// How many: 1 to [`crate::limits::LIST_LENGTH_MAX`]. Fewer come where their tags are long.
    pub limit: u32,
    /// [`HeapList::next_cursor`] of the page before.
    pub cursor: Option<String>,
}

/// A page of heaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapList {
    /// The heaps, each with all its tags.
    pub heaps: Vec<TaggedHeap>,
    /// What to ask for the next page with; `None` on the last one.
    pub next_cursor: Option<String>,
}
