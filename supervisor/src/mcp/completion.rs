//! Completion of what somebody types into a template of resources.

use rmcp::model::{
    ArgumentInfo, CompleteRequestParams, CompleteResult, CompletionInfo, ErrorData, Reference,
};

use super::refusal::refused;
use super::resource_uri::{EXECUTION_TEMPLATE, OUTPUT_TEMPLATE, TEMPLATE_VARIABLE};
use crate::api::clip;
use crate::app::{self, Workspace};

/// The most values of one completion.
const VALUES_MAX: u32 = 100;

const _: () = assert!(VALUES_MAX as usize == CompletionInfo::MAX_VALUES);

/// Why there is nothing to complete.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompletionError {
    #[error(
        "this server has no prompts; it completes {TEMPLATE_VARIABLE} in {EXECUTION_TEMPLATE} and {OUTPUT_TEMPLATE}"
    )]
    Prompt,
    #[error(
        "there is no template {}; there are {EXECUTION_TEMPLATE} and {OUTPUT_TEMPLATE}",
        clip(.0)
    )]
    Template(String),
    #[error("there is no argument {}; there is {TEMPLATE_VARIABLE}", clip(.0))]
    Argument(String),
    #[error("{0}")]
    Refused(#[from] app::Error),
}

impl From<CompletionError> for ErrorData {
    fn from(error: CompletionError) -> Self {
        match error {
            CompletionError::Refused(error) => refused(&error),
            other => Self::invalid_params(other.to_string(), None),
        }
    }
}

/// The ids of executions that begin with what was typed, newest first.
pub(super) async fn complete(
    workspace: &Workspace,
    request: CompleteRequestParams,
) -> Result<CompleteResult, CompletionError> {
    let typed = typed(request.r#ref, request.argument)?;
    let found = workspace.ids_beginning_with(&typed, VALUES_MAX).await?;
    let mut completion = CompletionInfo::default();
    completion.has_more = Some(found.total > found.newest.len() as u64);
    completion.total = u32::try_from(found.total).ok();
    completion.values = found.newest.iter().map(ToString::to_string).collect();
    Ok(CompleteResult::new(completion))
}

fn typed(reference: Reference, argument: ArgumentInfo) -> Result<String, CompletionError> {
    let Reference::Resource(template) = reference else {
        return Err(CompletionError::Prompt);
    };
    if ![EXECUTION_TEMPLATE, OUTPUT_TEMPLATE].contains(&template.uri.as_str()) {
        return Err(CompletionError::Template(template.uri));
    }
    if argument.name != TEMPLATE_VARIABLE {
        return Err(CompletionError::Argument(argument.name));
    }
    Ok(argument.value)
}
