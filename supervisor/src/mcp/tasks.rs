//! The tasks extension (`io.modelcontextprotocol/tasks`, SEP-2663): every execution is a task, and
//! its id is the task's.
//!
//! A client that declares the extension polls by itself until the end, and its model gets the result
//! of one call. So `run_js` gives it a task whenever it would else have to answer before the end.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResult, CancelTaskParams, CreateTaskResult, DetailedTask, ErrorData, GetTaskParams,
    GetTaskResult, Task, TaskPayload, TaskStatus, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use serde_json::Value;

use super::calls::{seen, standing};
use super::era::{is_modern, stamp};
use super::refusal::refused;
use crate::api::arguments::Object;
use crate::api::{FAILED, clip, hidden};
use crate::app::{self, Conflict, End, ExecutionId, Status, Unavailable, View, Workspace};
use crate::limits;

/// How long `run_js` waits for the end of an execution before it gives a task, when the call does not
/// say: most code ends within, and its result needs no polling.
const WAIT_BEFORE_TASK: Duration = Duration::from_secs(1);

/// How often a client should ask.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long after it was accepted an execution can be asked for as a task: longer than any can take,
/// and no longer than the shortest time that ended executions can be set to be kept.
const TASK_TIME: Duration = Duration::from_secs(60 * 60);

const _: () = assert!(
    limits::QUEUE_WAIT_MAX.as_secs()
        + limits::HEAP_FETCH_WAIT_MAX.as_secs()
        + limits::EXECUTION_TIMEOUT_SECS_MAX
        + limits::SAVE_WAIT_MAX.as_secs()
        < TASK_TIME.as_secs()
);

/// Why nothing is known about a task.
#[derive(Debug, thiserror::Error)]
pub(super) enum TaskError {
    #[error("there is no task {}; it may have expired", clip(.0))]
    Unknown(String),
    #[error("{0}")]
    Refused(app::Error),
    #[error("the result cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl TaskError {
    /// What a use case says about the execution that the task is.
    fn of(id: ExecutionId) -> impl Fn(app::Error) -> Self {
        move |error| match error {
            app::Error::NotFound { .. } => Self::Unknown(id.to_string()),
            other => Self::Refused(other),
        }
    }
}

impl From<TaskError> for ErrorData {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Unknown(_) => Self::invalid_params(error.to_string(), None),
            TaskError::Refused(error) => refused(&error),
            TaskError::Encode(_) => Self::internal_error(hidden(FAILED, &error), None),
        }
    }
}

/// Whether this request may be answered with a task: only this request counts, not what its client
/// has said before.
pub(super) fn are_understood(context: &RequestContext<RoleServer>) -> bool {
    let declared = context.meta.client_capabilities();
    is_modern(context) && declared.is_some_and(|client| client.supports_tasks())
}

/// How long to wait for the end when a call of `run_js` does not say. One that says 0 wants the id,
/// and leaves nothing open.
pub(super) fn wait_left_open(arguments: Option<&Object>) -> Option<Duration> {
    let asked = arguments.and_then(|arguments| arguments.get("wait_ms"));
    asked.is_none_or(Value::is_null).then_some(WAIT_BEFORE_TASK)
}

/// A task, in place of the result of a call.
pub(super) fn created(view: &View, context: &RequestContext<RoleServer>) -> CreateTaskResult {
    let mut result = CreateTaskResult::new(task(view));
    result.meta = stamp(context);
    result
}

/// Where a task stands, with its result once there is one.
pub(super) async fn get(
    workspace: &Workspace,
    request: GetTaskParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetTaskResult, TaskError> {
    let id = known(request.task_id)?;
    let view = workspace.get(id).await.map_err(TaskError::of(id))?;
    let task = task(&view);
    let payload = match view.status {
        Status::Queued | Status::Running => TaskPayload::Working,
        Status::Cancelled => TaskPayload::Cancelled,
        // A script's failure is a result.
        Status::Completed | Status::Failed | Status::TimedOut => TaskPayload::Completed {
            result: result(workspace, view, context).await?,
        },
    };
    let mut found = GetTaskResult::new(DetailedTask::new(task, payload));
    found.meta = stamp(context);
    Ok(found)
}

/// What `run_js` would have given if it had waited for the end.
async fn result(
    workspace: &Workspace,
    view: View,
    context: &RequestContext<RoleServer>,
) -> Result<Object, TaskError> {
    let seen = serde_json::to_value(seen(workspace, view).await)?;
    let result = CallToolResult::structured(seen).with_meta(stamp(context));
    match serde_json::to_value(result)? {
        Value::Object(result) => Ok(result),
        _ => Ok(Object::new()),
    }
}

/// Cancels a task. One that has ended stays as it is, and that is no error.
pub(super) async fn cancel(
    workspace: &Workspace,
    request: CancelTaskParams,
) -> Result<(), TaskError> {
    let id = known(request.task_id)?;
    match workspace.cancel(id).await {
        Ok(())
        | Err(app::Error::Conflict(Conflict::NotRunning { .. }))
        // It was asked to end, and polling shows when it has.
        | Err(app::Error::Unavailable(Unavailable::StillEnding { .. })) => Ok(()),
        Err(error) => Err(TaskError::of(id)(error)),
    }
}

/// Takes answers to what a task has asked for. No execution asks for anything, so they are ignored.
pub(super) async fn update(
    workspace: &Workspace,
    request: UpdateTaskParams,
) -> Result<(), TaskError> {
    let id = known(request.task_id)?;
    workspace.get(id).await.map_err(TaskError::of(id))?;
    Ok(())
}

fn known(task: String) -> Result<ExecutionId, TaskError> {
    task.parse().map_err(|_| TaskError::Unknown(task))
}

fn task(view: &View) -> Task {
    let changed = view.completed_at.or(view.started_at);
    Task::new(
        view.id.to_string(),
        status(view.status),
        view.submitted_at.to_string(),
        changed.unwrap_or(view.submitted_at).to_string(),
    )
    .with_status_message(message(view))
    .with_ttl_ms(millis(TASK_TIME))
    .with_poll_interval_ms(millis(POLL_INTERVAL))
}

const fn status(status: Status) -> TaskStatus {
    match status {
        Status::Queued | Status::Running => TaskStatus::Working,
        Status::Completed | Status::Failed | Status::TimedOut => TaskStatus::Completed,
        Status::Cancelled => TaskStatus::Cancelled,
    }
}

fn message(view: &View) -> String {
    match &view.end {
        Some(end @ End::Cancelled { .. }) => end.error().unwrap_or_default(),
        Some(_) => view.status.to_string(),
        None => standing(view),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
