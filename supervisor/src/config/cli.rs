//! What the command line says, and the help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use super::audit::AuditFlags;
use super::auth::AuthFlags;
use super::cluster::ClusterFlags;
use super::errand::{Errand, Task};
use super::fault::Fault;
use super::fetch::FetchFlags;
use super::help;
use super::http::HttpFlags;
use super::limits::LimitFlags;
use super::raw::{Given, Origin, Raw, Said};
use super::setting::Setting;
use super::telemetry::TelemetryFlags;
use super::tenants::TenantFlags;

const STORAGE: &str = "Storage";
const MODULES: &str = "WebAssembly modules";
const SECURITY: &str = "Security";
const OPERATION: &str = "Operation";

const AFTER_HELP: &str = "\
Every setting can be given in three ways; the first that says something counts:
  1. a flag                   --heap-memory-max 16
  2. an environment variable  MCP_V8_HEAP_MEMORY_MAX=16
  3. a key in the file that --config names
                              heap-memory-max = 16

The server speaks MCP on standard input and output, or over HTTP with --http-port, and logs to
standard error. It ends when its input ends, or on SIGTERM or SIGINT, after it has answered what it
has read.
Exit codes: 0 a clean end, 1 it could not start or failed, 2 the configuration is wrong.

Examples:
  mcp-v8
      Keep heaps and sessions in the default directories below /tmp.
  mcp-v8 --directory-path ~/.mcp-v8/heaps --session-db-path ~/.mcp-v8/sessions
      Keep them in your home.
  mcp-v8 --s3-bucket heaps --cache-dir /var/cache/mcp-v8 --heap-key-file /etc/mcp-v8/heap.key
      Keep heaps in S3, where other servers with the same key find them too.
  mcp-v8 --stateless
      Keep nothing: every execution starts from nothing.
  mcp-v8 gc --dry-run
      Show which heaps would expire now, and what keeps the others.
  mcp-v8 --stateless --heap-memory-max 32 --execution-timeout 120 --max-concurrent-executions 4
      Larger and longer executions, four at once.
  mcp-v8 --http-port 8080
      Serve HTTP on this machine: MCP at http://127.0.0.1:8080/mcp, the API below /api.
  mcp-v8 --http-port 8080 --auth-tokens tokens.toml
      Let in only who has a token, each as its own tenant (mcp-v8 token new makes one).
  mcp-v8 --policy-dir policies --fetch-header 'host=api.example.com,header=x-api-key,value=${API_KEY}'
      Let scripts make the requests that the policies allow; those to this host get a key.
  mcp-v8 doctor --config /etc/mcp-v8.toml
      Try everything that a server with these settings needs, and say what to do.
  mcp-v8 --check-config --config /etc/mcp-v8.toml
      Show what a configuration comes to.
  claude mcp add mcp-v8 -- mcp-v8 --stateless
      Add it to Claude Code.
";

