//! What the figures have to be.

use std::borrow::Cow;

use serde::Serialize;

/// A figure, and whether it is what it has to be.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    what: Cow<'static, str>,
    measured: f64,
    target: f64,
    #[serde(rename = "met")]
    pub(crate) is_met: bool,
}

impl Target {
    /// A figure that has to be below its target. What could not be measured does not meet it.
    pub(crate) fn below(what: impl Into<Cow<'static, str>>, measured: f64, target: f64) -> Self {
        Self {
            what: what.into(),
            measured,
            target,
            is_met: measured < target,
        }
    }

    /// A figure that may be its target, and not more.
    pub(crate) fn at_most(what: impl Into<Cow<'static, str>>, measured: f64, target: f64) -> Self {
        Self {
            what: what.into(),
            measured,
            target,
            is_met: measured <= target,
        }
    }

    /// A figure that may be its target, and not less.
    pub(crate) fn at_least(what: impl Into<Cow<'static, str>>, measured: f64, target: f64) -> Self {
        Self {
            what: what.into(),
            measured,
            target,
            is_met: measured >= target,
        }
    }
}
