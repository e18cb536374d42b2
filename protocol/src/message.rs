//! The messages, one enum for each direction.
//!
//! Constructors check nothing; [`crate::codec`] refuses to encode or decode a message that breaks a
//! limit, so that neither end can be made to hold more than it agreed to.

use bincode::{Decode, Encode};

use crate::fetch::{FetchCall, FetchReply};

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ToWorker {
    /// Run this, once.
    Start(Start),
    /// Of a request that the script makes.
    Fetch(FetchReply),
}

/// One execution, complete.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Start {
    /// JavaScript or TypeScript, at most [`crate::limits::SOURCE_BYTES_MAX`].
    pub source: String,
    /// What the worker is to keep to. The supervisor enforces the same from outside.
    pub limits: ExecutionLimits,
    /// What heap it begins with, and what becomes of it.
    pub heap: HeapUse,
    /// What the script may ask its supervisor for.
    pub grants: Grants,
}

/// What a script may ask its supervisor for. Without a grant the global that would ask does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Grants {
    /// Requests over HTTP: `fetch`.
    pub fetch: bool,
}

/// What heap an execution begins with, and what becomes of it.
///
/// Snapshots travel in the heap window: memory that worker and supervisor share, and that only a worker
/// started to keep heaps has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum HeapUse {
    /// A new one, thrown away at the end.
    Discard,
    /// A new one, saved at the end.
    New,
    /// The one whose snapshot lies at the beginning of the window; saved at the end.
    Continue {
        /// The snapshot's length: 1 to [`crate::limits::SNAPSHOT_BYTES_MAX`].
        bytes: u64,
    },
}

/// The limits of one execution that a worker can keep itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ExecutionLimits {
    /// V8's heap, in bytes, beyond what the runtime itself takes.
    pub heap_bytes: u64,
    /// Array buffers and WebAssembly memories, in bytes, together.
    pub buffer_bytes: u64,
    /// CPU time, in seconds; the backstop behind the supervisor's deadline.
    pub cpu_seconds: u32,
    /// The largest snapshot that the heap window has room for, in bytes; 0 where no heap is kept.
    pub snapshot_bytes: u64,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FromWorker {
    /// The first message, before any byte of a user has been read.
    Hello(Hello),
    /// Console output, in order.
    Console(Console),
    /// Of a request that the script makes.
    Fetch(FetchCall),
    /// How the execution ended: the last message, unless it completed and its heap is to be saved.
    Finished(Finished),
    /// The heap was saved: the last message.
    Saved(Saved),
    /// The heap was not saved, which changes nothing of the result: the last message.
    Unsaved(Unsaved),
}

/// A snapshot of the heap lies at the beginning of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Saved {
    /// Its length: 1 to [`crate::limits::SNAPSHOT_BYTES_MAX`].
    pub bytes: u64,
}

/// There is no snapshot of the heap.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Unsaved {
    /// Why, for people; at most [`crate::limits::UNSAVED_BYTES_MAX`].
    pub why: Text,
}

/// Who is there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// [`crate::PROTOCOL_VERSION`] of the worker.
    pub protocol_version: u32,
    /// The worker's package version.
    pub worker_version: String,
    /// The version of the V8 that it links.
    pub v8_version: String,
    /// What snapshots of heaps depend on beside V8's version: one worker loads what another has saved
    /// only if this is equal. At most [`crate::limits::HEAP_BUILD_BYTES_MAX`].
    pub heap_build: String,
    /// What confines it, in its own words: for the log, and to refuse one that does not even claim what
    /// it must have. A claim alone proves nothing.
    pub confinement: Confinement,
}

/// Which layers of a worker's jail are on, beside those without which no worker says Hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Confinement {
    /// The system call filters.
    pub seccomp: bool,
    /// A Landlock domain that allows nothing.
    pub landlock: bool,
    /// A user namespace.
    pub user_namespace: bool,
    /// A process namespace.
    pub pid_namespace: bool,
    /// A mount namespace with an empty root.
    pub mount_namespace: bool,
    /// A network namespace without a device.
    pub network_namespace: bool,
    /// A user that nobody else is.
    pub own_user: bool,
    /// It tried what must fail, and all of it failed.
    pub checked: bool,
}

impl Confinement {
    /// Whether something beside the filter keeps it from files, networks and processes: Landlock, or
    /// all four namespaces.
    pub fn is_walled(self) -> bool {
        self.landlock
            || (self.user_namespace
                && self.pid_namespace
                && self.mount_namespace
                && self.network_namespace)
    }

    /// Name and state of every layer.
    pub fn layers(self) -> [(&'static str, bool); 8] {
        [
            ("seccomp", self.seccomp),
            ("landlock", self.landlock),
            ("user namespace", self.user_namespace),
            ("pid namespace", self.pid_namespace),
            ("mount namespace", self.mount_namespace),
            ("network namespace", self.network_namespace),
            ("own user", self.own_user),
            ("self-check", self.checked),
        ]
    }
}

/// A piece of console output: UTF-8, cut anywhere between characters, with its line ends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Console {
    /// At most [`crate::limits::CONSOLE_CHUNK_BYTES_MAX`].
    pub text: String,
}

/// How the execution ended, in the worker's words.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Finished {
    /// The script ran to its end, and so did everything that it started.
    Completed(Completion),
    /// The script failed.
    Failed(Failure),
}

/// The value of a script.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Completion {
    /// `String(value)`, at most [`crate::limits::RESULT_BYTES_MAX`].
    pub result: Text,
    /// A bounded inspection of the value, at most [`crate::limits::PREVIEW_BYTES_MAX`].
    pub preview: Text,
}

/// Why a script failed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// The kind, for machines.
    pub kind: FailureKind,
    /// Message, stack and positions for people, at most [`crate::limits::ERROR_BYTES_MAX`].
    pub error: Text,
}

/// The kinds of failure that a worker reports itself. It may also simply die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
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
    /// V8's heap limit or the buffer budget was reached.
    Memory,
}

/// A text that may have been cut to its limit.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Text {
    /// The text, or its beginning.
    pub text: String,
    /// Whether anything was cut.
    pub truncated: bool,
}

impl Text {
    /// Keeps as much of `text` as fits into `bytes_max`, whole characters only.
    pub fn cut(mut text: String, bytes_max: usize) -> Self {
        if text.len() <= bytes_max {
            return Self {
                text,
                truncated: false,
            };
        }
        text.truncate(text.floor_char_boundary(bytes_max));
        Self {
            text,
            truncated: true,
        }
    }
}
