//! The first stage: what was said, and where. Nothing is judged here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::setting::Setting;

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag(Setting),
    /// In the environment.
    Variable(Setting),
    /// In the configuration file.
    File {
        /// Which file.
        path: Arc<Path>,
        /// Which key.
        setting: Setting,
    },
}

impl Origin {
    /// Of which setting.
    pub fn setting(&self) -> Setting {
        match self {
            Self::Flag(setting) | Self::Variable(setting) | Self::File { setting, .. } => *setting,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(setting) => write!(f, "--{setting}"),
            Self::Variable(setting) => write!(f, "{} (environment)", setting.variable()),
            Self::File { path, setting } => write!(f, "{setting} in {}", path.display()),
        }
    }
}

/// What was said, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// On the command line or in the environment, where everything is text.
    Text(OsString),
    /// On the command line, with a flag that can be given again.
    Texts(Vec<OsString>),
    /// In the file, where values have types.
    Toml(toml::Value),
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", text.display()),
            Self::Texts(texts) => {
                let shown = texts.iter().map(|text| format!("\"{}\"", text.display()));
                f.write_str(&shown.collect::<Vec<_>>().join(", "))
            }
            Self::Toml(value) => write!(f, "{value}"),
        }
    }
}

/// One value as it was said.
#[derive(Clone, PartialEq)]
pub struct Said {
    /// The value.
    pub given: Given,
    /// Where.
    pub origin: Origin,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Said");
        shown.field("origin", &self.origin);
        // It may hold secrets.
        if self.origin.setting() == Setting::FetchHeader {
            shown.finish_non_exhaustive()
        } else {
            shown.field("given", &self.given).finish()
        }
    }
}

/// Everything that was said, at most one value for each setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Raw {
    said: BTreeMap<Setting, Said>,
}

impl Raw {
    /// Adds a value; one that is already there wins.
    pub fn say(&mut self, setting: Setting, said: Said) {
        self.said.entry(setting).or_insert(said);
    }

    /// Puts `lower` beneath: what was said before wins.
    pub fn over(mut self, lower: Self) -> Self {
        for (setting, said) in lower.said {
            self.say(setting, said);
        }
        self
    }

    /// Takes over what another says of a setting, also when that is nothing.
    pub fn take_from(&mut self, other: &Self, setting: Setting) {
        match other.said.get(&setting) {
            Some(said) => self.said.insert(setting, said.clone()),
            None => self.said.remove(&setting),
        };
    }

    /// What was said about this.
    pub fn get(&self, setting: Setting) -> Option<&Said> {
        self.said.get(&setting)
    }
}
