//! Of which era a client is that says `initialize`.
//!
//! The specification gives two rules: a request with the `_meta` of the stateless era is served by that
//! era, and `initialize` opens a session. Where both hold, the first does: the client says so of this very
//! request, and there is no such method then. The header alone decides nothing, since it only repeats what
//! a message says; the library compares the two.

use axum::http::HeaderMap;
use rmcp::model::{ClientRequest, GetMeta as _, JsonRpcRequest, ProtocolVersion};

use crate::mcp::http_error::HttpError;
use crate::mcp::message::Refusal;

const VERSION: &str = "mcp-protocol-version";

/// Refuses an `initialize` that is of the stateless era.
pub(super) fn check_opening(
    message: &JsonRpcRequest<ClientRequest>,
    headers: &HeaderMap,
) -> Result<(), HttpError> {
    if !matches!(message.request, ClientRequest::InitializeRequest(_)) {
        return Ok(());
    }
    let first = ProtocolVersion::V_2026_07_28;
    let said = message.request.get_meta().protocol_version();
    let Some(version) = said.filter(|version| version.as_str() >= first.as_str()) else {
        return Ok(());
    };
    let id = message.id.clone();
    let repeated = headers.get(VERSION).map(|value| value.as_bytes());
    if repeated != Some(version.as_str().as_bytes()) {
        let text = format!("the header MCP-Protocol-Version must be {first}, as in _meta");
        return Err(HttpError::NoMessage(Refusal::header_mismatch(id, text)));
    }
    let text = format!("there is no method initialize in {first}: see server/discover");
    Err(HttpError::NoMethod(Refusal::no_method(id, text)))
}
