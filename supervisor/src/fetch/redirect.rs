//! Where a redirect leads, and what goes along: the Fetch standard's HTTP-redirect fetch, pure.

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use mcp_v8_protocol::fetch::Redirect;

use super::request::{BadUrl, Body, Target};
use crate::limits::FETCH_REDIRECTS_MAX;

/// One request on the way to a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) target: Target,
    /// The script's own.
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// How many redirects led here.
    pub(super) followed: u32,
    /// Whether one of them led from https to http: what is secret is not for those who read along.
    pub(super) is_downgraded: bool,
}

/// A redirect that fails its request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Astray {
    #[error("{0} redirects, which the request's redirect mode makes an error")]
    NotWanted(String),
    #[error("{from} redirects to a place that cannot be fetched: {why}")]
    BadTarget { from: String, why: BadUrl },
    #[error("{0} redirects to more than one place")]
    Ambiguous(String),
    #[error("more than {FETCH_REDIRECTS_MAX} redirects, the last from {0}")]
    TooMany(String),
    #[error("{0} redirects a request whose body is a stream, and cannot be sent again")]
    SpentBody(String),
}

/// Headers that say what a body is, and go with it.
const BODY_HEADERS: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// Headers that say who asks, which is another's business elsewhere.
const CREDENTIALS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("cookie2"),
];

/// The next hop, unless the response is the one that the script gets.
pub(super) fn after(
    hop: &Hop,
    mode: Redirect,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Hop>, Astray> {
    let from = || hop.target.place().to_owned();
    match (mode, is_redirect(status)) {
        (_, false) | (Redirect::Manual, true) => return Ok(None),
        (Redirect::Error, true) => return Err(Astray::NotWanted(from())),
        (Redirect::Follow, true) => {}
    }
    let mut locations = headers.get_all(header::LOCATION).iter();
    let Some(location) = locations.next() else {
        return Ok(None);
    };
    if locations.any(|other| other != location) {
        return Err(Astray::Ambiguous(from()));
    }
    if hop.followed == FETCH_REDIRECTS_MAX {
        return Err(Astray::TooMany(from()));
    }
    let bad = |why| Astray::BadTarget { from: from(), why };
    let text = String::from_utf8_lossy(location.as_bytes());
    let url = hop.target.url.join(&text);
    let url = url.map_err(|_| bad(BadUrl::Malformed))?;
    let target = Target::new(url).map_err(bad)?;
    let mut next = Hop {
        target,
        followed: hop.followed + 1,
        ..hop.clone()
    };
    // Of a length that is known, it was no stream to the script, whose worker has it still.
    let is_spent = matches!(next.body, Body::Stream { length: None });
    if is_spent && status != StatusCode::SEE_OTHER {
        return Err(Astray::SpentBody(from()));
    }
    if becomes_get(status, &hop.method) {
        next.method = Method::GET;
        next.body = Body::None;
        remove(&mut next.headers, &BODY_HEADERS);
    }
    let is_secure = |hop: &Hop| hop.target.url.scheme() == "https";
    next.is_downgraded |= is_secure(hop) && !is_secure(&next);
    if next.target.url.origin() != hop.target.url.origin() {
        remove(&mut next.headers, &CREDENTIALS);
    }
    Ok(Some(next))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET && method != Method::HEAD,
        _ => false,
    }
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
#[path = "redirect_tests.rs"]
mod tests;
