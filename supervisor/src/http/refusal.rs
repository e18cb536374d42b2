//! Answers to requests that are not let in.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::limits;

/// Why a request is not let in: in the form of every error of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

impl Refusal {
    /// The answer. Who is refused because the server is busy is told when to come again.
    pub(super) fn response(self) -> Response {
        let Self {
            status,
            code,
            message,
        } = self;
        let body = json!({"error": {"code": code, "message": message}}).to_string();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let is_busy = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if is_busy.contains(&status) {
            headers.insert(RETRY_AFTER, limits::HTTP_RETRY_AFTER.as_secs().into());
        }
        response
    }
}
