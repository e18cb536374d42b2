//! What the program does beside serving: each errand says on standard output what came of it, and ends.

pub(crate) mod garbage;
pub(crate) mod policy;
pub(crate) mod sandbox;

use std::fmt::Display;
use std::io::Write as _;

use mcp_v8::config::Config;
use mcp_v8::telemetry::{self, LogLevel};

/// The exit code for a configuration that cannot be used.
pub(crate) const EXIT_CONFIGURATION: u8 = 2;

/// Writes to standard error even when the log is off.
pub(crate) fn complain(problem: &dyn Display) {
    let _ = write!(std::io::stderr(), "{problem}");
}

/// Starts the log, with what the configuration has to say.
pub(crate) fn start_log(config: &Config) {
    log_at(config.log_level);
    for note in &config.notes {
        tracing::warn!("{note}");
    }
}

/// Starts the log.
pub(crate) fn log_at(level: LogLevel) {
    if let Err(error) = telemetry::start(level) {
        complain(&format!("mcp-v8: there is no log: {error}\n"));
    }
}
