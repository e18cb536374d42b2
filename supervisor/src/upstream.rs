//! Questions to servers that the operator named (OPA, those that give tokens or keys): small ones, over
//! kept connections, bounded in time and size. Redirects are not followed.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use rustls::RootCertStore;
use tokio::time::timeout;
use url::Url;

use crate::limits;
use crate::outbound::{
    AGENT, Patience, PlainClient, causes, plain_client, system_authorities, trusting,
};

/// There is nothing to know servers by, or no TLS.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The system has no certificate authorities.
    #[error(
        "no certificate authority is known, so that no server can be reached over https ({why}); \
         install those of the system, or name a file of them with SSL_CERT_FILE"
    )]
    NoAuthorities {
        /// What the system said.
        why: String,
    },
    /// The versions of TLS are not to be had.
    #[error("TLS is not to be had: {0}")]
    Protocol(#[from] rustls::Error),
}

/// Why there is no answer. The text holds nothing of question or answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It took too long.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// The connection failed, or broke off.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// There is more than is read.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// What bounds a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The longest time from the question to the last byte of the answer.
    pub(crate) time: Duration,
    /// The largest answer.
    pub(crate) bytes: usize,
}

/// Connections to servers of the operator. Clones are cheap and share them.
#[derive(Clone)]
pub(crate) struct Upstream(PlainClient);

impl Upstream {
    /// `urls`: those that will be asked. Without one of https it does not matter whom the system trusts.
    pub(crate) fn new<'a>(urls: impl IntoIterator<Item = &'a Url>) -> Result<Self, UpstreamError> {
        let needs_tls = urls.into_iter().any(|url| url.scheme() == "https");
        let authorities = match needs_tls {
            true => system_authorities().map_err(|why| UpstreamError::NoAuthorities { why })?,
            false => RootCertStore::empty(),
        };
        let client = plain_client(
            trusting(authorities)?,
            Patience {
                connect: limits::UPSTREAM_CONNECT_TIMEOUT,
                idle: limits::UPSTREAM_IDLE_MAX,
            },
        );
        Ok(Self(client))
    }

    /// Posts, and reads the whole answer.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        self.ask(url, request, bounds).await
    }

    /// Gets, and reads the whole answer.
    pub(crate) async fn get(
        &self,
        url: &Url,
        headers: HeaderMap,
        bounds: Bounds,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let mut request = Request::new(Full::default());
        *request.headers_mut() = headers;
        self.ask(url, request, bounds).await
    }

    async fn ask(
        &self,
        url: &Url,
        request: Request<Full<Bytes>>,
        bounds: Bounds,
    ) -> Result<(StatusCode, Bytes), AskError> {
        timeout(bounds.time, self.exchange(url, request, bounds.bytes))
            .await
            .unwrap_or(Err(AskError::Late(bounds.time)))
    }

    async fn exchange(
        &self,
        url: &Url,
        mut request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let unreachable = |error: &dyn std::error::Error| AskError::Unreachable(causes(error));
        let uri: Uri = url.as_str().parse().map_err(|error| unreachable(&error))?;
        *request.uri_mut() = uri;
        request.headers_mut().insert(USER_AGENT, AGENT);
        let answer = self.0.request(request).await;
        let (head, body) = answer.map_err(|error| unreachable(&error))?.into_parts();
        let body = Limited::new(body, bytes_max).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                AskError::TooLarge(bytes_max)
            } else {
                unreachable(&*error)
            }
        })?;
        Ok((head.status, body.to_bytes()))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}
