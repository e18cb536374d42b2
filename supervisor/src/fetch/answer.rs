//! The head of a response, as its script gets it.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http::response::Parts;
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
    let said = parts.extensions.get::<ReasonPhrase>();
    let said = said.map_or(&[][..], |phrase| phrase.as_bytes());
    Ok(Response {
        status,
        status_text: status_text(said),
        headers: headers(&parts.headers)?,
        url: hop.target.url.as_str().to_owned(),
        is_redirected: hop.followed > 0,
    })
}

/// A byte a character, as in the Fetch standard.
fn status_text(said: &[u8]) -> String {
    let mut text: String = said.iter().copied().map(char::from).collect();
    text.truncate(text.floor_char_boundary(STATUS_TEXT_BYTES_MAX));
    text
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
