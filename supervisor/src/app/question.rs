//! What the nodes of a cluster ask each other about executions, and its bytes.
//!
//! Who asks has shown that it is a node, and has let its caller in: so it may ask for any tenant.

use bincode::{Decode, Encode};

use super::error::{Conflict, Error, Unavailable};
use crate::limits::QUESTION_BYTES_MAX;
use crate::raft::command::{Execution, ExecutionKey};
use crate::raft::ids::RaftId;
use crate::store::{ExecutionId, OutputPage, PageRequest, Source, Status, View};

/// The first byte of a question and of an answer. A node that reads another one says that it cannot.
const FORMAT: u8 = 1;

/// A question about one execution.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Question {
    /// On whose behalf.
    pub(super) tenant: String,
    /// Which execution.
    pub(super) id: ExecutionKey,
    pub(super) asked: Asked,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Asked {
    /// How it stands, at its end or after so many milliseconds.
    View { wait_ms: u64 },
    /// How long its output is, once that is more than so many bytes, at its end, or after a while.
    Growth { seen: u64 },
    /// A page of its output.
    Output(PageRequest),
    /// Its code.
    Source,
    /// Its end.
    Cancel,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Told {
    View(Box<Execution>, Status),
    Growth { output_bytes: u64, has_ended: bool },
    Output(Box<OutputPage>),
    Source(Option<String>),
    Cancelled,
    Refused(Refused),
}

/// Why there is no answer, as far as another node can make use of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Refused {
    Unknown,
    NotRunning(Status),
    StillEnding,
    Ending,
    Failed(String),
}

/// Bytes that are no question or no answer of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another version of this program says something that this one does not know")]
pub(super) struct Unreadable;

impl Told {
    pub(super) fn view(view: View, owner: RaftId) -> Self {
        let status = view.status;
        Self::View(Box::new(view.into_execution(owner)), status)
    }

    pub(super) fn source(source: Source) -> Self {
        Self::Source(match source {
            Source::Kept(code) => Some(code),
            Source::NotKept => None,
        })
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { .. } => Self::Unknown,
            Error::Conflict(Conflict::NotRunning { status, .. }) => Self::NotRunning(status),
            Error::Unavailable(Unavailable::StillEnding { .. }) => Self::StillEnding,
            Error::Unavailable(Unavailable::ShuttingDown) => Self::Ending,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Refused {
    /// The same for the client of the node that has asked.
    pub(super) fn into_error(self, id: ExecutionId, node: &str) -> Error {
        match self {
            Self::Unknown => Error::NotFound { id },
            Self::NotRunning(status) => Error::Conflict(Conflict::NotRunning { id, status }),
            Self::StillEnding => Error::Unavailable(Unavailable::StillEnding { id }),
            Self::Ending => Error::Unavailable(Unavailable::Node {
                node: node.to_owned(),
                problem: "it is shutting down".to_owned(),
            }),
            Self::Failed(problem) => Error::Unavailable(Unavailable::Node {
                node: node.to_owned(),
                problem,
            }),
        }
    }
}

const fn config() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<QUESTION_BYTES_MAX>,
> {
    bincode::config::standard().with_limit::<QUESTION_BYTES_MAX>()
}

/// The bytes of a question or an answer; none where they would be too many.
pub(super) fn encode<T: Encode>(value: &T) -> Option<Vec<u8>> {
    let bytes = bincode::encode_to_vec((FORMAT, value), config()).ok()?;
    (bytes.len() <= QUESTION_BYTES_MAX).then_some(bytes)
}

/// Reads [`encode`] back. All bytes have to be used.
pub(super) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, Unreadable> {
    let (&format, rest) = bytes.split_first().ok_or(Unreadable)?;
    if format != FORMAT || bytes.len() > QUESTION_BYTES_MAX {
        return Err(Unreadable);
    }
    let (value, used) = bincode::decode_from_slice(rest, config()).map_err(|_| Unreadable)?;
    if used == rest.len() {
        Ok(value)
    } else {
        Err(Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question() -> impl Strategy<Value = Question> {
        let asked = prop_oneof![
            any::<u64>().prop_map(|wait_ms| Asked::View { wait_ms }),
            any::<u64>().prop_map(|seen| Asked::Growth { seen }),
            (any::<u64>(), any::<u64>())
                .prop_map(|(offset, limit)| Asked::Output(PageRequest::Bytes { offset, limit })),
            Just(Asked::Source),
            Just(Asked::Cancel),
        ];
        (".{0,20}", any::<[u8; 16]>(), asked).prop_map(|(tenant, id, asked)| Question {
            tenant,
            id,
            asked,
        })
    }

    proptest! {
        #[test]
        fn what_is_asked_is_what_was_meant(question in question()) {
            let bytes = encode(&question).unwrap();
            prop_assert_eq!(decode::<Question>(&bytes), Ok(question));
            prop_assert_eq!(decode::<Question>(&bytes[..bytes.len() - 1]), Err(Unreadable));
            let longer = [bytes.as_slice(), &[0]].concat();
            prop_assert_eq!(decode::<Question>(&longer), Err(Unreadable));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Question>(&bytes);
            let _ = decode::<Told>(&bytes);
        }
    }

    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        // A text that says it has 2^60 bytes.
        let lie = [FORMAT, 4, 252, 0, 0, 0, 16];
        assert_eq!(decode::<Told>(&lie), Err(Unreadable));
        assert_eq!(
            encode(&Told::Source(Some("x".repeat(QUESTION_BYTES_MAX)))),
            None
        );
    }
}
