//! The JSON shapes that clients send and get, whatever the transport, and their conversions from
//! and to the types of [`crate::app`].

mod execution;
mod output;
mod request;
pub mod schema;

use mcp_v8_protocol::limits as wire;

use crate::limits;

pub use execution::{Accepted, Done, Execution, ExecutionList, ListedExecution, Seen};
pub use output::Output;
pub use request::{
    CURSOR_CHARS_MAX, CancelArguments, FIRST_PAGE, GetArguments, ID_CHARS_MAX, ListArguments,
    MixedUnits, OFFSET_MAX, OutputArguments, RunArguments, WAIT_MS_MAX,
};

// The descriptions and the instructions say these numbers in words.
const _: () = {
    assert!(limits::SOURCE_BYTES_MAX == 1 << 20);
    assert!(wire::RESULT_BYTES_MAX == 1 << 20);
    assert!(wire::ERROR_BYTES_MAX == 64 << 10);
    assert!(limits::OUTPUT_BYTES_MAX == 16 << 20);
    assert!(limits::PAGE_LINES_DEFAULT == 100);
    assert!(limits::PAGE_BYTES_DEFAULT == 4096);
    assert!(limits::LIST_LENGTH_DEFAULT == 100);
    assert!(limits::HEAP_MEMORY_MB_MIN == 4 && limits::HEAP_MEMORY_MB_MAX == 64);
    assert!(limits::EXECUTION_TIMEOUT_SECS_MIN == 1 && limits::EXECUTION_TIMEOUT_SECS_MAX == 300);
};
