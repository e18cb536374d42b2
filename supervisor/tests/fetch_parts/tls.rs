//! HTTP over TLS, in both versions.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mcp_v8_protocol::fetch::RequestBody;
use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tracing_subscriber::filter::LevelFilter;

use super::client::{World, get, header, post};
use super::servers::{Server, listen};

pub(crate) fn identity(name: &str) -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed([name.to_owned()]).unwrap()
}

pub(crate) fn trusting(identity: &CertifiedKey<KeyPair>) -> World {
    let certificate: CertificateDer<'static> = identity.cert.der().clone();
    World::with(|network| network.authorities.add(certificate).unwrap())
}

/// What there is at `/large`.
const LARGE_BYTES: usize = 4 << 20;

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let version = format!("{:?}", request.version());
    let length = request.headers().get("content-length").cloned();
    let is_large = request.uri().path() == "/large";
    let body = match is_large {
        true => vec![2; LARGE_BYTES].into(),
        false => request.into_body().collect().await.unwrap().to_bytes(),
    };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert("x-version", version.parse().unwrap());
    if let Some(length) = length {
        headers.insert("x-length", length);
    }
    Ok(response)
}

/// Speaks TLS, and one of these protocols above it.
pub(crate) fn acceptor(identity: &CertifiedKey<KeyPair>, protocols: &[&str]) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) async fn secure(identity: &CertifiedKey<KeyPair>, protocols: &[&str]) -> Server {
    let acceptor = acceptor(identity, protocols);
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server
                .serve_connection(TokioIo::new(stream), service_fn(echo))
                .await;
        }
    })
    .await
}

pub(crate) fn https(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/", server.address.port())
}

#[tokio::test]
async fn both_versions_are_spoken_over_tls_and_bodies_go_over_the_first() {
    let identity = identity("good.test");
    for (protocols, version) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let server = secure(&identity, protocols).await;
        let world = trusting(&identity);
        let mut worker = world.worker();
        let url = https(&server, "good.test");
        for _ in 0..3 {
            let (response, body) = worker.fetch(get(url.as_str())).await.unwrap();
            assert!(body.is_empty());
            assert_eq!(header(&response, "x-version"), Some(version));
        }
        for _ in 0..3 {
            let request = post(url.as_str(), RequestBody::Stream { length: Some(4) });
            let pieces = vec![b"ab".to_vec(), b"cd".to_vec()];
            let (response, body) = worker.upload(request, pieces).await.unwrap();
            assert_eq!(body, b"abcd");
            assert_eq!(header(&response, "x-version"), Some("HTTP/1.1"));
            assert_eq!(header(&response, "x-length"), Some("4"));
        }
        // Those with a body have connections of their own.
        assert_eq!(server.connections(), 2, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_passes_both_ways_over_tls() {
    let identity = identity("good.test");
    let server = secure(&identity, &["h2", "http/1.1"]).await;
    let world = trusting(&identity);
    let request = post(
        https(&server, "good.test"),
        RequestBody::Stream { length: None },
    );
    let pieces: Vec<_> = (0..160u8).map(|n| vec![n; 64 << 10]).collect();
    let whole = pieces.concat();
    let (_, body) = world.worker().upload(request, pieces).await.unwrap();
    assert!(body == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_never_read_hold_up_nobody_on_their_connection() {
    let identity = identity("good.test");
    let server = secure(&identity, &["h2"]).await;
    let world = trusting(&identity);
    let mut unread = world.worker();
    let url = format!("{}large", https(&server, "good.test"));
    for _ in 0..31 {
        let id = unread.open(get(url.as_str()));
        unread.head(id).await.unwrap();
    }
    let (_, body) = world.worker().fetch(get(url)).await.unwrap();
    assert_eq!(body.len(), LARGE_BYTES);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn no_log_names_what_was_injected() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::DEBUG)
        .with_writer(move || Lines(Arc::clone(&lines)))
        .finish();
    // One thread runs all of it, this server's half too.
    let _guard = tracing::subscriber::set_default(subscriber);
    let identity = identity("good.test");
    for protocol in ["h2", "http/1.1"] {
        let server = secure(&identity, &[protocol]).await;
        let world = trusting(&identity);
        world.book().injected = vec![("good.test", "authorization", "canary")];
        let url = https(&server, "good.test");
        world.worker().fetch(get(url)).await.unwrap();
    }
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains("h2") && !log.contains("canary"), "{log}");
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn certificates_that_are_not_believed_fail_the_request() {
    let [good, other] = ["good.test", "other.test"].map(identity);
    let unknown = secure(&other, &["h2"]).await;
    let known = secure(&good, &["h2"]).await;
    let world = trusting(&good);
    let mut worker = world.worker();
    let why = worker
        .fetch(get(https(&unknown, "other.test")))
        .await
        .unwrap_err();
    assert!(
        why.contains("TLS failed: invalid peer certificate"),
        "{why}"
    );
    let why = worker
        .fetch(get(https(&known, "wrong.test")))
        .await
        .unwrap_err();
    assert!(
        why.contains("TLS failed: invalid peer certificate"),
        "{why}"
    );
    worker.fetch(get(https(&known, "good.test"))).await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_fails_the_request() {
    let world = World::new();
    let hangs_up = listen(|stream| async move { drop(stream) }).await;
    let talks = listen(|mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = stream.write_all(b"220 mail.test ESMTP\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    for server in [hangs_up, talks] {
        let why = world.failure(https(&server, "a.test")).await;
        assert!(why.contains("TLS failed"), "{why}");
    }
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let silent = listen(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let wait = std::time::Duration::from_millis(300);
    let world = World::bounded(|bounds| bounds.connect_wait = wait);
    let why = world.failure(https(&silent, "a.test")).await;
    assert!(
        why.contains("there was no connection within 0.3 s"),
        "{why}"
    );
}
