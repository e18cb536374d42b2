//! MCP over Streamable HTTP, for both eras: sessions up to 2025-11-25, and requests that stand for
//! themselves since 2026-07-28.
//!
//! The MCP library serves it. What it leaves open is done here, in front of it:
//!
//! * a call may be silent for as long as it likes: its answer begins after a few seconds at the
//!   latest, and something is sent every few seconds from then on;
//! * requests, streams and sessions have limits, and so has the time that a client may take to read;
//! * a session ends when nothing has used it for a while, and never during a call;
//! * a body that is no message is answered with the JSON-RPC error that says so, and an id that is
//!   used twice at once is refused;
//! * when the server stops, calls still get their answers.
//!
//! A client of a session that loses its connection can come back to it with `Last-Event-ID` while
//! its call runs. Answers are not kept for later: what a call has done is an execution, which is kept
//! anyway and can be asked for, and the library's store of events would keep calls of the later era
//! running whose client is gone.

mod era;
mod front;
mod late;
mod session;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{MethodFilter, on};
use rmcp::ServerHandler;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use self::front::{Front, serve};
use self::sessions::Sessions;
use super::admission::Places;
use super::{BodyLimits, Pace};
use crate::limits;
use crate::quota::Sharing;

/// What can be done at `/mcp`.
const METHODS: MethodFilter = MethodFilter::GET
    .or(MethodFilter::POST)
    .or(MethodFilter::DELETE);

/// How many sessions, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Sessions that are open at once.
    pub number_max: usize,
    /// How long a session is kept that nothing uses.
    pub idle_max: Duration,
    /// How often sessions are looked at.
    pub look_interval: Duration,
}

/// What may be set of this transport. The default is what [`limits`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamableConfig {
    /// Limits of sessions.
    pub sessions: SessionLimits,
    /// Limits of a posted message.
    pub body: BodyLimits,
    /// Requests that are worked on at once.
    pub requests_max: u32,
    /// Streams that clients listen to at once, beside those of requests.
    pub streams_max: u32,
    /// Whether several tenants share them.
    pub sharing: Sharing,
    /// How long an answer may take before its stream is opened without it.
    pub first_byte_wait: Duration,
    /// How streams go on.
    pub pace: Pace,
    /// After what time a client comes back whose stream broke off.
    pub reconnect_pause: Duration,
    /// How long calls may take to end when the server stops.
    pub drain_wait_max: Duration,
}

impl StreamableConfig {
    /// The default, for so many tenants.
    pub fn shared_by(sharing: Sharing) -> Self {
        Self {
            sharing,
            ..Self::default()
        }
    }
}

impl Default for StreamableConfig {
    fn default() -> Self {
        Self {
            sessions: SessionLimits {
                number_max: limits::MCP_SESSIONS_MAX,
                idle_max: limits::MCP_SESSION_IDLE_MAX,
                look_interval: limits::MCP_SESSION_LOOK_INTERVAL,
            },
            body: BodyLimits::default(),
            requests_max: limits::MCP_REQUESTS_MAX,
            streams_max: limits::MCP_STREAMS_MAX,
            sharing: Sharing::Alone,
            first_byte_wait: limits::MCP_FIRST_BYTE_WAIT,
            pace: Pace::default(),
            reconnect_pause: limits::MCP_RECONNECT_PAUSE,
            drain_wait_max: limits::MCP_DRAIN_WAIT_MAX,
        }
    }
}

/// Serves `/mcp`. When `stop` is cancelled, nothing new is taken; once every call has been answered,
/// sessions and streams end.
///
/// # Panics
/// Outside a Tokio runtime: sessions are tended by a task.
pub fn router<H: ServerHandler>(
    handler: H,
    config: StreamableConfig,
    stop: CancellationToken,
) -> Router {
    let handler = Arc::new(handler);
    let sessions = Arc::new(Sessions::new(&config));
    let requests = Places::new(config.requests_max, config.sharing);
    let ended = CancellationToken::new();
    // Host and Origin are checked by the layer around all routes, in one way for all of them.
    let library = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_max_request_body_bytes(config.body.bytes_max)
        .with_cancellation_token(ended.clone())
        // Both are done here: for all streams alike, and for those only whose client knows it.
        .with_sse_keep_alive(None)
        .with_sse_retry(None);
    let service =
        StreamableHttpService::new(move || Ok(handler.clone()), sessions.clone(), library);
    let look_interval = config.sessions.look_interval;
    tokio::spawn(Sessions::tend(Arc::downgrade(&sessions), look_interval));
    tokio::spawn(drain(
        stop.clone(),
        requests.clone(),
        ended,
        config.drain_wait_max,
    ));
    let front = Front {
        service,
        sessions,
        requests,
        streams: Places::new(config.streams_max, config.sharing),
        config,
        stop,
    };
    Router::new()
        .route("/mcp", on(METHODS, serve::<H>))
        .with_state(Arc::new(front))
}

/// Ends sessions and streams once the server stops and the calls in flight have been answered.
async fn drain(
    stop: CancellationToken,
    requests: Places,
    ended: CancellationToken,
    wait_max: Duration,
) {
    stop.cancelled().await;
    if tokio::time::timeout(wait_max, requests.close())
        .await
        .is_err()
    {
        tracing::warn!("calls over HTTP have not ended in time; their streams are ended");
    }
    ended.cancel();
}