/// An MCP server that runs JavaScript and TypeScript in V8, one process per execution.
///
/// A client submits code, waits or polls for its result, and reads its console output. Each
/// execution has a process of its own, with limits on memory and time, no files and no network. What
/// it leaves behind is kept as a heap, from which later ones can go on.
#[derive(Debug, Parser)]
#[command(name = "mcp-v8", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// Keep nothing between executions: no heaps, no sessions, no tags.
    ///
    /// Every execution starts from nothing. Executions and their output live in a private temporary
    /// place that goes at exit. Excludes every setting about heaps and sessions.
    #[arg(long, value_name = "BOOL", help_heading = STORAGE, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    stateless: Option<OsString>,

    /// The directory in which heaps are kept; it is made when missing.
    ///
    /// Several servers may share it. Excludes --s3-bucket and --stateless. Where the default belongs
    /// to another user, the same with your user id appended is used, and said so.
    #[arg(long, value_name = "DIR", help_heading = STORAGE)]
    directory_path: Option<OsString>,

    /// The S3 bucket in which heaps are kept, instead of a directory.
    ///
    /// Excludes --directory-path and --stateless.
    #[arg(long, value_name = "NAME", help_heading = STORAGE)]
    s3_bucket: Option<OsString>,

    /// A directory for local copies of heaps in S3; it is made when missing. Needs --s3-bucket.
    #[arg(long, value_name = "DIR", help_heading = STORAGE)]
    cache_dir: Option<OsString>,

    /// How much these copies may take, in MB (1 to 1048576). Needs --cache-dir.
    ///
    /// Those that were used least recently go first.
    #[arg(long, value_name = "MB", help_heading = STORAGE)]
    cache_max_mb: Option<OsString>,

    /// The file with the key that heaps are sealed with; it is made when missing.
    ///
    /// A server refuses heaps that were not sealed with its key. Servers that share heaps need the
    /// same key. Whoever has it can make heaps that are believed: keep it as a secret.
    #[arg(long, value_name = "FILE", help_heading = STORAGE)]
    heap_key_file: Option<OsString>,

    /// How long heaps that nothing needs are kept after their last use, in hours (1 to 87600).
    ///
    /// A heap is needed by the sessions that list it, by its tags, and by executions that start from
    /// it: it does not expire while any of these is there.
    #[arg(long, value_name = "HOURS", help_heading = STORAGE)]
    heap_retention_hours: Option<OsString>,

    /// How much the heaps that nothing needs may take, in MB (1 to 1048576).
    ///
    /// Those that were used least recently go first.
    #[arg(long, value_name = "MB", help_heading = STORAGE)]
    heap_retention_mb: Option<OsString>,

    /// The directory in which executions, sessions and tags are kept; it is made when missing.
    ///
    /// Several servers may share it. Excludes --stateless. Where the default belongs to another
    /// user, the same with your user id appended is used, and said so.
    #[arg(long, value_name = "DIR", help_heading = STORAGE)]
    session_db_path: Option<OsString>,

    /// How long ended executions are kept, in hours (1 to 87600).
    #[arg(long, value_name = "HOURS", help_heading = STORAGE)]
    execution_retention_hours: Option<OsString>,

    /// How many ended executions are kept (1 to 10000000); the oldest go first.
    #[arg(long, value_name = "COUNT", help_heading = STORAGE)]
    execution_retention_count: Option<OsString>,

    /// How much of code, results, errors and output is kept, in MB (1 to 1048576); the oldest go
    /// first.
    #[arg(long, value_name = "MB", help_heading = STORAGE)]
    execution_retention_mb: Option<OsString>,

    #[command(flatten)]
    limits: LimitFlags,

    #[command(flatten)]
    http: HttpFlags,

    #[command(flatten)]
    tenants: TenantFlags,

    #[command(flatten)]
    audit: AuditFlags,

    #[command(flatten)]
    cluster: ClusterFlags,

    #[command(flatten)]
    auth: AuthFlags,

    #[command(flatten)]
    fetch: FetchFlags,

    /// A WebAssembly module for scripts, as NAME=FILE; can be given again.
    ///
    /// Scripts find the exports of a module that imports nothing as NAME, and every module (a
    /// WebAssembly.Module) as __wasm_NAME. They are made at their first use. In the environment, several are separated by commas.
    #[arg(long, value_name = "NAME=FILE", help_heading = MODULES)]
    wasm_module: Vec<OsString>,

    /// A JSON file with more of them: {"NAME": "FILE", ...}.
    #[arg(long, value_name = "FILE", help_heading = MODULES)]
    wasm_config: Option<OsString>,

    /// How much of a worker's jail must hold: required or best-effort.
    ///
    /// The system call filter, the limits and what else every Linux has are always required. Beside
    /// them, required asks for Landlock or namespaces; best-effort goes on without.
    #[arg(long, value_name = "MODE", help_heading = SECURITY)]
    sandbox: Option<OsString>,

    /// How much of V8's machinery scripts get: jit, baseline or jitless.
    ///
    /// baseline leaves out the optimising compilers (about 4 times slower on hot code); jitless makes
    /// no code at all and has no WebAssembly (about 8 times slower on hot code).
    #[arg(long, value_name = "TIER", help_heading = SECURITY)]
    engine_tier: Option<OsString>,

    /// Print what becomes of each layer of a worker's jail on this machine, and end.
    ///
    /// Exits with 0 when workers run here, and with 1 when they would refuse to.
    #[arg(long, help_heading = SECURITY)]
    check_sandbox: bool,

    /// How workers are started: zygote or exec.
    ///
    /// zygote: one process makes a runtime, and forks it for each execution, ahead of need; it is
    /// replaced after some time and after a suspicious death. exec: each worker makes a runtime of
    /// its own, and has a memory layout of its own; far slower.
    #[arg(long, value_name = "WAY", help_heading = SECURITY)]
    worker_start: Option<OsString>,

    /// The worker program, which must be of the same version.
    #[arg(long, value_name = "FILE", help_heading = OPERATION)]
    worker_path: Option<OsString>,

    #[command(flatten)]
    telemetry: TelemetryFlags,

    /// Check the configuration, print what it comes to, and end.
    ///
    /// Reads the files that it names (certificates, tokens, keys, policies, headers, modules), starts nothing and asks
    /// nobody. Secrets are not shown. Exits with 0 when a server could be started with it, else with 2.
    #[arg(long, help_heading = OPERATION)]
    check_config: bool,

    /// A TOML file with settings: one "name = value" a line, named as the flags.
    #[arg(long, value_name = "FILE", help_heading = OPERATION)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    errand: Option<Errand>,
}

