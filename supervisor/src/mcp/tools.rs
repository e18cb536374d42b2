//! The tools: names, schemas, and which of them a server has.

use std::borrow::Cow;
use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::Value;

use super::descriptions as text;
use crate::api::arguments::Object;
use crate::api::{
    CancelArguments, DeleteTagsArguments, Done, Execution, ExecutionList, GetArguments,
    GetTagsArguments, HeapList, HeapTags, ListArguments, Output, OutputArguments, QueryArguments,
    RunArguments, STATE_ARGUMENTS, Seen, SessionList, SessionsArguments, SetTagsArguments,
    Snapshots, SnapshotsArguments, schema,
};
use crate::app::Mode;

/// The tools by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolName {
    RunJs,
    GetExecution,
    GetExecutionOutput,
    CancelExecution,
    ListExecutions,
    ListSessions,
    ListSessionSnapshots,
    GetHeapTags,
    SetHeapTags,
    DeleteHeapTags,
    QueryHeapsByTags,
}

impl ToolName {
    /// All of them, in the order of the list.
    pub(super) const ALL: [Self; 11] = [
        Self::RunJs,
        Self::GetExecution,
        Self::GetExecutionOutput,
        Self::CancelExecution,
        Self::ListExecutions,
        Self::ListSessions,
        Self::ListSessionSnapshots,
        Self::GetHeapTags,
        Self::SetHeapTags,
        Self::DeleteHeapTags,
        Self::QueryHeapsByTags,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RunJs => "run_js",
            Self::GetExecution => "get_execution",
            Self::GetExecutionOutput => "get_execution_output",
            Self::CancelExecution => "cancel_execution",
            Self::ListExecutions => "list_executions",
            Self::ListSessions => "list_sessions",
            Self::ListSessionSnapshots => "list_session_snapshots",
            Self::GetHeapTags => "get_heap_tags",
            Self::SetHeapTags => "set_heap_tags",
            Self::DeleteHeapTags => "delete_heap_tags",
            Self::QueryHeapsByTags => "query_heaps_by_tags",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether a server in this mode has it.
    pub(super) const fn is_there(self, mode: Mode) -> bool {
        match self {
            Self::RunJs
            | Self::GetExecution
            | Self::GetExecutionOutput
            | Self::CancelExecution
            | Self::ListExecutions => true,
            Self::ListSessions
            | Self::ListSessionSnapshots
            | Self::GetHeapTags
            | Self::SetHeapTags
            | Self::DeleteHeapTags
            | Self::QueryHeapsByTags => matches!(mode, Mode::Stateful),
        }
    }

    /// The parameters that it has on other servers, and not in this mode.
    pub(super) const fn absent_parameters(self, mode: Mode) -> &'static [&'static str] {
        match (self, mode) {
            (Self::RunJs, Mode::Stateless) => &STATE_ARGUMENTS,
            _ => &[],
        }
    }
}

/// What this server gives to those who do not ask: shown in the schemas and the instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// V8's heap, in MiB.
    pub heap_memory_max_mb: u64,
    /// The timeout, in seconds.
    pub execution_timeout_secs: u64,
}

/// The tools of a server with these defaults in this mode, as clients list them.
#[derive(Debug, Clone)]
pub struct ToolList {
    tools: Vec<Tool>,
    mode: Mode,
}

impl ToolList {
    /// Makes all definitions.
    pub fn new(defaults: Defaults, mode: Mode) -> Self {
        let there = ToolName::ALL.into_iter().filter(|name| name.is_there(mode));
        let tools = there.map(|name| define(name, defaults, mode)).collect();
        Self { tools, mode }
    }

    /// The mode of the server.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// All tools, always in the same order.
    pub fn all(&self) -> &[Tool] {
        &self.tools
    }

    /// The schema of a tool's arguments.
    pub(super) fn arguments(&self, name: ToolName) -> Arc<Object> {
        self.tools
            .iter()
            .find(|tool| tool.name == name.name())
            .map(|tool| tool.input_schema.clone())
            .unwrap_or_default()
    }
}

