//! How much of its cluster a request that reads looks at: a parameter of every such operation.

use serde_json::{Value, json};

use super::form::Sent;
use crate::api::arguments::Object;
use crate::app::Workspace;

/// Its name.
pub(super) const CONSISTENCY: &str = "consistency";
const LINEARIZABLE: &str = "linearizable";
const LOCAL: &str = "local";

/// What it may be.
pub(super) fn schema() -> Value {
    json!({
        "type": "string",
        "enum": [LINEARIZABLE, LOCAL],
        "default": LINEARIZABLE,
        "description": "In a cluster: linearizable shows what was certain anywhere when it was asked; local \
                        what this node knows, which may be a moment old, also when no other node can be \
                        reached. A single server shows the same for both.",
    })
}

/// A workspace that looks as far as a query says. Whether it may say so is checked with its other
/// arguments.
pub(super) fn reach(workspace: Workspace, sent: &Sent) -> Workspace {
    match sent.asked(CONSISTENCY) {
        Some(LOCAL) => workspace.locally(),
        _ => workspace,
    }
}

/// Takes it out of what the operation itself reads.
pub(super) fn remove(arguments: &mut Object) {
    arguments.remove(CONSISTENCY);
}
