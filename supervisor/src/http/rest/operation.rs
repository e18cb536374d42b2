//! What there is: each operation with its place, its arguments and its answers.

use axum::routing::MethodFilter;
use serde_json::Value;

use crate::api::arguments::Object;
use crate::api::{
    Accepted, CancelArguments, DeleteTagsArguments, Done, Execution, ExecutionList, GetArguments,
    GetTagsArguments, HeapList, HeapTags, ListArguments, Output, OutputArguments, QueryArguments,
    RunArguments, Seen, SessionList, SessionsArguments, SetTagsArguments, Snapshots,
    SnapshotsArguments, StreamArguments, schema,
};

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Run,
    ListExecutions,
    GetExecution,
    GetOutput,
    StreamOutput,
    Cancel,
    ListSessions,
    ListSnapshots,
    GetTags,
    SetTags,
    DeleteTags,
    QueryHeaps,
}

/// Where arguments are that are not in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the query.
    Query,
    /// In a JSON object, the body.
    Body,
}

/// An answer that is no error.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) means: &'static str,
    pub(super) content_type: &'static str,
    /// The schema of the body; `None` for a stream.
    pub(super) schema: Option<Object>,
}

/// The media type of everything but streams.
pub(super) const JSON: &str = "application/json";

/// The media type of streams.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

