//! The server as MCP sees it: who it is, its tools, their calls.

use std::borrow::Cow;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
    CustomResult, ErrorCode, ErrorData, Implementation, ListToolsResult, MetaObject,
    PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use super::calls::{Call, CallError};
use super::instructions::instructions;
use super::tools::{Defaults, ToolList, ToolName};
use crate::app::{self, Executions, Mode};

/// The name by which the server goes.
const SERVER_NAME: &str = "mcp-v8";

/// Under which key of `_meta` a result says who gave it.
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Characters of an unknown name that are shown back.
const SHOWN_CHARS_MAX: usize = 40;

/// One server; clones share everything.
#[derive(Debug, Clone)]
pub struct Server {
    executions: Executions,
    tools: Arc<ToolList>,
    config: ServerConfig,
}

impl Server {
    /// Over these executions.
    pub fn new(executions: Executions, defaults: Defaults) -> Self {
        let mode = executions.mode();
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let config = ServerConfig::new(capabilities)
            .with_server_info(identity())
            .with_instructions(instructions(defaults, mode));
        Self {
            executions,
            tools: Arc::new(ToolList::new(defaults, mode)),
            config,
        }
    }
}

fn identity() -> Implementation {
    Implementation::new(SERVER_NAME, env!("CARGO_PKG_VERSION"))
        .with_title("mcp-v8: JavaScript and TypeScript in V8")
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|request| request.cursor.is_some()) {
            return Err(ErrorData::invalid_params(
                "tools/list has one page: call it without a cursor",
                None,
            ));
        }
        Ok(ListToolsResult::with_all_items(self.tools.all().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mode = self.tools.mode();
        let tool = match ToolName::from_name(&request.name) {
            Some(tool) if tool.is_there(mode) => tool,
            found => return Err(unknown_tool(found, &request.name, mode)),
        };
        let call = Call {
            executions: &self.executions,
            tools: &self.tools,
            context: &context,
        };
        let mut result = match call.perform(tool, request.arguments).await {
            Ok(value) => CallToolResult::structured(value),
            Err(error) => failed(tool, &error),
        };
        if is_modern(&context) {
            result = result.with_meta(Some(stamp()));
        }
        Ok(result.into())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools
            .all()
            .iter()
            .find(|tool| tool.name == name)
            .cloned()
    }

    /// Requests that the library could not read as what their method says come here too.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = clip(&request.method);
        Err(match request.method.as_str() {
            "initialize" | "ping" | "server/discover" | "tools/list" | "tools/call" => {
                ErrorData::invalid_params(format!("the parameters of {method} do not fit"), None)
            }
            _ => ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                format!("there is no method {method}"),
                None,
            ),
        })
    }
}

/// Results of the stateless era say who gave them.
fn stamp() -> MetaObject {
    let mut meta = MetaObject::new();
    if let Ok(identity) = serde_json::to_value(identity()) {
        meta.insert(SERVER_INFO_KEY.to_owned(), identity);
    }
    meta
}

/// A failed call, as a result that the model reads.
fn failed(tool: ToolName, error: &CallError) -> CallToolResult {
    if let CallError::Refused(app::Error::Internal(_)) | CallError::Encode(_) = error {
        tracing::error!(tool = tool.name(), %error, "a tool call failed");
    }
    CallToolResult::error(vec![ContentBlock::text(error.to_string())])
}

/// The answer to a call of a tool that this server does not have, though others may have it.
fn unknown_tool(found: Option<ToolName>, name: &str, mode: Mode) -> ErrorData {
    let message = match found {
        Some(tool) => app::Error::Stateless { what: tool.name() }.to_string(),
        None => {
            let there = ToolName::ALL.into_iter().filter(|tool| tool.is_there(mode));
            let valid: Vec<&str> = there.map(ToolName::name).collect();
            format!(
                "there is no tool {}; tools: {}",
                clip(name),
                valid.join(", ")
            )
        }
    };
    ErrorData::invalid_params(message, None)
}

fn clip(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(SHOWN_CHARS_MAX) {
        None => name.into(),
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()).into(),
    }
}

/// Whether the request is of the stateless era (2026-07-28 and later).
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}
