//! A message that was posted over HTTP: its type, its size, its time, and whether it is one at all.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rmcp::model::ClientJsonRpcMessage;

use super::http_error::HttpError;
use super::message::{Incoming, parse, trimmed};
use crate::limits;

const JSON: &str = "application/json";

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// The longest body, in bytes.
    pub bytes_max: usize,
    /// How long it may take to come.
    pub wait_max: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bytes_max: limits::MCP_BODY_BYTES_MAX,
            wait_max: limits::MCP_BODY_WAIT_MAX,
        }
    }
}

/// What was posted.
#[derive(Debug)]
pub(super) struct Posted {
    /// The message; `None` when there is nothing that may be answered.
    pub(super) message: Option<Box<ClientJsonRpcMessage>>,
    /// The same as it came.
    pub(super) bytes: Bytes,
}

/// Reads the body of a request.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
) -> Result<Posted, HttpError> {
    if !is_json(headers) {
        return Err(HttpError::NoJson);
    }
    let body = Limited::new(body, limits.bytes_max).collect();
    let body = match tokio::time::timeout(limits.wait_max, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(HttpError::TooLong(limits.bytes_max));
        }
        Ok(Err(_)) => return Err(HttpError::Broken),
        Err(_) => return Err(HttpError::TooSlow(limits.wait_max)),
    };
    let message = match parse(&body) {
        Incoming::Message(message) => Some(message),
        Incoming::Nothing => None,
        Incoming::Refused(refusal) => return Err(HttpError::NoMessage(refusal)),
    };
    let bytes = body.slice_ref(trimmed(&body));
    Ok(Posted { message, bytes })
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(JSON))
}
