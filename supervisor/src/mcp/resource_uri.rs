//! The names of resources: an execution, and its output.

use std::fmt;
use std::str::FromStr;

use crate::app::{ExecutionId, MalformedExecutionId};

const PREFIX: &str = "v8://executions/";
const OUTPUT_SUFFIX: &str = "/output";

/// The template of executions. Its one variable is `id`.
pub(super) const EXECUTION_TEMPLATE: &str = "v8://executions/{id}";
/// The template of their outputs, with the same variable.
pub(super) const OUTPUT_TEMPLATE: &str = "v8://executions/{id}/output";
/// The variable of both.
pub(super) const TEMPLATE_VARIABLE: &str = "id";

/// Which resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResourceUri {
    Execution(ExecutionId),
    Output(ExecutionId),
}

/// A text that names no resource of this server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadUri {
    #[error(
        "there are no such resources here; there are {EXECUTION_TEMPLATE} and {OUTPUT_TEMPLATE}, \
         and resources/list shows all of them"
    )]
    Foreign,
    #[error("{0}; resources are {EXECUTION_TEMPLATE} and {OUTPUT_TEMPLATE}")]
    Id(#[from] MalformedExecutionId),
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execution(id) => write!(f, "{PREFIX}{id}"),
            Self::Output(id) => write!(f, "{PREFIX}{id}{OUTPUT_SUFFIX}"),
        }
    }
}

impl FromStr for ResourceUri {
    type Err = BadUri;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let rest = uri.strip_prefix(PREFIX).ok_or(BadUri::Foreign)?;
        let (id, resource): (&str, fn(ExecutionId) -> Self) = match rest.strip_suffix(OUTPUT_SUFFIX)
        {
            Some(id) => (id, Self::Output),
            None => (rest, Self::Execution),
        };
        if id.contains(['/', '?', '#']) {
            return Err(BadUri::Foreign);
        }
        Ok(resource(id.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e11";

    #[test]
    fn names_come_back() {
        let id = ID.parse().unwrap();
        for resource in [ResourceUri::Execution(id), ResourceUri::Output(id)] {
            assert_eq!(resource.to_string().parse(), Ok(resource));
        }
        let uri = EXECUTION_TEMPLATE.replace("{id}", ID);
        assert_eq!(uri.parse(), Ok(ResourceUri::Execution(id)));
        let uri = OUTPUT_TEMPLATE.replace("{id}", ID);
        assert_eq!(uri.parse(), Ok(ResourceUri::Output(id)));
    }

    #[test]
    fn other_names_are_refused() {
        let parse = |uri: &str| uri.parse::<ResourceUri>().unwrap_err();
        for foreign in [
            "",
            "file:///etc/passwd",
            "v8://heaps/1",
            "v8:executions/1",
            &format!("v8://executions/{ID}/input"),
            &format!("v8://executions/{ID}/output/"),
            &format!("v8://executions/{ID}?page=2"),
            &format!("v8://executions/{ID}#end"),
        ] {
            assert_eq!(parse(foreign), BadUri::Foreign, "{foreign}");
        }
        for malformed in ["", "x", "{id}", "%32f1c7a52", "x/output", "/output"] {
            let uri = format!("v8://executions/{malformed}");
            assert_eq!(parse(&uri), BadUri::Id(MalformedExecutionId), "{uri}");
        }
    }
}
