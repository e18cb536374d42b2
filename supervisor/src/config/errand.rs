//! What the program does instead of serving, when it is told to.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

use super::manual::Paper;
use super::setting::Setting;
use super::state::NEEDS_STATE;
use crate::app::GarbageOptions;
use crate::cluster::Address;
use crate::tenant::Tenant;

/// What can be done instead of serving.
#[derive(Debug, Subcommand)]
pub(super) enum Errand {
    /// Remove heaps that nothing needs and that have expired, and end.
    ///
    /// Servers do so by themselves, once a minute; this shows what goes, and does it now. It works
    /// beside servers, on the places that the same flags, variables and configuration file name.
    ///
    /// A heap is needed by the sessions that list it, by its tags, and by executions that start from
    /// it. What nothing needs goes by --heap-retention-hours and --heap-retention-mb, and so do
    /// orphans, which servers that were killed have left. Nothing goes that was used within 20 minutes,
    /// and nothing at all from a place that another session database uses, or that cannot say which do.
    /// Nor does anything go that a cluster may need: its nodes collect by themselves.
    ///
    /// Exit codes: 0 done, 1 it failed or nothing could go, 2 the configuration is wrong.
    #[command(after_help = GC_AFTER_HELP)]
    Gc {
        /// Remove nothing; show what would go.
        #[arg(long)]
        dry_run: bool,

        /// Take it that no other session database uses these heaps (any more).
        ///
        /// Those that are known to use them are forgotten, and what only they needed can go.
        #[arg(long)]
        sole_database: bool,
    },
    /// Try everything that a server with these settings needs, say what to do about it, and end.
    ///
    /// Looks at the sandbox, the limits of this machine, the places where things are kept, the clock, the
    /// programs' versions, policies, certificates and S3, and runs a script from end to end. It takes the
    /// flags, variables and configuration file of the server (flags stand before its name), works beside one that runs, and changes
    /// nothing but files of its own that it removes again.
    ///
    /// Exit codes: 0 nothing fails, 1 something does, 2 the configuration is wrong.
    #[command(after_help = DOCTOR_AFTER_HELP)]
    Doctor {
        /// Print a JSON document instead of a list.
        #[arg(long)]
        json: bool,
    },
    /// Work with the audit log.
    #[command(subcommand, arg_required_else_help = false)]
    Audit(AuditErrand),
    /// Work with the tokens of callers.
    #[command(subcommand, arg_required_else_help = false)]
    Token(TokenErrand),
    /// Work with the policies for requests of scripts.
    #[command(subcommand, arg_required_else_help = false)]
    Policy(PolicyErrand),
    /// Work with the nodes of a cluster.
    #[command(subcommand, arg_required_else_help = false)]
    Cluster(ClusterErrand),
    /// Print what a shell completes the command line by, and end.
    ///
    /// Packages and scripts/install put it where the shell looks; for one shell alone:
    /// source <(mcp-v8 completions bash).
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print a page of the manual, in the language of man, and end.
    ///
    /// To read it: mcp-v8 man | man -l -
    Man {
        /// The command that the page is about; without, it is about the server.
        #[arg(conflicts_with = "list")]
        command: Vec<String>,

        /// Print the commands that have a page, one a line, instead. The first line is empty: the server's.
        #[arg(long)]
        list: bool,
    },
}

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum AuditErrand {
    /// Read the audit log, and say whether it is what was written.
    ///
    /// It is the one that --audit-log names, with the key of --audit-key-file, as flags, variables or in
    /// the configuration file. A server may be writing it.
    ///
    /// Exit codes: 0 it is whole, 1 it is not (the first line that is wrong is named) or cannot be read, 2
    /// the configuration is wrong.
    Verify {
        /// Read these files instead of all that belong to the log, the oldest first.
        files: Vec<PathBuf>,
    },
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenErrand {
    /// Make a token, show it this once with its entry for the file of --auth-tokens, and end.
    ///
    /// Nothing is written anywhere: append the entry to the file, and give the token to its owner. The
    /// entry holds the token's hash, from which nobody can tell the token.
    New {
        /// Whose it is: what one tenant has no other sees.
        #[arg(long, value_name = "NAME")]
        tenant: Tenant,

        /// Its owner may read /metrics, which is of all tenants.
        #[arg(long)]
        operator: bool,
    },
}

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyErrand {
    /// Ask the policies about one request, show what each says, and end.
    ///
    /// They are those that --policy-dir and --opa-url name, as flags, variables or in the configuration
    /// file. Nothing is requested.
    ///
    /// The request is a JSON object with url, and if need be method (GET), headers, tenant (local) and
    /// session: what a policy gets as its input will do.
    ///
    /// Exit codes: 0 allowed, 1 denied, 2 the request, the policies or the configuration are wrong.
    #[command(after_help = CHECK_AFTER_HELP)]
    Check {
        /// The file with the request; - for standard input.
        #[arg(long, value_name = "FILE")]
        input: PathBuf,
    },
}

/// What can be asked of a node.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterErrand {
    /// Show how a node stands and who is in its cluster, as JSON, and end.
    ///
    /// It takes the settings of a node, as flags, variables or in the configuration file, and shows by its
    /// secret or certificate that it may ask. It may run beside one.
    ///
    /// Exit codes: 0 it is shown, 1 there is no answer, 2 the configuration is wrong.
    Status {
        /// The node to ask, as host:port of its cluster port. Without: the one on this machine.
        #[arg(long, value_name = "ADDRESS")]
        at: Option<Address>,
    },
    /// Remove a node from the cluster, wait until that is done, and end.
    ///
    /// What it was running is ended as failed. It is refused where the nodes that are left and alive could
    /// not decide anything. A node that was removed ends; with an empty data directory it can join again.
    ///
    /// Exit codes: 0 it is removed, 1 it is not, 2 the configuration is wrong.
    Leave {
        /// What the node is called (its --node-id).
        node: String,

        /// A node to ask, as host:port of its cluster port. Without: the one on this machine.
        #[arg(long, value_name = "ADDRESS")]
        at: Option<Address>,
    },
}

