//! The web console: a few files that are part of the program. They hold nothing of anybody; what they show
//! they ask the API for, as the one who looks at them.

mod cached;
mod files;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

use self::cached::is_known;
use self::files::{File, PAGE};
use super::error::HttpError;

/// Nothing comes from elsewhere, nothing goes there, no text becomes markup, and no page may show this
/// one within itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// What goes with every file.
const GUARDS: [(HeaderName, HeaderValue); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("x-frame-options"),
        HeaderValue::from_static("DENY"),
    ),
    // Asked for again each time, which costs little: a new server never meets an old console.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// `/console`, and its files beneath.
pub(super) fn router() -> Router {
    Router::new()
        .route("/console", get(async |headers| answer(&PAGE, &headers)))
        .route("/console/", get(async || Redirect::permanent("../console")))
        .route("/console/{file}", get(file))
        .method_not_allowed_fallback(async || HttpError::WrongMethod)
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match File::named(&name) {
        Some(file) => answer(file, &headers),
        None => HttpError::UnknownPath.into_response(),
    }
}

/// A file, or that the one that the client has is still the same.
fn answer(file: &File, headers: &HeaderMap) -> Response {
    let tag = file.tag();
    let mut response = if is_known(headers.get_all(IF_NONE_MATCH), tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = HeaderValue::from_static(file.kind);
        ([(CONTENT_TYPE, kind)], Bytes::from_static(file.content)).into_response()
    };
    let own = response.headers_mut();
    own.extend(GUARDS);
    own.insert(ETAG, tag.clone());
    response
}

#[cfg(test)]
mod tests;
