//! What a token has to be for, by what is asked over MCP. Transports over HTTP ask before they pass a
//! request on, so that the answer is the one that clients know (403); the server itself names the scope
//! wherever it looks into what a tenant has, so that nothing is forgotten.

use rmcp::model::ClientRequest;

use super::tools::ToolName;
use crate::auth::Scope;

impl ToolName {
    /// What a token has to be for.
    pub(super) const fn scope(self) -> Scope {
        match self {
            Self::RunJs | Self::CancelExecution | Self::SetHeapTags | Self::DeleteHeapTags => {
                Scope::Run
            }
            Self::GetExecution
            | Self::GetExecutionOutput
            | Self::ListExecutions
            | Self::ListSessions
            | Self::ListSessionSnapshots
            | Self::GetHeapTags
            | Self::QueryHeapsByTags => Scope::Read,
        }
    }
}

/// What a token has to be for; nothing for what is the same for everybody, or does not exist.
pub(super) fn needed(request: &ClientRequest) -> Option<Scope> {
    match request {
        ClientRequest::CallToolRequest(call) => {
            ToolName::from_name(&call.params.name).map(ToolName::scope)
        }
        ClientRequest::ListResourcesRequest(_)
        | ClientRequest::ReadResourceRequest(_)
        | ClientRequest::CompleteRequest(_)
        | ClientRequest::GetTaskRequest(_) => Some(Scope::Read),
        ClientRequest::UpdateTaskRequest(_) | ClientRequest::CancelTaskRequest(_) => {
            Some(Scope::Run)
        }
        _ => None,
    }
}
