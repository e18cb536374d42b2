//! Workspace and their output as resources.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ErrorData, ListResourceTemplatesResult, ListResourcesResult, MetaObject, ReadResourceResult,
    Resource, ResourceContents, ResourceTemplate,
};
use rmcp::service::RequestContext;
use serde_json::json;

use super::era::{Freshness, Kept as _};
use super::fit::{CONTENT_BYTES_MAX, beginning, escaped_bytes, twice_escaped_bytes};
use super::refusal::refused;
use super::resource_uri::{BadUri, EXECUTION_TEMPLATE, OUTPUT_TEMPLATE, ResourceUri};
use crate::api::{Execution, FAILED, Output, clip, hidden};
use crate::app::{self, ExecutionId, ListRequest, OutputPage, PageRequest, Summary, Workspace};
use crate::limits;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Under which key of `_meta` the place of a part of an output stands.
const PAGE_KEY: &str = "mcp-v8/page";

/// How long templates stay as they are: they change with the program only.
const TEMPLATES_TIME: Duration = Duration::from_secs(60 * 60);

/// How long an execution that has ended may be kept: it does not change, but it expires.
const ENDED_TIME: Duration = Duration::from_secs(60);

/// Why a resource is not given.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResourceError {
    #[error("{}: {problem}", clip(uri))]
    Uri { uri: String, problem: BadUri },
    #[error("{problem}")]
    Unknown { uri: String, problem: app::Error },
    #[error("{0}")]
    Refused(#[from] app::Error),
    #[error("the execution cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl From<ResourceError> for ErrorData {
    fn from(error: ResourceError) -> Self {
        let text = error.to_string();
        match error {
            ResourceError::Uri {
                problem: BadUri::Foreign,
                uri,
            }
            | ResourceError::Unknown { uri, .. } => {
                Self::resource_not_found(text, Some(json!({ "uri": clip(&uri) })))
            }
            ResourceError::Uri { .. } => Self::invalid_params(text, None),
            ResourceError::Refused(error) => refused(&error),
            ResourceError::Encode(_) => Self::internal_error(hidden(FAILED, &text), None),
        }
    }
}

/// A page of the list: executions, newest first, each with its output.
pub(super) async fn list(
    workspace: &Workspace,
    cursor: Option<String>,
    context: &RequestContext<RoleServer>,
) -> Result<ListResourcesResult, ErrorData> {
    let request = ListRequest {
        status: None,
        limit: limits::LIST_LENGTH_DEFAULT,
        cursor,
    };
    let page = workspace.list(request).await.map_err(|e| refused(&e))?;
    let resources = page.executions.iter().flat_map(describe).collect();
    let mut list = ListResourcesResult::with_all_items(resources);
    list.next_cursor = page.next_cursor;
    Ok(list.labelled(context, Freshness::for_caller(Duration::ZERO)))
}

fn describe(summary: &Summary) -> [Resource; 2] {
    let Summary {
        id,
        status,
        submitted_at,
        ..
    } = summary;
    let execution = Resource::new(
        ResourceUri::Execution(*id).to_string(),
        format!("execution {id}"),
    )
    .with_description(format!("{status}, submitted {submitted_at}"))
    .with_mime_type(JSON);
    let output = Resource::new(
        ResourceUri::Output(*id).to_string(),
        format!("output of {id}"),
    )
    .with_description(format!("console output; the execution is {status}"))
    .with_mime_type(TEXT);
    [execution, output]
}

/// What can be read of every execution.
pub(super) fn templates(context: &RequestContext<RoleServer>) -> ListResourceTemplatesResult {
    let execution = ResourceTemplate::new(EXECUTION_TEMPLATE, "execution")
        .with_title("Execution")
        .with_description("Status, result or error, times and limits, as get_execution gives them.")
        .with_mime_type(JSON);
    let output = ResourceTemplate::new(OUTPUT_TEMPLATE, "output")
        .with_title("Console output of an execution")
        .with_description(
            "As much from its beginning as one message holds, up to 1 MiB; get_execution_output \
             reads the rest.",
        )
        .with_mime_type(TEXT);
    ListResourceTemplatesResult::with_all_items(vec![execution, output])
        .labelled(context, Freshness::for_all(TEMPLATES_TIME))
}

