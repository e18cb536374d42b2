//! Connections to the addresses that a request may go to, and to no other.
//!
//! A name is looked up once for each connection, and what is connected to is what was looked at:
//! another answer a moment later changes nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tower::Service;

use super::address::Reach;
use super::leash::Leash;
use crate::limits::{
    FETCH_ADDRESSES_AT_ONCE_MAX, FETCH_ADDRESSES_MAX, FETCH_NEXT_ADDRESS_WAIT, FETCH_STALL_MAX,
};

/// Who knows the addresses of names.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// All addresses of a name, the best first.
    ///
    /// # Errors
    /// When they cannot be had.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error("DNS does not know the name, or does not answer")]
    NoName,
    #[error("it has only private or special addresses, where this request may not go")]
    Special,
    #[error("the connection was refused")]
    Refused,
    #[error("the network cannot reach it")]
    NoRoute,
    #[error("no connection can be made: {0}")]
    Other(io::ErrorKind),
    #[error("the server makes no more connections")]
    Closed,
}

/// Makes connections of TCP.
#[derive(Debug, Clone)]
pub(super) struct Tcp {
    pub(super) reach: Reach,
    pub(super) resolver: Arc<dyn Resolver>,
    /// Names that are looked up at once for its tenant.
    pub(super) lookups: Arc<Semaphore>,
    /// And for all: they take threads that all of the server needs.
    pub(super) lookups_of_all: Arc<Semaphore>,
    /// Connections that there are at once.
    pub(super) connections: Arc<Semaphore>,
}

impl Tcp {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Wire>, Unreachable> {
        let host = uri.host().unwrap_or_default();
        let port = match (uri.port_u16(), uri.scheme_str()) {
            (Some(port), _) => port,
            (None, Some("https")) => 443,
            (None, _) => 80,
        };
        let addresses = match literal(host) {
            Some(address) => vec![address],
            None => self.look_up(host.to_owned()).await?,
        };
        let allowed: Vec<_> = (addresses.into_iter())
            .filter(|address| self.reach.covers(*address))
            .take(FETCH_ADDRESSES_MAX)
            .map(|address| SocketAddr::new(address, port))
            .collect();
        if allowed.is_empty() {
            return Err(Unreachable::Special);
        }
        let place = self.connections.acquire_owned().await;
        let place = place.map_err(|_| Unreachable::Closed)?;
        let stream = first_of(allowed).await.map_err(|error| explain(&error))?;
        if self.reach == Reach::Public && is_to_this_machine(&stream) {
            return Err(Unreachable::Special);
        }
        // Small pieces go at once.
        let _ = stream.set_nodelay(true);
        Ok(TokioIo::new(Wire {
            stream,
            stall: None,
            leash: Leash::default(),
            _place: place,
        }))
    }

    /// A lookup goes on when nobody waits for it any more: the system's cannot be stopped, and so it
    /// keeps its turn.
    async fn look_up(&self, name: String) -> Result<Vec<IpAddr>, Unreachable> {
        let turn = Arc::clone(&self.lookups).acquire_owned().await;
        let turn = turn.map_err(|_| Unreachable::Closed)?;
        let turn_of_all = Arc::clone(&self.lookups_of_all).acquire_owned().await;
        let turn_of_all = turn_of_all.map_err(|_| Unreachable::Closed)?;
        let resolver = Arc::clone(&self.resolver);
        let found = tokio::spawn(async move {
            let _turns = (turn, turn_of_all);
            resolver.addresses(&name).await
        });
        match found.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(_) | Err(_) => Err(Unreachable::NoName),
        }
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<Wire>;
    type Error = Unreachable;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

/// The first of these that takes the connection. One that is slow has the next one beside it.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut tried = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        // Each has a descriptor.
        if tried.len() < FETCH_ADDRESSES_AT_ONCE_MAX {
            match waiting.next() {
                Some(address) => tried.push(TcpStream::connect(address)),
                None if tried.is_empty() => return Err(last),
                None => {}
            }
        }
        let is_next = waiting.len() > 0 && tried.len() < FETCH_ADDRESSES_AT_ONCE_MAX;
        tokio::select! {
            Some(done) = tried.next() => match done {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = sleep(FETCH_NEXT_ADDRESS_WAIT), if is_next => {}
        }
    }
}

/// Whether it leads back here, under an address that is no special one by itself.
fn is_to_this_machine(stream: &TcpStream) -> bool {
    match (stream.peer_addr(), stream.local_addr()) {
        (Ok(peer), Ok(local)) => peer.ip() == local.ip(),
        (Err(_), _) | (_, Err(_)) => true,
    }
}

fn explain(error: &io::Error) -> Unreachable {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Unreachable::Refused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Unreachable::NoRoute,
        other => Unreachable::Other(other),
    }
}

/// A connection, and its place among all.
///
/// TLS and HTTP wait for the other end before they let go of a connection. One that takes nothing breaks
/// it after a while, whoever still waits.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    /// Until when something must be taken of what is to be written.
    stall: Option<Pin<Box<Sleep>>>,
    leash: Leash,
    _place: OwnedSemaphorePermit,
}

impl Connection for Wire {
    /// Nothing is told of its addresses.
    fn connected(&self) -> Connected {
        Connected::new().extra(self.leash.clone())
    }
}

impl Wire {
    /// What became of a write, which has its time.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.leash.set_blocked(done.is_pending());
        if done.is_ready() {
            self.stall = None;
            return done;
        }
        let stall = (self.stall).get_or_insert_with(|| Box::pin(sleep(FETCH_STALL_MAX)));
        match stall.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.leash.hold(context)?;
        Pin::new(&mut self.stream).poll_read(context, room)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.leash.hold(context)?;
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.leash.hold(context)?;
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.in_time(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_address_is_known_without_a_lookup() {
        assert_eq!(literal("127.0.0.1"), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(literal("[::1]"), Some("::1".parse().unwrap()));
        assert_eq!(literal("example.com"), None);
        assert_eq!(literal("127.1"), None);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_stop_the_next() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = closed.local_addr().unwrap();
        drop(closed);
        let taking = open.local_addr().unwrap();
        let stream = first_of(vec![refusing, taking]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), taking);
        let error = first_of(vec![refusing]).await.unwrap_err();
        assert!(matches!(explain(&error), Unreachable::Refused));
    }

    #[tokio::test]
    async fn an_address_of_this_machine_is_known_by_the_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = first_of(vec![listener.local_addr().unwrap()]).await;
        assert!(is_to_this_machine(&stream.unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_nothing_breaks_its_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let places = Arc::new(Semaphore::new(1));
        let mut wire = Wire {
            stream: stream.unwrap(),
            stall: None,
            leash: Leash::default(),
            _place: Arc::clone(&places).try_acquire_owned().unwrap(),
        };
        let (_unread, _) = listener.accept().await.unwrap();
        let piece = vec![0; 1 << 20];
        let mut written = Ok(());
        for _ in 0..64 {
            written = tokio::io::AsyncWriteExt::write_all(&mut wire, &piece).await;
            if written.is_err() {
                break;
            }
        }
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(wire);
        assert_eq!(places.available_permits(), 1);
    }
}
