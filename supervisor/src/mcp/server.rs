//! The server as MCP sees it: who it is, its tools, their calls.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ContentBlock, CustomRequest, CustomResult, ErrorCode, ErrorData, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use super::calls::{Call, CallError};
use super::era::{identity, stamp};
use super::instructions::instructions;
use super::refusal::clip;
use super::tools::{Defaults, ToolList, ToolName};
use super::{completion, resources};
use crate::app::{self, Executions, Mode};

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
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_resources()
            .enable_tools()
            .build();
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

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        one_page("tools/list", request)?;
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
        result.meta = stamp(&context);
        Ok(result.into())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools
            .all()
            .iter()
            .find(|tool| tool.name == name)
            .cloned()
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        resources::list(&self.executions, cursor, &context).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        one_page("resources/templates/list", request)?;
        Ok(resources::templates(&context))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read = resources::read(&self.executions, request.uri, &context).await?;
        Ok(read.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let mut completed = completion::complete(&self.executions, request).await?;
        completed.meta = stamp(&context);
        Ok(completed)
    }

    /// Requests that the library could not read as what their method says come here too.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = clip(&request.method);
        Err(match request.method.as_str() {
            "initialize"
            | "ping"
            | "server/discover"
            | "tools/list"
            | "tools/call"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "completion/complete" => {
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

/// Refuses a cursor of a list that needs none.
fn one_page(method: &str, request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        None => Ok(()),
        Some(_) => Err(ErrorData::invalid_params(
            format!("{method} has one page: call it without a cursor"),
            None,
        )),
    }
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
