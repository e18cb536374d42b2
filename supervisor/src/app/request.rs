//! What callers ask for.

use crate::store::{Status, Summary};

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
