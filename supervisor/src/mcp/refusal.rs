//! Refusals of requests that are no tool calls: errors of the protocol.

use rmcp::model::{ErrorCode, ErrorData};

use crate::api::told;
use crate::app;

/// What a use case has refused, as an error of the protocol.
pub(super) fn refused(error: &app::Error) -> ErrorData {
    let code = match error {
        app::Error::NotFound { .. }
        | app::Error::Gone { .. }
        | app::Error::UnknownHeap { .. }
        | app::Error::UnknownSession { .. }
        | app::Error::NoLatestHeap { .. }
        | app::Error::Stateless { .. }
        | app::Error::Heap(_)
        | app::Error::Invalid { .. } => ErrorCode::INVALID_PARAMS,
        app::Error::Conflict(_) => ErrorCode::INVALID_REQUEST,
        app::Error::Overloaded { .. }
        | app::Error::TenantFull { .. }
        | app::Error::QueueShared { .. }
        | app::Error::OverQuota(_)
        | app::Error::Unavailable(_)
        | app::Error::Internal(_) => ErrorCode::INTERNAL_ERROR,
    };
    ErrorData::new(code, told(error), None)
}
