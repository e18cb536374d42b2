//! Bodies of requests: one JSON object, within the limit.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use crate::api::arguments::Object;
use crate::http::error::BodyError;
use crate::limits;

/// Reads the body as an object.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Object, BodyError> {
    check(headers)?;
    let bytes = take(body).await?;
    if bytes.is_empty() {
        return Err(BodyError::Empty);
    }
    match serde_json::from_slice(&bytes).map_err(BodyError::Malformed)? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(BodyError::NoObject)
        }
    }
}

/// Whether it is sent as JSON, and not packed.
fn check(headers: &HeaderMap) -> Result<(), BodyError> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let kind = match (kinds.next(), kinds.next()) {
        (Some(kind), None) => kind.to_str().map_err(|_| BodyError::NotJson)?,
        _ => return Err(BodyError::NotJson),
    };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(BodyError::NotJson);
    }
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let is_plain = codings
        .into_iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    is_plain.then_some(()).ok_or(BodyError::Encoded)
}

/// All of the body. One that announces more than is allowed is not read at all.
async fn take(body: Body) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > limits::HTTP_BODY_BYTES_MAX as u64 {
        return Err(BodyError::TooLarge);
    }
    let limited = Limited::new(body, limits::HTTP_BODY_BYTES_MAX);
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::CutOff),
    }
}
