//! What each operation does.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::json;
use super::form::{Form, Sent};
use super::operation::Operation;
use super::{consistency, openapi, stream};
use crate::api::{
    Accepted, CancelArguments, DeleteTagsArguments, Done, Execution, ExecutionList, FIRST_PAGE,
    GetArguments, GetTagsArguments, HeapList, HeapTags, ListArguments, NoArguments, Output,
    OutputArguments, Polled, QueryArguments, RunArguments, Seen, SessionList, SessionsArguments,
    SetTagsArguments, Snapshots, SnapshotsArguments, SourceArguments, SourceCode, StreamArguments,
};
use crate::app::{ExecutionId, Executions, Looked, View, Workspace};
use crate::auth::Caller;
use crate::http::error::HttpError;
use crate::quota::Crowd;

/// An operation of this server.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) executions: Executions,
    pub(super) operation: Operation,
    pub(super) form: Form,
    /// Outputs that may still be followed.
    pub(super) streams: Crowd,
}

/// One call of it.
#[derive(Debug)]
struct Call<'a> {
    desk: &'a Desk,
    /// What the caller can see and do.
    workspace: Workspace,
}

type Answered = Result<Response, HttpError>;

impl Desk {
    /// Reads the arguments, and does what the operation does.
    pub(super) async fn perform(&self, request: Request) -> Answered {
        let caller = request.extensions().get::<Caller>();
        let caller = caller.ok_or(HttpError::NobodyCalls)?;
        if let Some(scope) = self.operation.scope().filter(|scope| !caller.may(*scope)) {
            return Err(HttpError::NoScope(scope));
        }
        let workspace = self
            .executions
            .of(caller.tenant().clone())
            .through("rest", caller.token_id());
        let sent = Sent::from(request);
        let call = Call {
            desk: self,
            workspace: consistency::reach(workspace, &sent),
        };
        call.perform(sent).await
    }
}

