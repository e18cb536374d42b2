//! Refusals of requests that are no tool calls: errors of the protocol.

use std::borrow::Cow;

use rmcp::model::{ErrorCode, ErrorData};

use crate::app;

/// Characters of an unknown name that are shown back.
const SHOWN_CHARS_MAX: usize = 80;

/// What a use case has refused, as an error of the protocol.
pub(super) fn refused(error: &app::Error) -> ErrorData {
    let code = match error {
        app::Error::NotFound { .. }
        | app::Error::UnknownHeap { .. }
        | app::Error::UnknownSession { .. }
        | app::Error::NoLatestHeap { .. }
        | app::Error::Stateless { .. }
        | app::Error::Heap(_)
        | app::Error::Invalid { .. } => ErrorCode::INVALID_PARAMS,
        app::Error::Conflict(_) => ErrorCode::INVALID_REQUEST,
        app::Error::Overloaded { .. } | app::Error::Unavailable(_) => ErrorCode::INTERNAL_ERROR,
        app::Error::Internal(_) => {
            tracing::error!(%error, "a request failed");
            ErrorCode::INTERNAL_ERROR
        }
    };
    ErrorData::new(code, error.to_string(), None)
}

/// A name that somebody made up, so short that it can be shown back.
pub(super) fn clip(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(SHOWN_CHARS_MAX) {
        None => name.into(),
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()).into(),
    }
}
