//! Asking a server, and what can be wrong with what it says.

use std::fmt::Display;
use std::time::Duration;

use e2e::http::{Answer, Client, NoAnswer};
use serde_json::Value;
use ureq::http::Request;

/// So much is shown of an answer that is not what it should be.
const SHOWN_CHARS_MAX: usize = 700;

/// Why a step did not come to what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("its own quota is used up")]
    OwnQuota,
    #[error("{what}: {seen}")]
    Other { what: &'static str, seen: String },
}

/// What should hold, and what was seen.
pub(crate) fn ensure(
    holds: bool,
    what: &'static str,
    seen: &(impl Display + ?Sized),
) -> Result<(), Wrong> {
    if holds {
        return Ok(());
    }
    let seen = seen.to_string().chars().take(SHOWN_CHARS_MAX).collect();
    Err(Wrong::Other { what, seen })
}

/// What an honest tenant asks: refused by a quota of its own, or answered.
pub(crate) fn ask(
    client: &Client,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Answer, Wrong> {
    let answer = send(client, method, path, &[], body)?;
    if answer.error_code() == "quota_exceeded" {
        return Err(Wrong::OwnQuota);
    }
    Ok(answer)
}

/// The same, where one status alone is right.
pub(crate) fn ask_for(
    client: &Client,
    status: u16,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value, Wrong> {
    let answer = ask(client, method, path, body)?;
    let is_right = answer.status == status;
    let about = format!("{method} {path}: {} {}", answer.status, answer.body);
    ensure(is_right, "another answer was due", &about)?;
    Ok(answer.json())
}

/// Sends a request with these headers, and JSON where there is some.
pub(crate) fn send(
    client: &Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Answer, NoAnswer> {
    let mut request = Request::builder().method(method).uri(client.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match body {
        Value::Null => client.try_ask(request.body(()).expect("a request")),
        body => {
            let request = request.header("content-type", "application/json");
            client.try_ask(request.body(body.to_string()).expect("a request"))
        }
    }
}

/// A time in milliseconds, to the tenth.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
