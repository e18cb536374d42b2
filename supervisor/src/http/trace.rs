//! The span of a request, as a part of its caller's trace. Where nobody traces it costs nothing.

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::telemetry::{TRACED, TraceParent};

/// Answers a request within a span. What is answered elsewhere, as calls of MCP are, finds the span in
/// the request's extensions.
pub(super) async fn follow<F>(mut request: Request, next: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let span = tracing::info_span!(
        target: TRACED, "request", otel.kind = "server", http.request.method = Empty, http.route = Empty,
        http.response.status_code = Empty
    );
    if span.is_disabled() {
        return next(request).await;
    }
    let headers = request.headers();
    let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(parent) = TraceParent::read(said) {
        parent.adopt(&span);
    }
    span.record(
        "http.request.method",
        super::metrics::method(request.method()),
    );
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        span.record("http.route", route.as_str());
    }
    if let Some(own) = TraceParent::of(&span) {
        request.extensions_mut().insert(own);
    }
    let response = next(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}
