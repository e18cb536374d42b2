//! The HTTP client: hyper and the current rustls, which rusoto sends its requests with.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rusoto_core::request::{DispatchSignedRequestFuture, HttpResponse};
use rusoto_core::signature::{SignedRequest, SignedRequestPayload};
use rusoto_core::{ByteStream, DispatchSignedRequest, HttpDispatchError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::settings::S3SettingsError;
use crate::heaps::config::AwsVariables;
use crate::limits::{S3_CONNECT_TIMEOUT, S3_IDLE_MAX, SEALED_HEAP_BYTES_MAX};

const AGENT: &str = concat!("mcp-v8/", env!("CARGO_PKG_VERSION"));
const BUNDLE_VARIABLE: &str = "AWS_CA_BUNDLE";

/// A client. Clones are cheap and share its connections.
#[derive(Clone)]
pub(super) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    /// `needs_tls`: that there are no authorities is an error.
    pub(super) fn new(variables: &AwsVariables, needs_tls: bool) -> Result<Self, S3SettingsError> {
        let authorities = match variables.get(BUNDLE_VARIABLE) {
            Some(path) => bundle(path)?,
            None => native(needs_tls)?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| S3SettingsError::NoAuthorities {
                why: error.to_string(),
            })?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(S3_CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(S3_IDLE_MAX)
            .build(connector);
        Ok(Self(client))
    }

    /// Asks for something small.
    pub(super) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<(u16, Bytes), String> {
        let answer = self.0.request(request).await;
        let (head, body) = answer.map_err(|error| whole_error(&error))?.into_parts();
        let body = Limited::new(body, bytes_max).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        Ok((head.status.as_u16(), body.to_bytes()))
    }

    async fn send(self, signed: SignedRequest) -> Result<HttpResponse, String> {
        let request = convert(signed).await?;
        let answer = self.0.request(request).await;
        let (head, body) = answer.map_err(|error| whole_error(&error))?.into_parts();
        // Of headers that come twice the last one is kept; S3's come once.
        let headers: HashMap<String, String> = head
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        // rusoto reads errors and listings to their end, however long they are.
        let body = Limited::new(body, SEALED_HEAP_BYTES_MAX + 1)
            .into_data_stream()
            .map_err(io::Error::other);
        Ok(HttpResponse {
            status: (head.status.as_u16())
                .try_into()
                .map_err(|_| "a status out of range")?,
            headers: (&headers).try_into().map_err(|_| "headers that are none")?,
            body: ByteStream::new(body),
        })
    }
}

impl DispatchSignedRequest for HttpClient {
    /// Whoever asks limits the time of the whole.
    fn dispatch(
        &self,
        request: SignedRequest,
        _timeout: Option<std::time::Duration>,
    ) -> DispatchSignedRequestFuture {
        let client = self.clone();
        Box::pin(async move { client.send(request).await.map_err(HttpDispatchError::new) })
    }
}

/// rusoto's request in the types of the current hyper.
async fn convert(signed: SignedRequest) -> Result<Request<Full<Bytes>>, String> {
    let query = signed.canonical_query_string();
    let mut url = format!(
        "{}://{}{}",
        signed.scheme(),
        signed.hostname(),
        signed.canonical_path()
    );
    if !query.is_empty() {
        url.push('?');
        url.push_str(query);
    }
    let malformed = |error: &dyn fmt::Display| format!("a request cannot be made: {error}");
    let mut request = Request::new(Full::default());
    *request.method_mut() =
        Method::from_bytes(signed.method().as_bytes()).map_err(|error| malformed(&error))?;
    *request.uri_mut() = url.parse::<Uri>().map_err(|error| malformed(&error))?;
    for (name, values) in signed.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| malformed(&error))?;
        for value in values {
            let value = HeaderValue::from_bytes(value).map_err(|error| malformed(&error))?;
            request.headers_mut().append(name.clone(), value);
        }
    }
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let body = match signed.payload {
        None => Bytes::new(),
        Some(SignedRequestPayload::Buffer(bytes)) => bytes,
        Some(SignedRequestPayload::Stream(stream)) => {
            let parts: Vec<Bytes> = stream
                .try_collect()
                .await
                .map_err(|error| malformed(&error))?;
            match parts.as_slice() {
                [whole] => whole.clone(),
                parts => parts.concat().into(),
            }
        }
    };
    *request.body_mut() = Full::new(body);
    Ok(request)
}

/// An error with what caused it: hyper's say only where they come from.
fn whole_error(error: &dyn std::error::Error) -> String {
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

fn bundle(path: &str) -> Result<RootCertStore, S3SettingsError> {
    let bad = |why: String| S3SettingsError::Bundle {
        path: path.to_owned(),
        why,
    };
    let mut authorities = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        let added = authorities.add(certificate);
        added.map_err(|error| bad(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(bad("there are none in it".to_owned()));
    }
    Ok(authorities)
}

fn native(are_needed: bool) -> Result<RootCertStore, S3SettingsError> {
    let mut authorities = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    authorities.add_parsable_certificates(found.certs);
    if authorities.is_empty() && are_needed {
        let why = match found.errors.first() {
            Some(error) => error.to_string(),
            None => "there are none".to_owned(),
        };
        return Err(S3SettingsError::NoAuthorities { why });
    }
    Ok(authorities)
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}
