//! What goes wrong with a request of the API: its status, its code for programs, and its text.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::access::NeedsScope;
use super::error_code::ErrorCode;
use super::refusal::last;
use crate::api::arguments::BadArguments;
use crate::api::{ArgumentError, FAILED, Failed, MixedUnits, hidden, told};
use crate::app::{self, Conflict, HeapError, MalformedExecutionId, Unavailable};
use crate::auth::Scope;
use crate::limits;
use crate::quota::NoPlace;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{0}")]
    Arguments(#[from] BadArguments),
    #[error("execution_id: {0}")]
    Id(#[from] MalformedExecutionId),
    #[error("{0}")]
    Argument(#[from] ArgumentError),
    #[error("{0}")]
    Units(#[from] MixedUnits),
    #[error(
        "Last-Event-ID is not the id of an event of this stream: an id is the next byte offset, 0 \
         to 9007199254740991"
    )]
    LastEventId,
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the server streams as many outputs as it allows; try again in a moment")]
    TooManyStreams,
    #[error("{OWN_STREAMS}")]
    OwnStreams,
    #[error("{0}")]
    Refused(#[from] app::Error),
    #[error("there is nothing at this path; /api/openapi.json describes the API")]
    UnknownPath,
    #[error("this path has other methods: see the Allow header")]
    WrongMethod,
    #[error("a request came here without its caller")]
    NobodyCalls,
    #[error("figures of all tenants are for those with a token of an operator")]
    NoOperator,
    #[error("the token is not for this: it needs the scope {0}")]
    NoScope(Scope),
    #[error("the answer cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
    #[error("the event cannot be written: {0}")]
    Event(axum::Error),
}

const OWN_STREAMS: &str = "the caller follows as many outputs as it may: what is left is for others; try \
                           again in a moment";

impl From<NoPlace> for HttpError {
    fn from(no_place: NoPlace) -> Self {
        match no_place {
            NoPlace::Full => Self::TooManyStreams,
            NoPlace::Share => Self::OwnStreams,
        }
    }
}

/// What is wrong with the body of a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body has to be JSON: send it with Content-Type: application/json")]
    NotJson,
    #[error("the body has to be sent as it is, without Content-Encoding")]
    Encoded,
    #[error("the body is empty; send a JSON object with the arguments")]
    Empty,
    #[error("the body is not JSON: {0}")]
    Malformed(serde_json::Error),
    #[error("the body is JSON, but no object; send an object with the arguments")]
    NoObject,
    #[error(
        "the body of a request has {} bytes at most",
        limits::HTTP_BODY_BYTES_MAX
    )]
    TooLarge,
    #[error("the body of the request is malformed, or ended early")]
    CutOff,
}

impl HttpError {
    /// Its kind, for programs.
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Arguments(_)
            | Self::Id(_)
            | Self::Argument(_)
            | Self::Units(_)
            | Self::LastEventId => ErrorCode::InvalidArgument,
            Self::Body(error) => body(error),
            Self::TooManyStreams => ErrorCode::Full,
            Self::OwnStreams => ErrorCode::TenantFull,
            Self::Refused(error) => refused(error),
            Self::UnknownPath => ErrorCode::NotFound,
            Self::WrongMethod => ErrorCode::MethodNotAllowed,
            Self::NoOperator => ErrorCode::Forbidden,
            Self::NoScope(_) => ErrorCode::InsufficientScope,
            Self::NobodyCalls | Self::Encode(_) | Self::Event(_) => ErrorCode::Internal,
        }
    }

    /// The error as clients see it: what failed inside is for the log alone.
    pub(super) fn shown(&self) -> Failed {
        let text = match self {
            Self::Refused(error) => told(error),
            Self::NobodyCalls | Self::Encode(_) | Self::Event(_) => hidden(FAILED, self),
            _ => self.to_string(),
        };
        Failed::new(self.code().name(), text)
    }
}

