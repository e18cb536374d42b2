//! Answers to requests that are not let in.

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;

use super::error::failure;
use super::error_code::ErrorCode;
use crate::api::Failed;

/// The same answer, as the last one of its connection, which closes after it.
pub(super) fn last<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: &'static str,
}

impl Refusal {
    /// The answer, in the form of every error of the API.
    pub(super) fn response(self) -> Response {
        failure(self.code, &Failed::new(self.code.name(), self.message))
    }
}
