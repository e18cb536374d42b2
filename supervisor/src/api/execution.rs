//! An execution as clients see it.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::output::Output;
use super::schema::one_of;
use crate::app::{
    End, ExecutionId, FailureKind, HeapEnd, ListPage, OutputPage, Source, Status, Summary, View,
};

/// An execution, all of it but its output. Absent values are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Execution {
    /// The id.
    pub execution_id: String,
    /// Where it stands: queued and running may change; completed, failed, cancelled and timed_out
    /// are final.
    #[schemars(schema_with = "status")]
    pub status: &'static str,
    /// The value of the last expression, as String(value) gives it. Null unless completed.
    pub result: Option<String>,
    /// The value as a developer would like to see it, e.g. { a: 1 } for an object; cut when long.
    /// Null unless completed.
    pub result_preview: Option<String>,
    /// Whether result was cut at 1 MiB.
    pub result_truncated: bool,
    /// The heap that it left behind, 64 hexadecimal digits: give it to run_js as heap to go on from
    /// there. Null unless completed, when it could not be kept, and on a stateless server.
    pub heap: Option<String>,
    /// Why its heap could not be kept, and what to do. Null when it was kept, and when there was
    /// none to keep.
    pub heap_error: Option<String>,
    /// The heap that it started from; null for a fresh one.
    pub input_heap: Option<String>,
    /// The session that it belongs to; null without one.
    pub session: Option<String>,
    /// What went wrong, where (line and column of the code), and what to do. Null while queued or
    /// running and when completed.
    pub error: Option<String>,
    /// The kind of failure, for programs. Null unless failed.
    #[schemars(schema_with = "failure_kind")]
    pub error_kind: Option<&'static str>,
    /// Whether error was cut at 64 KiB.
    pub error_truncated: bool,
    /// When it was accepted (RFC 3339, UTC).
    pub submitted_at: String,
    /// When its code started to run (RFC 3339, UTC); null when it has not.
    pub started_at: Option<String>,
    /// When it ended (RFC 3339, UTC); null when it has not.
    pub completed_at: Option<String>,
    /// Its limit of V8's heap, in MB.
    pub heap_memory_max_mb: u64,
    /// Its limit of run time, in seconds from the start of its code.
    pub execution_timeout_secs: u64,
    /// Console output so far, in bytes; get_execution_output reads it.
    pub output_bytes: u64,
    /// Whether console output beyond 16 MiB, or beyond the tenant's quota, was dropped.
    pub output_truncated: bool,
    /// What it used. Null before its end, and when it ended without having run.
    pub usage: Option<Usage>,
}

/// What an execution used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// CPU time of its process, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that its process had at once, in bytes; what all processes share is part of it.
    pub peak_memory_bytes: u64,
    /// Console output that was kept, in bytes.
    pub output_bytes: u64,
}

fn status(_: &mut SchemaGenerator) -> Schema {
    one_of(Status::ALL.iter().map(|status| status.name()), false)
}

fn failure_kind(_: &mut SchemaGenerator) -> Schema {
    one_of(FailureKind::ALL.iter().map(|kind| kind.name()), true)
}

impl From<View> for Execution {
    fn from(view: View) -> Self {
        let error = view.end.as_ref().and_then(End::error);
        let mut execution = Self {
            execution_id: view.id.to_string(),
            status: view.status.name(),
            result: None,
            result_preview: None,
            result_truncated: false,
            heap: None,
            heap_error: None,
            input_heap: view.input_heap.map(|heap| heap.to_string()),
            session: view.session.map(|session| session.to_string()),
            error,
            error_kind: None,
            error_truncated: false,
            submitted_at: view.submitted_at.to_string(),
            started_at: view.started_at.map(|time| time.to_string()),
            completed_at: view.completed_at.map(|time| time.to_string()),
            heap_memory_max_mb: view.limits.heap_memory_max_mb,
            execution_timeout_secs: view.limits.execution_timeout_secs,
            output_bytes: view.output_bytes,
            output_truncated: view.output_truncated,
            usage: view.usage.map(|usage| Usage {
                cpu_ms: usage.cpu_ms,
                peak_memory_bytes: usage.peak_memory_bytes,
                output_bytes: view.output_bytes,
            }),
        };
        match view.end {
            Some(End::Completed {
                result,
                result_truncated,
                preview,
                heap,
            }) => {
                match heap {
                    HeapEnd::NotKept => {}
                    HeapEnd::Kept(id) => execution.heap = Some(id.to_string()),
                    HeapEnd::Lost { why } => execution.heap_error = Some(why),
                }
                execution.result = Some(result);
                execution.result_preview = Some(preview);
                execution.result_truncated = result_truncated;
            }
            Some(End::Failed {
                kind,
                error_truncated,
                ..
            }) => {
                execution.error_kind = Some(kind.name());
                execution.error_truncated = error_truncated;
            }
            Some(End::Cancelled { .. } | End::TimedOut { .. }) | None => {}
        }
        execution
    }
}

