//! What is known about an execution: the types that are stored, published and shown.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use jiff::Timestamp;
use uuid::Uuid;

use super::session::SessionName;
use crate::heaps::HeapId;
use crate::raft::command::ExecutionKey;
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

/// The name of an execution: random, so that it cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionId(pub(super) Uuid);

impl ExecutionId {
    /// A new one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// A new one, which shows other nodes of a cluster whom to ask for it. What is left is random enough
    /// that no two are alike.
    pub fn random_of(node: RaftId) -> Self {
        let mut bytes = Uuid::new_v4().into_bytes();
        bytes[NODE_FROM..].copy_from_slice(&node_mark(node));
        Self(Uuid::from_bytes(bytes))
    }

    /// Whether this node may have made it. Two nodes are hardly ever alike in this.
    pub fn is_of(self, node: RaftId) -> bool {
        self.0.as_bytes()[NODE_FROM..] == node_mark(node)
    }

    /// Its bytes.
    pub(crate) const fn key(self) -> ExecutionKey {
        self.0.into_bytes()
    }

    /// The name with these bytes.
    pub(crate) const fn from_key(key: ExecutionKey) -> Self {
        Self(Uuid::from_bytes(key))
    }
}

/// The bytes of a name from here on show the node, in a cluster.
const NODE_FROM: usize = 12;

/// A node's id is a part of a hash: so any part of it is.
fn node_mark(node: RaftId) -> [u8; 16 - NODE_FROM] {
    let [.., a, b, c, d] = node.get().to_be_bytes();
    [a, b, c, d]
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// A text that is not the name of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an execution id is a UUID such as 2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e11; use the \
     execution_id that run_js returned"
)]
pub struct MalformedExecutionId;

impl FromStr for ExecutionId {
    type Err = MalformedExecutionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| MalformedExecutionId)
    }
}

/// What clients call the state of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Status {
    /// Accepted; it waits for a slot or for its worker.
    Queued,
    /// Its script runs, or its end is being written.
    Running,
    /// It has a result.
    Completed,
    /// It has an error.
    Failed,
    /// Somebody asked for its end.
    Cancelled,
    /// It reached its deadline.
    TimedOut,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// The word that clients see, and that is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }

    /// Whether it is final.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut => true,
        }
    }

    /// Reads [`Status::name`] back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The limits that one execution was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// V8's heap, in MiB; array buffers and WebAssembly memories have as much again.
    pub heap_memory_max_mb: u64,
    /// Wall-clock time from the start of the script, in seconds.
    pub execution_timeout_secs: u64,
}

/// An execution as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub id: ExecutionId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The heap that it starts from; `None` for a fresh one.
    pub input_heap: Option<HeapId>,
    /// The session that it belongs to.
    pub session: Option<SessionName>,
    /// Where it stands; `end` is given exactly when this is an end.
    pub status: Status,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// When its script was started; `None` when that never happened (so far).
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<End>,
    /// What it was given.
    pub limits: Limits,
    /// Its code, in bytes; 0 where the code was not kept.
    pub source_bytes: u64,
    /// Console output that was kept, in bytes.
    pub output_bytes: u64,
    /// Whether output beyond [`crate::limits::OUTPUT_BYTES_MAX`], or beyond its tenant's quota, was
    /// dropped.
    pub output_truncated: bool,
    /// What its worker used; `None` before the end, and where there was no worker.
    pub usage: Option<Usage>,
}

impl View {
    /// Whether its end is certainly written. Its output went to the writer before, and so is written too, or was
    /// given up. Of an end that is the server's fault nobody knows.
    pub(crate) fn is_recorded(&self) -> bool {
        match &self.end {
            None
            | Some(End::Failed {
                kind: FailureKind::Server,
                ..
            }) => false,
            Some(_) => true,
        }
    }

    /// What its end has to say, in bytes.
    pub(crate) fn text_bytes(&self) -> u64 {
        let bytes = match &self.end {
            None | Some(End::Cancelled { .. } | End::TimedOut { .. }) => 0,
            Some(End::Completed {
                result,
                preview,
                heap,
                ..
            }) => {
                let why = match heap {
                    HeapEnd::Lost { why } => why.len(),
                    HeapEnd::NotKept | HeapEnd::Kept(_) => 0,
                };
                result.len() + preview.len() + why
            }
            Some(End::Failed { error, .. }) => error.len(),
        };
        bytes as u64
    }
}

/// What the worker of an execution used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that was resident at once, with what all workers share, in bytes.
    pub peak_memory_bytes: u64,
}

/// How an execution ended. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The script ran to its end, and so did everything that it had started.
    Completed {
        /// `String(value)` of the last expression.
        result: String,
        /// Whether `result` was cut.
        result_truncated: bool,
        /// A bounded inspection of the value.
        preview: String,
        /// What became of its heap.
        heap: HeapEnd,
    },
    /// The script failed, or its worker did.
    Failed {
        /// The kind, for machines.
        kind: FailureKind,
        /// What went wrong, where, and what to do, for people.
        error: String,
        /// Whether `error` was cut.
        error_truncated: bool,
    },
    /// Somebody asked for its end.
    Cancelled {
        /// Who.
        by: CancelledBy,
    },
    /// It reached its deadline.
    TimedOut {
        /// The deadline, in seconds from the start of the script.
        after_secs: u64,
    },
}

impl End {
    /// The status that goes with it.
    pub const fn status(&self) -> Status {
        match self {
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
            Self::TimedOut { .. } => Status::TimedOut,
        }
    }