impl Call<'_> {
    async fn perform(&self, sent: Sent) -> Answered {
        let form = &self.desk.form;
        match self.desk.operation {
            Operation::RunJs => self.run_js(form.read(sent).await?).await,
            Operation::ListExecutions => self.list(form.read(sent).await?).await,
            Operation::GetExecution => self.get_execution(form.read(sent).await?).await,
            Operation::GetExecutionSource => self.source(form.read(sent).await?).await,
            Operation::GetExecutionOutput => self.output(form.read(sent).await?).await,
            Operation::StreamExecutionOutput => self.stream(sent).await,
            Operation::CancelExecution => self.cancel(form.read(sent).await?).await,
            Operation::ListSessions => self.sessions(form.read(sent).await?).await,
            Operation::ListSessionSnapshots => self.snapshots(form.read(sent).await?).await,
            Operation::GetHeapTags => self.heap_tags(form.read(sent).await?).await,
            Operation::SetHeapTags => self.set_heap_tags(form.read(sent).await?).await,
            Operation::DeleteHeapTags => self.delete_heap_tags(form.read(sent).await?).await,
            Operation::QueryHeapsByTags => self.query_heaps(form.read(sent).await?).await,
            Operation::Describe => describe(form.read(sent).await?),
        }
    }

    async fn run_js(&self, arguments: RunArguments) -> Answered {
        let wait = arguments.wait();
        let id = self.workspace.submit(arguments.try_into()?).await?;
        match wait {
            None => {
                let poll_after = self.workspace.poll_after(id);
                let accepted = Polled::new(Accepted::from(id), Some(poll_after));
                json(StatusCode::ACCEPTED, &accepted)
            }
            Some(wait) => self.seen(id, wait).await,
        }
    }

    async fn seen(&self, id: ExecutionId, wait: Duration) -> Answered {
        let view = self.workspace.of_own().wait(id, wait).await?;
        let status = match view.end {
            Some(_) => StatusCode::OK,
            None => StatusCode::ACCEPTED,
        };
        let output = self.workspace.output_if_readable(&view, FIRST_PAGE).await;
        let poll_after = self.unless_ended(&view);
        json(status, &Polled::new(Seen::new(view, output), poll_after))
    }

    async fn list(&self, arguments: ListArguments) -> Answered {
        let page = self.workspace.list(arguments.into()).await?;
        json(StatusCode::OK, &ExecutionList::from(page))
    }

    async fn get_execution(&self, arguments: GetArguments) -> Answered {
        let id = arguments.execution_id.parse()?;
        let Looked { view, poll_after } = match arguments.wait() {
            None => self.workspace.look(id).await?,
            Some(wait) => {
                let view = self.workspace.wait(id, wait).await?;
                let poll_after = self.unless_ended(&view);
                Looked { view, poll_after }
            }
        };
        let shown = Polled::new(Execution::from(view), poll_after);
        json(StatusCode::OK, &shown)
    }

    /// When to look again at an execution that was waited for.
    fn unless_ended(&self, view: &View) -> Option<Duration> {
        let runs = view.end.is_none();
        runs.then(|| self.workspace.poll_after(view.id))
    }

    async fn source(&self, arguments: SourceArguments) -> Answered {
        let id = arguments.execution_id.parse()?;
        let source = self.workspace.source(id).await?;
        json(StatusCode::OK, &SourceCode::new(id, source))
    }

    async fn output(&self, arguments: OutputArguments) -> Answered {
        let page = arguments.page()?;
        let id = arguments.execution_id.parse()?;
        let page = self.workspace.output(id, page).await?;
        json(StatusCode::OK, &Output::new(id, page))
    }

    async fn stream(&self, sent: Sent) -> Answered {
        let resumed = stream::last_event_id(&sent.headers)?;
        let arguments: StreamArguments = self.desk.form.read(sent).await?;
        let id = arguments.execution_id.parse()?;
        let offset = resumed.unwrap_or(arguments.byte_offset);
        let follower = self.workspace.follow(id, offset).await?;
        let place = self.desk.streams.enter(self.workspace.tenant())?;
        Ok(stream::answer(follower, place))
    }

    async fn cancel(&self, arguments: CancelArguments) -> Answered {
        let id = arguments.execution_id.parse()?;
        self.workspace.cancel(id).await?;
        json(StatusCode::OK, &Done { ok: true })
    }

    async fn sessions(&self, arguments: SessionsArguments) -> Answered {
        let page = self.workspace.list_sessions(arguments.into()).await?;
        json(StatusCode::OK, &SessionList::from(page))
    }

    async fn snapshots(&self, arguments: SnapshotsArguments) -> Answered {
        let (session, request, fields) = arguments.request()?;
        let page = self.workspace.session_snapshots(session, request).await?;
        json(StatusCode::OK, &Snapshots::new(page, &fields))
    }

    async fn heap_tags(&self, arguments: GetTagsArguments) -> Answered {
        let tags = self.workspace.heap_tags(arguments.heap()?).await?;
        json(StatusCode::OK, &HeapTags::from(tags))
    }

    async fn set_heap_tags(&self, arguments: SetTagsArguments) -> Answered {
        let (heap, tags) = arguments.change()?;
        self.workspace.set_heap_tags(heap, tags).await?;
        json(StatusCode::OK, &Done { ok: true })
    }

    async fn delete_heap_tags(&self, arguments: DeleteTagsArguments) -> Answered {
        let (heap, keys) = arguments.change()?;
        self.workspace.delete_heap_tags(heap, keys).await?;
        json(StatusCode::OK, &Done { ok: true })
    }

    async fn query_heaps(&self, arguments: QueryArguments) -> Answered {
        let query = arguments.try_into()?;
        let page = self.workspace.query_heaps_by_tags(query).await?;
        json(StatusCode::OK, &HeapList::from(page))
    }
}

fn describe(_: NoArguments) -> Answered {
    json(StatusCode::OK, openapi::document())
}