/// What the command line says.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    /// The settings.
    pub(super) raw: Raw,
    /// The configuration file.
    pub(super) config: Option<PathBuf>,
    /// Whether only the jail is to be shown.
    pub(super) check_sandbox: bool,
    /// Whether only the configuration is to be shown.
    pub(super) check_config: bool,
    /// What is to be done instead of serving.
    pub(super) task: Option<Task>,
}

/// Reads the command line, the program's name first. `Err` is a text to show with success: the
/// help or the version. What is wrong is left out, so that the rest can be judged as well.
pub(super) fn read(arguments: &[OsString], faults: &mut Vec<Fault>) -> Result<CommandLine, String> {
    let mut arguments = arguments.to_vec();
    let matches = loop {
        let error = match command().try_get_matches_from(&arguments) {
            Ok(matches) => break matches,
            Err(error) => error,
        };
        if matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        ) {
            return Err(error.render().to_string());
        }
        faults.push(Fault::Usage(complaint(&error)));
        if let Some(position) = unknown(&error, &arguments) {
            arguments.remove(position);
            continue;
        }
        match command()
            .ignore_errors(true)
            .try_get_matches_from(&arguments)
        {
            Ok(matches) => break matches,
            Err(_) => return Ok(CommandLine::default()),
        }
    };
    Ok(match Cli::from_arg_matches(&matches) {
        Ok(cli) => said(cli),
        Err(error) => {
            // What is missing has been told.
            if faults.is_empty() {
                faults.push(Fault::Usage(complaint(&error)));
            }
            CommandLine::default()
        }
    })
}

/// Where an argument that means nothing stands.
fn unknown(error: &clap::Error, arguments: &[OsString]) -> Option<usize> {
    let name = (error.kind() == ErrorKind::UnknownArgument)
        .then(|| error.get(ContextKind::InvalidArg))
        .flatten()?
        .to_string();
    let with_value = format!("{name}=");
    arguments
        .iter()
        .skip(1)
        .position(|argument| {
            let argument = argument.to_string_lossy();
            argument == name || argument.starts_with(&with_value)
        })
        .map(|position| position + 1)
}

