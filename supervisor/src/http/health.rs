//! Whether the server lives, and whether it can serve. Whoever asks names no host and has no rights, so
//! that answers name checks and their states, and nothing else.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::error::HttpError;
use crate::app::{CheckState, Executions, Readiness};

/// `/healthz` says whether the server has to be started again; `/readyz` whether executions are accepted
/// and can be expected to run.
pub(super) fn router(executions: Executions) -> Router {
    Router::new()
        .route("/healthz", get(alive).with_state(executions.clone()))
        .route("/readyz", get(ready).with_state(executions))
        .method_not_allowed_fallback(async || HttpError::WrongMethod)
}

async fn alive(State(executions): State<Executions>) -> Response {
    if executions.lives() {
        lives()
    } else {
        answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "{\"status\":\"dead\"}\n".to_owned(),
        )
    }
}

/// It does.
pub(super) fn lives() -> Response {
    answer(StatusCode::OK, "{\"status\":\"alive\"}\n".to_owned())
}

async fn ready(State(executions): State<Executions>) -> Response {
    told(&executions.readiness().await)
}

/// What was found.
pub(super) fn told(readiness: &Readiness) -> Response {
    let status = if readiness.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    answer(status, shown(readiness))
}

/// All of it is out of this program's own words, which need no escape in JSON.
fn shown(readiness: &Readiness) -> String {
    let word = if readiness.is_ready() {
        "ready"
    } else {
        "unready"
    };
    let checks: Vec<String> = readiness
        .0
        .iter()
        .map(|(check, state): &(_, CheckState)| {
            format!("\"{}\":\"{}\"", check.name(), state.name())
        })
        .collect();
    format!(
        "{{\"status\":\"{word}\",\"checks\":{{{}}}}}\n",
        checks.join(",")
    )
}

fn answer(status: StatusCode, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}
