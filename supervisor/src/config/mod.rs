//! Configuration, in two stages: what was said ([`raw`]), and what it means (`resolve`).
//!
//! Every setting is a flag, a `MCP_V8_*` variable and a key in an optional TOML file; the first of
//! these that says something counts, then the default. All faults are reported at once. Only `main`
//! knows this module: each part of the server gets its own piece and nobody holds the whole.

mod audit;
mod auth;
mod cli;
mod cluster;
mod command;
mod complaint;
mod defaults;
mod effective;
mod environment;
mod errand;
mod fault;
mod fetch;
mod file;
mod help;
mod http;
mod limits;
mod manual;
pub mod raw;
mod resolve;
mod setting;
mod state;
mod telemetry;
mod tenants;
mod wasm_config;
mod wasm_modules;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

pub use command::Command;
pub use effective::{Effective, changed, effective};
pub use errand::{AskNode, ReportFormat};
pub use fault::{Fault, Faults};
pub use setting::{CONFIG_VARIABLE, Setting, VARIABLE_PREFIX};
pub use wasm_config::ListFault;
pub use wasm_modules::ModuleFault;

use self::errand::Task;
use crate::app::{ExecutionsConfig, HeapPlace, State, WasmModule};
use crate::audit::AuditConfig;
use crate::cluster::NodeConfig;
use crate::fetch::options::FetchOptions;
use crate::http::HttpConfig;
use crate::policy::PolicyOptions;
use crate::telemetry::{LogOptions, TraceOptions};

/// Where heaps are kept when nobody says.
pub const DIRECTORY_PATH_DEFAULT: &str = "/tmp/mcp-v8-heaps";

/// The file with the key that heaps are sealed with, beside them.
pub const HEAP_KEY_NAME: &str = "heap.key";

/// Where executions and sessions are kept when nobody says.
pub const SESSION_DB_PATH_DEFAULT: &str = "/tmp/mcp-v8-sessions";

/// The address that is listened on when nobody says: no other machine reaches it.
pub const BIND_HOST_DEFAULT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The longest grace for what runs when the server is asked to end, in seconds.
pub const SHUTDOWN_GRACE_SECS_MAX: u64 = 3600;

/// The worker's file name, looked for beside the supervisor.
pub const WORKER_NAME: &str = "mcp-v8-worker";

/// The most executions that an operator may let wait: each holds its source in memory.
pub const QUEUED_EXECUTIONS_MAX: usize = 10_000;

/// The longest retention, in hours: ten years.
pub const RETENTION_HOURS_MAX: u64 = 87_600;

/// The most executions to keep.
pub const RETENTION_COUNT_MAX: u64 = 10_000_000;

/// The most to keep of anything, in MB: a terabyte.
pub const RETENTION_MB_MAX: u64 = 1 << 20;

/// The longest that decisions of OPA are remembered, in milliseconds.
pub const OPA_CACHE_MS_MAX: u64 = 60_000;

const SECS_PER_HOUR: u64 = 60 * 60;
const BYTES_PER_MB: u64 = 1 << 20;

/// What the server is to do.
#[derive(Debug, Clone)]
pub struct Config {
    /// How clients reach it.
    pub transport: Transport,
    /// How executions run and where they are kept.
    pub executions: ExecutionsConfig,
    /// Whether scripts may make requests, and which.
    pub fetch: Option<FetchOptions>,
    /// Where it is noted what happens.
    pub audit: Option<AuditConfig>,
    /// What the log is like.
    pub log: LogOptions,
    /// Where traces go, if they go anywhere.
    pub traces: Option<TraceOptions>,
    /// What the operator should know, though nothing is wrong.
    pub notes: Vec<Note>,
    /// What was said, and where: all of the above comes from it.
    pub said: raw::Raw,
}

/// How clients reach the server.
#[derive(Debug, Clone)]
pub enum Transport {
    /// On standard input and output.
    Stdio,
    /// Over HTTP.
    Http(Box<HttpConfig>),
}

