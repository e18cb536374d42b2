//! Arguments whose form is right, and whose text means nothing.

use super::sessions::UnknownField;
use crate::app::{MalformedHeapId, MalformedSessionName, MalformedTagKey, MalformedTags};

/// An argument that means nothing. The text names it and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// The heap to start from.
    #[error("heap: {0}, or \"latest\" together with session")]
    HeapChoice(MalformedHeapId),
    /// Any other heap.
    #[error("heap: {0}")]
    Heap(#[from] MalformedHeapId),
    /// A session.
    #[error("session: {0}")]
    Session(#[from] MalformedSessionName),
    /// Tags.
    #[error("tags: {0}")]
    Tags(#[from] MalformedTags),
    /// The keys of tags, between commas.
    #[error("keys: {0}; keys are separated by commas")]
    Keys(#[from] MalformedTagKey),
    /// The fields of an entry, between commas.
    #[error("fields: {0}")]
    Fields(#[from] UnknownField),
}