    /// What to tell people about an end without a result: what happened and what to do next.
    /// `None` for a completed execution.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Completed { .. } => None,
            Self::Failed { error, .. } => Some(error.clone()),
            Self::Cancelled { by } => Some(
                match by {
                    CancelledBy::Client => "cancelled by a client",
                    CancelledBy::Shutdown => {
                        "cancelled because the server was shut down; run it again"
                    }
                }
                .to_owned(),
            ),
            Self::TimedOut { after_secs } => Some(format!(
                "the script ran longer than its limit of {after_secs} s and was killed; raise \
                 execution_timeout_secs (up to {}), or make it do less",
                crate::limits::EXECUTION_TIMEOUT_SECS_MAX
            )),
        }
    }
}

/// What became of the heap of an execution that completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeapEnd {
    /// The server is stateless and keeps none.
    NotKept,
    /// It is kept, and durable.
    Kept(HeapId),
    /// It could not be kept.
    Lost {
        /// Why, and what to do, for people.
        why: String,
    },
}

/// Who asked for the end of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelledBy {
    /// A client, by its id.
    Client,
    /// The server, which is going away.
    Shutdown,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The source is neither JavaScript nor TypeScript.
    Syntax,
    /// An exception, or a rejected promise as the value.
    Exception,
    /// A promise was rejected and nobody handled it.
    UnhandledRejection,
    /// The script waits for something that can no longer happen.
    NothingLeftToWaitFor,
    /// The value cannot be converted to a string.
    Unprintable,
    /// A memory limit was reached.
    Memory,
    /// The kernel's limit of CPU time was reached.
    CpuTime,
    /// The worker did something that its jail forbids.
    Sandbox,
    /// The worker could not be started, or is of another version.
    WorkerStart,
    /// The worker died, or broke the protocol.
    WorkerDied,
    /// It waited too long for a slot.
    QueueWait,
    /// The heap to start from cannot be had any more.
    Heap,
    /// The server stopped or was restarted before the end, or failed itself.
    Server,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Syntax,
        Self::Exception,
        Self::UnhandledRejection,
        Self::NothingLeftToWaitFor,
        Self::Unprintable,
        Self::Memory,
        Self::CpuTime,
        Self::Sandbox,
        Self::WorkerStart,
        Self::WorkerDied,
        Self::QueueWait,
        Self::Heap,
        Self::Server,
    ];

    /// The word that clients see, and that is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Exception => "exception",
            Self::UnhandledRejection => "unhandled_rejection",
            Self::NothingLeftToWaitFor => "nothing_left_to_wait_for",
            Self::Unprintable => "unprintable",
            Self::Memory => "memory",
            Self::CpuTime => "cpu_time",
            Self::Sandbox => "sandbox",
            Self::WorkerStart => "worker_start",
            Self::WorkerDied => "worker_died",
            Self::QueueWait => "queue_wait",
            Self::Heap => "heap",
            Self::Server => "server",
        }
    }

    /// Reads [`FailureKind::name`] back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An execution in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub id: ExecutionId,
    /// Where it stands.
    pub status: Status,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// When its script was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// Which part of an output to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum PageRequest {
    /// Whole lines.
    Lines {
        /// The first line, from 1.
        offset: u64,
        /// How many lines: 1 to [`crate::limits::PAGE_LINES_MAX`].
        limit: u64,
    },
    /// Bytes of UTF-8.
    Bytes {
        /// The first byte, from 0.
        offset: u64,
        /// How many bytes: 1 to [`crate::limits::PAGE_BYTES_MAX`].
        limit: u64,
    },
}

/// A part of an output, with its place in lines and in bytes.
///
/// A page never holds more than [`crate::limits::PAGE_BYTES_MAX`] bytes. A page of lines is cut at
/// whole lines; when its first line alone is longer than that, the page holds the beginning of that
/// line, `next_byte_offset` is where it goes on and `next_line_offset` is the line after it.
///
/// An offset at or past the end gives an empty page: `start_byte`, `end_byte` and
/// `next_byte_offset` are then the end, `start_line` and `next_line_offset` the line in which the
/// next byte will be, and `end_line` is the line before it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OutputPage {
    /// The text. A page of lines is joined by `\n`, without the newline of its last line.
    pub data: String,
    /// The line of the first byte, from 1.
    pub start_line: u64,
    /// The line of the last byte, inclusive.
    pub end_line: u64,
    /// The line in which the next page begins. While the execution runs and the page ends with a
    /// line that has no newline yet, it is that line again: nothing of it is lost.
    pub next_line_offset: u64,
    /// Lines so far; a last line without a newline counts.
    pub total_lines: u64,
    /// The first byte. A page of bytes begins at a character: an offset inside one moves back.
    pub start_byte: u64,
    /// The byte after the last, the newline of the last line included. A page of bytes ends between
    /// characters, so that it may be shorter than asked; it holds one character at least.
    pub end_byte: u64,
    /// Where the next page of bytes begins.
    pub next_byte_offset: u64,
    /// Bytes so far.
    pub total_bytes: u64,
    /// Whether there is more behind this page by now.
    pub has_more: bool,
    /// Where the execution stands: while it is not at an end, more output may come.
    pub status: Status,
}

impl OutputPage {
    /// Any page of an output of which there is nothing.
    pub(crate) const fn nothing(status: Status) -> Self {
        Self {
            data: String::new(),
            start_line: 1,
            end_line: 0,
            next_line_offset: 1,
            total_lines: 0,
            start_byte: 0,
            end_byte: 0,
            next_byte_offset: 0,
            total_bytes: 0,
            has_more: false,
            status,
        }
    }
}