/// What is wrong with the command line, in one line.
fn complaint(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let problem = first.strip_prefix("error: ").unwrap_or(first);
    // What it is stands on the lines below.
    if problem.ends_with(':') {
        let below = lines.map(str::trim).take_while(|line| !line.is_empty());
        return format!("{problem} {}", below.collect::<Vec<_>>().join(", "));
    }
    match error.get(ContextKind::SuggestedArg) {
        Some(similar) => format!("{problem}; did you mean {similar}?"),
        None => problem.to_owned(),
    }
}

fn said(cli: Cli) -> CommandLine {
    let values = [
        (Setting::Stateless, cli.stateless),
        (Setting::DirectoryPath, cli.directory_path),
        (Setting::S3Bucket, cli.s3_bucket),
        (Setting::CacheDir, cli.cache_dir),
        (Setting::CacheMaxMb, cli.cache_max_mb),
        (Setting::HeapKeyFile, cli.heap_key_file),
        (Setting::HeapRetentionHours, cli.heap_retention_hours),
        (Setting::HeapRetentionMb, cli.heap_retention_mb),
        (Setting::SessionDbPath, cli.session_db_path),
        (
            Setting::ExecutionRetentionHours,
            cli.execution_retention_hours,
        ),
        (
            Setting::ExecutionRetentionCount,
            cli.execution_retention_count,
        ),
        (Setting::ExecutionRetentionMb, cli.execution_retention_mb),
        (Setting::AuthTokens, cli.auth.auth_tokens),
        (Setting::JwksUrl, cli.auth.jwks_url),
        (Setting::JwksFile, cli.auth.jwks_file),
        (Setting::JwtIssuer, cli.auth.jwt_issuer),
        (Setting::JwtAudience, cli.auth.jwt_audience),
        (Setting::JwtAlgorithms, cli.auth.jwt_algorithms),
        (Setting::JwtTenantClaim, cli.auth.jwt_tenant_claim),
        (Setting::JwtScopes, cli.auth.jwt_scopes),
        (Setting::AuthResource, cli.auth.auth_resource),
        (Setting::PolicyDir, cli.fetch.policy_dir),
        (Setting::OpaUrl, cli.fetch.opa_url),
        (Setting::OpaFetchPolicy, cli.fetch.opa_fetch_policy),
        (Setting::OpaCacheMs, cli.fetch.opa_cache_ms),
        (Setting::FetchAllowPrivate, cli.fetch.fetch_allow_private),
        (Setting::FetchHeaderConfig, cli.fetch.fetch_header_config),
        (Setting::WasmConfig, cli.wasm_config),
        (Setting::Sandbox, cli.sandbox),
        (Setting::EngineTier, cli.engine_tier),
        (Setting::WorkerStart, cli.worker_start),
        (Setting::WorkerPath, cli.worker_path),
    ];
    let lists = [
        (Setting::AuthServer, cli.auth.auth_server),
        (Setting::FetchHeader, cli.fetch.fetch_header),
        (Setting::WasmModule, cli.wasm_module),
    ];
    let mut raw = Raw::default();
    let mut say = |setting, given| {
        let origin = Origin::Flag(setting);
        raw.say(setting, Said { given, origin });
    };
    let of_parts = (cli.limits.values().into_iter())
        .chain(cli.http.values())
        .chain(cli.tenants.values())
        .chain(cli.audit.values())
        .chain(cli.cluster.values())
        .chain(cli.telemetry.values());
    for (setting, value) in values.into_iter().chain(of_parts) {
        if let Some(value) = value {
            say(setting, Given::Text(value));
        }
    }
    for (setting, values) in lists {
        if !values.is_empty() {
            say(setting, Given::Texts(values));
        }
    }
    CommandLine {
        raw,
        config: cli.config,
        check_sandbox: cli.check_sandbox,
        check_config: cli.check_config,
        task: cli.errand.map(Task::from),
    }
}

/// The command, with all that its help says.
pub(super) fn command() -> clap::Command {
    help::told(Cli::command())
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
