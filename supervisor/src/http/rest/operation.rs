//! The operations of the API: one table, which the routes and the description are made of.

use axum::http::{Method, StatusCode};

use super::answer::{Answer, Shape};
use crate::api::arguments::Object;
use crate::api::{
    CancelArguments, DeleteTagsArguments, Done, Execution, ExecutionList, GetArguments,
    GetTagsArguments, HeapList, HeapTags, ListArguments, NoArguments, Output, OutputArguments,
    Polled, QueryArguments, RunArguments, STATE_ARGUMENTS, Seen, SessionList, SessionsArguments,
    SetTagsArguments, Snapshots, SnapshotsArguments, SourceArguments, SourceCode, StreamArguments,
    schema,
};
use crate::app::Mode;
use crate::auth::Scope;
use crate::http::error_code::ErrorCode;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    RunJs,
    ListExecutions,
    GetExecution,
    GetExecutionSource,
    GetExecutionOutput,
    StreamExecutionOutput,
    CancelExecution,
    ListSessions,
    ListSessionSnapshots,
    GetHeapTags,
    SetHeapTags,
    DeleteHeapTags,
    QueryHeapsByTags,
    Describe,
}

/// One operation: where it is, what it takes and what it gives.
#[derive(Debug)]
pub(super) struct Route {
    /// Its name. Where there is a tool that does the same, it is the tool's.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// Its path, with the names of arguments in braces.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// What there is to know beyond that.
    pub(super) notes: &'static str,
    /// The schema of all its arguments, wherever they stand.
    pub(super) arguments: fn() -> Object,
    /// Whether those that are not in the path are in the body; else they are in the query.
    pub(super) has_body: bool,
    pub(super) answers: &'static [Answer],
    /// What it may fail with, beyond what any request may.
    pub(super) errors: &'static [ErrorCode],
}

impl Operation {
    /// Whether it shows what the nodes of a cluster share, and changes nothing.
    pub(super) fn reads(self) -> bool {
        self.route().method == Method::GET && self != Self::Describe
    }

    /// All of them, in the order of the description.
    pub(super) const ALL: [Self; 14] = [
        Self::RunJs,
        Self::ListExecutions,
        Self::GetExecution,
        Self::GetExecutionSource,
        Self::GetExecutionOutput,
        Self::StreamExecutionOutput,
        Self::CancelExecution,
        Self::ListSessions,
        Self::ListSessionSnapshots,
        Self::GetHeapTags,
        Self::SetHeapTags,
        Self::DeleteHeapTags,
        Self::QueryHeapsByTags,
        Self::Describe,
    ];

    /// What a token has to be for; nothing for what is the same for everybody.
    pub(super) const fn scope(self) -> Option<Scope> {
        match self {
            Self::RunJs | Self::CancelExecution | Self::SetHeapTags | Self::DeleteHeapTags => {
                Some(Scope::Run)
            }
            Self::ListExecutions
            | Self::GetExecution
            | Self::GetExecutionSource
            | Self::GetExecutionOutput
            | Self::StreamExecutionOutput
            | Self::ListSessions
            | Self::ListSessionSnapshots
            | Self::GetHeapTags
            | Self::QueryHeapsByTags => Some(Scope::Read),
            Self::Describe => None,
        }
    }

    /// The arguments that it has on other servers, and not in this mode.
    pub(super) const fn absent_arguments(self, mode: Mode) -> &'static [&'static str] {
        match (self, mode) {
            (Self::RunJs, Mode::Stateless) => &STATE_ARGUMENTS,
            _ => &[],
        }
    }

    /// Its line of the table.
    pub(super) fn route(self) -> Route {
        match self {
            Self::RunJs => RUN_JS,
            Self::ListExecutions => LIST_EXECUTIONS,
            Self::GetExecution => GET_EXECUTION,
            Self::GetExecutionSource => GET_EXECUTION_SOURCE,
            Self::GetExecutionOutput => GET_EXECUTION_OUTPUT,
            Self::StreamExecutionOutput => STREAM_EXECUTION_OUTPUT,
            Self::CancelExecution => CANCEL_EXECUTION,
            Self::ListSessions => LIST_SESSIONS,
            Self::ListSessionSnapshots => LIST_SESSION_SNAPSHOTS,
            Self::GetHeapTags => GET_HEAP_TAGS,
            Self::SetHeapTags => SET_HEAP_TAGS,
            Self::DeleteHeapTags => DELETE_HEAP_TAGS,
            Self::QueryHeapsByTags => QUERY_HEAPS_BY_TAGS,
            Self::Describe => DESCRIBE,
        }
    }
}

const DONE: Shape = Shape::Json {
    name: "Done",
    schema: schema::of_result::<Done>,
};

