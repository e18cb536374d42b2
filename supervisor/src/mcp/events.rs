//! Server-sent events, as streams that stay alive, notice when nobody listens, and wait for a slow
//! client only so long.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::admission::Place;
use crate::limits;

/// The media type of streams of events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// What is sent when there is nothing to say: proxies and dead connections are noticed by it.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Pieces of a stream that are ahead of the client.
const PIECES_AHEAD: usize = 1;

/// A piece of a stream. What it holds is held until the client has taken all but the end of it.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) held: Option<Place>,
}

/// How a stream goes on when one side is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often the server says something, if only a comment.
    pub keep_alive: Duration,
    /// How long a client may take to read a piece; then the stream is ended.
    pub stall_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            keep_alive: limits::MCP_KEEP_ALIVE_INTERVAL,
            stall_max: limits::MCP_STALL_MAX,
        }
    }
}

/// Says that an answer, events or not, is of this moment: nobody between here and the client is to keep
/// it, or to gather it first.
pub(super) fn of_this_moment(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
}

/// An event with this data, which is JSON in one line.
pub(super) fn event(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// A response that streams `events`. They are dropped as soon as the client is gone or has stalled.
pub(super) fn response(events: impl Stream<Item = Piece> + Send + 'static, pace: Pace) -> Response {
    let mut response = body(events, pace).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    response
}

/// The body of such a response.
pub(super) fn body(events: impl Stream<Item = Piece> + Send + 'static, pace: Pace) -> Body {
    let (sender, mut receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::spawn(pump(events, sender, pace));
    let mut last = None;
    Body::from_stream(stream::poll_fn(move |context| {
        // More is asked for when the piece before has gone.
        drop(last.take());
        receiver.poll_recv(context).map(|piece| {
            let Piece { bytes, held } = piece?;
            last = held;
            Some(Ok::<_, Infallible>(bytes))
        })
    }))
}

/// A task of its own, because a body is not polled while its client does not read, and could not
/// tell that this takes too long.
async fn pump(
    events: impl Stream<Item = Piece> + Send + 'static,
    sender: mpsc::Sender<Piece>,
    pace: Pace,
) {
    let mut events = pin!(events);
    loop {
        let piece = tokio::select! {
            biased;
            () = sender.closed() => return,
            next = timeout(pace.keep_alive, events.next()) => match next {
                Ok(Some(piece)) => piece,
                Ok(None) => return,
                Err(_) => Piece {
                    bytes: COMMENT,
                    held: None,
                },
            },
        };
        match timeout(pace.stall_max, sender.send(piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::debug!("ended a stream whose client does not read");
                return;
            }
        }
    }
}
