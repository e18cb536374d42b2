//! The server as MCP sees it: who it is, its tools, their calls.

use std::sync::{Arc, PoisonError, RwLock};

use axum::http::request::Parts;
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
use crate::app::{self, Executions, Mode, Workspace};
use crate::auth::{Caller, Scope};
use crate::quota::Sharing;

/// One server; clones share everything.
#[derive(Debug, Clone)]
pub struct Server {
    callers: Callers,
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

/// Whom a server serves.
#[derive(Debug, Clone)]
enum Callers {
    /// One for all requests.
    One(Workspace),
    /// Whoever is named by the layer that has let a request in.
    OfRequests(Executions),
}

impl Callers {
    fn mode(&self) -> Mode {
        match self {
            Self::One(workspace) => workspace.mode(),
            Self::OfRequests(executions) => executions.mode(),
        }
    }

    fn sharing(&self) -> Sharing {
        match self {
            Self::One(_) => Sharing::Alone,
            Self::OfRequests(executions) => executions.sharing(),
        }
    }
}

impl Server {
    /// For one client, who is the only one that reaches it.
    pub fn for_one(workspace: Workspace, defaults: Defaults) -> Self {
        Self::new(Callers::One(workspace), defaults)
    }

    /// For requests over HTTP that come with their [`Caller`]; others are refused.
    pub fn for_callers(executions: Executions, defaults: Defaults) -> Self {
        Self::new(Callers::OfRequests(executions), defaults)
    }

    fn new(callers: Callers, defaults: Defaults) -> Self {
        let face = Face::new(defaults, callers.mode());
        Self {
            answers: Answers::new(callers.sharing()),
            callers,
            face: Arc::new(RwLock::new(Arc::new(face))),
        }
    }

    /// Tells clients of these defaults from now on.
    pub fn set_defaults(&self, defaults: Defaults) {
        let face = Arc::new(Face::new(defaults, self.callers.mode()));
        *self.face.write().unwrap_or_else(PoisonError::into_inner) = face;
    }

    fn face(&self) -> Arc<Face> {
        let face = self.face.read();
        Arc::clone(&face.unwrap_or_else(PoisonError::into_inner))
    }

    /// What the caller of a request can see and do, if its token is for this.
    fn workspace(
        &self,
        context: &RequestContext<RoleServer>,
        scope: Scope,
    ) -> Result<Workspace, ErrorData> {
        match &self.callers {
            Callers::One(workspace) => Ok(workspace.clone()),
            Callers::OfRequests(executions) => {
                let parts = context.extensions.get::<Parts>();
                let caller = parts.and_then(|parts| parts.extensions.get::<Caller>());
                let caller = caller.ok_or_else(nobody_calls)?;
                if !caller.may(scope) {
                    let text = format!("the token is not for this: it needs the scope {scope}");
                    return Err(ErrorData::invalid_request(text, None));
                }
                let workspace = executions.of(caller.tenant().clone());
                Ok(workspace.through("mcp", caller.token_id()))
            }
        }
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
            workspace: &self.workspace(&context, tool.scope())?,
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
        resources::list(&self.workspace(&context, Scope::Read)?, cursor, &context).await
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
        let workspace = self.workspace(&context, Scope::Read)?;
        let room = self.answers.room(workspace.tenant()).await?;
        let read = resources::read(&workspace, request.uri, &context).await?;
        room.made(&read, &context)?;
        Ok(read.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let workspace = self.workspace(&context, Scope::Read)?;
        let mut completed = completion::complete(&workspace, request).await?;
        completed.meta = stamp(&context);
        Ok(completed)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        need_tasks("tasks/get", &context)?;
        let workspace = self.workspace(&context, Scope::Read)?;
        let room = self.answers.room(workspace.tenant()).await?;
        let got = tasks::get(&workspace, request, &context).await?;
        room.made(&got, &context)?;
        Ok(got)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        need_tasks("tasks/update", &context)?;
        Ok(tasks::update(&self.workspace(&context, Scope::Run)?, request).await?)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        need_tasks("tasks/cancel", &context)?;
        Ok(tasks::cancel(&self.workspace(&context, Scope::Run)?, request).await?)
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

/// A request has got past the layer that names its caller: a fault of ours, and no reason to serve it.
fn nobody_calls() -> ErrorData {
    let error = "a request came here without its caller";
    ErrorData::internal_error(hidden(FAILED, &error), None)
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