const fn body(error: &BodyError) -> ErrorCode {
    match error {
        BodyError::NotJson | BodyError::Encoded => ErrorCode::UnsupportedMediaType,
        BodyError::Empty | BodyError::Malformed(_) | BodyError::NoObject => {
            ErrorCode::MalformedBody
        }
        BodyError::TooLarge => ErrorCode::BodyTooLarge,
        BodyError::CutOff => ErrorCode::BodyCutOff,
    }
}

const fn refused(error: &app::Error) -> ErrorCode {
    match error {
        app::Error::NotFound { .. } => ErrorCode::UnknownExecution,
        app::Error::Gone { .. } => ErrorCode::Gone,
        app::Error::UnknownHeap { .. } => ErrorCode::UnknownHeap,
        app::Error::UnknownSession { .. } => ErrorCode::UnknownSession,
        app::Error::NoLatestHeap { .. } => ErrorCode::NoLatestHeap,
        app::Error::Stateless { .. } => ErrorCode::Stateless,
        app::Error::Heap(error) => heap(error),
        app::Error::Invalid { .. } => ErrorCode::InvalidArgument,
        app::Error::Conflict(Conflict::NotRunning { .. }) => ErrorCode::NotRunning,
        app::Error::Conflict(Conflict::RunsElsewhere { .. }) => ErrorCode::RunsElsewhere,
        app::Error::Overloaded { .. } => ErrorCode::Overloaded,
        app::Error::TenantFull { .. } | app::Error::QueueShared { .. } => ErrorCode::TenantFull,
        app::Error::OverQuota(_) => ErrorCode::QuotaExceeded,
        app::Error::Unavailable(error) => unavailable(error),
        app::Error::Internal(_) => ErrorCode::Internal,
    }
}

const fn heap(error: &HeapError) -> ErrorCode {
    match error {
        HeapError::Unknown { .. } => ErrorCode::UnknownHeap,
        HeapError::Damaged { .. } => ErrorCode::HeapDamaged,
        HeapError::Foreign { .. } => ErrorCode::HeapForeign,
        HeapError::Incompatible { .. } => ErrorCode::HeapIncompatible,
        HeapError::TooLarge { .. } => ErrorCode::HeapTooLarge,
        HeapError::Unavailable { .. } | HeapError::NotCopied { .. } => ErrorCode::HeapsUnavailable,
    }
}

const fn unavailable(error: &Unavailable) -> ErrorCode {
    match error {
        Unavailable::ShuttingDown => ErrorCode::ShuttingDown,
        Unavailable::Store { .. } | Unavailable::Unwritten { .. } | Unavailable::SlowStore => {
            ErrorCode::StoreUnavailable
        }
        Unavailable::Audit { .. } => ErrorCode::AuditUnavailable,
        Unavailable::StillEnding { .. } => ErrorCode::StillEnding,
        Unavailable::Cluster { .. } => ErrorCode::ClusterUnavailable,
        Unavailable::Undecided { .. } => ErrorCode::Undecided,
        Unavailable::Node { .. } | Unavailable::CancelUnanswered { .. } => {
            ErrorCode::NodeUnreachable
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = failure(self.code(), &self.shown());
        if matches!(self, Self::Body(BodyError::TooLarge | BodyError::CutOff)) {
            response = last(response);
        }
        if let Self::NoScope(scope) = self {
            response.extensions_mut().insert(NeedsScope(scope));
        }
        if let Self::Refused(app::Error::OverQuota(excess)) = &self {
            // Sooner would be in vain.
            let after = excess.retry_after_secs();
            response.headers_mut().insert(RETRY_AFTER, after.into());
        }
        response
    }
}

/// The answer that says this. Who may well try again is told when.
pub(super) fn failure(code: ErrorCode, shown: &Failed) -> Response {
    let status = code.status();
    // An error is two texts, which JSON always has a form for.
    let body = serde_json::to_vec(shown).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    as_json(headers);
    if has_retry(status) {
        headers.insert(RETRY_AFTER, limits::HTTP_RETRY_AFTER.as_secs().into());
    }
    response
}

/// Says that an answer is JSON, and of this moment.
pub(super) fn as_json(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Whether clients with this status may well try again.
pub(super) fn has_retry(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    )
}
