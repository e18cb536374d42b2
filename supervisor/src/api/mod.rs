//! The JSON shapes that clients send and get, whatever the transport, and their conversions from
//! and to the types of [`crate::app`].

mod argument;
pub mod arguments;
mod clip;
mod error;
mod execution;
mod heaps;
mod output;
mod request;
pub mod schema;
mod sessions;
mod told;

use mcp_v8_protocol::limits as wire;

use crate::limits;

pub use argument::ArgumentError;
pub use clip::clip;
pub use error::{Failed, Problem};
pub use execution::{
    Accepted, Done, Execution, ExecutionList, ListedExecution, Polled, Seen, SourceCode,
};
pub use heaps::{
    DeleteTagsArguments, FoundHeap, GetTagsArguments, HeapList, HeapTags, KEYS_CHARS_MAX,
    QueryArguments, SetTagsArguments, TagMap,
};
pub use output::{Output, OutputPiece};
pub use request::{
    CURSOR_CHARS_MAX, CancelArguments, FIRST_PAGE, GetArguments, ID_CHARS_MAX, ListArguments,
    MixedUnits, NoArguments, OFFSET_MAX, OutputArguments, RunArguments, STATE_ARGUMENTS,
    SourceArguments, StreamArguments, WAIT_MS_MAX,
};
pub use sessions::{
    Entry, EntryField, FIELDS_CHARS_MAX, SessionList, SessionsArguments, Snapshots,
    SnapshotsArguments, UnknownField,
};
pub use told::{FAILED, hidden, told};

// The descriptions and the instructions say these numbers in words.
const _: () = {
    assert!(limits::SOURCE_BYTES_MAX == 1 << 20);
    assert!(wire::RESULT_BYTES_MAX == 1 << 20);
    assert!(wire::ERROR_BYTES_MAX == 64 << 10);
    assert!(limits::OUTPUT_BYTES_MAX == 16 << 20);
    assert!(limits::PAGE_LINES_DEFAULT == 100);
    assert!(limits::PAGE_BYTES_DEFAULT == 4096);
    assert!(limits::LIST_LENGTH_DEFAULT == 100);
    assert!(limits::LIST_LENGTH_MAX == 1000);
    assert!(limits::SESSION_ENTRIES_LENGTH_MAX == 10_000);
    assert!(limits::HEAP_MEMORY_MB_MIN == 4 && limits::HEAP_MEMORY_MB_MAX == 64);
    assert!(limits::POLL_AFTER_MIN.as_millis() == 5 && limits::POLL_AFTER_MAX.as_millis() == 2000);
    assert!(limits::EXECUTION_TIMEOUT_SECS_MIN == 1 && limits::EXECUTION_TIMEOUT_SECS_MAX == 300);
};
