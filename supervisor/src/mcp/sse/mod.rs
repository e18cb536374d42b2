//! MCP over HTTP+SSE, the transport of 2024-11-05: `GET /sse` opens a conversation and streams what
//! the server says; `POST /message?sessionId=` says something to it.
//!
//! The MCP library has dropped it; clients have not. It knows versions up to 2025-11-25 only.
//!
//! A conversation ends with its stream: waits end, and a `run_js` that is waited for is cancelled, as
//! at the end of standard input. Executions that nobody waits for go on. When the server stops,
//! calls still get their answers, then the streams end.

mod conversation;
mod legacy;
mod transport;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use rmcp::ServerHandler;
use rmcp::model::JsonRpcMessage;
use tokio_util::sync::CancellationToken;

use self::conversation::{Conversations, hold};
use super::admission::Places;
use super::events::{self, EVENT_STREAM};
use super::http_error::{HttpError, Scarce, check_scope};
use super::message::Refusal;
use super::{BodyLimits, Pace, posted};
use crate::auth::Caller;
use crate::limits;
use crate::quota::Sharing;

/// The parameter that names a conversation.
const SESSION_ID: &str = "sessionId";

/// What may be set of this transport. The default is what [`limits`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseConfig {
    /// Conversations that are open at once.
    pub connections_max: u32,
    /// Requests that are worked on at once, in all conversations.
    pub requests_max: u32,
    /// Whether several tenants share them.
    pub sharing: Sharing,
    /// Messages of a conversation that may wait for its client to read.
    pub outbound_length: usize,
    /// Limits of a posted message.
    pub body: BodyLimits,
    /// How streams go on.
    pub pace: Pace,
    /// How long calls may take to end when the server stops.
    pub drain_wait_max: Duration,
}

impl SseConfig {
    /// The default, for so many tenants.
    pub fn shared_by(sharing: Sharing) -> Self {
        Self {
            sharing,
            ..Self::default()
        }
    }
}

impl Default for SseConfig {
    fn default() -> Self {
        Self {
            connections_max: limits::MCP_STREAMS_MAX,
            requests_max: limits::MCP_REQUESTS_MAX,
            sharing: Sharing::Alone,
            outbound_length: limits::SSE_OUTBOUND_LENGTH,
            body: BodyLimits::default(),
            pace: Pace::default(),
            drain_wait_max: limits::MCP_DRAIN_WAIT_MAX,
        }
    }
}

/// One for all requests.
struct Front<H> {
    handler: Arc<H>,
    conversations: Arc<Conversations>,
    connections: Places,
    requests: Places,
    config: SseConfig,
    stop: CancellationToken,
}

/// Serves `/sse` and `/message`. When `stop` is cancelled, nothing new is taken; each conversation
/// ends once its calls have been answered.
pub fn router<H: ServerHandler>(handler: H, config: SseConfig, stop: CancellationToken) -> Router {
    let front = Front {
        handler: Arc::new(handler),
        conversations: Arc::default(),
        connections: Places::new(config.connections_max, config.sharing),
        requests: Places::new(config.requests_max, config.sharing),
        config,
        stop,
    };
    Router::new()
        .route("/sse", get(listen::<H>))
        .route("/message", post(say::<H>))
        .with_state(Arc::new(front))
}

async fn listen<H: ServerHandler>(
    State(front): State<Arc<Front<H>>>,
    request: Request,
) -> Response {
    let mut response = front
        .listen(&request)
        .unwrap_or_else(HttpError::into_response);
    events::of_this_moment(response.headers_mut());
    response
}

async fn say<H: ServerHandler>(
    State(front): State<Arc<Front<H>>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let taken = match query.get(SESSION_ID) {
        Some(id) => front.say(id, request).await,
        None => Err(HttpError::NoMessage(Refusal::invalid(
            None,
            "the parameter sessionId is missing; the event endpoint says it",
        ))),
    };
    match taken {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => error.into_response(),
    }
}

impl<H: ServerHandler> Front<H> {
    fn listen(&self, request: &Request) -> Result<Response, HttpError> {
        if self.stop.is_cancelled() {
            return Err(HttpError::Stopping);
        }
        let tenant = caller(request)?.tenant().clone();
        if !accepts_events(request.headers()) {
            return Err(HttpError::NoEventStream);
        }
        let place = self.connections.take(&tenant);
        let place = place.map_err(|none| Scarce::Streams.refused(none))?;
        let ends = self.conversations.open(tenant, self.config.outbound_length);
        let (transport, events) = ends.split(place, self.stop.clone(), self.config.drain_wait_max);
        tokio::spawn(hold(self.handler.clone(), transport));
        Ok(events::response(events, self.config.pace))
    }

    async fn say(&self, id: &str, request: Request) -> Result<(), HttpError> {
        if self.stop.is_cancelled() {
            return Err(HttpError::Stopping);
        }
        let caller = caller(&request)?.clone();
        let tenant = caller.tenant();
        let place = self.requests.take(tenant);
        let place = place.map_err(|none| Scarce::Requests.refused(none))?;
        let (mut parts, body) = request.into_parts();
        let conversation = self.conversations.find(id, tenant)?;
        let posted = posted::read(&parts.headers, body, self.config.body).await?;
        let Some(mut message) = posted.message else {
            return Ok(());
        };
        if let JsonRpcMessage::Request(message) = &*message {
            check_scope(&caller, &message.request)?;
        }
        parts.extensions.insert(place.clone());
        message.insert_extension(parts);
        conversation.say(*message, place)
    }
}

/// Who has sent a request.
fn caller(request: &Request) -> Result<&Caller, HttpError> {
    let caller = request.extensions().get::<Caller>();
    caller.ok_or(HttpError::NobodyCalls)
}

/// Whether a client takes events. One that does not say takes anything.
fn accepts_events(headers: &HeaderMap) -> bool {
    let Some(accepted) = headers.get(header::ACCEPT) else {
        return true;
    };
    let accepted = accepted.to_str().unwrap_or_default();
    let ranges = accepted
        .split(',')
        .filter_map(|range| range.split(';').next());
    ranges
        .map(str::trim)
        .any(|range| ["*/*", "text/*", EVENT_STREAM].contains(&range.to_ascii_lowercase().as_str()))
}