/// What a node is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskNode {
    /// How it stands.
    Status,
    /// That this one goes.
    Leave(String),
}

const GC_AFTER_HELP: &str = "\
Examples:
  mcp-v8 gc --dry-run
      Show what would go, and what keeps the rest.
  mcp-v8 gc --heap-retention-hours 24
      Remove what nothing has needed or used for a day.
  mcp-v8 gc --sole-database
      The same after a session database was lost: what only that one needed can go.
";

const DOCTOR_AFTER_HELP: &str = "\
Examples:
  mcp-v8 doctor
      Could a server on standard input and output run here?
  mcp-v8 --http-port 8443 --tls-cert server.pem --tls-key server.key doctor
      Could one that serves HTTPS?
  mcp-v8 doctor --config /etc/mcp-v8.toml --json
      The same of a configuration, for a program.
";

const CHECK_AFTER_HELP: &str = "\
Examples:
  echo '{\"url\": \"https://api.example.com/v1/items\"}' | mcp-v8 policy check --policy-dir policies --input -
      Would this be allowed?
  mcp-v8 policy check --opa-url http://127.0.0.1:8181 --input request.json
      Ask a remote OPA.
";

/// Whether a setting can be said behind an errand's name too: where everything is and how long it is kept,
/// and where the policies are. All others are said before it.
pub(super) fn is_of_errands(setting: Setting) -> bool {
    NEEDS_STATE.contains(&setting)
        || NEEDS_TO_VERIFY.contains(&setting)
        || NEEDS_TO_CHECK.contains(&setting)
        || NEEDS_TO_ASK.contains(&setting)
        || matches!(setting, Setting::Stateless | Setting::LogLevel)
}

/// What counts for the audit log that is verified.
const NEEDS_TO_VERIFY: [Setting; 2] = [Setting::AuditLog, Setting::AuditKeyFile];

