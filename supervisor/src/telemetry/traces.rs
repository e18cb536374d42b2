//! Traces, sent to a collector over OTLP (protobuf over HTTP).
//!
//! Spans that are finished go into a queue of bounded length, and a thread sends them. Where the
//! collector is slow or away, the queue fills and spans are dropped: nobody waits for them.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::collector::Collector;
use super::{LOGGED, TRACED};
use crate::limits;
use crate::upstream::UpstreamError;

/// Where collectors listen, below their address.
const PATH: &str = "v1/traces";

/// The name of this service, unless `OTEL_SERVICE_NAME` says another.
const SERVICE: &str = "mcp-v8";

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceOptions {
    /// The collector.
    pub endpoint: Url,
    /// The file with headers for it.
    pub headers_file: Option<PathBuf>,
    /// The part of traces that is sent, of those that no caller has decided on: 0 to 1.
    pub sample_ratio: f64,
}

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file with headers cannot be read.
    #[error("the headers for the trace collector cannot be read from {path}: {problem}",
            path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        problem: std::io::Error,
    },
    /// A line of it is no header. What stands there is not told: it may be a secret.
    #[error("line {line} of {path} is not a header, as 'name: value'", path = path.display())]
    NoHeader {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// There is no way to reach it.
    #[error("traces cannot be sent: {0}")]
    Upstream(#[from] UpstreamError),
    /// The exporter cannot be made of that.
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Traces that are sent.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl TraceOptions {
    /// The headers of the file.
    ///
    /// # Errors
    /// [`TraceError`] when it cannot be read.
    pub fn headers(&self) -> Result<HashMap<String, String>, TraceError> {
        let Some(path) = &self.headers_file else {
            return Ok(HashMap::new());
        };
        let text = text(path).map_err(|problem| TraceError::Unreadable {
            path: path.clone(),
            problem,
        })?;
        parse(&text).map_err(|line| TraceError::NoHeader {
            path: path.clone(),
            line,
        })
    }

    /// Where spans are posted.
    fn url(&self) -> Url {
        let mut url = self.endpoint.clone();
        let path = url.path().trim_end_matches('/');
        if !path.ends_with(PATH) {
            let path = format!("{path}/{PATH}");
            url.set_path(&path);
        }
        url
    }
}

impl Traces {
    /// Makes ready to send. The collector is not asked yet: it may come later than this server. It starts
    /// a thread.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn open(options: &TraceOptions, runtime: Handle) -> Result<Self, TraceError> {
        let url = options.url();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(url.clone(), runtime)?)
            .with_headers(options.headers()?)
            .with_endpoint(url)
            .with_timeout(limits::SPANS_WAIT_MAX)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(limits::SPANS_QUEUED_MAX)
            .with_max_export_batch_size(limits::SPANS_AT_ONCE_MAX)
            .with_scheduled_delay(limits::SPANS_LINGER)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let sampler = Sampler::TraceIdRatioBased(options.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource())
            .build();
        Ok(Self { provider })
    }

    /// Sends what is left, for a while. It blocks.
    pub fn close(self) {
        let closed = self
            .provider
            .shutdown_with_timeout(limits::SPANS_LAST_WAIT_MAX);
        if let Err(error) = closed {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }

    /// What makes spans of this program into spans of traces. Only those that are meant to be: neither
    /// the log's lines nor what libraries say.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer: SdkTracer = self.provider.tracer(SERVICE);
        let spans = Targets::new()
            .with_target(LOGGED, LevelFilter::ERROR)
            .with_target(TRACED, LevelFilter::INFO);
        OpenTelemetryLayer::new(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_target(false)
            .with_context_activation(false)
            .with_filter(spans)
    }
}

fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut builder = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        builder = builder.with_service_name(SERVICE);
    }
    builder.with_attribute(version).build()
}

fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let most = limits::SPANS_HEADERS_BYTES_MAX;
    let read = File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        let problem = format!("it is larger than {most} bytes");
        return Err(std::io::Error::other(problem));
    }
    Ok(text)
}

/// A header a line; empty ones and those that begin with # mean nothing. The number of a line that is
/// none is the error.
fn parse(text: &str) -> Result<HashMap<String, String>, usize> {
    let mut headers = HashMap::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let name: HeaderName = name.trim().parse().ok()?;
            let value = value.trim();
            HeaderValue::from_str(value).ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let (name, value) = header.ok_or(place + 1)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lines() {
        let parsed =
            parse("# for the collector\n\nAuthorization:  Bearer a:b \nx-org: 7\n").unwrap();
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed["authorization"], "Bearer a:b");
        assert_eq!(parsed["x-org"], "7");
        assert_eq!(parse("x-org: 7\nnothing\n"), Err(2));
        assert_eq!(parse("a b: c\n"), Err(1));
    }

    #[test]
    fn the_path_is_added_once() {
        let url = |endpoint: &str| {
            TraceOptions {
                endpoint: endpoint.parse().unwrap(),
                headers_file: None,
                sample_ratio: 1.0,
            }
            .url()
            .to_string()
        };
        assert_eq!(url("http://h:4318"), "http://h:4318/v1/traces");
        assert_eq!(url("https://h/otlp/"), "https://h/otlp/v1/traces");
        assert_eq!(url("https://h/v1/traces"), "https://h/v1/traces");
    }
}
