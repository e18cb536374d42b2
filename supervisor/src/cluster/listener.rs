//! The socket on which other nodes are heard, and what becomes of each connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::desk::Desk;
use super::pace::Pace;
use super::routes;
use super::seats::{Seat, Seats};
use super::socket;
use super::trust::Credentials;
use super::trust::tls::Names;
use crate::inbound;
use crate::limits::{
    PEER_ACCEPT_PAUSE, PEER_HEAD_BYTES_MAX, PEER_HEAD_WAIT_MAX, PEER_TLS_WAIT_MAX,
};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 256;

/// The socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = inbound::listen(address, BACKLOG)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers other nodes until `close` is cancelled. Connections are cut then: what was on its way is
    /// sent again.
    pub(super) async fn serve(self, desk: Arc<Desk>, close: CancellationToken) {
        let mut pace = Pace::default();
        let seats = Seats::new(desk.figures.connections.clone());
        let router = routes::router(Arc::clone(&desk));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = close.cancelled() => break,
            };
            let stream = match accepted {
                Ok((stream, from)) if pace.admits(from.ip(), Instant::now()) => stream,
                Ok(_) => {
                    desk.figures.hurried.inc();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection of a node could not be accepted");
                    sleep(PEER_ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = Connection {
                desk: Arc::clone(&desk),
                router: router.clone(),
                seat: seats.enter(),
            };
            let close = close.clone();
            tasks.spawn(async move { close.run_until_cancelled(connection.run(stream)).await });
        }
        drop(self.socket);
        tasks.close();
        tasks.wait().await;
    }
}

/// What a connection needs.
struct Connection {
    desk: Arc<Desk>,
    router: Router,
    seat: Seat,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        if let Err(error) = socket::prepare_accepted(&stream) {
            tracing::debug!(%error, "a connection of a node could not be prepared");
        }
        tokio::select! {
            () = self.seat.asked_to_leave() => {}
            () = self.answer(stream) => {}
        }
    }

    async fn answer(&self, stream: TcpStream) {
        let Credentials::Tls(store) = &self.desk.local.credentials else {
            return self.converse(stream, None).await;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&store.current().server));
        match timeout(PEER_TLS_WAIT_MAX, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let names = Names::of(stream.get_ref().1.peer_certificates());
                self.converse(stream, Some(names)).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "somebody did not agree on TLS"),
            Err(_) => tracing::debug!("somebody took too long to agree on TLS"),
        }
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, names: Option<Names>) {
        let service = service_fn(|mut request: Request<Incoming>| {
            let extensions = request.extensions_mut();
            extensions.insert(self.seat.clone());
            if let Some(names) = &names {
                extensions.insert(names.clone());
            }
            self.router.clone().oneshot(request.map(Body::new))
        });
        let conversation = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PEER_HEAD_WAIT_MAX)
            .max_buf_size(PEER_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = conversation.await {
            tracing::debug!(%error, "a connection of a node broke");
        }
    }
}
