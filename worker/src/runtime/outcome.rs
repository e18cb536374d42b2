//! How a script ended.

use mcp_v8_protocol::limits::{ERROR_BYTES_MAX, PREVIEW_BYTES_MAX, RESULT_BYTES_MAX};
use mcp_v8_protocol::message::{Completion, Failure, FailureKind, Finished, Text};

/// The end of a script, as the runtime sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its end.
    Completed {
        /// `String(value)`.
        result: String,
        /// An inspection of the value.
        preview: String,
    },
    /// It failed.
    Failed {
        /// The kind, for machines.
        kind: FailureKind,
        /// Message, stack, positions, for people.
        error: String,
    },
}

impl Outcome {
    pub(crate) fn failed(kind: FailureKind, error: impl Into<String>) -> Self {
        Self::Failed {
            kind,
            error: error.into(),
        }
    }
}

impl From<Outcome> for Finished {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed { result, preview } => Self::Completed(Completion {
                result: Text::cut(result, RESULT_BYTES_MAX),
                preview: Text::cut(preview, PREVIEW_BYTES_MAX),
            }),
            Outcome::Failed { kind, error } => Self::Failed(Failure {
                kind,
                error: Text::cut(error, ERROR_BYTES_MAX),
            }),
        }
    }
}
