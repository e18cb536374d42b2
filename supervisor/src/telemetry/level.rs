//! How much the log says, and how.

use tracing_subscriber::filter::LevelFilter;

/// How much the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// And what may fail.
    Warn,
    /// And what an operator wants to see once.
    Info,
    /// And what a developer wants to see.
    Debug,
}

impl LogLevel {
    /// All of them, by name.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Off, "off"),
        (Self::Error, "error"),
        (Self::Warn, "warn"),
        (Self::Info, "info"),
        (Self::Debug, "debug"),
    ];

    /// Reads a name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(level, known)| known.eq_ignore_ascii_case(name).then_some(level))
    }

    pub(super) const fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line, for programs.
    Json,
}

impl LogFormat {
    /// Reads a name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [(Self::Text, "text"), (Self::Json, "json")]
            .into_iter()
            .find_map(|(format, known)| known.eq_ignore_ascii_case(name).then_some(format))
    }
}