const SEEN: Shape = Shape::Json {
    name: "ExecutionWithOutput",
    schema: schema::of_result::<Polled<Seen>>,
};

const RUN_JS: Route = Route {
    name: "run_js",
    method: Method::POST,
    path: "/api/exec",
    summary: "Run JavaScript or TypeScript",
    notes: "Without wait_ms it answers as soon as the execution is accepted. A client that goes away \
            while it waits ends the wait and nothing else: the execution goes on. A server that was \
            started with --stateless refuses heap, session and tags.",
    arguments: schema::of_arguments::<RunArguments>,
    has_body: true,
    answers: &[
        Answer {
            status: StatusCode::OK,
            meaning: "It has ended within wait_ms: the execution, and the first page of its output.",
            shape: SEEN,
        },
        Answer {
            status: StatusCode::ACCEPTED,
            meaning: "It is accepted: its id, and where a wait ran out the execution as it stands, \
                      and the first page of its output.",
            shape: Shape::Json {
                name: "AcceptedExecution",
                schema: schema::of_run_result::<Polled<Seen>>,
            },
        },
    ],
    errors: &[
        ErrorCode::MalformedBody,
        ErrorCode::UnknownHeap,
        ErrorCode::NoLatestHeap,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::HeapDamaged,
        ErrorCode::HeapForeign,
        ErrorCode::HeapIncompatible,
        ErrorCode::HeapTooLarge,
        ErrorCode::Overloaded,
        ErrorCode::QuotaExceeded,
        ErrorCode::StoreUnavailable,
        ErrorCode::AuditUnavailable,
        ErrorCode::HeapsUnavailable,
    ],
};

const LIST_EXECUTIONS: Route = Route {
    name: "list_executions",
    method: Method::GET,
    path: "/api/executions",
    summary: "List executions",
    notes: "Newest first, in pages.",
    arguments: schema::of_arguments::<ListArguments>,
    has_body: false,
    answers: &[Answer::ok(
        "A page of the list.",
        "ExecutionList",
        schema::of_result::<ExecutionList>,
    )],
    errors: &[],
};

const GET_EXECUTION: Route = Route {
    name: "get_execution",
    method: Method::GET,
    path: "/api/executions/{execution_id}",
    summary: "Look at an execution",
    notes: "With wait_ms it waits for the end. A client that goes away ends only the wait. One that \
            polls looks again after poll_after_ms.",
    arguments: schema::of_arguments::<GetArguments>,
    has_body: false,
    answers: &[Answer::ok(
        "The execution as it stands.",
        "Execution",
        schema::of_result::<Polled<Execution>>,
    )],
    errors: &[ErrorCode::UnknownExecution],
};

const GET_EXECUTION_SOURCE: Route = Route {
    name: "get_execution_source",
    method: Method::GET,
    path: "/api/executions/{execution_id}/source",
    summary: "Read the code of an execution",
    notes: "It is kept as long as the execution.",
    arguments: schema::of_arguments::<SourceArguments>,
    has_body: false,
    answers: &[Answer::ok(
        "Its code.",
        "SourceCode",
        schema::of_result::<SourceCode>,
    )],
    errors: &[ErrorCode::UnknownExecution, ErrorCode::Gone],
};

const GET_EXECUTION_OUTPUT: Route = Route {
    name: "get_execution_output",
    method: Method::GET,
    path: "/api/executions/{execution_id}/output",
    summary: "Read console output",
    notes: "By lines or by bytes, not some of both; also while the code runs.",
    arguments: schema::of_arguments::<OutputArguments>,
    has_body: false,
    answers: &[Answer::ok(
        "A page of the output.",
        "Output",
        schema::of_result::<Output>,
    )],
    errors: &[ErrorCode::UnknownExecution, ErrorCode::Gone],
};

const STREAM_EXECUTION_OUTPUT: Route = Route {
    name: "stream_execution_output",
    method: Method::GET,
    path: "/api/executions/{execution_id}/output/stream",
    summary: "Follow console output",
    notes: "Server-sent events: `output` with a piece of the output (OutputPiece) as soon as there is \
            one, then `end` with the execution (Execution), after which the server closes the stream: \
            close it too, or an EventSource opens it again. Where the server cannot go on, `failure` \
            with an Error comes instead of `end`. The id of an event is the next byte offset. An \
            offset beyond the end is the end. A comment comes every 15 seconds when nothing else does.",
    arguments: schema::of_arguments::<StreamArguments>,
    has_body: false,
    answers: &[Answer {
        status: StatusCode::OK,
        meaning: "The events.",
        shape: Shape::Events,
    }],
    errors: &[ErrorCode::UnknownExecution, ErrorCode::Gone],
};

