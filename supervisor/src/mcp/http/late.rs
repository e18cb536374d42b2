//! Answers that take long: their stream is opened before there is anything to say.
//!
//! The MCP library sends nothing at all, not even headers, before a handler's first message. Proxies
//! end connections that are silent for so long.

use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures_util::{FutureExt as _, Stream, StreamExt as _, future, stream};
use http_body_util::BodyExt as _;
use rmcp::model::RequestId;
use tokio::time::timeout;

use super::StreamableConfig;
use crate::mcp::Pace;
use crate::mcp::admission::Place;
use crate::mcp::events::{self, EVENT_STREAM, Piece};
use crate::mcp::message::Refusal;

/// The name of the events that carry messages.
const MESSAGE: &str = "message";

/// The answer to the request `id`; when it takes long, a stream that will bring it. Dropping the
/// response, or its body, drops `answer`, which cancels what the library cancels then.
pub(super) async fn answer(
    answer: impl Future<Output = Response> + Send + 'static,
    id: RequestId,
    config: &StreamableConfig,
    place: Place,
) -> Response {
    let mut answer = Box::pin(answer);
    match timeout(config.first_byte_wait, &mut answer).await {
        Ok(response) => streamed(response, config.pace, place),
        Err(_) => events::response(held(late(answer, id), place), config.pace),
    }
}

/// The same response; if it is a stream, it is kept alive, and holds its place.
pub(super) fn streamed(response: Response, pace: Pace, place: Place) -> Response {
    if !is_event_stream(response.headers()) {
        return response;
    }
    response.map(|body| events::body(held(pieces(body), place), pace))
}

/// The events of an answer that is still to come.
fn late(
    answer: Pin<Box<impl Future<Output = Response> + Send + 'static>>,
    id: RequestId,
) -> impl Stream<Item = Bytes> + Send + 'static {
    answer
        .map(|response| {
            let (parts, body) = response.into_parts();
            if is_event_stream(&parts.headers) {
                pieces(body).left_stream()
            } else {
                stream::once(whole(body, id)).right_stream()
            }
        })
        .flatten_stream()
}

/// An answer that is one piece of JSON, as an event.
async fn whole(body: Body, id: RequestId) -> Bytes {
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            tracing::debug!(%error, "an answer could not be read");
            Bytes::new()
        }
    };
    // Everything that the library says of a request is JSON, except when it has failed.
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
    match std::str::from_utf8(&bytes) {
        Ok(text) if is_json && !text.contains('\n') => events::event(MESSAGE, text),
        _ => {
            let failed = Refusal::failed(id, "the server ended the call without an answer");
            events::event(MESSAGE, &failed.json().to_string())
        }
    }
}

fn pieces(body: Body) -> impl Stream<Item = Bytes> + Send + 'static {
    body.into_data_stream()
        .filter_map(|piece| future::ready(piece.ok()))
}

/// The same events, which hold a place until they are dropped and the client has taken the last.
fn held(
    events: impl Stream<Item = Bytes> + Send + 'static,
    place: Place,
) -> impl Stream<Item = Piece> + Send + 'static {
    events.map(move |bytes| Piece {
        bytes,
        held: Some(place.clone()),
    })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(EVENT_STREAM.as_bytes()))
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_TYPE;

    use super::*;
    use crate::mcp::admission::Places;
    use crate::quota::Sharing;
    use crate::tenant::Tenant;

    #[tokio::test]
    async fn a_client_that_takes_its_time_holds_the_place_of_its_request() {
        let places = Places::new(1, Sharing::Alone);
        for is_late in [false, true] {
            let place = places.take(&Tenant::local()).expect("it is free");
            let event = Bytes::from_static(b"event: message\ndata: {}\n\n");
            let library = async move {
                if is_late {
                    tokio::task::yield_now().await;
                }
                let stream = Response::builder().header(CONTENT_TYPE, EVENT_STREAM);
                stream.body(Body::from(event)).expect("it is valid")
            };
            let config = StreamableConfig {
                first_byte_wait: std::time::Duration::ZERO,
                ..StreamableConfig::default()
            };
            let response = answer(library, RequestId::Number(1), &config, place).await;
            let mut body = response.into_body();
            assert!(
                places.take(&Tenant::local()).is_err(),
                "nothing was taken yet"
            );
            let piece = body.frame().await;
            assert!(piece.is_some_and(|piece| piece.is_ok()));
            drop(body);
            assert!(places.take(&Tenant::local()).is_ok());
        }
    }
}
