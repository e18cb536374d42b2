//! Answers that are no errors.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::api::arguments::Object;
use crate::http::error::{HttpError, as_json};

/// An answer that an operation may give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) meaning: &'static str,
    pub(super) shape: Shape,
}

/// What an answer consists of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// JSON, of a schema with this name.
    Json {
        name: &'static str,
        schema: fn() -> Object,
    },
    /// A stream of server-sent events.
    Events,
    /// The description of the API.
    Document,
}

impl Answer {
    /// The one answer of most operations.
    pub(super) const fn ok(
        meaning: &'static str,
        name: &'static str,
        schema: fn() -> Object,
    ) -> Self {
        Self {
            status: StatusCode::OK,
            meaning,
            shape: Shape::Json { name, schema },
        }
    }
}

/// An answer with this in JSON.
pub(super) fn json(status: StatusCode, shape: &impl Serialize) -> Result<Response, HttpError> {
    let mut response = (status, serde_json::to_vec(shape)?).into_response();
    as_json(response.headers_mut());
    Ok(response)
}
