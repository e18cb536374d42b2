//! The log, on standard error because standard output belongs to the clients, and traces.
//!
//! Neither code nor its output is logged, and no client can fill the log. The MCP library logs whole
//! requests at its finer levels and warns of every request that a client gets wrong, so only its errors
//! are let through; those of its loop of messages only say that a client went before its answer came.
//!
//! Log and traces look at the same spans through filters of their own: a span with the target [`LOGGED`]
//! is named in the log's lines and in traces, one with [`TRACED`] in traces alone. Where nobody asked for
//! traces those cost nothing.

mod collector;
mod context;
mod level;
mod seldom;
mod traces;

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

pub use self::context::{TraceParent, trace_id};
pub use self::level::{LogFormat, LogLevel};
pub(crate) use self::seldom::Seldom;
pub use self::traces::{TraceError, TraceOptions, Traces};

/// The target of spans that log and traces show.
pub const LOGGED: &str = "mcp_v8::execution";

/// The target of spans that traces alone show.
pub const TRACED: &str = "mcp_v8::trace";

/// The MCP library, as its log lines are marked.
const MCP_LIBRARY: &str = "rmcp";

/// The tracing library speaks of its own troubles; what operators have to hear of them is said here.
const TRACE_LIBRARY: &str = "opentelemetry";

/// What the log is to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// How much it says.
    pub level: LogLevel,
    /// How it is written.
    pub format: LogFormat,
}

/// The log while it is written. Clones share it.
#[derive(Debug, Clone)]
pub struct Log(reload::Handle<Targets, Registry>);

/// The log was not there any more.
#[derive(Debug, thiserror::Error)]
#[error("the log's level cannot be changed: {0}")]
pub struct NoLog(#[from] reload::Error);

impl Log {
    /// Says more or less from now on.
    ///
    /// # Errors
    /// [`NoLog`].
    pub fn set_level(&self, level: LogLevel) -> Result<(), NoLog> {
        Ok(self.0.reload(targets(level))?)
    }
}

/// Starts the log, once in the life of the process, and traces where there are any.
///
/// # Errors
/// When a log was started before.
pub fn start(options: LogOptions, traces: Option<&Traces>) -> Result<Log, TryInitError> {
    let (filter, handle) = reload::Layer::new(targets(options.level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match options.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.map(Traces::layer))
        .try_init()?;
    Ok(Log(handle))
}

/// What the log says at this level.
fn targets(level: LogLevel) -> Targets {
    let level = level.filter();
    Targets::new()
        .with_default(level)
        .with_target(MCP_LIBRARY, level.min(LevelFilter::ERROR))
        .with_target(format!("{MCP_LIBRARY}::service"), LevelFilter::OFF)
        .with_target(TRACE_LIBRARY, LevelFilter::OFF)
        .with_target(TRACED, LevelFilter::OFF)
}
