//! Why an exchange failed, in words for its script: which host and what happened, nothing of what was
//! injected and nothing of this machine.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::client::legacy;
use mcp_v8_protocol::limits::{FETCH_ERROR_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_MAX};

use super::connect::Unreachable;
use super::injection::NoValue;
use super::redirect::Astray;
use super::request::Malformed;
use crate::audit::Unwritable;
use crate::metrics::FetchFailure;
use crate::policy::Denied;
use crate::quota::Excess;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("fetch: {0}")]
    Malformed(#[from] Malformed),
    #[error("fetch: one execution makes no more than {0} requests")]
    Requests(u32),
    #[error("fetch: no more than {0} requests may be under way at once for one tenant")]
    OpenOfTenant(usize),
    #[error("fetch: no more than {0} requests may be under way at once on this server")]
    OpenOfAll(usize),
    #[error("fetch: one execution sends no more than {0} bytes in bodies")]
    RequestBytes(u64),
    #[error("fetch: one execution receives no more than {0} bytes in bodies, also once decoded")]
    ResponseBytes(u64),
    #[error("fetch: the body has {sent} bytes instead of the {announced} that were announced")]
    BodyLength { announced: u64, sent: u64 },
    #[error("fetch: {0}")]
    Denied(#[from] Denied),
    #[error("fetch: {0}")]
    OverQuota(#[from] Excess),
    #[error("fetch: what becomes of the request cannot be noted, so that it is not made: {0}")]
    Unwritable(#[from] Unwritable),
    #[error("fetch: {0}")]
    NoValue(#[from] NoValue),
    #[error("fetch: {0}")]
    Astray(#[from] Astray),
    #[error("fetch: {place}: {trouble}")]
    Trouble { place: String, trouble: Trouble },
    #[error("fetch: the request failed inside the server")]
    Internal,
}

/// What happened between this server and another.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Unreachable(String),
    #[error("there was no connection within {} s", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("there was no answer within {} s", .0.as_secs_f64())]
    HeadTimeout(Duration),
    #[error("nothing more of the body came within {} s", .0.as_secs_f64())]
    PieceTimeout(Duration),
    #[error("the connection was reset")]
    Reset,
    #[error("the connection was closed before the answer was complete")]
    Incomplete,
    #[error(
        "the head of the answer is larger than {HEADERS_BYTES_MAX} bytes or {HEADERS_MAX} lines"
    )]
    OversizedHead,
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
    #[error("the answer has the status {0}, which is none of a response")]
    Status(u16),
    #[error("the body of the answer is not what its content-encoding {0} says")]
    Coding(&'static str),
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl Failure {
    /// What it is counted as.
    pub(super) fn kind(&self) -> FetchFailure {
        match self {
            Self::Malformed(_) => FetchFailure::Malformed,
            Self::Requests(_)
            | Self::OpenOfTenant(_)
            | Self::OpenOfAll(_)
            | Self::OverQuota(_)
            | Self::RequestBytes(_)
            | Self::ResponseBytes(_)
            | Self::BodyLength { .. } => FetchFailure::Limit,
            Self::Denied(_) => FetchFailure::Denied,
            Self::NoValue(_) => FetchFailure::Injection,
            Self::Astray(_) => FetchFailure::Redirect,
            Self::Trouble { trouble, .. } => trouble.kind(),
            Self::Unwritable(_) | Self::Internal => FetchFailure::Internal,
        }
    }

    /// What the script is told.
    pub(super) fn text(&self) -> String {
        let mut text = self.to_string();
        text.truncate(text.floor_char_boundary(FETCH_ERROR_BYTES_MAX));
        text
    }
}

impl Trouble {
    pub(super) fn at(self, place: &str) -> Failure {
        Failure::Trouble {
            place: place.to_owned(),
            trouble: self,
        }
    }

    fn kind(&self) -> FetchFailure {
        match self {
            Self::Unreachable(_) => FetchFailure::Unreachable,
            Self::Tls(_) => FetchFailure::Tls,
            Self::ConnectTimeout(_) | Self::HeadTimeout(_) | Self::PieceTimeout(_) => {
                FetchFailure::Timeout
            }
            Self::OversizedHead => FetchFailure::Limit,
            Self::Reset
            | Self::Incomplete
            | Self::NotHttp(_)
            | Self::Status(_)
            | Self::Coding(_)
            | Self::Broken(_) => FetchFailure::Broken,
        }
    }

    /// Why no head came.
    pub(super) fn of_sending(error: &legacy::Error, connect_wait: Duration) -> Self {
        for cause in causes(error) {
            if let Some(why) = cause.downcast_ref::<Unreachable>() {
                return Self::Unreachable(why.to_string());
            }
            if cause.is::<tower::timeout::error::Elapsed>() {
                return Self::ConnectTimeout(connect_wait);
            }
            if let Some(why) = cause.downcast_ref::<rustls::Error>() {
                return Self::Tls(why.to_string());
            }
        }
        if error.is_connect() && causes(error).any(is_reset) {
            return Self::Tls("the connection was closed in the middle of it".to_owned());
        }
        Self::of_connection(error)
    }

    /// Why a connection that was there did not do.
    pub(super) fn of_connection(error: &(dyn Error + 'static)) -> Self {
        let mut last = "it ended early".to_owned();
        for cause in causes(error) {
            if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
                if hyper.is_parse_too_large() {
                    return Self::OversizedHead;
                }
                if hyper.is_parse() {
                    return Self::NotHttp(hyper.to_string());
                }
                if hyper.is_incomplete_message() || hyper.is_closed() {
                    return Self::Incomplete;
                }
                last = hyper.to_string();
            }
            if let Some(why) = cause.downcast_ref::<rustls::Error>() {
                return Self::Tls(why.to_string());
            }
            if is_reset(cause) {
                return Self::Reset;
            }
        }
        Self::Broken(last)
    }
}

/// An error and what caused it, one after the other.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        cause(*error)
    })
}

/// What an error of I/O holds is not its source, but that whose source it has.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn is_reset(error: &(dyn Error + 'static)) -> bool {
    let kinds = [
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::UnexpectedEof,
    ];
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| kinds.contains(&error.kind()))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let denied = Denied::ByRule {
            rule: "data.mcp.fetch.allow".to_owned(),
            method: Method::GET,
            host: "ü".repeat(FETCH_ERROR_BYTES_MAX),
        };
        let text = Failure::from(denied).text();
        assert!(text.len() <= FETCH_ERROR_BYTES_MAX && text.len() > FETCH_ERROR_BYTES_MAX - 2);
    }
}
