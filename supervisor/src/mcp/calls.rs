//! What each tool does.

use std::pin::pin;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::{Answers, NoRoom, Room};
use super::progress::Progress;
use super::tasks;
use super::tools::{ToolList, ToolName};
use crate::api::arguments::{BadArguments, Object, read};
use crate::api::{
    Accepted, ArgumentError, CancelArguments, DeleteTagsArguments, Done, Execution, ExecutionList,
    FIRST_PAGE, GetArguments, GetTagsArguments, HeapList, HeapTags, ListArguments, MixedUnits,
    Output, OutputArguments, QueryArguments, RunArguments, Seen, SessionList, SessionsArguments,
    SetTagsArguments, Snapshots, SnapshotsArguments, told,
};
use crate::app::{self, ExecutionId, MalformedExecutionId, View, Workspace};

/// Why a call failed: always a result with `isError`, whose text the model reads.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("{0}")]
    Arguments(#[from] BadArguments),
    #[error("execution_id: {0}")]
    Id(#[from] MalformedExecutionId),
    #[error("{0}")]
    Argument(#[from] ArgumentError),
    #[error("{0}")]
    Units(#[from] MixedUnits),
    #[error("{0}")]
    Refused(#[from] app::Error),
    #[error("the call was cancelled; the execution {0} was cancelled with it")]
    RunCancelled(ExecutionId),
    #[error("the call was cancelled; the execution {0} goes on")]
    WaitCancelled(ExecutionId),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error("the result cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

/// The answer to a call.
#[derive(Debug)]
pub(super) enum Answer {
    /// The structured result, with the room that is reserved for it where it may be large.
    Complete(Value, Option<Room>),
    /// An execution that goes on, as a task.
    Task(Box<View>),
}

/// What a call of `run_js` wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// The id, at once.
    Id,
    /// The execution, at its end or when the wait has run out.
    Execution(Duration),
    /// The execution at its end, or else a task.
    End(Duration),
}

/// One call of a tool.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) tools: &'a ToolList,
    pub(super) answers: &'a Answers,
    pub(super) context: &'a RequestContext<RoleServer>,
}

impl Call<'_> {
    /// Does what the tool does.
    pub(super) async fn perform(
        &self,
        tool: ToolName,
        arguments: Option<Object>,
    ) -> Result<Answer, CallError> {
        match tool {
            ToolName::RunJs => {
                let open = tasks::wait_left_open(arguments.as_ref());
                let arguments: RunArguments = self.read(tool, arguments)?;
                let wish = self.wish(arguments.wait(), open);
                self.run_js(arguments, wish).await
            }
            ToolName::GetExecution => self.get_execution(self.read(tool, arguments)?).await,
            ToolName::GetExecutionOutput => self.output(self.read(tool, arguments)?).await,
            ToolName::CancelExecution => self.cancel(self.read(tool, arguments)?).await,
            ToolName::ListExecutions => self.list(self.read(tool, arguments)?).await,
            ToolName::ListSessions => self.sessions(self.read(tool, arguments)?).await,
            ToolName::ListSessionSnapshots => self.snapshots(self.read(tool, arguments)?).await,
            ToolName::GetHeapTags => self.heap_tags(self.read(tool, arguments)?).await,
            ToolName::SetHeapTags => self.set_heap_tags(self.read(tool, arguments)?).await,
            ToolName::DeleteHeapTags => self.delete_heap_tags(self.read(tool, arguments)?).await,
            ToolName::QueryHeapsByTags => self.query_heaps(self.read(tool, arguments)?).await,
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        tool: ToolName,
        arguments: Option<Object>,
    ) -> Result<T, BadArguments> {
        let schema = self.tools.arguments(tool);
        let absent = tool.absent_parameters(self.tools.mode());
        read(tool.name(), &schema, absent, arguments)
    }

    /// What is wanted by a call that asks for this wait, or leaves it open to take that one.
    fn wish(&self, asked: Option<Duration>, open: Option<Duration>) -> Wish {
        if tasks::are_understood(self.context) {
            asked.or(open).map_or(Wish::Id, Wish::End)
        } else {
            asked.map_or(Wish::Id, Wish::Execution)
        }
    }

    async fn run_js(&self, arguments: RunArguments, wish: Wish) -> Result<Answer, CallError> {
        // Not interrupted by a cancellation: what was accepted must be known to be cancelled.
        let id = self.workspace.submit(arguments.try_into()?).await?;
        let (Wish::Execution(wait) | Wish::End(wait)) = wish else {
            return structured(&Accepted::from(id));
        };
        let own = self.workspace.of_own();
        let Some(view) = self.wait(&own, id, wait).await? else {
            if let Err(error) = self.workspace.cancel(id).await {
                tracing::debug!(%id, %error, "a cancelled call left its execution as it was");
            }
            return Err(CallError::RunCancelled(id));
        };
        match wish {
            Wish::End(_) if view.end.is_none() => Ok(Answer::Task(Box::new(view))),
            // What runs already is told of in any case.
            _ => match self.room().await {
                Ok(room) => large(&seen(self.workspace, view).await, room),
                Err(NoRoom) => structured(&Accepted::from(id)),
            },
        }
    }

    async fn get_execution(&self, arguments: GetArguments) -> Result<Answer, CallError> {
        let id = arguments.execution_id.parse()?;
        if let Some(wait) = arguments.wait() {
            let seen = self.wait(self.workspace, id, wait).await?;
            seen.ok_or(CallError::WaitCancelled(id))?;
        }
        let room = self.room().await?;
        let view = self.workspace.get(id).await?;
        large(&Execution::from(view), room)
    }

    async fn output(&self, arguments: OutputArguments) -> Result<Answer, CallError> {
        let page = arguments.page()?;
        let id = arguments.execution_id.parse()?;
        let room = self.room().await?;
        let page = self.workspace.output(id, page).await?;
        large(&Output::new(id, page), room)
    }

    async fn cancel(&self, arguments: CancelArguments) -> Result<Answer, CallError> {
        self.workspace
            .cancel(arguments.execution_id.parse()?)
            .await?;
        structured(&Done { ok: true })
    }

    async fn list(&self, arguments: ListArguments) -> Result<Answer, CallError> {
        let room = self.room().await?;
        let page = self.workspace.list(arguments.into()).await?;
        large(&ExecutionList::from(page), room)
    }

    async fn sessions(&self, arguments: SessionsArguments) -> Result<Answer, CallError> {
        let room = self.room().await?;
        let page = self.workspace.list_sessions(arguments.into()).await?;
        large(&SessionList::from(page), room)
    }

    async fn snapshots(&self, arguments: SnapshotsArguments) -> Result<Answer, CallError> {
        let (session, request, fields) = arguments.request()?;
        let room = self.room().await?;
        let page = self.workspace.session_snapshots(session, request).await?;
        large(&Snapshots::new(page, &fields), room)
    }

    async fn heap_tags(&self, arguments: GetTagsArguments) -> Result<Answer, CallError> {
        let tags = self.workspace.heap_tags(arguments.heap()?).await?;
        structured(&HeapTags::from(tags))
    }

    async fn set_heap_tags(&self, arguments: SetTagsArguments) -> Result<Answer, CallError> {
        let (heap, tags) = arguments.change()?;
        self.workspace.set_heap_tags(heap, tags).await?;
        structured(&Done { ok: true })
    }

    async fn delete_heap_tags(&self, arguments: DeleteTagsArguments) -> Result<Answer, CallError> {
        let (heap, keys) = arguments.change()?;
        self.workspace.delete_heap_tags(heap, keys).await?;
        structured(&Done { ok: true })
    }

    async fn query_heaps(&self, arguments: QueryArguments) -> Result<Answer, CallError> {
        let query = arguments.try_into()?;
        let room = self.room().await?;
        let page = self.workspace.query_heaps_by_tags(query).await?;
        large(&HeapList::from(page), room)
    }

    async fn room(&self) -> Result<Room, NoRoom> {
        self.answers.room(self.workspace.tenant()).await
    }

    /// The execution at its end, or as it stands when the wait ran out; `None` when the call was
    /// cancelled. Tells the client how it goes.
    async fn wait(
        &self,
        by: &Workspace,
        id: ExecutionId,
        wait: Duration,
    ) -> Result<Option<View>, app::Error> {
        let cancelled = &self.context.ct;
        let mut progress = Progress::new(self.context, wait);
        let mut end = pin!(by.wait(id, wait));
        loop {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return Ok(None),
                view = &mut end => return view.map(Some),
                () = progress.due() => {}
            }
            let message = self.standing(id).await;
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return Ok(None),
                () = progress.tell(message) => {}
            }
        }
    }

    /// Where an execution stands, as far as that is known.
    async fn standing(&self, id: ExecutionId) -> String {
        match self.workspace.get(id).await {
            Ok(view) => standing(&view),
            Err(error) => told(&error),
        }
    }
}

/// An execution with its first output.
pub(super) async fn seen(workspace: &Workspace, view: View) -> Seen {
    let output = workspace.output_if_readable(&view, FIRST_PAGE).await;
    Seen::new(view, output)
}

/// Where an execution stands, in a few words.
pub(super) fn standing(view: &View) -> String {
    format!("{}, {} bytes of output", view.status, view.output_bytes)
}

fn structured(shape: &impl Serialize) -> Result<Answer, CallError> {
    Ok(Answer::Complete(serde_json::to_value(shape)?, None))
}

/// The same of a shape that may be large.
fn large(shape: &impl Serialize, room: Room) -> Result<Answer, CallError> {
    Ok(Answer::Complete(serde_json::to_value(shape)?, Some(room)))
}