/// What counts for policies that are asked.
const NEEDS_TO_CHECK: [Setting; 4] = [
    Setting::PolicyDir,
    Setting::OpaUrl,
    Setting::OpaFetchPolicy,
    Setting::FetchAllowPrivate,
];

/// What counts for a node that is asked.
const NEEDS_TO_ASK: [Setting; 7] = [
    Setting::ClusterPort,
    Setting::ClusterBindHost,
    Setting::NodeId,
    Setting::ClusterTlsCert,
    Setting::ClusterTlsKey,
    Setting::ClusterTlsCa,
    Setting::ClusterSecretFile,
];

/// What an errand goes by, by its words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// The settings that its help shows, of those that can be said behind its name.
    pub(super) is_shown: fn(Setting) -> bool,
    /// Whether it reads the configuration file.
    pub(super) reads_file: bool,
}

impl Shown {
    /// That of an errand, or of a group of them, which has none of its own.
    pub(super) fn by(words: &str) -> Self {
        let (is_shown, reads_file): (fn(Setting) -> bool, bool) = match words {
            "gc" => (
                |setting| NEEDS_STATE.contains(&setting) || setting == Setting::LogLevel,
                true,
            ),
            "audit verify" => (|setting| NEEDS_TO_VERIFY.contains(&setting), true),
            "policy check" => (
                |setting| NEEDS_TO_CHECK.contains(&setting) || setting == Setting::LogLevel,
                true,
            ),
            "cluster status" | "cluster leave" => (|setting| NEEDS_TO_ASK.contains(&setting), true),
            "doctor" => (is_of_errands, true),
            _ => (|_| false, false),
        };
        Self {
            is_shown,
            reads_file,
        }
    }
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// A list for people.
    Text,
    /// A JSON document.
    Json,
}

/// What is to be done instead of serving.
#[derive(Debug)]
pub(super) enum Task {
    /// Collect garbage so.
    CollectGarbage(GarbageOptions),
    /// Try everything that a server needs.
    Doctor {
        /// How it is told.
        format: ReportFormat,
    },
    /// Verify the audit log.
    VerifyAudit {
        /// These files; none for all.
        files: Vec<PathBuf>,
    },
    /// Make a token.
    NewToken {
        /// Whose it is.
        tenant: Tenant,
        /// Whether it is an operator's.
        is_operator: bool,
    },
    /// Ask the policies about the request in this file.
    CheckPolicy {
        /// The file; `-` for standard input.
        input: PathBuf,
    },
    /// Ask a node of a cluster.
    AskNode {
        /// Which.
        at: Option<Address>,
        /// What.
        ask: AskNode,
    },
    /// Write this about the command line.
    Write(Paper),
}

impl From<Errand> for Task {
    fn from(errand: Errand) -> Self {
        match errand {
            Errand::Gc {
                dry_run,
                sole_database,
            } => Self::CollectGarbage(GarbageOptions {
                is_dry_run: dry_run,
                is_sole_database: sole_database,
            }),
            Errand::Doctor { json } => Self::Doctor {
                format: if json {
                    ReportFormat::Json
                } else {
                    ReportFormat::Text
                },
            },
            Errand::Audit(AuditErrand::Verify { files }) => Self::VerifyAudit { files },
            Errand::Token(TokenErrand::New { tenant, operator }) => Self::NewToken {
                tenant,
                is_operator: operator,
            },
            Errand::Policy(PolicyErrand::Check { input }) => Self::CheckPolicy { input },
            Errand::Cluster(ClusterErrand::Status { at }) => Self::AskNode {
                at,
                ask: AskNode::Status,
            },
            Errand::Cluster(ClusterErrand::Leave { node, at }) => Self::AskNode {
                at,
                ask: AskNode::Leave(node),
            },
            Errand::Completions { shell } => Self::Write(Paper::Completions(shell)),
            Errand::Man { list: true, .. } => Self::Write(Paper::Contents),
            Errand::Man { command, .. } => Self::Write(Paper::Page(command)),
        }
    }
}
