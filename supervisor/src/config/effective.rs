//! What a configuration comes to: every setting with its value and where that was said.

use std::fmt;

use super::defaults::shown;
use super::raw::{Given, Raw};
use super::setting::Setting;

/// One setting, as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Which.
    pub setting: Setting,
    /// Its value, without secrets.
    pub value: String,
    /// Where it was said; `None` for the default.
    pub origin: Option<String>,
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.as_deref().unwrap_or("default");
        write!(f, "{} = {}  ({origin})", self.setting, self.value)
    }
}

/// All settings, in the order of the help.
pub fn effective(said: &Raw) -> Vec<Effective> {
    let of = |setting| match said.get(setting) {
        None => Effective {
            setting,
            value: shown(setting),
            origin: None,
        },
        Some(said) => Effective {
            setting,
            value: value(setting, &said.given),
            origin: Some(said.origin.to_string()),
        },
    };
    Setting::ALL.into_iter().map(of).collect()
}

/// The settings that two configurations differ in.
pub fn changed(before: &Raw, after: &Raw) -> Vec<Setting> {
    let of = |raw: &Raw, setting| raw.get(setting).map(|said| said.given.clone());
    let differs = |setting: &Setting| of(before, *setting) != of(after, *setting);
    Setting::ALL.into_iter().filter(differs).collect()
}

fn value(setting: Setting, given: &Given) -> String {
    // Their values may be secrets.
    if setting == Setting::FetchHeader {
        return "set, not shown".to_owned();
    }
    given.to_string()
}
