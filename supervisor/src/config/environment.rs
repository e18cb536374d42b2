//! What the environment says.

use std::ffi::OsString;

use super::raw::{Given, Origin, Raw, Said};
use super::setting::{CONFIG_VARIABLE, Setting, VARIABLE_PREFIX};

/// What the environment says, and which of its variables mean nothing.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The settings.
    pub(super) raw: Raw,
    /// The configuration file.
    pub(super) config: Option<OsString>,
    /// Variables that look like settings and are none.
    pub(super) unknown: Vec<String>,
}

/// Picks the settings out of `variables`. An empty value counts as not said.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        let Some(name) = name
            .to_str()
            .filter(|name| name.starts_with(VARIABLE_PREFIX))
        else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        if name == CONFIG_VARIABLE {
            environment.config = Some(value);
            continue;
        }
        let setting = Setting::ALL
            .into_iter()
            .find(|setting| setting.variable() == name);
        match setting {
            Some(setting) => environment.raw.say(
                setting,
                Said {
                    given: Given::Text(value),
                    origin: Origin::Variable(setting),
                },
            ),
            None => environment.unknown.push(name.to_owned()),
        }
    }
    environment
}
