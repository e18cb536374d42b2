//! What can be wrong with a configuration.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::raw::Origin;
use super::setting::Setting;
use super::wasm_config::ListFault;
use super::wasm_modules::ModuleFault;

/// One thing that is wrong. The text says where it was said, what is wrong, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The command line cannot be read.
    #[error("{0}")]
    Usage(String),
    /// There is no page of the manual about it.
    #[error("there is no page about \"{given}\"; there is one about: {known}")]
    NoPage {
        /// What was asked for.
        given: String,
        /// What there is.
        known: String,
    },
    /// The configuration file cannot be read.
    #[error("{origin}: cannot read {path}: {problem}", path = path.display())]
    Unreadable {
        /// `--config`, or the variable.
        origin: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The configuration file is not TOML.
    #[error("{path} is not TOML: {problem}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, column and reason.
        problem: String,
    },
    /// The configuration file has a key that means nothing.
    #[error("{path}: unknown key \"{key}\"; valid keys: {valid}", path = path.display())]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Those that mean something.
        valid: String,
    },
    /// A value is of the wrong kind.
    #[error("{origin}: {given} is not {expected}")]
    Malformed {
        /// Where.
        origin: Origin,
        /// What was given.
        given: String,
        /// What would be right.
        expected: String,
    },
    /// A number is too small or too large.
    #[error("{origin}: {given} is out of range; allowed: {least} to {most}{unit}")]
    OutOfRange {
        /// Where.
        origin: Origin,
        /// What was given.
        given: String,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
        /// The unit, with a space before it, or nothing.
        unit: &'static str,
    },
    /// Two settings exclude each other.
    #[error("{first} and {second} exclude each other: {reason}")]
    Conflict {
        /// The one.
        first: Origin,
        /// The other.
        second: Origin,
        /// Why.
        reason: &'static str,
    },
    /// A setting means nothing without another.
    #[error("{origin} needs --{needed}: {reason}")]
    Incomplete {
        /// Where it was said.
        origin: Origin,
        /// What is missing.
        needed: Setting,
        /// Why.
        reason: &'static str,
    },
    /// Other machines could reach a server that does not ask who calls.
    #[error(
        "{origin}: whoever can reach {host} could run code, because the server does not ask who \
         calls; let it ask (--auth-tokens, --jwks-url), listen on 127.0.0.1, or give \
         --allow-unauthenticated if that is what you want"
    )]
    Exposed {
        /// Where.
        origin: Origin,
        /// The address.
        host: IpAddr,
    },
    /// Other machines could be nodes of a cluster that does not ask who they are.
    #[error(
        "{origin}: whoever can reach {host} could be a node, and read and change everything that the \
         cluster keeps; let nodes show who they are (--cluster-tls-cert with its key and authorities, \
         or --cluster-secret-file), listen on 127.0.0.1, or give --cluster-insecure if that is what \
         you want"
    )]
    ExposedCluster {
        /// Where.
        origin: Origin,
        /// The address.
        host: IpAddr,
    },
    /// A leader could not show in time that it lives.
    #[error(
        "--heartbeat-interval ({}), --election-timeout-min ({}) and --election-timeout-max ({} ms) do \
         not fit: the second is at least twice the first, the third more than the second", times[0],
         times[1], times[2]
    )]
    Impatient {
        /// The three, in milliseconds.
        times: [u64; 3],
    },
    /// The default directory, and the one beside it, belong to other users.
    #[error(
        "{path} belongs to another user (id {owner}); give a directory of your own with \
         --{setting}, or use --stateless", path = path.display()
    )]
    ForeignDirectory {
        /// The last one tried.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose default it is.
        setting: Setting,
    },
    /// A rule for headers means nothing. What was written may be a secret, and is not shown.
    #[error("{origin}: rule {number}: {problem}")]
    HeaderRule {
        /// Where.
        origin: Origin,
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A node is to be asked, and nothing says how.
    #[error("cluster needs --cluster-port, and how nodes know each other: the settings of a node")]
    NoCluster,
    /// A policy is to be asked, and there is none.
    #[error("policy check needs --policy-dir or --opa-url: the policies that are to be asked")]
    NothingAsked,
    /// A log is to be verified, and none is named.
    #[error("audit verify needs --audit-log: the log that is to be verified")]
    NothingNoted,
    /// A WebAssembly module cannot be had.
    #[error("{origin}: {module}: {fault}")]
    WasmModule {
        /// Where.
        origin: Origin,
        /// Which, as it was said.
        module: String,
        /// What is wrong with it.
        fault: ModuleFault,
    },
    /// The list of WebAssembly modules cannot be read.
    #[error("{origin}: {path}: {fault}", path = path.display())]
    WasmConfig {
        /// Where.
        origin: Origin,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        fault: ListFault,
    },
    /// Garbage is to be collected where nothing is kept.
    #[error("gc and --stateless exclude each other: a stateless server keeps no heaps")]
    NothingKept,
    /// The worker is to be found beside this program, and the system does not say where that is.
    #[error("cannot find this program's own directory ({problem}); give --worker-path")]
    NoProgramPath {
        /// What the system said.
        problem: String,
    },
}

/// All that is wrong, to be reported at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "mcp-v8: the configuration cannot be used:")?;
        for fault in &self.0 {
            writeln!(f, "  - {fault}")?;
        }
        writeln!(
            f,
            "mcp-v8 --help shows every setting with its range and default."
        )
    }
}
