//! Errors as clients see them over HTTP.

use schemars::JsonSchema;
use serde::Serialize;

/// What was asked for was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failed {
    /// Why.
    pub error: Problem,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// The kind of error, for programs.
    pub code: &'static str,
    /// What was wrong, where, and what to do next.
    pub message: String,
}

impl Failed {
    /// An error of this kind.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            error: Problem { code, message },
        }
    }
}