fn define(name: ToolName, defaults: Defaults, mode: Mode) -> Tool {
    // Closed world: code reaches nothing outside of its process.
    let kind = |title: &str| {
        ToolAnnotations::with_title(title)
            .open_world(false)
            .destructive(false)
    };
    let look = |title: &str| kind(title).read_only(true).idempotent(true);
    let change = |title: &str| kind(title).read_only(false).destructive(true);
    match name {
        ToolName::RunJs => {
            let mut arguments = schema::of_arguments::<RunArguments>();
            default(
                &mut arguments,
                "heap_memory_max_mb",
                defaults.heap_memory_max_mb,
            );
            default(
                &mut arguments,
                "execution_timeout_secs",
                defaults.execution_timeout_secs,
            );
            for parameter in name.absent_parameters(mode) {
                schema::remove(&mut arguments, parameter);
            }
            let annotations = kind("Run JavaScript or TypeScript")
                .read_only(false)
                .idempotent(false);
            tool(
                name,
                text::run_js(mode),
                arguments,
                schema::of_run_result::<Seen>(),
                annotations,
            )
        }
        ToolName::GetExecution => tool(
            name,
            text::GET_EXECUTION,
            schema::of_arguments::<GetArguments>(),
            schema::of_result::<Execution>(),
            look("Look at an execution"),
        ),
        ToolName::GetExecutionOutput => tool(
            name,
            text::GET_EXECUTION_OUTPUT,
            schema::of_arguments::<OutputArguments>(),
            schema::of_result::<Output>(),
            look("Read console output"),
        ),
        ToolName::CancelExecution => tool(
            name,
            text::CANCEL_EXECUTION,
            schema::of_arguments::<CancelArguments>(),
            schema::of_result::<Done>(),
            change("Cancel an execution").idempotent(false),
        ),
        ToolName::ListExecutions => tool(
            name,
            text::LIST_EXECUTIONS,
            schema::of_arguments::<ListArguments>(),
            schema::of_result::<ExecutionList>(),
            look("List executions"),
        ),
        ToolName::ListSessions => tool(
            name,
            text::LIST_SESSIONS,
            schema::of_arguments::<SessionsArguments>(),
            schema::of_result::<SessionList>(),
            look("List sessions"),
        ),
        ToolName::ListSessionSnapshots => tool(
            name,
            text::LIST_SESSION_SNAPSHOTS,
            schema::of_arguments::<SnapshotsArguments>(),
            schema::of_result::<Snapshots>(),
            look("List the heaps of a session"),
        ),
        ToolName::GetHeapTags => tool(
            name,
            text::GET_HEAP_TAGS,
            schema::of_arguments::<GetTagsArguments>(),
            schema::of_result::<HeapTags>(),
            look("Read the tags of a heap"),
        ),
        ToolName::SetHeapTags => tool(
            name,
            text::SET_HEAP_TAGS,
            schema::of_arguments::<SetTagsArguments>(),
            schema::of_result::<Done>(),
            change("Replace the tags of a heap").idempotent(true),
        ),
        ToolName::DeleteHeapTags => tool(
            name,
            text::DELETE_HEAP_TAGS,
            schema::of_arguments::<DeleteTagsArguments>(),
            schema::of_result::<Done>(),
            change("Delete tags of a heap").idempotent(true),
        ),
        ToolName::QueryHeapsByTags => tool(
            name,
            text::QUERY_HEAPS_BY_TAGS,
            schema::of_arguments::<QueryArguments>(),
            schema::of_result::<HeapList>(),
            look("Find heaps by their tags"),
        ),
    }
}

fn tool(
    name: ToolName,
    description: impl Into<Cow<'static, str>>,
    arguments: Object,
    result: Object,
    annotations: ToolAnnotations,
) -> Tool {
    let title = annotations.title.clone().unwrap_or_default();
    Tool::new(name.name(), description, Arc::new(arguments))
        .with_title(title)
        .with_raw_output_schema(Arc::new(result))
        .with_annotations(annotations)
}

/// Writes a default into the schema of a parameter.
fn default(schema: &mut Object, parameter: &str, value: u64) {
    let property = schema
        .get_mut("properties")
        .and_then(|properties| properties.get_mut(parameter))
        .and_then(Value::as_object_mut);
    if let Some(property) = property {
        property.insert("default".to_owned(), value.into());
    }
}