const CANCEL_EXECUTION: Route = Route {
    name: "cancel_execution",
    method: Method::POST,
    path: "/api/executions/{execution_id}/cancel",
    summary: "Cancel an execution",
    notes: "It is killed, or taken out of the queue. Answers once its end is recorded. To cancel it again does \
            no harm: not_running says how it has ended, and where that is cancelled, it was. So who has got no \
            answer, or node_unreachable (the node that runs it did not say whether it has ended it), cancels \
            it again, at any node.",
    arguments: schema::of_arguments::<CancelArguments>,
    has_body: false,
    answers: &[Answer {
        status: StatusCode::OK,
        meaning: "It is cancelled.",
        shape: DONE,
    }],
    errors: &[
        ErrorCode::UnknownExecution,
        ErrorCode::NotRunning,
        ErrorCode::RunsElsewhere,
        ErrorCode::StillEnding,
    ],
};

const LIST_SESSIONS: Route = Route {
    name: "list_sessions",
    method: Method::GET,
    path: "/api/sessions",
    summary: "List sessions",
    notes: "The last begun first, in pages.",
    arguments: schema::of_arguments::<SessionsArguments>,
    has_body: false,
    answers: &[Answer::ok(
        "A page of the list.",
        "SessionList",
        schema::of_result::<SessionList>,
    )],
    errors: &[ErrorCode::Stateless],
};

const LIST_SESSION_SNAPSHOTS: Route = Route {
    name: "list_session_snapshots",
    method: Method::GET,
    path: "/api/sessions/{session}/snapshots",
    summary: "List the heaps of a session",
    notes: "Oldest first.",
    arguments: schema::of_arguments::<SnapshotsArguments>,
    has_body: false,
    answers: &[Answer::ok(
        "A page of its entries.",
        "Snapshots",
        schema::of_result::<Snapshots>,
    )],
    errors: &[ErrorCode::UnknownSession, ErrorCode::Stateless],
};

const GET_HEAP_TAGS: Route = Route {
    name: "get_heap_tags",
    method: Method::GET,
    path: "/api/heaps/{heap}/tags",
    summary: "Read the tags of a heap",
    notes: "",
    arguments: schema::of_arguments::<GetTagsArguments>,
    has_body: false,
    answers: &[Answer::ok(
        "Its tags.",
        "HeapTags",
        schema::of_result::<HeapTags>,
    )],
    errors: &[ErrorCode::UnknownHeap, ErrorCode::Stateless],
};

const SET_HEAP_TAGS: Route = Route {
    name: "set_heap_tags",
    method: Method::PUT,
    path: "/api/heaps/{heap}/tags",
    summary: "Replace the tags of a heap",
    notes: "",
    arguments: schema::of_arguments::<SetTagsArguments>,
    has_body: true,
    answers: &[Answer {
        status: StatusCode::OK,
        meaning: "It has these tags now, and no others.",
        shape: DONE,
    }],
    errors: &[
        ErrorCode::MalformedBody,
        ErrorCode::UnknownHeap,
        ErrorCode::Stateless,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::StoreUnavailable,
    ],
};

const DELETE_HEAP_TAGS: Route = Route {
    name: "delete_heap_tags",
    method: Method::DELETE,
    path: "/api/heaps/{heap}/tags",
    summary: "Delete tags of a heap",
    notes: "A tag that is not there is no error.",
    arguments: schema::of_arguments::<DeleteTagsArguments>,
    has_body: false,
    answers: &[Answer {
        status: StatusCode::OK,
        meaning: "It has none of these tags now.",
        shape: DONE,
    }],
    errors: &[
        ErrorCode::UnknownHeap,
        ErrorCode::Stateless,
        ErrorCode::StoreUnavailable,
    ],
};

const QUERY_HEAPS_BY_TAGS: Route = Route {
    name: "query_heaps_by_tags",
    method: Method::POST,
    path: "/api/heaps/query",
    summary: "Find heaps by their tags",
    notes: "The newest first, in pages.",
    arguments: schema::of_arguments::<QueryArguments>,
    has_body: true,
    answers: &[Answer::ok(
        "A page of the heaps.",
        "HeapList",
        schema::of_result::<HeapList>,
    )],
    errors: &[
        ErrorCode::MalformedBody,
        ErrorCode::Stateless,
        ErrorCode::UnsupportedMediaType,
    ],
};

const DESCRIBE: Route = Route {
    name: "get_openapi",
    method: Method::GET,
    path: "/api/openapi.json",
    summary: "This description",
    notes: "",
    arguments: schema::of_arguments::<NoArguments>,
    has_body: false,
    answers: &[Answer {
        status: StatusCode::OK,
        meaning: "The API in the form of OpenAPI 3.1.",
        shape: Shape::Document,
    }],
    errors: &[],
};
