//! The collector that traces are sent to, over this server's own connections.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;
use url::Url;

use crate::limits;
use crate::upstream::{AskError, Bounds, Upstream, UpstreamError};

const BOUNDS: Bounds = Bounds {
    time: limits::SPANS_WAIT_MAX,
    bytes: limits::SPANS_ANSWER_BYTES_MAX,
};

/// Sends what the exporter gives. The exporter has a thread of its own; connections belong to the
/// runtime.
pub(super) struct Collector {
    upstream: Upstream,
    url: Url,
    runtime: Handle,
    troubled: Mutex<Option<Instant>>,
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the server is shutting down")]
    Stopping,
}

impl Collector {
    pub(super) fn new(url: Url, runtime: Handle) -> Result<Self, UpstreamError> {
        Ok(Self {
            upstream: Upstream::new([&url])?,
            url,
            runtime,
            troubled: Mutex::default(),
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Untaken> {
        let (head, body) = request.into_parts();
        let (upstream, url) = (self.upstream.clone(), self.url.clone());
        let sending = async move { upstream.post(&url, head.headers, body, BOUNDS).await };
        let sent = self.runtime.spawn(sending).await;
        let (status, answer) = sent.map_err(|_| Untaken::Stopping)??;
        let mut response = Response::new(answer);
        *response.status_mut() = status;
        Ok(response)
    }

    /// Logs that spans are lost, now and then.
    fn complain(&self, why: &dyn fmt::Display) {
        let mut troubled = self.troubled();
        if troubled.is_some_and(|at| at.elapsed() < limits::SPANS_COMPLAINT_INTERVAL) {
            return;
        }
        *troubled = Some(Instant::now());
        tracing::warn!("the trace collector takes no spans, and they are lost: {why}");
    }

    fn content(&self) {
        if self.troubled().take().is_some() {
            tracing::info!("the trace collector takes spans again");
        }
    }

    fn troubled(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.send(request).await {
            Ok(response) => {
                if response.status().is_success() {
                    self.content();
                } else {
                    let status = response.status();
                    self.complain(&format_args!("it answered with status {status}"));
                }
                Ok(response)
            }
            Err(error) => {
                self.complain(&error);
                Err(error.into())
            }
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}
