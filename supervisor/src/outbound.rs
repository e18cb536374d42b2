//! What all clients of other servers share (those of S3, of the operator's servers, of scripts): whom they
//! trust, TLS, connections, and what is said when these fail.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

/// Who asks.
pub(crate) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mcp-v8/", env!("CARGO_PKG_VERSION")));

/// Sends whole requests over kept connections. Clones are cheap and share them.
pub(crate) type PlainClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// How long a client waits for a connection, and keeps one that is not used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) connect: Duration,
    pub(crate) idle: Duration,
}

/// What names other authorities than the system's.
const NAMING_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Whom the system trusts, or who is in the file that `SSL_CERT_FILE` names. A system that has nobody, as a
/// container without files, is lent those of Mozilla that this program was built with.
///
/// # Errors
/// Why there is nobody, in the system's words, where others were named.
pub(crate) fn system_authorities() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    if !authorities.is_empty() {
        return Ok(authorities);
    }
    // Whoever named some wants no others.
    let is_named = |name: &&str| std::env::var_os(name).is_some();
    if NAMING_VARIABLES.iter().any(is_named) {
        let why = found.errors.first().map(ToString::to_string);
        return Err(why.unwrap_or_else(|| "there are none".to_owned()));
    }
    Ok(bundled_authorities())
}

fn bundled_authorities() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// TLS that believes these authorities.
///
/// # Errors
/// When the versions of TLS are not to be had.
pub(crate) fn trusting(authorities: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth())
}

/// A client of servers that the operator named, over HTTP/1.1.
pub(crate) fn plain_client(tls: ClientConfig, patience: Patience) -> PlainClient {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(patience.connect));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(patience.idle)
        .build(connector)
}

/// An error with what caused it: hyper's say only where they come from.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_authorities_is_lent_some() {
        assert!(bundled_authorities().len() > 50);
    }
}
