//! What the program is told to do.

use std::path::PathBuf;

use super::errand::{AskNode, ReportFormat};
use super::{AuditConfig, Config};
use crate::app::{GarbageOptions, Jail, WorkerStart};
use crate::cluster::{Address, ClusterConfig};
use crate::fetch::options::FetchOptions;
use crate::telemetry::LogOptions;
use crate::tenant::Tenant;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Serve(Box<Config>),
    /// Show what becomes of the jail of such workers, and end.
    CheckSandbox {
        /// The program of the worker.
        worker_path: PathBuf,
        /// Its jail and engine.
        jail: Jail,
        /// How it is started.
        worker_start: WorkerStart,
    },
    /// Collect garbage once, and end.
    CollectGarbage {
        /// Where everything is, and how long it is kept.
        config: Box<Config>,
        /// How.
        options: GarbageOptions,
    },
    /// Ask the policies about one request, show what each says, and end.
    CheckPolicy {
        /// The policies.
        fetch: Box<FetchOptions>,
        /// The file with the request; `-` for standard input.
        input: PathBuf,
        /// What the log is like.
        log: LogOptions,
    },
    /// Check what this configuration names, show what it comes to, and end.
    CheckConfig(Box<Config>),
    /// Try everything that a server with this configuration needs, and end.
    Doctor {
        /// The configuration.
        config: Box<Config>,
        /// How it is told.
        format: ReportFormat,
    },
    /// Read an audit log, say whether it is what was written, and end.
    VerifyAudit {
        /// Where it is.
        audit: AuditConfig,
        /// The files to read, the oldest first; none for all.
        files: Vec<PathBuf>,
    },
    /// Make a token, show it, and end.
    NewToken {
        /// Whose it is to be.
        tenant: Tenant,
        /// Whether who has it may see figures of all tenants.
        is_operator: bool,
    },
    /// Ask a node of a cluster something, and end.
    AskNode {
        /// How nodes know each other.
        cluster: Box<ClusterConfig>,
        /// Which node; this machine's when nobody says.
        at: Option<Address>,
        /// What.
        ask: AskNode,
    },
    /// Show this text (help or version) on standard output, and succeed.
    Show(String),
}
