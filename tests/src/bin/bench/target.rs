//! What the figures have to be.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How many times worse than in an earlier run a figure may be: rounds of one run differ by a fifth.
const WORSE_MAX: f64 = 1.25;

/// Whether a smaller figure is a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Less,
    More,
}

/// A figure, and whether it is what it has to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) what: Cow<'static, str>,
    /// What could not be measured is no number, which JSON has as `null`.
    #[serde(deserialize_with = "number")]
    pub(crate) measured: f64,
    target: f64,
    pub(crate) better: Better,
    /// What depends on the machine in the same way, in the same units and of the same run. Runs are compared by how
    /// many times that a figure is; without one, as it is.
    pub(crate) floor: Option<f64>,
    /// How many times worse than in an earlier run it may be. What an earlier run says of that does not matter.
    #[serde(default)]
    pub(crate) worse_max: f64,
    #[serde(rename = "met")]
    pub(crate) is_met: bool,
}

fn number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
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
            floor: None,
            worse_max: WORSE_MAX,
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

    /// The same figure, which depends on the machine as this one does.
    pub(crate) fn beside(self, floor: f64) -> Self {
        Self {
            floor: Some(floor),
            ..self
        }
    }

    /// The same figure, which differs by so much from run to run.
    pub(crate) fn varying(self, worse_max: f64) -> Self {
        Self { worse_max, ..self }
    }
}
