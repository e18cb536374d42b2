//! The tools: names, descriptions, schemas.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::Value;

use super::arguments::Object;
use crate::api::{
    CancelArguments, Done, Execution, ExecutionList, GetArguments, ListArguments, Output,
    OutputArguments, RunArguments, Seen, schema,
};

/// The tools by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolName {
    RunJs,
    GetExecution,
    GetExecutionOutput,
    CancelExecution,
    ListExecutions,
}

impl ToolName {
    /// All of them, in the order of the list.
    pub(super) const ALL: [Self; 5] = [
        Self::RunJs,
        Self::GetExecution,
        Self::GetExecutionOutput,
        Self::CancelExecution,
        Self::ListExecutions,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RunJs => "run_js",
            Self::GetExecution => "get_execution",
            Self::GetExecutionOutput => "get_execution_output",
            Self::CancelExecution => "cancel_execution",
            Self::ListExecutions => "list_executions",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
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

/// The tools of a server with these defaults, as clients list them.
#[derive(Debug, Clone)]
pub struct ToolList {
    tools: Vec<Tool>,
}

impl ToolList {
    /// Makes all definitions.
    pub fn new(defaults: Defaults) -> Self {
        let tools = ToolName::ALL.map(|name| define(name, defaults)).to_vec();
        Self { tools }
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

const RUN_JS: &str = "\
Run JavaScript or TypeScript in V8, in a process of its own that starts from nothing. The value of \
the last expression is the result, converted with String(value): end with JSON.stringify(x) to see \
an object. Top-level await works; console output is kept beside the result.

With wait_ms (say 10000) the answer holds status, result or error, and the first output: one call \
is enough for most code. Without it, or for long code, take the execution_id to get_execution and \
get_execution_output.

There: ECMAScript with types, console, timers, URL, TextEncoder/TextDecoder, atob/btoa, \
structuredClone, AbortController, events, streams, Blob, performance, crypto, WebAssembly. Not \
there: files, network, fetch, import, require, process, Deno, and anything of an earlier \
execution.

Example: {\"code\": \"const xs: number[] = [1, 2, 3]; xs.reduce((a, b) => a + b)\", \"wait_ms\": \
10000} gives status \"completed\" and result \"6\".";

const GET_EXECUTION: &str = "\
Look at an execution: its status, its result or error, its times and limits. With wait_ms the call \
waits for the end; when the wait runs out, the execution is returned as it stands and the call can \
be repeated. A failed script is a result (status and error), not a failed call.";

const GET_EXECUTION_OUTPUT: &str = "\
Read the console output of an execution, also while it runs. Count in lines (line_offset, \
line_limit) or in bytes (byte_offset, byte_limit), not both; without any of them, the first 100 \
lines. Continue with next_line_offset or next_byte_offset until has_more is false and the status is \
final. An offset past the end gives an empty page.";

const CANCEL_EXECUTION: &str = "\
Kill an execution that is queued or running. Its output so far stays readable. An execution that \
has ended, or an unknown id, is an error.";

const LIST_EXECUTIONS: &str = "\
List executions, newest first, in pages. Use it to find an id again; use get_execution for a \
result.";

fn define(name: ToolName, defaults: Defaults) -> Tool {
    // Closed world: code reaches nothing outside of its process.
    let kind = |title: &str| {
        ToolAnnotations::with_title(title)
            .open_world(false)
            .destructive(false)
    };
    let look = |title: &str| kind(title).read_only(true).idempotent(true);
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
            let annotations = kind("Run JavaScript or TypeScript")
                .read_only(false)
                .idempotent(false);
            tool(name, RUN_JS, arguments, either_shape(), annotations)
        }
        ToolName::GetExecution => tool(
            name,
            GET_EXECUTION,
            schema::of_arguments::<GetArguments>(),
            schema::of_result::<Execution>(),
            look("Look at an execution"),
        ),
        ToolName::GetExecutionOutput => tool(
            name,
            GET_EXECUTION_OUTPUT,
            schema::of_arguments::<OutputArguments>(),
            schema::of_result::<Output>(),
            look("Read console output"),
        ),
        ToolName::CancelExecution => tool(
            name,
            CANCEL_EXECUTION,
            schema::of_arguments::<CancelArguments>(),
            schema::of_result::<Done>(),
            kind("Cancel an execution")
                .read_only(false)
                .destructive(true)
                .idempotent(false),
        ),
        ToolName::ListExecutions => tool(
            name,
            LIST_EXECUTIONS,
            schema::of_arguments::<ListArguments>(),
            schema::of_result::<ExecutionList>(),
            look("List executions"),
        ),
    }
}

fn tool(
    name: ToolName,
    description: &'static str,
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

/// The schema of both results of run_js: the id alone, or everything. One object with one required
/// property says so, and unlike a choice of two it is understood by every client.
fn either_shape() -> Object {
    let mut shape = schema::of_result::<Seen>();
    shape.insert(
        "required".to_owned(),
        Value::from(["execution_id"].as_slice()),
    );
    shape
}
