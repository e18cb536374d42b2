//! A connector that never connects.
//!
//! `rusoto_core` compiles with a TLS of its own or not at all, and its choices are OpenSSL and a rustls
//! with known holes. This crate has the few names that it uses of the latter, so that neither comes into
//! the program. rusoto's own HTTP client, the only user of these names, is then one that refuses every
//! request.

use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::client::HttpConnector;
use hyper::service::Service;
use tokio::net::TcpStream;

/// Refuses to connect.
pub struct HttpsConnector<T>(PhantomData<fn() -> T>);

impl<T> Service<Uri> for HttpsConnector<T> {
    type Response = TcpStream;
    type Error = io::Error;
    type Future = Ready<io::Result<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this program does not use rusoto's own HTTP client",
        )))
    }
}

impl<T> Clone for HttpsConnector<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T> fmt::Debug for HttpsConnector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsConnector")
    }
}

/// Makes what refuses to connect, in the steps that rusoto_core takes.
#[derive(Debug, Default)]
pub struct HttpsConnectorBuilder(());

impl HttpsConnectorBuilder {
    /// The first step.
    pub fn new() -> Self {
        Self::default()
    }

    /// The second step; there are no roots.
    #[must_use]
    pub fn with_native_roots(self) -> Self {
        self
    }

    /// The third step.
    #[must_use]
    pub fn https_only(self) -> Self {
        self
    }

    /// The fourth step.
    #[must_use]
    pub fn enable_http2(self) -> Self {
        self
    }

    /// The last step.
    pub fn build(self) -> HttpsConnector<HttpConnector> {
        HttpsConnector(PhantomData)
    }
}