/// The code of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceCode {
    /// The id.
    pub execution_id: String,
    /// The code, as it was submitted; null where it was not kept.
    pub code: Option<String>,
}

impl SourceCode {
    /// The code of this execution.
    pub fn new(id: ExecutionId, source: Source) -> Self {
        Self {
            execution_id: id.to_string(),
            code: match source {
                Source::Kept(code) => Some(code),
                Source::NotKept => None,
            },
        }
    }
}

/// What run_js gives back at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Accepted {
    /// The id, for get_execution, get_execution_output and cancel_execution.
    pub execution_id: String,
}

impl From<ExecutionId> for Accepted {
    fn from(id: ExecutionId) -> Self {
        Self {
            execution_id: id.to_string(),
        }
    }
}

/// What run_js gives back after a wait: the execution as it then stands, and its first output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Seen {
    /// The execution.
    #[serde(flatten)]
    pub execution: Execution,
    /// The first page of its console output, as get_execution_output gives it. Absent when it could
    /// not be read; get_execution_output may then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Output")]
    pub output: Option<Output>,
}

impl Seen {
    /// This execution, with a page of its output where that could be read.
    pub fn new(view: View, output: Option<OutputPage>) -> Self {
        let output = output.map(|page| Output::new(view.id, page));
        Self {
            execution: view.into(),
            output,
        }
    }
}

/// What is told of an execution to a client that may look again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Polled<S> {
    /// What is told.
    #[serde(flatten)]
    pub shown: S,
    /// In how many milliseconds to look again: about when its end is to be expected, 5 to 2,000. To look
    /// earlier finds it unfinished, most likely. Null once it has ended.
    pub poll_after_ms: Option<u64>,
}

impl<S> Polled<S> {
    /// This, to be looked at again after so long.
    pub fn new(shown: S, poll_after: Option<Duration>) -> Self {
        let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Self {
            shown,
            poll_after_ms: poll_after.map(millis),
        }
    }
}

/// An execution in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedExecution {
    /// The id.
    pub id: String,
    /// The id again, under the name that the other tools use.
    pub execution_id: String,
    /// Where it stands.
    #[schemars(schema_with = "status")]
    pub status: &'static str,
    /// When it was accepted (RFC 3339, UTC).
    pub submitted_at: String,
    /// When its code started to run (RFC 3339, UTC); null when it has not.
    pub started_at: Option<String>,
    /// When it ended (RFC 3339, UTC); null when it has not.
    pub completed_at: Option<String>,
}

impl From<Summary> for ListedExecution {
    fn from(summary: Summary) -> Self {
        Self {
            id: summary.id.to_string(),
            execution_id: summary.id.to_string(),
            status: summary.status.name(),
            submitted_at: summary.submitted_at.to_string(),
            started_at: summary.started_at.map(|time| time.to_string()),
            completed_at: summary.completed_at.map(|time| time.to_string()),
        }
    }
}

/// A page of the list of executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExecutionList {
    /// The executions, newest first.
    pub executions: Vec<ListedExecution>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<ListPage> for ExecutionList {
    fn from(page: ListPage) -> Self {
        Self {
            executions: page.executions.into_iter().map(Into::into).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

/// That something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Done {
    /// Always true: a failure is an error.
    pub ok: bool,
}
