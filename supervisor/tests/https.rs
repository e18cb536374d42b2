//! HTTP over TLS: the certificate, its replacement while the server runs, and files that are none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Home, PATIENCE, start};
use axum::Router;
use mcp_v8::http::{
    Access, AllowedHosts, AllowedOrigins, BindError, HttpConfig, Listening, Surface, TlsFiles,
};
use mcp_v8::limits;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

/// A certificate, and its key.
struct Identity {
    der: CertificateDer<'static>,
    certificate: String,
    key: String,
}

impl Identity {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            der: made.cert.der().clone(),
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn write(&self, files: &TlsFiles) {
        replace(&files.key, &self.key);
        replace(&files.certificate, &self.certificate);
    }
}

/// Renamed into place, as those who renew certificates do.
fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, path).unwrap();
}

fn files(home: &Home) -> TlsFiles {
    TlsFiles {
        certificate: home.directory.path().join("cert.pem"),
        key: home.directory.path().join("key.pem"),
    }
}

fn bind(files: TlsFiles) -> Result<Listening, BindError> {
    let here = Ipv4Addr::LOCALHOST;
    Listening::bind(&HttpConfig {
        address: SocketAddr::from((here, 0)),
        surface: Surface::Streamable,
        hosts: AllowedHosts::new(here.into(), Vec::new()),
        origins: AllowedOrigins::default(),
        tls: Some(files),
        auth: None,
        shutdown_grace: Duration::ZERO,
    })
}

/// Gets `/healthz` from a server that must have one of these certificates: the answer, and whether it
/// is the last of them.
async fn get(url: &str, trusted: &[&Identity]) -> (String, bool) {
    let mut roots = RootCertStore::empty();
    for identity in trusted {
        roots.add(identity.der.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(url.strip_prefix("https://").unwrap())
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    let is_last = trusted.last().is_some_and(|last| last.der == shown[0]);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    (answer, is_last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_served_and_replaced_while_the_server_runs() {
    let home = Home::new();
    let files = files(&home);
    let [first, second, third] = [Identity::new(), Identity::new(), Identity::new()];
    first.write(&files);
    let listening = bind(files.clone()).unwrap();
    let url = listening.url();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert_eq!(listening.mcp_url(), format!("{url}/mcp"));
    let executions = start(home.config()).await;
    let serving = listening.serve(executions.whole.clone(), Router::new(), Access::Everybody);
    let (answer, _) = get(&url, &[&first]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    second.write(&files);
    let began = Instant::now();
    while !get(&url, &[&first, &second]).await.1 {
        assert!(began.elapsed() < PATIENCE, "it is never served");
        sleep(Duration::from_millis(50)).await;
    }

    // Half a renewal and a file that is missing leave what there is.
    for broken in [Some(third.key.as_str()), None] {
        match broken {
            Some(text) => replace(&files.key, text),
            None => std::fs::remove_file(&files.key).unwrap(),
        }
        let until = Instant::now() + limits::TLS_LOOK_INTERVAL + Duration::from_millis(500);
        while Instant::now() < until {
            assert!(get(&url, &[&second]).await.1);
            sleep(Duration::from_millis(200)).await;
        }
    }
    third.write(&files);
    let began = Instant::now();
    while !get(&url, &[&second, &third]).await.1 {
        assert!(began.elapsed() < PATIENCE, "it is never served");
        sleep(Duration::from_millis(50)).await;
    }
    executions.shut_down().await;
    serving.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_tls_is_not_answered() {
    let home = Home::new();
    let files = files(&home);
    Identity::new().write(&files);
    let listening = bind(files).unwrap();
    let address = listening.url().strip_prefix("https://").unwrap().to_owned();
    let executions = start(home.config()).await;
    let serving = listening.serve(executions.whole.clone(), Router::new(), Access::Everybody);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // An alert, or nothing: it may also be cut.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    executions.shut_down().await;
    serving.close().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_anything_starts() {
    let home = Home::new();
    let files = files(&home);
    let [one, other] = [Identity::new(), Identity::new()];
    let refused = || bind(files.clone()).unwrap_err().to_string();
    let (certificate, key) = (files.certificate.display(), files.key.display());

    let text = refused();
    assert!(
        text.contains(&format!("the certificate {certificate} cannot be read")),
        "{text}"
    );
    replace(&files.certificate, &one.certificate);
    let text = refused();
    assert!(
        text.contains(&format!("the private key {key} cannot be read")),
        "{text}"
    );
    for none in ["", "nonsense", &one.certificate] {
        replace(&files.key, none);
        let text = refused();
        assert!(
            text.contains(&format!("the private key {key} cannot be read")),
            "{text}"
        );
    }
    replace(&files.key, &other.key);
    let text = refused();
    assert!(
        text.contains(&format!("{certificate} and {key} cannot be used together")),
        "{text}"
    );
    replace(&files.key, &one.key);
    for none in ["", "nonsense", &one.key] {
        replace(&files.certificate, none);
        let text = refused();
        assert!(
            text.contains(&format!("there is no certificate in {certificate}")),
            "{text}"
        );
    }
    replace(&files.certificate, &one.certificate);
    bind(files.clone()).unwrap();
}
