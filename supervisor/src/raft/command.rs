//! The commands that the log holds, and their bytes there.
//!
//! Names and texts were checked where they came in; here they are data. Times come with the command,
//! from the node that made it: applying one looks at no clock.
//!
//! A single node takes the same path, but for the log: its store turns what it is told into commands, and
//! applies them as they are. Output, code, and executions that no other node has heard of stay a node's own.

use std::fmt;

use bincode::{Decode, Encode};

use super::ids::RaftId;
use crate::limits::COMMAND_BYTES_MAX;

/// The first byte of an encoded command. A node that reads another one stops, since it would come to
/// another state than the others.
pub const COMMAND_FORMAT: u8 = 1;

/// An execution's name.
pub type ExecutionKey = [u8; 16];
/// A heap's name: the SHA-256 of its content.
pub type HeapKey = [u8; 32];

/// A change of what all nodes know.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Command {
    /// An execution has begun, and may take long enough that others want to know.
    Begin(Box<Execution>),
    /// An execution has ended; with what is kept of it. Its heap is durable.
    End(Box<Execution>, Option<Box<Kept>>),
    /// These executions are lost, as far as they have not ended. Each is named: what their node has begun
    /// since that was decided runs on, whatever the clocks say and however late this is applied.
    Abandon {
        /// Which.
        executions: Vec<ExecutionKey>,
        /// When that was noticed.
        at_us: i64,
        /// What to tell people.
        error: String,
    },
    /// The tags of a heap change.
    Retag(Box<Retag>),
    /// A heap was used.
    Touch {
        /// Whose.
        tenant: String,
        /// Which.
        heap: HeapKey,
        /// When.
        at_us: i64,
    },
    /// A heap goes, if nobody needs it.
    Forget {
        /// Whose.
        tenant: String,
        /// Which.
        heap: HeapKey,
        /// Only if it was not used since.
        unused_since_us: i64,
    },
    /// A heap that is stored, and that nobody has heard of, is written down as used.
    Adopt {
        /// Whose.
        tenant: String,
        /// Which.
        heap: HeapKey,
        /// What it takes where it is stored, in bytes.
        stored_bytes: u64,
        /// When.
        at_us: i64,
    },
    /// These executions are forgotten, as far as they have ended.
    Expire(Vec<ExecutionKey>),
    /// Places in lists are hidden by this key, if they are by none yet.
    HidePlaces(CursorKey),
}

/// What hides places in lists from those who are given them: the same on all nodes, so that each knows
/// what another gave out. It is random, and nobody is told it.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct CursorKey(pub [u8; CURSOR_KEY_BYTES]);

/// Bytes of that key; a migration of the database says it too.
pub const CURSOR_KEY_BYTES: usize = 32;

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey")
    }
}

impl Command {
    /// What it adds to a transaction, in bytes, about.
    pub fn size(&self) -> usize {
        let of_pairs = |pairs: &[(String, String)]| {
            let bytes = pairs.iter().map(|(key, value)| key.len() + value.len());
            bytes.sum::<usize>()
        };
        128 + match self {
            Self::End(execution, kept) => {
                let texts = execution
                    .end
                    .as_ref()
                    .map_or(0, |(_, end)| end.text_bytes());
                let kept = kept.as_ref();
                let kept = kept.map_or(0, |kept| 256 + kept.code.len() + of_pairs(&kept.tags));
                usize::try_from(texts)
                    .unwrap_or(usize::MAX)
                    .saturating_add(kept)
            }
            Self::Retag(retag) => match &retag.change {
                TagChange::Replace(tags) => of_pairs(tags),
                TagChange::Delete(_) | TagChange::DeleteAll => 0,
            },
            Self::Abandon { executions, .. } | Self::Expire(executions) => 16 * executions.len(),
            Self::Begin(_)
            | Self::Touch { .. }
            | Self::Forget { .. }
            | Self::Adopt { .. }
            | Self::HidePlaces(_) => 0,
        }
    }
}

/// An execution, as all nodes know it. Down to its deadline it stays what it was when it was first heard
/// of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Execution {
    /// Its name.
    pub id: ExecutionKey,
    /// Whose it is.
    pub tenant: String,
    /// The node that runs it, and that has its output.
    pub owner: RaftId,
    /// Its session.
    pub session: Option<String>,
    /// The heap that it starts from.
    pub input_heap: Option<HeapKey>,
    /// When it was accepted.
    pub submitted_us: i64,
    /// Its code, in bytes.
    pub source_bytes: u64,
    /// V8's heap, in MiB.
    pub heap_memory_max_mb: u64,
    /// Its deadline, in seconds.
    pub execution_timeout_secs: u64,
    /// When its script was started.
    pub started_us: Option<i64>,
    /// Output that was kept, in bytes.
    pub output_bytes: u64,
    /// Whether more output was dropped.
    pub output_truncated: bool,
    /// What its worker used.
    pub usage: Option<Used>,
    /// How it ended, and when.
    pub end: Option<(i64, Ended)>,
}

/// What the worker of an execution used: `store::Usage`, as it is replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Used {
    /// CPU time, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory at once, in bytes.
    pub peak_memory_bytes: u64,
}

