//! The log: on standard error, because standard output belongs to the clients.
//!
//! Neither code nor its output is logged, and no client can fill the log. The MCP library logs whole
//! requests at its finer levels and warns of every request that a client gets wrong, so only its errors
//! are let through; those of its loop of messages only say that a client went before its answer came.

use std::io::IsTerminal as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The MCP library, as its log lines are marked.
const MCP_LIBRARY: &str = "rmcp";

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
}

/// Starts the log, once in the life of the process.
///
/// # Errors
/// When a log was started before.
pub fn start(level: LogLevel) -> Result<(), TryInitError> {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let targets = Targets::new()
        .with_default(level)
        .with_target(MCP_LIBRARY, level.min(LevelFilter::ERROR))
        .with_target(format!("{MCP_LIBRARY}::service"), LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(targets);
    tracing_subscriber::registry().with(lines).try_init()
}