impl Config {
    /// Where things are and how much is allowed, in one line.
    pub fn summary(&self) -> String {
        let executions = &self.executions;
        format!(
            "mcp-v8 {} serves MCP {}{}; {}; worker {} (started by {}, sandbox {}, engine tier {}{}); {}; {} MB of heap and {} s for each execution unless it asks otherwise, {} at \
             once, {} may wait",
            env!("CARGO_PKG_VERSION"),
            match self.transport {
                Transport::Stdio => "on standard input and output",
                Transport::Http(_) => "over HTTP",
            },
            together(executions.node.as_ref()),
            kept(&executions.state),
            executions.worker_path.display(),
            executions.worker_start.name(),
            executions.jail.sandbox,
            executions.jail.engine_tier,
            preloaded(&executions.wasm_modules),
            requests(self.fetch.as_ref()),
            executions.heap_memory_default_mb,
            executions.execution_timeout_default_secs,
            executions.max_concurrent,
            executions.queue_length_max,
        )
    }
}

/// What it is in a cluster.
fn together(node: Option<&NodeConfig>) -> String {
    node.map_or_else(String::new, |node| {
        let cluster = &node.cluster;
        format!(
            " as node {} of a cluster (heard on {}, reached at {}, its log in {})",
            cluster.name,
            cluster.listen,
            cluster.advertise,
            node.directory.display()
        )
    })
}

/// The modules that scripts have, by name.
fn preloaded(modules: &[WasmModule]) -> String {
    let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(", WebAssembly modules {}", names.join(", "))
}

/// Whether scripts may make requests, and who is asked about them.
fn requests(fetch: Option<&FetchOptions>) -> String {
    let Some(fetch) = fetch else {
        return "scripts make no requests".to_owned();
    };
    let policy = match &fetch.policy {
        PolicyOptions::Directory(directory) => format!("the policies in {}", directory.display()),
        PolicyOptions::Opa(opa) => opa.to_string(),
        PolicyOptions::Both { directory, opa } => {
            format!("the policies in {} and {opa}", directory.display())
        }
    };
    let private = if fetch.allow_private {
        ", to private addresses too"
    } else {
        ""
    };
    format!("scripts make requests that {policy} allow{private}")
}

/// What is kept, and where.
fn kept(state: &State) -> String {
    let State::Stateful {
        sessions,
        heaps,
        retention,
    } = state
    else {
        return "executions are kept until it ends, heaps not at all (stateless)".to_owned();
    };
    format!(
        "executions and sessions are kept in {}, heaps in {} (those that nothing needs for {} hours \
         after their last use, {} MB of them)",
        sessions.display(),
        place_name(&heaps.place),
        retention.age_max.as_secs() / SECS_PER_HOUR,
        retention.bytes_max / BYTES_PER_MB,
    )
}

/// Where heaps are.
pub(crate) fn place_name(place: &HeapPlace) -> String {
    match place {
        HeapPlace::Directory(path) => path.display().to_string(),
        HeapPlace::S3 {
            bucket,
            cache: None,
            ..
        } => format!("the S3 bucket {bucket}"),
        HeapPlace::S3 {
            bucket,
            cache: Some(cache),
            ..
        } => format!(
            "the S3 bucket {bucket} (with copies of up to {} MB in {})",
            cache.bytes_max / BYTES_PER_MB,
            cache.directory.display()
        ),
    }
}

/// What the operator should know, though nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The default directory belongs to somebody else.
    DefaultTaken {
        /// What is kept there.
        what: &'static str,
        /// The default.
        taken: PathBuf,
        /// The user that it belongs to.
        owner: u32,
        /// What is used.
        used: PathBuf,
    },
    /// Other machines can reach a server that does not ask who calls, as the operator wants it.
    Open {
        /// The address.
        host: IpAddr,
    },
    /// Tokens go over the network as they are.
    ReadableTokens {
        /// The address.
        host: IpAddr,
    },
    /// Other machines can be nodes of a cluster that does not ask who they are, as the operator wants it.
    OpenCluster {
        /// The address.
        host: IpAddr,
    },
    /// What nodes say to each other goes over the network as it is.
    ReadablePeers {
        /// The address.
        host: IpAddr,
    },
    /// A heartbeat that is late once can cost an election.
    Nervous {
        /// From one to the next, in milliseconds.
        heartbeat: u64,
        /// The shortest time until an election.
        least: u64,
    },
    /// A variable that looks like a setting and is none.
    UnknownVariable {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefaultTaken {
                what,
                taken,
                owner,
                used,
            } => write!(
                f,
                "{} belongs to another user (id {owner}): {what} are kept in {}",
                taken.display(),
                used.display()
            ),
            Self::Open { host } => write!(
                f,
                "whoever can reach {host} can run code here: the server does not ask who calls \
                 (--allow-unauthenticated)"
            ),
            Self::ReadableTokens { host } => write!(
                f,
                "tokens that are sent to {host} can be read on the way: give --tls-cert and --tls-key, \
                 unless something in front of the server does TLS"
            ),
            Self::OpenCluster { host } => write!(
                f,
                "whoever can reach {host} can be a node of the cluster, and read and change everything \
                 that it keeps (--cluster-insecure)"
            ),
            Self::ReadablePeers { host } => write!(
                f,
                "what nodes say to each other on {host} can be read on the way: a secret shows who they \
                 are and hides nothing (--cluster-tls-cert does both)"
            ),
            Self::Nervous { heartbeat, least } => write!(
                f,
                "--election-timeout-min ({least} ms) is less than three times --heartbeat-interval \
                 ({heartbeat} ms): one late heartbeat can cost an election"
            ),
            Self::UnknownVariable { name } => write!(
                f,
                "the environment variable {name} is no setting and has no effect; \
                 mcp-v8 --help shows those that are"
            ),
        }
    }
}

