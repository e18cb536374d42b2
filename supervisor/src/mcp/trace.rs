//! The span of a call, as a part of its caller's trace: the one that `_meta` names, else that of the HTTP
//! request that it came with.

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tracing::Span;

use super::tools::ToolName;
use crate::telemetry::{TRACED, TraceParent};

/// The span of a call of this tool.
pub(super) fn of_call(tool: ToolName, context: &RequestContext<RoleServer>) -> Span {
    let span = tracing::info_span!(
        target: TRACED, "tools/call", otel.kind = "server", gen_ai.tool.name = tool.name()
    );
    if span.is_disabled() {
        return span;
    }
    let named = TraceParent::read(|name| context.meta.get(name)?.as_str());
    let carried = || {
        let parts = context.extensions.get::<Parts>()?;
        parts.extensions.get::<TraceParent>().cloned()
    };
    if let Some(parent) = named.or_else(carried) {
        parent.adopt(&span);
    }
    span
}
