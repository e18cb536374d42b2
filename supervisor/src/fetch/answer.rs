//! The head of a response, as its script gets it.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http::response::Parts;
use http::{StatusCode, Version};
use hyper::ext::ReasonPhrase;
use mcp_v8_protocol::fetch::{Header, Response};
use mcp_v8_protocol::limits::{HEADERS_BYTES_MAX, HEADERS_MAX, STATUS_TEXT_BYTES_MAX};

use super::failure::Trouble;
use super::redirect::Hop;

/// The head for a script. `is_decoded`: its body is handed on decoded.
pub(super) fn head(mut parts: Parts, hop: &Hop, is_decoded: bool) -> Result<Response, Trouble> {
    let status = parts.status.as_u16();
    if !(200..=599).contains(&status) {
        return Err(Trouble::Status(status));
    }
    if is_decoded {
        parts.headers.remove(CONTENT_ENCODING);
        parts.headers.remove(CONTENT_LENGTH);
    }
    Ok(Response {
        status,
        status_text: status_text(&parts),
        headers: headers(&parts.headers)?,
        url: hop.target.url.as_str().to_owned(),
        is_redirected: hop.followed > 0,
    })
}

/// A byte a character, as in the Fetch standard. HTTP/2 has none.
fn status_text(parts: &Parts) -> String {
    let mut text: String = match parts.extensions.get::<ReasonPhrase>() {
        Some(phrase) => phrase.as_bytes().iter().copied().map(char::from).collect(),
        // The usual one is not kept.
        None if parts.version < Version::HTTP_2 => usual_text(parts.status).to_owned(),
        None => String::new(),
    };
    text.truncate(text.floor_char_boundary(STATUS_TEXT_BYTES_MAX));
    text
}

fn usual_text(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

fn headers(map: &HeaderMap) -> Result<Vec<Header>, Trouble> {
    let bytes: usize = map
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > HEADERS_BYTES_MAX || map.len() > HEADERS_MAX {
        return Err(Trouble::OversizedHead);
    }
    let lines = map.iter().map(|(name, value)| Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    });
    Ok(lines.collect())
}
