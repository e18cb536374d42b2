//! The server as a whole: bound, then serving, then closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::{self, Access, Gate};
use super::connections::Connections;
use super::entrance::{self, Entrance};
use super::error::HttpError;
use super::guard::{self, AllowedHosts, AllowedOrigins, Guard};
use super::in_flight::Room;
use super::listen::{Listener, connections_max};
use super::metadata;
use super::metrics::{self, Metrics};
use super::tls::{Tls, TlsError, TlsFiles};
use super::{console, health, rest, waiting};
use crate::app::Executions;
use crate::auth::AuthOptions;
use crate::limits;

/// What an operator decides about HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    /// Which transport of MCP is served.
    pub surface: Surface,
    /// The names under which the server is reached.
    pub hosts: AllowedHosts,
    /// The web pages that may call it.
    pub origins: AllowedOrigins,
    /// The certificate; without one it is HTTP without TLS.
    pub tls: Option<TlsFiles>,
    /// How callers are known; without it everybody is let in.
    pub auth: Option<AuthOptions>,
    /// How long what runs may go on when the server is asked to end.
    pub shutdown_grace: Duration,
}

/// A transport of MCP over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Streamable HTTP, at `/mcp`.
    Streamable,
    /// HTTP with server-sent events, as before 2025-03-26: `/sse` and `/message`.
    Legacy,
}

impl Surface {
    /// Where clients begin.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Streamable => "/mcp",
            Self::Legacy => "/sse",
        }
    }
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, or not this machine's, or the port needs rights.
    #[error("cannot listen on {address}: {problem}")]
    Address {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        problem: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that is bound, and answers nobody yet.
#[derive(Debug)]
pub struct Listening {
    listener: Listener,
    tls: Option<Tls>,
    guard: Guard,
    surface: Surface,
}

impl Listening {
    /// Reads the certificate and takes the address.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(config: &HttpConfig) -> Result<Self, BindError> {
        let tls = config.tls.clone().map(Tls::open).transpose()?;
        let acceptor = tls.as_ref().map(Tls::config).transpose()?;
        let address = config.address;
        let listener = Listener::bind(address, acceptor)
            .map_err(|problem| BindError::Address { address, problem })?;
        Ok(Self {
            listener,
            tls,
            guard: Guard {
                hosts: config.hosts.clone(),
                origins: config.origins.clone(),
                is_tls: config.tls.is_some(),
            },
            surface: config.surface,
        })
    }

    /// Where it is, as clients write it.
    pub fn url(&self) -> String {
        let scheme = if self.listener.is_tls() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.listener.address())
    }

    /// Which transport of MCP it serves.
    pub fn surface(&self) -> Surface {
        self.surface
    }

    /// Where clients of MCP begin.
    pub fn mcp_url(&self) -> String {
        format!("{}{}", self.url(), self.surface.path())
    }

    /// For as long as this server takes to come into its cluster, says to everybody that it lives and is not
    /// ready. Whoever connects while that ends is answered by [`Self::serve`].
    pub async fn during<T>(&self, start: impl Future<Output = T>) -> T {
        let connections = Connections::new(connections_max());
        let router = waiting::router();
        self.listener.serve_during(router, connections, start).await
    }

    /// Begins to answer those who have access: MCP with `mcp`, the rest from `executions`.
    pub fn serve(self, executions: Executions, mcp: Router, access: Access) -> Serving {
        let most = connections_max();
        let connections = Connections::new(most);
        // Fewer than connections, so that there is always one that can make room.
        let places = limits::HTTP_REQUESTS_MAX.min(most.div_ceil(2));
        let room = Room::new(places, executions.sharing());
        let metrics = Metrics::new(executions.clone(), connections.clone());
        let layers = Layers {
            access,
            guard: self.guard,
            room,
            metrics,
        };
        let router = router(executions, mcp, layers);
        let close = CancellationToken::new();
        let task = tokio::spawn(self.listener.serve(router, connections, close.clone()));
        let renewal = CancellationToken::new();
        if let Some(tls) = self.tls {
            tokio::spawn(renewal.clone().run_until_cancelled_owned(tls.renew()));
        }
        Serving {
            task,
            close,
            _renewal: renewal.drop_guard(),
        }
    }
}

/// A server that answers.
#[derive(Debug)]
pub struct Serving {
    task: JoinHandle<()>,
    close: CancellationToken,
    _renewal: DropGuard,
}

impl Serving {
    /// Accepts nobody any more but those who wait already, and waits until all are answered, though not longer
    /// than [`limits::LAST_ANSWERS_WAIT_MAX`].
    pub async fn close(mut self) {
        self.close.cancel();
        let closed = timeout(limits::LAST_ANSWERS_WAIT_MAX, &mut self.task).await;
        if closed.is_err() {
            tracing::warn!("some clients do not take their last answers: they are left");
            self.task.abort();
        }
    }
}

/// What stands before the routes.
struct Layers {
    access: Access,
    guard: Guard,
    room: Room,
    metrics: Metrics,
}

/// What is where.
fn router(executions: Executions, mcp: Router, layers: Layers) -> Router {
    let Layers {
        access,
        guard,
        room,
        metrics,
    } = layers;
    let cors = guard.cors();
    let guard = from_fn_with_state(Arc::new(guard), guard::check);
    let gate = Gate::new(access.clone(), executions.audit().clone());
    let entrance = Entrance::new(gate, executions.clone(), room);
    let figures = Router::new()
        .route("/metrics", get(metrics::show).with_state(metrics.clone()))
        .layer(from_fn(access::operators_only));
    let guarded = Router::new()
        .merge(figures)
        .merge(rest::router(executions.clone()))
        .merge(mcp)
        .method_not_allowed_fallback(async || HttpError::WrongMethod)
        .layer(from_fn_with_state(entrance, entrance::pass))
        .merge(metadata::router(&access))
        .layer(cors)
        .layer(guard.clone());
    Router::new()
        .merge(health::router(executions))
        // It holds nothing: whoever may call the API may have it, and says who he is when it calls.
        .merge(console::router().layer(guard))
        .merge(guarded)
        .layer(from_fn_with_state(metrics, metrics::count))
}
