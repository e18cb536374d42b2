//! What clients ask for. The schemas made from these are also what arguments are checked against,
//! so that ranges and names are said once.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::argument::ArgumentError;
use super::heaps::{TagMap, choice, tags};
use super::schema::one_of;
use crate::app::{ListRequest, PageRequest, RunRequest, Status};
use crate::limits;

/// The longest wait of one call, in milliseconds.
pub const WAIT_MS_MAX: u64 = 50_000;

/// The largest offset into an output: what every JSON implementation counts exactly (2^53 - 1).
pub const OFFSET_MAX: u64 = (1 << 53) - 1;

/// The longest cursor, in characters; those that the server gives are much shorter.
pub const CURSOR_CHARS_MAX: u32 = 256;

/// The longest text that is looked at as an id, in characters.
pub const ID_CHARS_MAX: u32 = 64;

const _: () = {
    assert!(WAIT_MS_MAX as u128 <= limits::WAIT_MAX.as_millis());
    assert!(limits::OUTPUT_BYTES_MAX <= OFFSET_MAX);
};

/// Run code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunArguments {
    /// JavaScript or TypeScript, 1 byte to 1 MiB. The value of the last expression is the result;
    /// top-level await works.
    #[schemars(length(min = 1, max = limits::SOURCE_BYTES_MAX))]
    pub code: String,
    /// V8's heap for this execution, in MB.
    #[schemars(with = "u64", range(min = limits::HEAP_MEMORY_MB_MIN, max = limits::HEAP_MEMORY_MB_MAX))]
    #[serde(default)]
    pub heap_memory_max_mb: Option<u64>,
    /// How long the code may run, in seconds; then it is killed.
    #[schemars(with = "u64", range(
        min = limits::EXECUTION_TIMEOUT_SECS_MIN, max = limits::EXECUTION_TIMEOUT_SECS_MAX
    ))]
    #[serde(default)]
    pub execution_timeout_secs: Option<u64>,
    /// How long to wait for the end, in milliseconds. 0 returns {execution_id} at once. Otherwise
    /// the result is the execution with its first output, also when the wait runs out before the
    /// end (status queued or running). Cancelling a call that waits cancels the execution.
    #[schemars(range(min = 0, max = WAIT_MS_MAX))]
    #[serde(default)]
    pub wait_ms: u64,
    /// The heap to go on from: the heap of an earlier execution (64 hexadecimal digits), or
    /// "latest" for the newest of session. Without it the code starts fresh.
    #[schemars(with = "String", length(min = 1, max = ID_CHARS_MAX))]
    #[serde(default)]
    pub heap: Option<String>,
    /// A name of your own for a line of work: the heap that this execution leaves behind is listed
    /// under it. It is a label: the state comes from heap alone.
    #[schemars(with = "String", length(min = 1, max = limits::SESSION_NAME_CHARS_MAX))]
    #[serde(default)]
    pub session: Option<String>,
    /// Tags for the heap that this execution leaves behind, texts by key, to find it with
    /// query_heaps_by_tags.
    #[schemars(schema_with = "tags")]
    #[serde(default)]
    pub tags: TagMap,
}

/// The arguments of [`RunArguments`] that only a server with state can heed.
pub const STATE_ARGUMENTS: [&str; 3] = ["heap", "session", "tags"];

impl RunArguments {
    /// How long to wait; `None` for not at all.
    pub fn wait(&self) -> Option<Duration> {
        (self.wait_ms > 0).then(|| Duration::from_millis(self.wait_ms))
    }
}

impl TryFrom<RunArguments> for RunRequest {
    type Error = ArgumentError;

    fn try_from(arguments: RunArguments) -> Result<Self, Self::Error> {
        let session = arguments.session.map(|name| name.parse());
        Ok(Self {
            source: arguments.code,
            heap_memory_max_mb: arguments.heap_memory_max_mb,
            execution_timeout_secs: arguments.execution_timeout_secs,
            heap: arguments.heap.as_deref().map(choice).transpose()?,
            session: session.transpose()?,
            tags: arguments.tags.try_into()?,
        })
    }
}

/// Look at an execution.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetArguments {
    /// The execution_id that run_js returned.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub execution_id: String,
    /// How long to wait for the end, in milliseconds. When it runs out, the execution is returned
    /// as it stands. Cancelling the call ends only the wait.
    #[schemars(range(min = 0, max = WAIT_MS_MAX))]
    #[serde(default)]
    pub wait_ms: u64,
}

