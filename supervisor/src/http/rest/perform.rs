//! What each operation does.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::error::RestError;
use super::given::Given;
use super::operation::{JSON, Operation};
use super::stream;
use crate::api::{
    Accepted, CancelArguments, DeleteTagsArguments, Done, Execution, ExecutionList, FIRST_PAGE,
    GetArguments, GetTagsArguments, HeapList, HeapTags, ListArguments, Output, OutputArguments,
    QueryArguments, RunArguments, Seen, SessionList, SessionsArguments, SetTagsArguments,
    Snapshots, SnapshotsArguments, StreamArguments,
};
use crate::app::Executions;

/// Does it. The error says why it was not done.
pub(super) async fn perform(
    operation: Operation,
    executions: &Executions,
    given: &Given,
) -> Result<Response, RestError> {
    let request = Call {
        operation,
        executions,
        given,
    };
    match operation {
        Operation::Run => request.run().await,
        Operation::ListExecutions => request.list().await,
        Operation::GetExecution => request.get().await,
        Operation::GetOutput => request.output().await,
        Operation::StreamOutput => request.stream().await,
        Operation::Cancel => request.cancel().await,
        Operation::ListSessions => request.sessions().await,
        Operation::ListSnapshots => request.snapshots().await,
        Operation::GetTags => request.tags().await,
        Operation::SetTags => request.set_tags().await,
        Operation::DeleteTags => request.delete_tags().await,
        Operation::QueryHeaps => request.query_heaps().await,
    }
}

struct Call<'a> {
    operation: Operation,
    executions: &'a Executions,
    given: &'a Given,
}

impl Call<'_> {
    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, RestError> {
        self.given.read(self.operation, self.executions.mode())
    }

    async fn run(&self) -> Result<Response, RestError> {
        let arguments: RunArguments = self.read()?;
        let wait = arguments.wait();
        let id = self.executions.submit(arguments.try_into()?).await?;
        let Some(wait) = wait else {
            return json(StatusCode::ACCEPTED, &Accepted::from(id));
        };
        let view = self.executions.wait(id, wait).await?;
        let status = match view.end {
            Some(_) => StatusCode::OK,
            None => StatusCode::ACCEPTED,
        };
        let output = match self.executions.output(id, FIRST_PAGE).await {
            Ok(page) => Some(Output::new(id, page)),
            // The end is known; that its output cannot be read now is no reason to keep it back.
            Err(error) => {
                tracing::warn!(%id, %error, "the output could not be read");
                None
            }
        };
        let execution = Execution::from(view);
        json(status, &Seen { execution, output })
    }

    async fn list(&self) -> Result<Response, RestError> {
        let arguments: ListArguments = self.read()?;
        let page = self.executions.list(arguments.into()).await?;
        done(&ExecutionList::from(page))
    }

    async fn get(&self) -> Result<Response, RestError> {
        let arguments: GetArguments = self.read()?;
        let id = arguments.execution_id.parse()?;
        let view = match arguments.wait() {
            None => self.executions.get(id).await?,
            Some(wait) => self.executions.wait(id, wait).await?,
        };
        done(&Execution::from(view))
    }

    async fn output(&self) -> Result<Response, RestError> {
        let arguments: OutputArguments = self.read()?;
        let page = arguments.page()?;
        let id = arguments.execution_id.parse()?;
        let page = self.executions.output(id, page).await?;
        done(&Output::new(id, page))
    }

    async fn stream(&self) -> Result<Response, RestError> {
        let arguments: StreamArguments = self.read()?;
        let id = arguments.execution_id.parse()?;
        let last = self.given.last_event_id()?;
        let offset = last.or(arguments.byte_offset).unwrap_or(0);
        // What is not there is told before the stream begins.
        self.executions.get(id).await?;
        Ok(stream::of_output(self.executions.clone(), id, offset))
    }

    async fn cancel(&self) -> Result<Response, RestError> {
        let arguments: CancelArguments = self.read()?;
        self.executions
            .cancel(arguments.execution_id.parse()?)
            .await?;
        done(&Done { ok: true })
    }

    async fn sessions(&self) -> Result<Response, RestError> {
        let arguments: SessionsArguments = self.read()?;
        let page = self.executions.list_sessions(arguments.into()).await?;
        done(&SessionList::from(page))
    }

    async fn snapshots(&self) -> Result<Response, RestError> {
        let arguments: SnapshotsArguments = self.read()?;
        let (session, request, fields) = arguments.request()?;
        let page = self.executions.session_snapshots(session, request).await?;
        done(&Snapshots::new(page, &fields))
    }

    async fn tags(&self) -> Result<Response, RestError> {
        let arguments: GetTagsArguments = self.read()?;
        let tags = self.executions.heap_tags(arguments.heap()?).await?;
        done(&HeapTags::from(tags))
    }

    async fn set_tags(&self) -> Result<Response, RestError> {
        let arguments: SetTagsArguments = self.read()?;
        let (heap, tags) = arguments.change()?;
        self.executions.set_heap_tags(heap, tags).await?;
        done(&Done { ok: true })
    }

    async fn delete_tags(&self) -> Result<Response, RestError> {
        let arguments: DeleteTagsArguments = self.read()?;
        let (heap, keys) = arguments.change()?;
        self.executions.delete_heap_tags(heap, keys).await?;
        done(&Done { ok: true })
    }

    async fn query_heaps(&self) -> Result<Response, RestError> {
        let arguments: QueryArguments = self.read()?;
        let page = self
            .executions
            .query_heaps_by_tags(arguments.try_into()?)
            .await?;
        done(&HeapList::from(page))
    }
}

fn done(shape: &impl Serialize) -> Result<Response, RestError> {
    json(StatusCode::OK, shape)
}

fn json(status: StatusCode, shape: &impl Serialize) -> Result<Response, RestError> {
    Ok(json_response(status, serde_json::to_string(shape)?))
}

/// An answer with this JSON.
pub(super) fn json_response(status: StatusCode, json: String) -> Response {
    let mut response = (status, json).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
