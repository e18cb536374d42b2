//! Whether the server lives, and whether it can serve. Whoever asks names no host and has no rights.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::error::HttpError;
use super::error_code::ErrorCode;
use super::refusal::Refusal;
use crate::app::{Executions, Unavailable};

/// `/healthz` is answered as long as anything is; `/readyz` says whether executions are accepted.
pub(super) fn router(executions: Executions) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(executions))
        .method_not_allowed_fallback(async || HttpError::WrongMethod)
}

async fn ready(State(executions): State<Executions>) -> Response {
    match executions.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(Unavailable::ShuttingDown) => SHUTTING_DOWN.response(),
        Err(error @ Unavailable::Audit { .. }) => {
            tracing::debug!(%error, "not ready");
            NO_AUDIT.response()
        }
        Err(error) => {
            tracing::debug!(%error, "not ready");
            NO_STORE.response()
        }
    }
}

const SHUTTING_DOWN: Refusal = Refusal {
    code: ErrorCode::ShuttingDown,
    message: "the server is shutting down",
};

const NO_AUDIT: Refusal = Refusal {
    code: ErrorCode::AuditUnavailable,
    message: "the audit log cannot be written; the server's log says why",
};

const NO_STORE: Refusal = Refusal {
    code: ErrorCode::StoreUnavailable,
    message: "executions cannot be recorded; the server's log says why",
};