/// What the configuration needs to know about the machine.
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The effective user.
    pub user_id: u32,
    /// This program's own path, or why it is not known.
    pub program: Result<PathBuf, String>,
    /// Who owns what is at a path, links not followed; `None` when nothing is there.
    pub owner: fn(&Path) -> Option<u32>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("cores", &self.cores)
            .field("user_id", &self.user_id)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// This machine.
    pub fn this() -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            user_id: nix::unistd::geteuid().as_raw(),
            program: std::env::current_exe().map_err(|error| error.to_string()),
            owner: |path| path.symlink_metadata().ok().map(|metadata| metadata.uid()),
        }
    }
}

/// Reads command line (the program's name first), environment and file, and judges them together.
///
/// # Errors
/// Every fault there is.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    machine: &Machine,
) -> Result<Command, Faults> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut faults = Vec::new();
    let command_line = match cli::read(&arguments, &mut faults) {
        Ok(command_line) => command_line,
        Err(text) => return Ok(Command::Show(text)),
    };
    // These depend on no setting.
    let task = match command_line.task {
        Some(Task::Write(paper)) if faults.is_empty() => return manual::write(&paper),
        Some(Task::NewToken {
            tenant,
            is_operator,
        }) if faults.is_empty() => {
            return Ok(Command::NewToken {
                tenant,
                is_operator,
            });
        }
        task => task,
    };
    let environment = environment::read(variables);
    let file = match (command_line.config, environment.config) {
        (Some(path), _) => file::read(&path, "--config", &mut faults),
        (None, Some(path)) => file::read(path.as_ref(), CONFIG_VARIABLE, &mut faults),
        (None, None) => raw::Raw::default(),
    };
    let raw = command_line.raw.over(environment.raw).over(file);
    let notes = environment
        .unknown
        .into_iter()
        .map(|name| Note::UnknownVariable { name })
        .collect();
    let config = resolve::resolve(&raw, machine, faults, notes)?;
    match task {
        // With faults, which are told by now.
        None | Some(Task::Write(_) | Task::NewToken { .. }) => {}
        Some(Task::CollectGarbage(options)) => {
            if config.executions.state == State::Stateless {
                return Err(Faults(vec![Fault::NothingKept]));
            }
            let config = Box::new(config);
            return Ok(Command::CollectGarbage { config, options });
        }
        Some(Task::Doctor { format }) => {
            let config = Box::new(config);
            return Ok(Command::Doctor { config, format });
        }
        Some(Task::VerifyAudit { files }) => {
            let audit = config.audit.ok_or(Faults(vec![Fault::NothingNoted]))?;
            return Ok(Command::VerifyAudit { audit, files });
        }
        Some(Task::AskNode { at, ask }) => {
            let node = config.executions.node;
            let node = node.ok_or(Faults(vec![Fault::NoCluster]))?;
            let cluster = Box::new(node.cluster);
            return Ok(Command::AskNode { cluster, at, ask });
        }
        Some(Task::CheckPolicy { input }) => {
            let fetch = config.fetch.ok_or(Faults(vec![Fault::NothingAsked]))?;
            return Ok(Command::CheckPolicy {
                fetch: Box::new(fetch),
                input,
                log: config.log,
            });
        }
    }
    if command_line.check_config {
        return Ok(Command::CheckConfig(Box::new(config)));
    }
    Ok(if command_line.check_sandbox {
        Command::CheckSandbox {
            worker_path: config.executions.worker_path,
            jail: config.executions.jail,
            worker_start: config.executions.worker_start,
        }
    } else {
        Command::Serve(Box::new(config))
    })
}
