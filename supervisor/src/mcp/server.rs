//! The server as MCP sees it: who it is, its tools, their calls.

use std::sync::{Arc, PoisonError, RwLock};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
    CompleteRequestParams, CompleteResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
    ErrorData, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
    UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use tracing::Instrument as _;

use super::answers::Answers;
use super::calls::{Answer, Call, CallError};
use super::era::{identity, is_modern, stamp};
use super::instructions::instructions;
use super::tools::{Defaults, ToolList, ToolName};
use super::{completion, resources, tasks, trace};
use crate::api::{FAILED, clip, hidden, told};
use crate::app::{self, Executions, Mode};

/// One server; clones share everything.
#[derive(Debug, Clone)]
pub struct Server {
    executions: Executions,
    answers: Answers,
    face: Arc<RwLock<Arc<Face>>>,
}

/// What clients are told of it.
#[derive(Debug)]
struct Face {
    tools: ToolList,
    config: ServerConfig,
}

impl Face {
    fn new(defaults: Defaults, mode: Mode) -> Self {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_resources()
            .enable_tasks()
            .enable_tools()
            .build();
        let config = ServerConfig::new(capabilities)
            .with_server_info(identity())
            .with_instructions(instructions(defaults, mode));
        Self {
            tools: ToolList::new(defaults, mode),
            config,
        }
    }
}

impl Server {
    /// Over these executions.
    pub fn new(executions: Executions, defaults: Defaults) -> Self {
        let face = Face::new(defaults, executions.mode());
        Self {
            executions,
            answers: Answers::new(),
            face: Arc::new(RwLock::new(Arc::new(face))),
        }
    }

    /// Tells clients of these defaults from now on.
    pub fn set_defaults(&self, defaults: Defaults) {
        let face = Arc::new(Face::new(defaults, self.executions.mode()));
        *self.face.write().unwrap_or_else(PoisonError::into_inner) = face;
    }

    fn face(&self) -> Arc<Face> {
        let face = self.face.read();
        Arc::clone(&face.unwrap_or_else(PoisonError::into_inner))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.face().config.clone()
    }

    /// Tells older clients nothing of extensions: they have no tasks like these.
    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut hello = self.negotiate_initialize(&request)?;
        hello.capabilities.extensions = None;
        Ok(hello)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        one_page("tools/list", request)?;
        Ok(ListToolsResult::with_all_items(
            self.face().tools.all().to_vec(),
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let face = self.face();
        let mode = face.tools.mode();
        let tool = match ToolName::from_name(&request.name) {
            Some(tool) if tool.is_there(mode) => tool,
            found => return Err(unknown_tool(found, &request.name, mode)),
        };
        let call = Call {
            executions: &self.executions,
            tools: &face.tools,
            answers: &self.answers,
            context: &context,
        };
        let span = trace::of_call(tool, &context);
        let performed = call.perform(tool, request.arguments);
        let result = match performed.instrument(span).await {
            Ok(Answer::Task(view)) => return Ok(tasks::created(&view, &context).into()),
            Ok(Answer::Complete(value, room)) => {
                let result = CallToolResult::structured(value);
                match room.map(|room| room.made(&result, &context)) {
                    None | Some(Ok(())) => result,
                    Some(Err(error)) => failed(&error.into()),
                }
            }
            Err(error) => failed(&error),
        };
        Ok(result.with_meta(stamp(&context)).into())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.face()
            .tools
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
        let room = self.answers.room().await?;
        let read = resources::read(&self.executions, request.uri, &context).await?;
        room.made(&read, &context)?;
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

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        need_tasks("tasks/get", &context)?;
        let room = self.answers.room().await?;
        let got = tasks::get(&self.executions, request, &context).await?;
        room.made(&got, &context)?;
        Ok(got)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        need_tasks("tasks/update", &context)?;
        Ok(tasks::update(&self.executions, request).await?)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        need_tasks("tasks/cancel", &context)?;
        Ok(tasks::cancel(&self.executions, request).await?)
    }

    /// Requests that the library could not read as what their method says come here too.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = clip(&request.method);
        Err(match request.method.as_str() {
            // Each era has methods that the other has not.
            "initialize" | "ping" if is_modern(&context) => no_method(&method),
            "tasks/get" | "tasks/update" | "tasks/cancel" if !is_modern(&context) => {
                no_method(&method)
            }
            "initialize"
            | "ping"
            | "server/discover"
            | "tools/list"
            | "tools/call"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "completion/complete"
            | "tasks/get"
            | "tasks/update"
            | "tasks/cancel" => {
                ErrorData::invalid_params(format!("the parameters of {method} do not fit"), None)
            }
            _ => no_method(&method),
        })
    }
}

fn no_method(method: &str) -> ErrorData {
    let text = format!("there is no method {method}");
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, text, None)
}

/// Refuses tasks to the older era. Whether the client has declared them was checked before.
fn need_tasks(method: &str, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    if is_modern(context) {
        Ok(())
    } else {
        Err(no_method(method))
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
fn failed(error: &CallError) -> CallToolResult {
    let text = match error {
        CallError::Refused(error) => told(error),
        CallError::Encode(_) => hidden(FAILED, error),
        _ => error.to_string(),
    };
    CallToolResult::error(vec![ContentBlock::text(text)])
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
