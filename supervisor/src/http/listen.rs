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
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::connections::{Connections, Seat};
use super::peer::Peer;
use super::refusal::last;
use crate::inbound::{self, Held};
use crate::limits;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4096;
/// How many are accepted at the end before those that are there already get a turn.
const ACCEPTED_AT_ONCE: u32 = 64;

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

    /// Answers everybody with `router`. When `close` is cancelled the last ones are accepted who wait at the socket,
    /// and connections are closed with their next answer; it returns when all are.
    pub(super) async fn serve(
        self,
        router: Router,
        connections: Connections,
        close: CancellationToken,
    ) {
        let office = Office::new(router, connections, self.tls);
        tokio::select! {
            biased;
            () = close.cancelled() => {}
            never = office.accept(&self.socket) => match never {},
        }
        if let Err(error) = office.accept_last(self.socket).await {
            tracing::warn!(%error, "the last connections could not be accepted");
        }
        // Whoever is told only now that his connection ends comes to a closed door, and not into the queue of a
        // socket that is about to go.
        office.hang_up.cancel();
        office.tasks.close();
        office.tasks.wait().await;
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
        let office = Office::new(router, connections, self.tls.clone());
        tokio::select! {
            never = office.accept(&self.socket) => match never {},
            done = work => done,
        }
    }
}

/// What those who come are given.
struct Office {
    router: Router,
    connections: Connections,
    tls: Option<Arc<ServerConfig>>,
    tasks: TaskTracker,
    /// No connection is kept any more.
    hang_up: CancellationToken,
}

impl Office {
    fn new(router: Router, connections: Connections, tls: Option<Arc<ServerConfig>>) -> Self {
        Self {
            router,
            connections,
            tls,
            tasks: TaskTracker::new(),
            hang_up: CancellationToken::new(),
        }
    }

    async fn accept(&self, socket: &TcpListener) -> Infallible {
        loop {
            match socket.accept().await {
                Ok((stream, address)) => self.admit(stream, address),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.connections.make_room();
                    sleep(limits::HTTP_ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Accepts those who wait at the socket, as many as may, and closes it. They may have asked already: to close it
    /// under them would leave them without an answer, which is left to those who come between the last look and
    /// the close.
    async fn accept_last(&self, socket: TcpListener) -> io::Result<()> {
        let socket = socket.into_std()?;
        for count in 1..=BACKLOG {
            match socket.accept() {
                Ok((stream, address)) => {
                    stream.set_nonblocking(true)?;
                    self.admit(TcpStream::from_std(stream)?, address);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            // Where connections make room for others, they have to come to it.
            if count.is_multiple_of(ACCEPTED_AT_ONCE) {
                yield_now().await;
            }
        }
        Ok(())
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let Some(seat) = self.connections.enter() else {
            tracing::warn!("a connection was turned away: as many as are allowed are answered");
            return;
        };
        let connection = Connection {
            router: self.router.clone(),
            tls: self.tls.clone(),
            hang_up: self.hang_up.clone(),
            peer: Peer::from(address.ip()),
        };
        self.tasks.spawn(connection.run(stream, seat));
    }
}

/// What a connection needs.
struct Connection {
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    hang_up: CancellationToken,
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
            biased;
            agreed = timeout(limits::TLS_HANDSHAKE_WAIT_MAX, acceptor.accept(stream)) => agreed,
            () = self.last_request() => return,
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
                let response = answer.await?.map(|body| Held::new(body, busy));
                Ok::<_, Infallible>(match self.hang_up.is_cancelled() {
                    true => last(response),
                    false => response,
                })
            }
        });
        let conversation = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HTTP_HEAD_WAIT_MAX)
            .max_buf_size(limits::HTTP_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut conversation = std::pin::pin!(conversation);
        // What has come is looked at before the connection is closed.
        let ended = tokio::select! {
            biased;
            ended = &mut conversation => ended,
            () = self.last_request() => {
                conversation.as_mut().graceful_shutdown();
                conversation.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }

    /// Waits until connections are not kept any more, and for a request that may come soon after: whoever asks while
    /// his connection is closed cannot know whether he was heard, and that one's answer says that it closes.
    async fn last_request(&self) {
        self.hang_up.cancelled().await;
        sleep(limits::HTTP_LAST_REQUEST_WAIT).await;
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    /// A server, who comes to it, and what ends it.
    struct Sample {
        listener: Listener,
        close: CancellationToken,
    }

    impl Sample {
        fn new() -> Self {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            Self {
                listener: Listener::bind(address, None).unwrap(),
                close: CancellationToken::new(),
            }
        }

        async fn client(&self) -> TcpStream {
            TcpStream::connect(self.listener.address()).await.unwrap()
        }

        async fn serve(self) {
            let router = Router::new().route("/", get(async || "here"));
            let connections = Connections::new(64);
            self.listener.serve(router, connections, self.close).await;
        }
    }

    async fn ask(client: &mut TcpStream) -> String {
        client.write_all(REQUEST).await.unwrap();
        answer(client).await
    }

    async fn answer(client: &mut TcpStream) -> String {
        let mut answer = String::new();
        while !answer.ends_with("here") {
            let mut bytes = [0; 1024];
            let read = client.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "closed after {answer}");
            answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        answer
    }

    #[tokio::test]
    async fn who_waits_at_the_socket_when_it_closes_is_answered() {
        let sample = Sample::new();
        let mut clients = Vec::new();
        for _ in 0..ACCEPTED_AT_ONCE / 2 {
            let mut client = sample.client().await;
            client.write_all(REQUEST).await.unwrap();
            clients.push(client);
        }
        sample.close.cancel();
        let serving = tokio::spawn(sample.serve());
        for client in &mut clients {
            assert!(answer(client).await.contains("connection: close"));
        }
        serving.await.unwrap();
    }

    /// A client that has been answered and keeps its connection, what ends the server, and its end.
    async fn answered() -> (TcpStream, CancellationToken, JoinHandle<()>) {
        let sample = Sample::new();
        let (mut client, close) = (sample.client().await, sample.close.clone());
        let serving = tokio::spawn(sample.serve());
        assert!(!ask(&mut client).await.contains("connection: close"));
        (client, close, serving)
    }

    #[tokio::test]
    async fn a_connection_closes_with_its_next_answer() {
        let (mut client, close, serving) = answered().await;
        close.cancel();
        // The server hears of it first.
        sleep(limits::HTTP_LAST_REQUEST_WAIT / 5).await;
        assert!(ask(&mut client).await.contains("connection: close"));
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_without_a_request_closes_after_a_while() {
        let (mut client, close, serving) = answered().await;
        close.cancel();
        let begin = Instant::now();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert!(begin.elapsed() >= limits::HTTP_LAST_REQUEST_WAIT);
        serving.await.unwrap();
    }
}
