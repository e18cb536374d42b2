//! The HTTP client: hyper and the current rustls, which rusoto sends its requests with.

use std::collections::HashMap;
use std::fmt;
use std::io;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use rusoto_core::request::{DispatchSignedRequestFuture, HttpResponse};
use rusoto_core::signature::{SignedRequest, SignedRequestPayload};
use rusoto_core::{ByteStream, DispatchSignedRequest, HttpDispatchError};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use xml::reader::EventReader;

use super::settings::S3SettingsError;
use crate::heaps::config::AwsVariables;
use crate::limits::{S3_CONNECT_TIMEOUT, S3_IDLE_MAX, S3_XML_BYTES_MAX};
use crate::outbound::{
    AGENT, Patience, PlainClient, causes, plain_client, system_authorities, trusting,
};

const BUNDLE_VARIABLE: &str = "AWS_CA_BUNDLE";
/// The parameter that asks for a listing instead of an object.
const LISTING: &str = "list-type";

/// A client. Clones are cheap and share its connections.
#[derive(Clone)]
pub(super) struct HttpClient(PlainClient);

impl HttpClient {
    /// `needs_tls`: that there are no authorities is an error.
    pub(super) fn new(variables: &AwsVariables, needs_tls: bool) -> Result<Self, S3SettingsError> {
        let authorities = match variables.get(BUNDLE_VARIABLE) {
            Some(path) => bundle(path)?,
            None => native(needs_tls)?,
        };
        let tls = trusting(authorities).map_err(|error| S3SettingsError::NoAuthorities {
            why: error.to_string(),
        })?;
        let client = plain_client(
            tls,
            Patience {
                connect: S3_CONNECT_TIMEOUT,
                idle: S3_IDLE_MAX,
            },
        );
        Ok(Self(client))
    }

    /// Asks for something small.
    pub(super) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<(u16, Bytes), String> {
        let answer = self.0.request(request).await;
        let (head, body) = answer.map_err(|error| causes(&error))?.into_parts();
        let body = Limited::new(body, bytes_max).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        Ok((head.status.as_u16(), body.to_bytes()))
    }

    async fn send(self, signed: SignedRequest) -> Result<HttpResponse, String> {
        let is_object = signed.method() == "GET" && !signed.params.contains_key(LISTING);
        let request = convert(signed).await?;
        let answer = self.0.request(request).await;
        let (head, body) = answer.map_err(|error| causes(&error))?.into_parts();
        // Of headers that come twice the last one is kept; S3's come once.
        let headers: HashMap<String, String> = head
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let is_good = head.status.is_success();
        let body = if is_object && is_good {
            ByteStream::new(body.into_data_stream().map_err(io::Error::other))
        } else {
            let whole = Limited::new(body, S3_XML_BYTES_MAX).collect().await;
            let whole = whole.map_err(|error| error.to_string())?.to_bytes();
            ByteStream::from(readable_xml(&whole, is_good)?)
        };
        Ok(HttpResponse {
            status: (head.status.as_u16())
                .try_into()
                .map_err(|_| "a status out of range")?,
            headers: (&headers).try_into().map_err(|_| "headers that are none")?,
            body,
        })
    }
}

/// What rusoto may read: its readers of XML look for the end of an element for ever when it is not
/// there, and what looks is a thread that others wait for. So it gets only what the parser beneath it
/// reads to the end, and nothing in place of an error that is no XML.
fn readable_xml(body: &[u8], is_good: bool) -> Result<Vec<u8>, String> {
    let is_readable = EventReader::new(body)
        .into_iter()
        .all(|event| event.is_ok());
    match (is_readable, is_good) {
        (true, _) => Ok(body.to_vec()),
        (false, false) => Ok(Vec::new()),
        (false, true) if body.is_empty() => Ok(Vec::new()),
        (false, true) => Err("its answer makes no sense: it is no XML".to_owned()),
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
    headers.insert(USER_AGENT, AGENT);
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
    match system_authorities() {
        Err(why) if are_needed => Err(S3SettingsError::NoAuthorities { why }),
        found => Ok(found.unwrap_or_else(|_| RootCertStore::empty())),
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_xml_with_an_end_is_read() {
        let good = "<a><b>c</b></a>".as_bytes();
        for is_good in [true, false] {
            assert_eq!(readable_xml(good, is_good).as_deref(), Ok(good));
            assert_eq!(readable_xml(b"", is_good), Ok(Vec::new()));
        }
        for bad in [
            "<a><b>c</b>",
            "<a><b></a></b>",
            "<a>",
            "<a",
            "a",
            "<a/><b>",
            "<a>&x;</a>",
            "\0",
        ] {
            assert!(readable_xml(bad.as_bytes(), true).is_err(), "{bad}");
            assert_eq!(readable_xml(bad.as_bytes(), false), Ok(Vec::new()), "{bad}");
        }
    }
}