/// How an execution ended: `store::End`, as it is replicated.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Ended {
    /// It has a result.
    Completed {
        /// The result.
        result: String,
        /// Whether it was cut.
        result_truncated: bool,
        /// A bounded inspection of it.
        preview: String,
        /// The heap that it made, or why there is none.
        heap: Result<Option<HeapKey>, String>,
    },
    /// It has an error.
    Failed {
        /// The kind: `store::FailureKind::name`.
        kind: String,
        /// What went wrong.
        error: String,
        /// Whether it was cut.
        error_truncated: bool,
    },
    /// Somebody asked for its end.
    Cancelled {
        /// Whether that was the server, which went away.
        by_shutdown: bool,
    },
    /// It reached its deadline.
    TimedOut {
        /// The deadline, in seconds.
        after_secs: u64,
    },
}

impl Ended {
    /// Its texts, in bytes.
    pub fn text_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Completed {
                result,
                preview,
                heap,
                ..
            } => result.len() + preview.len() + heap.as_ref().err().map_or(0, String::len),
            Self::Failed { error, .. } => error.len(),
            Self::Cancelled { .. } | Self::TimedOut { .. } => 0,
        };
        bytes as u64
    }
}

/// What is kept of an execution that completed: `store::Keep`, as it is replicated.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Kept {
    /// The heap.
    pub heap: HeapKey,
    /// What it takes where it is stored, in bytes.
    pub stored_bytes: u64,
    /// The code that made it.
    pub code: String,
    /// Its tags. None leave those that it has.
    pub tags: Vec<(String, String)>,
}

/// A change of the tags of one heap.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Retag {
    /// Whose heap.
    pub tenant: String,
    /// Which.
    pub heap: HeapKey,
    /// The change.
    pub change: TagChange,
    /// When. It counts as a use of the heap.
    pub at_us: i64,
}

/// How tags change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum TagChange {
    /// These replace all.
    Replace(Vec<(String, String)>),
    /// These go.
    Delete(Vec<String>),
    /// All go.
    DeleteAll,
}

/// What has become of a command. The same on every node, and kept for those who ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is done, and the session has the execution at this index.
    Kept {
        /// The index of the entry.
        position: u64,
    },
    /// What it is about is not there, and nothing has changed.
    Missing,
    /// The execution had ended before, and nothing has changed.
    AlreadyEnded,
    /// The heap is needed, and stays.
    Needed,
    /// Nobody knows any more whether the request was done before: it was not done now.
    Expired,
    /// The membership could not be changed so.
    Refused,
}

/// Why bytes are not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Another version wrote it.
    #[error("a command has format {found}; this program knows {COMMAND_FORMAT}")]
    Format {
        /// What was found.
        found: u8,
    },
    /// The bytes are not a command.
    #[error("{bytes} bytes are no command")]
    Malformed {
        /// How many.
        bytes: usize,
    },
    /// It is larger than it may be.
    #[error("a command is larger than {COMMAND_BYTES_MAX} bytes")]
    TooLarge,
}

const fn config() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<COMMAND_BYTES_MAX>,
> {
    bincode::config::standard().with_limit::<COMMAND_BYTES_MAX>()
}

/// The bytes of a value in the log.
///
/// # Errors
/// [`CommandError::TooLarge`].
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, CommandError> {
    let bytes = bincode::encode_to_vec((COMMAND_FORMAT, value), config())
        .map_err(|_| CommandError::TooLarge)?;
    if bytes.len() > COMMAND_BYTES_MAX {
        return Err(CommandError::TooLarge);
    }
    Ok(bytes)
}

/// Reads [`encode`] back. All bytes have to be used.
///
/// # Errors
/// [`CommandError`].
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CommandError> {
    let malformed = CommandError::Malformed { bytes: bytes.len() };
    let (&format, rest) = bytes.split_first().ok_or(malformed)?;
    if format != COMMAND_FORMAT {
        return Err(CommandError::Format { found: format });
    }
    if bytes.len() > COMMAND_BYTES_MAX {
        return Err(CommandError::TooLarge);
    }
    let (value, used) = bincode::decode_from_slice(rest, config()).map_err(|_| malformed)?;
    if used != rest.len() {
        return Err(malformed);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_command_of_another_format_is_not_guessed_at() {
        let mut bytes = encode(&Command::Expire(vec![[7; 16]])).unwrap();
        assert_eq!(
            decode::<Command>(&bytes),
            Ok(Command::Expire(vec![[7; 16]]))
        );
        bytes.push(0);
        assert!(matches!(
            decode::<Command>(&bytes),
            Err(CommandError::Malformed { .. })
        ));
        bytes[0] = 2;
        assert_eq!(
            decode::<Command>(&bytes),
            Err(CommandError::Format { found: 2 })
        );
        assert!(decode::<Command>(&[]).is_err());
    }

    #[test]
    fn what_is_too_large_is_not_encoded() {
        let error = "x".repeat(COMMAND_BYTES_MAX);
        let command = Command::Abandon {
            executions: Vec::new(),
            at_us: 0,
            error,
        };
        assert_eq!(encode(&command), Err(CommandError::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = bytes.first_mut() { *first = COMMAND_FORMAT; }
            let _ = decode::<Command>(&bytes);
            let _ = decode::<super::super::request::MemberChange>(&bytes);
        }
    }
}