/// The content of a resource.
pub(super) async fn read(
    workspace: &Workspace,
    uri: String,
    context: &RequestContext<RoleServer>,
) -> Result<ReadResourceResult, ResourceError> {
    let content = match uri.parse() {
        Ok(ResourceUri::Execution(id)) => execution(workspace, id, &uri).await,
        Ok(ResourceUri::Output(id)) => output(workspace, id, &uri).await,
        Err(problem) => return Err(ResourceError::Uri { uri, problem }),
    };
    let content = content.map_err(|error| match error {
        ResourceError::Refused(problem @ app::Error::NotFound { .. }) => {
            ResourceError::Unknown { uri, problem }
        }
        other => other,
    })?;
    let time = if content.is_final {
        ENDED_TIME
    } else {
        Duration::ZERO
    };
    Ok(ReadResourceResult::new(content.parts).labelled(context, Freshness::for_caller(time)))
}

/// What is read.
struct Content {
    /// The resource, and a note where it was cut.
    parts: Vec<ResourceContents>,
    /// Whether it cannot change any more.
    is_final: bool,
}

async fn execution(
    workspace: &Workspace,
    id: ExecutionId,
    uri: &str,
) -> Result<Content, ResourceError> {
    let view = workspace.get(id).await?;
    let is_final = view.status.is_end();
    let mut shape = Execution::from(view);
    let mut json = serde_json::to_string(&shape)?;
    let mut note = None;
    if let (Some(result), Some(excess)) = (&shape.result, excess(&json)) {
        let whole: usize = result.chars().map(twice_escaped_bytes).sum();
        let room = whole.saturating_sub(excess);
        let kept = beginning(result, room, twice_escaped_bytes).to_owned();
        note = Some(format!(
            "The result is cut here after {} of {} bytes; the tool get_execution gives all of it.",
            kept.len(),
            result.len()
        ));
        shape.result = Some(kept);
        shape.result_truncated = true;
        json = serde_json::to_string(&shape)?;
    }
    let content = ResourceContents::text(json, uri).with_mime_type(JSON);
    let note = note.map(|note| ResourceContents::text(note, uri));
    Ok(Content {
        parts: std::iter::once(content).chain(note).collect(),
        is_final,
    })
}

/// By how many bytes a text is too long for one message.
fn excess(text: &str) -> Option<usize> {
    let bytes: usize = text.chars().map(escaped_bytes).sum();
    bytes
        .checked_sub(CONTENT_BYTES_MAX)
        .filter(|excess| *excess > 0)
}

async fn output(
    workspace: &Workspace,
    id: ExecutionId,
    uri: &str,
) -> Result<Content, ResourceError> {
    let first = PageRequest::Bytes {
        offset: 0,
        limit: limits::PAGE_BYTES_MAX,
    };
    let mut page = workspace.output(id, first).await?;
    let is_final = page.status.is_end();
    let kept = beginning(&page.data, CONTENT_BYTES_MAX, escaped_bytes).len();
    if kept < page.data.len() {
        // Where that is, in both coordinates, the store knows.
        let shorter = PageRequest::Bytes {
            offset: 0,
            limit: (kept as u64).max(1),
        };
        page = workspace.output(id, shorter).await?;
    }
    Ok(Content {
        parts: output_parts(id, uri, page)?,
        is_final,
    })
}

fn output_parts(
    id: ExecutionId,
    uri: &str,
    page: OutputPage,
) -> Result<Vec<ResourceContents>, serde_json::Error> {
    let mut shape = Output::new(id, page);
    let data = std::mem::take(&mut shape.data);
    let note = shape.has_more.then(|| {
        format!(
            "The output is cut here after {} of {} bytes. Read on with the tool \
             get_execution_output: {}",
            shape.end_byte,
            shape.total_bytes,
            json!({
                "execution_id": shape.execution_id,
                "byte_offset": shape.next_byte_offset,
                "byte_limit": limits::PAGE_BYTES_MAX,
            })
        )
    });
    let mut place = serde_json::to_value(&shape)?;
    if let Some(place) = place.as_object_mut() {
        place.shift_remove("data");
    }
    let mut meta = MetaObject::new();
    meta.insert(PAGE_KEY.to_owned(), place);
    let content = ResourceContents::text(data, uri).with_meta(meta);
    let note = note.map(|note| ResourceContents::text(note, uri));
    Ok(std::iter::once(content).chain(note).collect())
}