impl Operation {
    /// All of them, in the order of the description.
    pub(super) const ALL: [Self; 12] = [
        Self::Run,
        Self::ListExecutions,
        Self::GetExecution,
        Self::GetOutput,
        Self::StreamOutput,
        Self::Cancel,
        Self::ListSessions,
        Self::ListSnapshots,
        Self::GetTags,
        Self::SetTags,
        Self::DeleteTags,
        Self::QueryHeaps,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Run => "/api/exec",
            Self::ListExecutions => "/api/executions",
            Self::GetExecution => "/api/executions/{execution_id}",
            Self::GetOutput => "/api/executions/{execution_id}/output",
            Self::StreamOutput => "/api/executions/{execution_id}/output/stream",
            Self::Cancel => "/api/executions/{execution_id}/cancel",
            Self::ListSessions => "/api/sessions",
            Self::ListSnapshots => "/api/sessions/{session}/snapshots",
            Self::GetTags | Self::SetTags | Self::DeleteTags => "/api/heaps/{heap}/tags",
            Self::QueryHeaps => "/api/heaps/query",
        }
    }

    pub(super) const fn method(self) -> MethodFilter {
        match self {
            Self::Run | Self::Cancel | Self::QueryHeaps => MethodFilter::POST,
            Self::SetTags => MethodFilter::PUT,
            Self::DeleteTags => MethodFilter::DELETE,
            Self::ListExecutions
            | Self::GetExecution
            | Self::GetOutput
            | Self::StreamOutput
            | Self::ListSessions
            | Self::ListSnapshots
            | Self::GetTags => MethodFilter::GET,
        }
    }

    /// Its method in lower case, as the description writes it.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Run | Self::Cancel | Self::QueryHeaps => "post",
            Self::SetTags => "put",
            Self::DeleteTags => "delete",
            Self::ListExecutions
            | Self::GetExecution
            | Self::GetOutput
            | Self::StreamOutput
            | Self::ListSessions
            | Self::ListSnapshots
            | Self::GetTags => "get",
        }
    }

    /// The name, which is that of its twin among the tools where it has one.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Run => "run_js",
            Self::ListExecutions => "list_executions",
            Self::GetExecution => "get_execution",
            Self::GetOutput => "get_execution_output",
            Self::StreamOutput => "stream_execution_output",
            Self::Cancel => "cancel_execution",
            Self::ListSessions => "list_sessions",
            Self::ListSnapshots => "list_session_snapshots",
            Self::GetTags => "get_heap_tags",
            Self::SetTags => "set_heap_tags",
            Self::DeleteTags => "delete_heap_tags",
            Self::QueryHeaps => "query_heaps_by_tags",
        }
    }

    pub(super) const fn summary(self) -> &'static str {
        match self {
            Self::Run => {
                "Run JavaScript or TypeScript. With wait_ms the answer waits for the end; a client \
                 that goes away ends the wait, not the execution."
            }
            Self::ListExecutions => "List executions, newest first.",
            Self::GetExecution => "Look at an execution, or wait for its end.",
            Self::GetOutput => "Read a page of console output, by lines or by bytes.",
            Self::StreamOutput => {
                "Follow console output as server-sent events. Each event named output has data, \
                 start_byte and next_byte_offset; the last event is named end and has the \
                 execution. The id of an event is the byte offset behind it: a client that comes \
                 back with it in Last-Event-ID, or in byte_offset, goes on there."
            }
            Self::Cancel => "Kill an execution that is queued or running.",
            Self::ListSessions => "List sessions, the last begun first.",
            Self::ListSnapshots => "List the heaps that a session has left behind, oldest first.",
            Self::GetTags => "Read the tags of a heap.",
            Self::SetTags => "Replace all tags of a heap.",
            Self::DeleteTags => "Delete tags of a heap: those named, or all.",
            Self::QueryHeaps => "Find the heaps that have all these tags, the newest first.",
        }
    }

    pub(super) const fn place(self) -> Place {
        match self {
            Self::Run | Self::SetTags | Self::QueryHeaps => Place::Body,
            Self::ListExecutions
            | Self::GetExecution
            | Self::GetOutput
            | Self::StreamOutput
            | Self::Cancel
            | Self::ListSessions
            | Self::ListSnapshots
            | Self::GetTags
            | Self::DeleteTags => Place::Query,
        }
    }

    /// The schema of all its arguments, those in the path too.
    pub(super) fn arguments(self) -> Object {
        match self {
            Self::Run => schema::of_arguments::<RunArguments>(),
            Self::ListExecutions => schema::of_arguments::<ListArguments>(),
            Self::GetExecution => schema::of_arguments::<GetArguments>(),
            Self::GetOutput => schema::of_arguments::<OutputArguments>(),
            Self::StreamOutput => schema::of_arguments::<StreamArguments>(),
            Self::Cancel => schema::of_arguments::<CancelArguments>(),
            Self::ListSessions => schema::of_arguments::<SessionsArguments>(),
            Self::ListSnapshots => schema::of_arguments::<SnapshotsArguments>(),
            Self::GetTags => schema::of_arguments::<GetTagsArguments>(),
            Self::SetTags => schema::of_arguments::<SetTagsArguments>(),
            Self::DeleteTags => schema::of_arguments::<DeleteTagsArguments>(),
            Self::QueryHeaps => schema::of_arguments::<QueryArguments>(),
        }
    }

    /// The answers that are no errors.
    pub(super) fn answers(self) -> Vec<Answer> {
        let ok = |schema: Object| Answer {
            status: 200,
            means: "Done",
            content_type: JSON,
            schema: Some(schema),
        };
        match self {
            Self::Run => vec![
                Answer {
                    means: "It ended within wait_ms",
                    ..ok(schema::of_result::<Seen>())
                },
                Answer {
                    status: 202,
                    means: "It was accepted: its id, and with wait_ms how it stands",
                    ..ok(accepted())
                },
            ],
            Self::ListExecutions => vec![ok(schema::of_result::<ExecutionList>())],
            Self::GetExecution => vec![ok(schema::of_result::<Execution>())],
            Self::GetOutput => vec![ok(schema::of_result::<Output>())],
            Self::StreamOutput => vec![Answer {
                status: 200,
                means: "The events",
                content_type: EVENT_STREAM,
                schema: None,
            }],
            Self::ListSessions => vec![ok(schema::of_result::<SessionList>())],
            Self::ListSnapshots => vec![ok(schema::of_result::<Snapshots>())],
            Self::GetTags => vec![ok(schema::of_result::<HeapTags>())],
            Self::Cancel | Self::SetTags | Self::DeleteTags => {
                vec![ok(schema::of_result::<Done>())]
            }
            Self::QueryHeaps => vec![ok(schema::of_result::<HeapList>())],
        }
    }

    /// What can be wrong beside what can be wrong with every request.
    pub(super) const fn errors(self) -> &'static [u16] {
        match self {
            Self::Run => &[404, 415, 422, 429],
            Self::Cancel => &[404, 409],
            Self::ListExecutions => &[],
            Self::SetTags | Self::QueryHeaps => &[404, 415],
            Self::GetExecution
            | Self::GetOutput
            | Self::StreamOutput
            | Self::ListSessions
            | Self::ListSnapshots
            | Self::GetTags
            | Self::DeleteTags => &[404],
        }
    }
}

/// The id alone, or everything.
fn accepted() -> Object {
    let mut either = schema::of_result::<Seen>();
    let required = schema::of_result::<Accepted>().get("required").cloned();
    either.insert("required".to_owned(), required.unwrap_or(Value::Null));
    either
}
