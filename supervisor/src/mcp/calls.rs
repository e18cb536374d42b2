//! What each tool does.

use std::pin::pin;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::progress::Progress;
use super::tools::{ToolList, ToolName};
use crate::api::arguments::{BadArguments, Object, read};
use crate::api::{
    Accepted, ArgumentError, CancelArguments, DeleteTagsArguments, Done, Execution, ExecutionList,
    FIRST_PAGE, GetArguments, GetTagsArguments, HeapList, HeapTags, ListArguments, MixedUnits,
    Output, OutputArguments, QueryArguments, RunArguments, Seen, SessionList, SessionsArguments,
    SetTagsArguments, Snapshots, SnapshotsArguments,
};
use crate::app::{self, ExecutionId, Executions, MalformedExecutionId, View};

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
    #[error("the server failed: the result cannot be written as JSON ({0})")]
    Encode(#[from] serde_json::Error),
}

/// One call of a tool.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) executions: &'a Executions,
    pub(super) tools: &'a ToolList,
    pub(super) context: &'a RequestContext<RoleServer>,
}

impl Call<'_> {
    /// Does what the tool does. The value is the structured result.
    pub(super) async fn perform(
        &self,
        tool: ToolName,
        arguments: Option<Object>,
    ) -> Result<Value, CallError> {
        match tool {
            ToolName::RunJs => self.run_js(self.read(tool, arguments)?).await,
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

    async fn run_js(&self, arguments: RunArguments) -> Result<Value, CallError> {
        let wait = arguments.wait();
        // Not interrupted by a cancellation: what was accepted must be known to be cancelled.
        let id = self.executions.submit(arguments.try_into()?).await?;
        let Some(wait) = wait else {
            return structured(&Accepted::from(id));
        };
        let Some(view) = self.wait(id, wait).await? else {
            if let Err(error) = self.executions.cancel(id).await {
                tracing::debug!(%id, %error, "a cancelled call left its execution as it was");
            }
            return Err(CallError::RunCancelled(id));
        };
        let output = match self.executions.output(id, FIRST_PAGE).await {
            Ok(page) => Some(Output::new(id, page)),
            // The end is known; that its output cannot be read now is no reason to keep it back.
            Err(error) => {
                tracing::warn!(%id, %error, "the output could not be read");
                None
            }
        };
        structured(&Seen {
            execution: Execution::from(view),
            output,
        })
    }

    async fn get_execution(&self, arguments: GetArguments) -> Result<Value, CallError> {
        let id = arguments.execution_id.parse()?;
        let view = match arguments.wait() {
            None => self.executions.get(id).await?,
            Some(wait) => self
                .wait(id, wait)
                .await?
                .ok_or(CallError::WaitCancelled(id))?,
        };
        structured(&Execution::from(view))
    }

    async fn output(&self, arguments: OutputArguments) -> Result<Value, CallError> {
        let page = arguments.page()?;
        let id = arguments.execution_id.parse()?;
        let page = self.executions.output(id, page).await?;
        structured(&Output::new(id, page))
    }

    async fn cancel(&self, arguments: CancelArguments) -> Result<Value, CallError> {
        self.executions
            .cancel(arguments.execution_id.parse()?)
            .await?;
        structured(&Done { ok: true })
    }

    async fn list(&self, arguments: ListArguments) -> Result<Value, CallError> {
        let page = self.executions.list(arguments.into()).await?;
        structured(&ExecutionList::from(page))
    }

    async fn sessions(&self, arguments: SessionsArguments) -> Result<Value, CallError> {
        let page = self.executions.list_sessions(arguments.into()).await?;
        structured(&SessionList::from(page))
    }

    async fn snapshots(&self, arguments: SnapshotsArguments) -> Result<Value, CallError> {
        let (session, request, fields) = arguments.request()?;
        let page = self.executions.session_snapshots(session, request).await?;
        structured(&Snapshots::new(page, &fields))
    }

    async fn heap_tags(&self, arguments: GetTagsArguments) -> Result<Value, CallError> {
        let tags = self.executions.heap_tags(arguments.heap()?).await?;
        structured(&HeapTags::from(tags))
    }

    async fn set_heap_tags(&self, arguments: SetTagsArguments) -> Result<Value, CallError> {
        let (heap, tags) = arguments.change()?;
        self.executions.set_heap_tags(heap, tags).await?;
        structured(&Done { ok: true })
    }

    async fn delete_heap_tags(&self, arguments: DeleteTagsArguments) -> Result<Value, CallError> {
        let (heap, keys) = arguments.change()?;
        self.executions.delete_heap_tags(heap, keys).await?;
        structured(&Done { ok: true })
    }

    async fn query_heaps(&self, arguments: QueryArguments) -> Result<Value, CallError> {
        let query = arguments.try_into()?;
        let page = self.executions.query_heaps_by_tags(query).await?;
        structured(&HeapList::from(page))
    }

    /// The execution at its end, or as it stands when the wait ran out; `None` when the call was
    /// cancelled. Tells the client how it goes.
    async fn wait(&self, id: ExecutionId, wait: Duration) -> Result<Option<View>, app::Error> {
        let cancelled = &self.context.ct;
        let mut progress = Progress::new(self.context, wait);
        let mut end = pin!(self.executions.wait(id, wait));
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

    /// Where an execution stands, in a few words.
    async fn standing(&self, id: ExecutionId) -> String {
        match self.executions.get(id).await {
            Ok(view) => format!("{}, {} bytes of output", view.status, view.output_bytes),
            Err(error) => error.to_string(),
        }
    }
}

fn structured(shape: &impl Serialize) -> Result<Value, CallError> {
    Ok(serde_json::to_value(shape)?)
}
