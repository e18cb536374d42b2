//! Errors as answers: one mapping from the use cases' errors to HTTP.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::operation::Operation;
use super::perform::json_response;
use crate::api::arguments::BadArguments;
use crate::api::{ArgumentError, MixedUnits};
use crate::app::{self, Conflict, HeapError, MalformedExecutionId, Unavailable};
use crate::limits;

/// Why a request has no other answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestError {
    #[error("the path is not UTF-8")]
    Path,
    #[error("the body could not be read")]
    Body,
    #[error("the query is malformed")]
    Query,
    #[error("{name} is given twice")]
    Twice { name: String },
    #[error("{name} is in the query, but belongs in the body")]
    NotInQuery { name: String },
    #[error("Last-Event-ID is a byte offset: the id of an event of this stream")]
    EventId,
    #[error("the body is JSON: send it with content-type: application/json")]
    MediaType,
    #[error("the body is not JSON: {0}")]
    NoJson(serde_json::Error),
    #[error("the body is a JSON object")]
    NoObject,
    #[error("{0}")]
    Arguments(#[from] BadArguments),
    #[error("execution_id: {0}")]
    Id(#[from] MalformedExecutionId),
    #[error("{0}")]
    Argument(#[from] ArgumentError),
    #[error("{0}")]
    Units(#[from] MixedUnits),
    #[error("{0}")]
    Refused(#[from] app::Error),
    #[error("the answer cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

/// What is said where the details are for the log alone.
const FAILED: &str = "the server failed; its log has the details";
const NO_STORE: &str =
    "the server cannot reach what it keeps; nothing has changed, try again later";

impl RestError {
    /// The answer; what the operator has to know is logged.
    pub(super) fn response(&self, operation: Operation) -> Response {
        let (status, _) = self.kind();
        if status.is_server_error() {
            tracing::warn!(operation = operation.name(), error = %self, "a request failed");
        }
        self.plain()
    }

    /// The answer.
    pub(super) fn plain(&self) -> Response {
        let (status, code) = self.kind();
        let body = json!({"error": {"code": code, "message": self.message()}});
        let mut response = json_response(status, body.to_string());
        let later = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if later.contains(&status) {
            let seconds = HeaderValue::from(limits::HTTP_RETRY_AFTER.as_secs());
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }

    /// What the client is told: no insides of the server.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Refused(app::Error::Internal(_)) | Self::Encode(_) => FAILED.to_owned(),
            Self::Refused(
                app::Error::Unavailable(Unavailable::Store { .. } | Unavailable::Unwritten { .. })
                | app::Error::Heap(HeapError::Unavailable { .. }),
            ) => NO_STORE.to_owned(),
            told => told.to_string(),
        }
    }

    pub(super) fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Path | Self::Body | Self::Query | Self::NoJson(_) | Self::NoObject => {
                (StatusCode::BAD_REQUEST, "malformed_request")
            }
            Self::Twice { .. }
            | Self::NotInQuery { .. }
            | Self::EventId
            | Self::Arguments(_)
            | Self::Id(_)
            | Self::Argument(_)
            | Self::Units(_) => (StatusCode::BAD_REQUEST, "invalid_argument"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Refused(error) => of_app(error),
            Self::Encode(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

fn of_app(error: &app::Error) -> (StatusCode, &'static str) {
    match error {
        app::Error::NotFound { .. } => (StatusCode::NOT_FOUND, "execution_not_found"),
        app::Error::UnknownHeap { .. } => (StatusCode::NOT_FOUND, "heap_not_found"),
        app::Error::UnknownSession { .. } => (StatusCode::NOT_FOUND, "session_not_found"),
        app::Error::NoLatestHeap { .. } => (StatusCode::NOT_FOUND, "no_latest_heap"),
        app::Error::Stateless { .. } => (StatusCode::NOT_FOUND, "stateless"),
        app::Error::Heap(error) => of_heap(error),
        app::Error::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid_argument"),
        app::Error::Conflict(Conflict::NotRunning { .. }) => (StatusCode::CONFLICT, "not_running"),
        app::Error::Conflict(Conflict::RunsElsewhere { .. }) => {
            (StatusCode::CONFLICT, "runs_elsewhere")
        }
        app::Error::Overloaded { .. } => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
        app::Error::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, of_unavailable(why)),
        app::Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn of_unavailable(why: &Unavailable) -> &'static str {
    match why {
        Unavailable::ShuttingDown => "shutting_down",
        Unavailable::Store { .. } | Unavailable::Unwritten { .. } => "store_unavailable",
        Unavailable::SlowStore => "overloaded",
        Unavailable::StillEnding { .. } => "still_ending",
    }
}

fn of_heap(error: &HeapError) -> (StatusCode, &'static str) {
    match error {
        HeapError::Unknown { .. } => (StatusCode::NOT_FOUND, "heap_not_found"),
        HeapError::Damaged { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "heap_damaged"),
        HeapError::Foreign { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "heap_foreign"),
        HeapError::Incompatible { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "heap_incompatible"),
        HeapError::TooLarge { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "heap_too_large"),
        HeapError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    }
}
