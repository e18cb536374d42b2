//! What is refused over HTTP before the MCP library sees it: a status, and a JSON-RPC error that
//! says why.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rmcp::model::ClientRequest;

use super::message::Refusal;
use super::scope::needed;
use crate::auth::{Caller, Scope};
use crate::http::NeedsScope;
use crate::limits;
use crate::quota::NoPlace;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the server is shutting down")]
    Stopping,
    #[error("the token is not for this: it needs the scope {0}")]
    NoScope(Scope),
    #[error("the server failed: a request came here without its caller")]
    NobodyCalls,
    #[error("too many requests are being worked on: try again soon")]
    TooManyRequests,
    #[error("too many sessions are open: try again soon")]
    TooManySessions,
    #[error("too many event streams are open: try again soon")]
    TooManyStreams,
    #[error(
        "this tenant has as many {0} as it may, and what is left is for others: try again soon"
    )]
    OwnShare(Scarce),
    #[error("the session does not take the message: try again soon")]
    Stuck,
    #[error("there is no such session: initialize a new one")]
    UnknownSession,
    #[error("the session has ended: open a new one")]
    EndedSession,
    #[error("the Content-Type must be application/json")]
    NoJson,
    #[error("the client must accept text/event-stream")]
    NoEventStream,
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    #[error("the body did not come within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body broke off")]
    Broken,
    #[error("{0}")]
    NoMessage(Refusal),
    #[error("{0}")]
    NoMethod(Refusal),
}

/// What tenants share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scarce {
    Requests,
    Sessions,
    Streams,
}

impl std::fmt::Display for Scarce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests under way",
            Self::Sessions => "open sessions",
            Self::Streams => "open event streams",
        })
    }
}

/// Whether a caller may ask for this.
///
/// # Errors
/// [`HttpError::NoScope`].
pub(super) fn check_scope(caller: &Caller, request: &ClientRequest) -> Result<(), HttpError> {
    match needed(request).filter(|scope| !caller.may(*scope)) {
        Some(scope) => Err(HttpError::NoScope(scope)),
        None => Ok(()),
    }
}

impl Scarce {
    /// What somebody is told who gets none.
    pub(super) fn refused(self, no_place: NoPlace) -> HttpError {
        match (no_place, self) {
            (NoPlace::Share, scarce) => HttpError::OwnShare(scarce),
            (NoPlace::Full, Self::Requests) => HttpError::TooManyRequests,
            (NoPlace::Full, Self::Sessions) => HttpError::TooManySessions,
            (NoPlace::Full, Self::Streams) => HttpError::TooManyStreams,
        }
    }
}

impl HttpError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Stopping
            | Self::TooManyRequests
            | Self::TooManySessions
            | Self::TooManyStreams
            | Self::Stuck => StatusCode::SERVICE_UNAVAILABLE,
            Self::OwnShare(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NobodyCalls => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoScope(_) => StatusCode::FORBIDDEN,
            Self::UnknownSession | Self::NoMethod(_) => StatusCode::NOT_FOUND,
            Self::EndedSession => StatusCode::GONE,
            Self::NoJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoEventStream => StatusCode::NOT_ACCEPTABLE,
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::NoMessage(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let status = self.status();
        tracing::debug!(%status, reason = %self, "refused a request");
        let is_temporary = matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        let needed = match self {
            Self::NoScope(scope) => Some(NeedsScope(scope)),
            _ => None,
        };
        let refusal = match self {
            Self::NoMessage(refusal) | Self::NoMethod(refusal) => refusal,
            other if is_temporary => Refusal::unavailable(other.to_string()),
            other => Refusal::invalid(None, other.to_string()),
        };
        let mut response = (status, axum::Json(refusal.json())).into_response();
        if let Some(needed) = needed {
            response.extensions_mut().insert(needed);
        }
        if is_temporary {
            let pause = HeaderValue::from(limits::MCP_RETRY_AFTER.as_secs());
            response.headers_mut().insert(header::RETRY_AFTER, pause);
        }
        response
    }
}
