//! The socket that is listened on, and what becomes of each connection.
//!
//! Only HTTP/1.1 is spoken: whoever wants HTTP/2 puts a proxy in front, which clients of MCP do not need.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{SndBuf, TcpUserTimeout};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::connections::{Connections, Seat};
use super::peer::Peer;
use crate::inbound::{self, Held};
use crate::limits;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4096;

/// A socket that is listened on; nobody is answered yet.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let socket = inbound::listen(address, BACKLOG)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            tls,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Answers everybody with `router`. When `close` is cancelled nobody is accepted any more, and
    /// connections are closed as soon as they have been answered; it returns when all are.
    pub(super) async fn serve(
        self,
        router: Router,
        connections: Connections,
        close: CancellationToken,
    ) {
        let tasks = TaskTracker::new();
        tokio::select! {
            never = self.accept(&router, &connections, (&tasks, &close)) => match never {},
            () = close.cancelled() => {}
        }
        drop(self.socket);
        tasks.close();
        tasks.wait().await;
    }

    /// Answers everybody with `router`, whose answers close their connections, for as long as something takes.
    /// Those who come when it is done wait at the socket for who answers next, so that nobody is refused; who
    /// was let in before, and has not asked yet, is still answered.
    pub(super) async fn serve_during<T>(
        &self,
        router: Router,
        connections: Connections,
        work: impl Future<Output = T>,
    ) -> T {
        let (tasks, never_closed) = (TaskTracker::new(), CancellationToken::new());
        tokio::select! {
            never = self.accept(&router, &connections, (&tasks, &never_closed)) => match never {},
            done = work => done,
        }
    }

    async fn accept(
        &self,
        router: &Router,
        connections: &Connections,
        (tasks, close): (&TaskTracker, &CancellationToken),
    ) -> Infallible {
        loop {
            let (stream, peer) = match self.socket.accept().await {
                Ok((stream, address)) => (stream, Peer::from(address.ip())),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    connections.make_room();
                    sleep(limits::HTTP_ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(seat) = connections.enter() else {
                tracing::warn!("a connection was turned away: as many as are allowed are answered");
                continue;
            };
            let connection = Connection {
                router: router.clone(),
                tls: self.tls.clone(),
                close: close.clone(),
                peer,
            };
            tasks.spawn(connection.run(stream, seat));
        }
    }
}

/// What a connection needs.
struct Connection {
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    close: CancellationToken,
    peer: Peer,
}

impl Connection {
    async fn run(self, stream: TcpStream, seat: Seat) {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a connection could not be prepared");
        }
        tokio::select! {
            () = seat.asked_to_leave() => {}
            () = self.answer(stream, &seat) => {}
        }
    }

    async fn answer(&self, stream: TcpStream, seat: &Seat) {
        let Some(tls) = &self.tls else {
            return self.converse(stream, seat).await;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(tls));
        let agreed = tokio::select! {
            agreed = timeout(limits::TLS_HANDSHAKE_WAIT_MAX, acceptor.accept(stream)) => agreed,
            () = self.close.cancelled() => return,
        };
        match agreed {
            Ok(Ok(stream)) => self.converse(stream, seat).await,
            Ok(Err(error)) => tracing::debug!(%error, "a client did not agree on TLS"),
            Err(_) => tracing::debug!("a client took too long to agree on TLS"),
        }
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, seat: &Seat) {
        let service = service_fn(|mut request: Request<Incoming>| {
            let busy = seat.begin();
            request.extensions_mut().insert(self.peer);
            let answer = self.router.clone().oneshot(request.map(Body::new));
            async move {
                let response = answer.await?;
                Ok::<_, Infallible>(response.map(|body| Held::new(body, busy)))
            }
        });
        let conversation = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HTTP_HEAD_WAIT_MAX)
            .max_buf_size(limits::HTTP_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut conversation = std::pin::pin!(conversation);
        let ended = tokio::select! {
            ended = &mut conversation => ended,
            () = self.close.cancelled() => {
                conversation.as_mut().graceful_shutdown();
                conversation.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// Answers go out at once, and a client that does not take them is not waited for without end: also
/// where it takes nothing at all, or has gone without a word.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let unread = u32::try_from(limits::HTTP_UNREAD_WAIT_MAX.as_millis()).unwrap_or(u32::MAX);
    setsockopt(stream, TcpUserTimeout, &unread)?;
    setsockopt(stream, SndBuf, &limits::HTTP_SEND_BUFFER_BYTES)?;
    Ok(())
}

/// How many connections this process may have: it asks the kernel for as many descriptors as it can
/// get, and leaves a part of them to everything else.
pub(super) fn connections_max() -> usize {
    let descriptors = raise_descriptors().unwrap_or_else(|error| {
        tracing::debug!(%error, "the limit of descriptors could not be raised");
        let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        usize::try_from(soft).unwrap_or(usize::MAX)
    });
    (descriptors / limits::HTTP_DESCRIPTORS_PART).clamp(1, limits::HTTP_CONNECTIONS_MAX)
}

/// Asks the kernel for as many descriptors as this process may need; how many it has then.
///
/// # Errors
/// When the kernel refuses; there are as many as before.
pub fn raise_descriptors() -> nix::Result<usize> {
    let wanted = (limits::HTTP_CONNECTIONS_MAX * limits::HTTP_DESCRIPTORS_PART) as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = soft.max(wanted.min(hard));
    if raised > soft {
        setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
    }
    Ok(usize::try_from(raised).unwrap_or(usize::MAX))
}
