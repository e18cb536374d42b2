//! The table of abuse, `tests/abuse.toml`, as the tests read it that do its acts.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde::Deserialize;

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) environment: Vec<Place>,
    pub(crate) column: [Place; 4],
    pub(crate) life: Life,
    pub(crate) row: Vec<Row>,
}

/// Where acts are done, by the arguments of the probe.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

/// What V8 lives on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Life {
    pub(crate) acts: Vec<Act>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) attempt: String,
    pub(crate) expect: String,
    #[serde(default)]
    pub(crate) shown_by: Vec<String>,
    #[serde(default)]
    pub(crate) cases: Vec<String>,
    #[serde(default)]
    pub(crate) acts: Vec<Act>,
    pub(crate) unpromised: Option<String>,
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Script,
    Native,
    Server,
}

/// An act, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    pub(crate) act: String,
    #[serde(default)]
    pub(crate) target: Target,
    pub(crate) landlock_from: Option<u32>,
    pub(crate) landlock_before: Option<u32>,
    pub(crate) jail: Option<String>,
    pub(crate) walls: Option<Walls>,
    pub(crate) forked: Option<Walls>,
}

/// Whom or what an act is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    #[default]
    None,
    /// A process of the same user.
    Process,
    /// Another worker of the same fork server.
    Sibling,
    /// A file that the user may change.
    File,
    /// A listening socket; the probe has one that is not connected.
    Abstract,
    Path,
    Tcp,
}

/// What comes of an act without the filter.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Walls {
    Everywhere(String),
    ByColumn([String; 4]),
}

/// What stands for an outcome that tells nothing.
pub(crate) const UNTOLD: &str = "-";

impl Walls {
    /// What must come of it, in each column.
    pub(crate) fn of_columns(&self) -> [&str; 4] {
        match self {
            Self::Everywhere(outcome) => [outcome; 4],
            Self::ByColumn(outcomes) => outcomes.each_ref().map(String::as_str),
        }
    }
}

impl Table {
    /// Reads it.
    pub(crate) fn load() -> Self {
        // Beside the package that reads it, whichever that is.
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(root.join("tests/abuse.toml")).expect("it is there");
        toml::from_str(&text).expect("it is a table")
    }

    /// Every act, with what it is about.
    pub(crate) fn acts(&self) -> impl Iterator<Item = (&str, &Act)> {
        let rows = self.row.iter();
        let rows = rows.flat_map(|row| row.acts.iter().map(|act| (row.attempt.as_str(), act)));
        let life = self.life.acts.iter().map(|act| ("what V8 lives on", act));
        rows.chain(life)
    }
}

/// What came of an act, in a word of the table: from what the probe said, and the signal that ended it.
pub(crate) fn outcome(said: &str, signal: Option<i32>) -> String {
    let number = said.strip_prefix("errno ").and_then(|it| it.parse().ok());
    match (number, signal) {
        (Some(number), None) => format!("{:?}", Errno::from_raw(number)),
        (None, None) if said.starts_with("ok ") => "works".to_owned(),
        (None, Some(libc::SIGSYS)) if said.is_empty() => "killed".to_owned(),
        // Another program says nothing of this, and has little memory.
        (None, signal) if said.is_empty() => signal
            .and_then(|signal| Signal::try_from(signal).ok())
            .map_or("becomes".to_owned(), |signal| signal.to_string()),
        _ => format!("{said:?} and {signal:?}"),
    }
}

/// Whether an outcome is one of those that the table allows.
pub(crate) fn is_right(wanted: &str, found: &str) -> bool {
    wanted.split('|').any(|wanted| {
        let becomes = wanted == "becomes" && (found == "becomes" || found == "SIGSEGV");
        wanted == found || becomes
    })
}

/// Whether the table can mean anything by a word.
pub(crate) fn is_outcome(wanted: &str) -> bool {
    const WORDS: [&str; 4] = ["killed", "works", "becomes", UNTOLD];
    wanted.split('|').all(|word| {
        let is_errno = || (1..134).any(|it| format!("{:?}", Errno::from_raw(it)) == word);
        WORDS.contains(&word) || word.parse::<Signal>().is_ok() || is_errno()
    })
}
