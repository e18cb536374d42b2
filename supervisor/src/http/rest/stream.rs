//! Console output as server-sent events. Nothing is read ahead: the next piece is looked up when the
//! connection has room for it.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;

use crate::api::{Execution, OFFSET_MAX, OutputPiece, Polled};
use crate::app::{Followed, Follower};
use crate::http::error::HttpError;
use crate::limits;
use crate::quota::Member;

/// What an EventSource that was cut off sends: the id of the last event that it has seen.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells proxies that gather answers to pass this one on as it comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The offset at which a client that was cut off goes on.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
    let mut ids = headers.get_all(LAST_EVENT_ID).iter();
    let id = match (ids.next(), ids.next()) {
        (None, _) => return Ok(None),
        (Some(id), None) => id.as_bytes(),
        (Some(_), Some(_)) => return Err(HttpError::LastEventId),
    };
    let is_number = id.iter().all(u8::is_ascii_digit);
    let offset = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    match offset {
        Some(offset) if is_number && offset <= OFFSET_MAX => Ok(Some(offset)),
        Some(_) | None => Err(HttpError::LastEventId),
    }
}

/// The stream of what a follower comes to; it holds its place until it has gone.
pub(super) fn answer(follower: Follower, place: Member) -> Response {
    let events = stream::unfold(Some((follower, place)), async |followed| {
        let (mut follower, place) = followed?;
        let next = follower.next().await;
        let failed = next.is_err();
        let event = next
            .map_err(HttpError::from)
            .and_then(|followed| {
                followed
                    .map(|found| shown(found, follower.offset()))
                    .transpose()
            })
            .or_else(|error| failure(&error).map(Some));
        let event = event.map_err(axum::Error::new).transpose()?;
        Some((event, (!failed).then_some((follower, place))))
    });
    let keep_alive = KeepAlive::new()
        .interval(limits::STREAM_ALIVE_INTERVAL)
        .text("still there");
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn shown(followed: Followed, offset: u64) -> Result<Event, HttpError> {
    let event = match followed {
        Followed::Output(page) => event("output", &OutputPiece::from(page))?,
        Followed::End(view) => event("end", &Polled::new(Execution::from(*view), None))?,
    };
    Ok(event.id(offset.to_string()))
}

/// The last event of a stream that cannot go on. It has no id: who comes back goes on where it was.
fn failure(error: &HttpError) -> Result<Event, HttpError> {
    event("failure", &error.shown())
}

fn event(name: &str, shape: &impl Serialize) -> Result<Event, HttpError> {
    let event = Event::default().event(name);
    event.json_data(shape).map_err(HttpError::Event)
}
