//! What the figures have to be.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Whether a smaller figure is a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Less,
    More,
}

/// What a figure has to be divided by before it is compared with that of another machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scale {
    /// How long the floor takes.
    Floor,
    /// Nothing: it is a ratio or a count.
    None,
}

/// A figure, and whether it is what it has to be.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    what: Cow<'static, str>,
    measured: f64,
    target: f64,
    better: Better,
    in_units_of: Scale,
    #[serde(rename = "met")]
    pub(crate) is_met: bool,
}

impl Target {
    /// A figure that has to be below its target. What could not be measured does not meet it.
    pub(crate) fn below(what: impl Into<Cow<'static, str>>, measured: f64, target: f64) -> Self {
        Self {
            is_met: measured < target,
            ..Self::at_most(what, measured, target)
        }
    }

    /// A figure that may be its target, and not more.
    pub(crate) fn at_most(what: impl Into<Cow<'static, str>>, measured: f64, target: f64) -> Self {
        Self {
            what: what.into(),
            measured,
            target,
            better: Better::Less,
            in_units_of: Scale::None,
            is_met: measured <= target,
        }
    }

    /// A figure that may be its target, and not less.
    pub(crate) fn at_least(what: impl Into<Cow<'static, str>>, measured: f64, target: f64) -> Self {
        Self {
            better: Better::More,
            is_met: measured >= target,
            ..Self::at_most(what, measured, target)
        }
    }

    /// The same figure, which is a time of this machine.
    pub(crate) fn of_this_machine(self) -> Self {
        Self {
            in_units_of: Scale::Floor,
            ..self
        }
    }
}