impl GetArguments {
    /// How long to wait; `None` for not at all.
    pub fn wait(&self) -> Option<Duration> {
        (self.wait_ms > 0).then(|| Duration::from_millis(self.wait_ms))
    }
}

/// Read the code of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceArguments {
    /// The execution_id that run_js returned.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub execution_id: String,
}

/// Read console output, by lines or by bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputArguments {
    /// The execution_id that run_js returned.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub execution_id: String,
    /// The first line, from 1. Default 1.
    #[schemars(with = "u64", range(min = 1, max = OFFSET_MAX))]
    #[serde(default)]
    pub line_offset: Option<u64>,
    /// How many lines. Default 100.
    #[schemars(with = "u64", range(min = 1, max = limits::PAGE_LINES_MAX))]
    #[serde(default)]
    pub line_limit: Option<u64>,
    /// The first byte, from 0. Default 0. Excludes the line parameters.
    #[schemars(with = "u64", range(min = 0, max = OFFSET_MAX))]
    #[serde(default)]
    pub byte_offset: Option<u64>,
    /// How many bytes. Default 4096. Excludes the line parameters.
    #[schemars(with = "u64", range(min = 1, max = limits::PAGE_BYTES_MAX))]
    #[serde(default)]
    pub byte_limit: Option<u64>,
}

/// A page was asked for in lines and in bytes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "give either line_offset and line_limit, or byte_offset and byte_limit, not some of both: a \
     page counts in lines or in bytes"
)]
pub struct MixedUnits;

impl OutputArguments {
    /// Which page is meant: lines, unless bytes are asked for.
    ///
    /// # Errors
    /// [`MixedUnits`].
    pub fn page(&self) -> Result<PageRequest, MixedUnits> {
        let lines = self.line_offset.is_some() || self.line_limit.is_some();
        let bytes = self.byte_offset.is_some() || self.byte_limit.is_some();
        match (lines, bytes) {
            (true, true) => Err(MixedUnits),
            (false, true) => Ok(PageRequest::Bytes {
                offset: self.byte_offset.unwrap_or(0),
                limit: self.byte_limit.unwrap_or(limits::PAGE_BYTES_DEFAULT),
            }),
            (_, false) => Ok(PageRequest::Lines {
                offset: self.line_offset.unwrap_or(1),
                limit: self.line_limit.unwrap_or(limits::PAGE_LINES_DEFAULT),
            }),
        }
    }
}

/// The page of output that comes with a result nobody asked a page of.
pub const FIRST_PAGE: PageRequest = PageRequest::Lines {
    offset: 1,
    limit: limits::PAGE_LINES_DEFAULT,
};

/// Follow console output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamArguments {
    /// The execution_id that run_js returned.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub execution_id: String,
    /// The first byte, from 0. Default 0.
    #[schemars(range(min = 0, max = OFFSET_MAX))]
    #[serde(default)]
    pub byte_offset: u64,
}

/// Cancel an execution.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelArguments {
    /// The execution_id that run_js returned.
    #[schemars(length(min = 1, max = ID_CHARS_MAX))]
    pub execution_id: String,
}

/// Nothing can be said more exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

/// List executions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArguments {
    /// Only executions of this status. Default: all.
    #[schemars(schema_with = "status")]
    #[serde(default)]
    pub status: Option<String>,
    /// How many. Default 100.
    #[schemars(with = "u32", range(min = 1, max = limits::LIST_LENGTH_MAX))]
    #[serde(default)]
    pub limit: Option<u32>,
    /// The next_cursor of the page before. Default: the first page.
    #[schemars(with = "String", length(max = CURSOR_CHARS_MAX))]
    #[serde(default)]
    pub cursor: Option<String>,
}

fn status(_: &mut SchemaGenerator) -> Schema {
    one_of(Status::ALL.iter().map(|status| status.name()), false)
}

impl From<ListArguments> for ListRequest {
    fn from(arguments: ListArguments) -> Self {
        Self {
            // A status that is none does not pass the schema.
            status: arguments.status.as_deref().and_then(Status::from_name),
            limit: arguments.limit.unwrap_or(limits::LIST_LENGTH_DEFAULT),
            cursor: arguments.cursor,
        }
    }
}
