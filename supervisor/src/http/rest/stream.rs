//! Console output as server-sent events (WHATWG HTML, 9.2). The client's reading drives it: nothing is
//! read ahead of it, and what it does not read stays in the store.

use std::convert::Infallible;

use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;

use super::error::RestError;
use crate::api::{Execution, OutputPiece};
use crate::app::{Error, ExecutionId, Executions, PageRequest};
use crate::limits;

/// What becomes of an answer between here and the client: proxies that gather it first are asked not
/// to (nginx's name, which others know too).
const ACCEL_BUFFERING: &str = "x-accel-buffering";

/// What has been sent of an output.
struct Sent {
    executions: Executions,
    id: ExecutionId,
    offset: u64,
}

/// The output of an execution from this byte on, and then its end.
pub(super) fn of_output(executions: Executions, id: ExecutionId, offset: u64) -> Response {
    let sent = Sent {
        executions,
        id,
        offset,
    };
    let events = stream::unfold(Some(sent), async |sent| {
        let (event, sent) = sent?.next().await;
        Some((Ok::<_, Infallible>(event), sent))
    });
    let alive = KeepAlive::new().interval(limits::STREAM_ALIVE_INTERVAL);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

impl Sent {
    /// The next event, and what has been sent with it; `None` after the last one.
    async fn next(mut self) -> (Event, Option<Self>) {
        match self.advance().await {
            Ok((event, true)) => (event, Some(self)),
            Ok((event, false)) => (event, None),
            Err(error) => (failure(&error), None),
        }
    }

    /// The next event, and whether more follow.
    async fn advance(&mut self) -> Result<(Event, bool), RestError> {
        loop {
            let request = PageRequest::Bytes {
                offset: self.offset,
                limit: limits::STREAM_PIECE_BYTES_MAX,
            };
            let page = self.executions.output(self.id, request).await?;
            if !page.data.is_empty() {
                let piece = OutputPiece {
                    data: page.data,
                    start_byte: page.start_byte,
                    next_byte_offset: page.next_byte_offset,
                };
                self.offset = piece.next_byte_offset;
                return Ok((event("output", &piece, self.offset)?, true));
            }
            if page.status.is_end() {
                let view = self.executions.get(self.id).await?;
                return Ok((event("end", &Execution::from(view), self.offset)?, false));
            }
            self.executions.more_output(self.id, self.offset).await?;
        }
    }
}

fn event(name: &str, shape: &impl Serialize, offset: u64) -> Result<Event, RestError> {
    let data = serde_json::to_string(shape)?;
    Ok(Event::default()
        .event(name)
        .id(offset.to_string())
        .data(data))
}

/// The last event of a stream that cannot go on. A client that comes back may have more luck.
fn failure(error: &RestError) -> Event {
    if let RestError::Refused(Error::Internal(_)) | RestError::Encode(_) = error {
        tracing::error!(%error, "a stream of output broke");
    }
    let (_, code) = error.kind();
    let body = serde_json::json!({"error": {"code": code, "message": error.message()}});
    Event::default().event("error").data(body.to_string())
}
