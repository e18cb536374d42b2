//! The program `mcp-v8`: reads its configuration, starts the parts, serves MCP on standard input
//! and output, and shuts down.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mcp_v8::app::{
    Executions, ExecutionsConfig, GarbageError, GarbageOptions, Jail, Neighbours, StartError,
    Tenant, WorkerStart, collect_garbage, control_groups,
};
use mcp_v8::audit::{self, Audit, AuditConfig, AuditError};
use mcp_v8::auth::{AuthOptions, Authenticator, NewToken, OpenError};
use mcp_v8::config::{self, Command, Config, Machine, Transport};
use mcp_v8::fetch::options::{FetchOptions, FetchOptionsError, FetchParts};
use mcp_v8::fetch::{Broker, Network, NoTls};
use mcp_v8::gc::Told;
use mcp_v8::http::{Access, BindError, Listening, Surface, raise_descriptors};
use mcp_v8::limits::LAST_ANSWERS_WAIT_MAX;
use mcp_v8::mcp::http::StreamableConfig;
use mcp_v8::mcp::sse::SseConfig;
use mcp_v8::mcp::stdio::{self, ServeError};
use mcp_v8::mcp::{self, Defaults, Server};
use mcp_v8::policy::{Policy, PolicyError, check};
use mcp_v8::quota::Sharing;
use mcp_v8::signals::Signals;
use mcp_v8::telemetry::{self, LogLevel};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The exit code for a configuration that cannot be used.
const EXIT_CONFIGURATION: u8 = 2;

/// Why the server ended other than cleanly.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot start: {0}")]
    Start(#[from] StartError),
    #[error("cannot start: {0}")]
    Listen(#[from] BindError),
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    #[error("cannot start: {0}")]
    Fetch(#[from] Box<FetchOptionsError>),
    #[error("cannot start: {0}")]
    Audit(#[from] AuditError),
    #[error("cannot start: {0}")]
    Auth(#[from] OpenError),
    #[error("cannot start: {0}")]
    NoTls(#[from] NoTls),
    #[error("{0}")]
    Serve(#[from] ServeError),
    #[error("ended at once by a second signal: executions may have been lost")]
    Impatient,
}

fn main() -> ExitCode {
    match config::load(std::env::args_os(), std::env::vars_os(), &Machine::this()) {
        Ok(Command::Serve(config)) => run(*config),
        Ok(Command::CollectGarbage { config, options }) => tidy(*config, options),
        Ok(Command::CheckSandbox {
            worker_path,
            jail,
            worker_start,
        }) => check_sandbox(&worker_path, jail, worker_start),
        Ok(Command::CheckPolicy {
            fetch,
            input,
            log_level,
        }) => check_policy(*fetch, &input, log_level),
        Ok(Command::VerifyAudit { audit, files }) => verify_audit(&audit, &files),
        Ok(Command::NewToken {
            tenant,
            is_operator,
        }) => new_token(tenant, is_operator),
        Ok(Command::Show(text)) => {
            // Nobody to tell when standard output is closed.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(faults) => {
            complain(&faults);
            ExitCode::from(EXIT_CONFIGURATION)
        }
    }
}

/// Makes a token, and shows it.
fn new_token(tenant: Tenant, is_operator: bool) -> ExitCode {
    match NewToken::make(tenant, is_operator) {
        Ok(token) => match write!(std::io::stdout(), "{token}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&format!("mcp-v8: the token cannot be shown: {error}\n"));
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            complain(&format!("mcp-v8: there are no random numbers: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Collects garbage once, and says what became of it.
fn tidy(config: Config, options: GarbageOptions) -> ExitCode {
    start_log(&config);
    let executions = &config.executions;
    let collected = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GarbageError::from)
        .and_then(|runtime| {
            let collecting = collect_garbage(&executions.state, executions.retention, options);
            runtime.block_on(collecting)
        });
    match collected {
        Ok(report) => {
            let told = Told {
                report: &report,
                is_dry_run: options.is_dry_run,
                now: jiff::Timestamp::now(),
            };
            let _nobody_reads = write!(std::io::stdout(), "{told}");
            if report.neighbours == Neighbours::Nobody {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            complain(&format!("mcp-v8: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Reads an audit log, and says whether it is what was written.
fn verify_audit(audit: &AuditConfig, files: &[PathBuf]) -> ExitCode {
    match audit::verify(&audit.path, &audit.key_file, files) {
        Ok(verified) => {
            let _nobody_reads = write!(std::io::stdout(), "{verified}");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            complain(&format!("mcp-v8: {broken}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Why no policy can be asked.
#[derive(Debug, thiserror::Error)]
enum NoCheck {
    #[error("{path} cannot be read: {problem}", path = .path.display())]
    Unreadable {
        path: PathBuf,
        problem: std::io::Error,
    },
    #[error("{path} is not a request: {problem}", path = .path.display())]
    Input {
        path: PathBuf,
        problem: check::InputError,
    },
    #[error("{0}")]
    Policy(#[from] PolicyError),
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Asks the policies about one request, and says what each says.
fn check_policy(fetch: FetchOptions, input: &Path, log_level: LogLevel) -> ExitCode {
    if let Err(error) = telemetry::start(log_level) {
        complain(&format!("mcp-v8: there is no log: {error}\n"));
    }
    match checked(fetch, input) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            complain(&format!("mcp-v8: {problem}\n"));
            ExitCode::from(EXIT_CONFIGURATION)
        }
    }
}

/// Whether the request is allowed.
fn checked(fetch: FetchOptions, path: &Path) -> Result<bool, NoCheck> {
    let text = request_text(path).map_err(|problem| NoCheck::Unreadable {
        path: path.to_owned(),
        problem,
    })?;
    let asked = check::read(&text).map_err(|problem| NoCheck::Input {
        path: path.to_owned(),
        problem,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let verdicts = runtime.block_on(async {
        let policy = Policy::open(fetch.policy).await?;
        Ok::<_, PolicyError>(policy.verdicts(&asked).await)
    })?;
    runtime.shutdown_background();
    let told = check::Told {
        asked: &asked,
        verdicts: &verdicts,
        allow_private: fetch.allow_private,
    };
    let _nobody_reads = write!(std::io::stdout(), "{told}");
    Ok(told.is_allowed())
}

fn request_text(path: &Path) -> std::io::Result<Vec<u8>> {
    let most = check::INPUT_BYTES_MAX as u64 + 1;
    let mut text = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut text)?;
    } else {
        std::fs::File::open(path)?
            .take(most)
            .read_to_end(&mut text)?;
    }
    if text.len() > check::INPUT_BYTES_MAX {
        let problem = format!("it is larger than {} bytes", check::INPUT_BYTES_MAX);
        return Err(std::io::Error::other(problem));
    }
    Ok(text)
}

/// Has a worker's program take its jail and say what became of it, after what this program does
/// itself.
fn check_sandbox(worker_path: &Path, jail: Jail, start: WorkerStart) -> ExitCode {
    let groups = control_groups();
    let state = if groups.are_on { "on" } else { "off" };
    // In the columns of the worker's own lines.
    let line = format!(
        "{:<19}{:<10}{state:<5}{}\n",
        "control group", "extra", groups.detail
    );
    let _nobody_reads = std::io::stdout().write_all(line.as_bytes());
    let arguments = jail.arguments();
    let arguments = arguments
        .iter()
        .map(|word| OsStr::from_bytes(word.to_bytes()));
    let checked = std::process::Command::new(worker_path)
        .args(["check-sandbox", "--worker-start", start.name()])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .status();
    match checked {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let program = worker_path.display();
            complain(&format!("mcp-v8: cannot run {program}: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard error even when the log is off.
fn complain(problem: &dyn Display) {
    let _ = write!(std::io::stderr(), "{problem}");
}

fn start_log(config: &Config) {
    if let Err(error) = telemetry::start(config.log_level) {
        complain(&format!("mcp-v8: there is no log: {error}\n"));
    }
    for note in &config.notes {
        tracing::warn!("{note}");
    }
}

fn run(config: Config) -> ExitCode {
    start_log(&config);
    let summary = config.summary();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| {
            let ended = runtime.block_on(serve(config, summary));
            // A read of standard input cannot be interrupted: it is left behind, not waited for.
            runtime.shutdown_background();
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("mcp-v8: {failure}\n"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config, summary: String) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    // An address that is taken is told before anything is started.
    let place = match config.transport {
        Transport::Stdio => None,
        Transport::Http(http) => Some((
            Listening::bind(&http)?,
            open_access(http.auth).await?,
            http.shutdown_grace,
        )),
    };
    let broker = match config.fetch {
        None => None,
        Some(options) => Some(open_broker(options).await?),
    };
    let audit = Audit::start(config.audit).await?;
    let config = ExecutionsConfig {
        broker,
        audit,
        sharing: place
            .as_ref()
            .map_or(Sharing::Alone, |place| place.1.sharing()),
        ..config.executions
    };
    let defaults = Defaults {
        heap_memory_max_mb: config.heap_memory_default_mb,
        execution_timeout_secs: config.execution_timeout_default_secs,
    };
    let executions = tokio::select! {
        started = Executions::start(config) => started?,
        () = signals.any() => return Ok(()),
    };
    tracing::info!("{summary}; V8 {}", executions.v8_version());
    log_confinement(&executions);
    if let Some((_, Access::Tokens(authenticator), _)) = &place {
        executions.allow(authenticator.limits());
    }
    match place {
        None => {
            let server = Server::for_one(
                executions.of(Tenant::local()).through("stdio", None),
                defaults,
            );
            converse(server, executions, signals).await
        }
        Some((listening, access, grace)) => {
            let server = Server::for_callers(executions.clone(), defaults);
            let place = (listening, access);
            listen(place, server, executions, signals, grace).await
        }
    }
}

/// Who may call.
async fn open_access(options: Option<AuthOptions>) -> Result<Access, OpenError> {
    Ok(match options {
        None => Access::Everybody,
        Some(options) => Access::Tokens(Arc::new(Authenticator::open(options).await?)),
    })
}

/// Who makes the requests of scripts. Within the runtime that serves: policies are looked at as long as it
/// runs.
async fn open_broker(options: FetchOptions) -> Result<Broker, Failure> {
    let FetchParts {
        policy,
        injection,
        allow_private,
    } = options.open().await.map_err(Box::new)?;
    // How many connections there may be depends on it.
    if let Err(error) = raise_descriptors() {
        tracing::debug!(%error, "the limit of descriptors could not be raised");
    }
    let network = Network::of_this_machine(allow_private);
    Ok(Broker::new(policy, injection, network)?)
}

/// Serves HTTP until a signal comes. Then nothing new is accepted, what runs may go on for `grace`,
/// and what still runs after that is cancelled, which ends all waits.
async fn listen(
    (listening, access): (Listening, Access),
    server: Server,
    executions: Executions,
    mut signals: Signals,
    grace: Duration,
) -> Result<(), Failure> {
    let url = listening.url();
    tracing::info!(
        "MCP at {}; API at {url}/api (described at {url}/api/openapi.json), {url}/healthz, \
         {url}/readyz, {url}/metrics",
        listening.mcp_url()
    );
    let stop = CancellationToken::new();
    let mcp = match listening.surface() {
        Surface::Streamable => {
            let config = StreamableConfig::shared_by(executions.sharing());
            mcp::http::router(server, config, stop.clone())
        }
        Surface::Legacy => {
            let config = SseConfig::shared_by(executions.sharing());
            mcp::sse::router(server, config, stop.clone())
        }
    };
    let serving = listening.serve(executions.clone(), mcp, access);
    signals.any().await;
    tracing::info!(
        "asked to end: nothing new is accepted, what runs may go on for {} s",
        grace.as_secs()
    );
    executions.close();
    let end = async {
        if timeout(grace, executions.idle()).await.is_err() {
            tracing::info!("cancelling what still runs");
            executions.cancel_all().await;
        }
        // Whoever waits is answered before nothing can be read any more.
        stop.cancel();
        serving.close().await;
        executions.shut_down().await;
    };
    tokio::select! {
        () = end => Ok(()),
        () = signals.any() => Err(Failure::Impatient),
    }
}

/// What confines workers on this machine: all of it at once, and what is off as a warning when
/// neither wall stands.
fn log_confinement(executions: &Executions) {
    let confinement = executions.confinement();
    let names = |on: bool| {
        let layers = confinement.layers().into_iter();
        let names: Vec<&str> = layers
            .filter(|(_, is_on)| *is_on == on)
            .map(|(name, _)| name)
            .collect();
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        }
    };
    let (on, off) = (names(true), names(false));
    tracing::info!("workers are confined by: {on}; off: {off} (--check-sandbox says why)");
    if !confinement.is_walled() {
        tracing::warn!(
            "workers run without Landlock and without all namespaces: only the system call filter \
             stands between a script that breaks out of V8 and this machine"
        );
    }
}

/// Serves until the input ends, a signal comes, or nobody listens any more. Every request that was
/// read is answered, then what still runs is cancelled; after a signal it is cancelled first, which
/// ends all waits.
async fn converse(
    server: Server,
    executions: Executions,
    mut signals: Signals,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let (reader, writer) = stdio::standard_streams();
    let mut serving = std::pin::pin!(stdio::serve(server, reader, writer, stop.clone()));
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = signals.any() => {
            tracing::info!("asked to end: cancelling what runs");
            None
        }
        () = stdio::output_abandoned() => {
            tracing::info!("the client is gone: cancelling what runs");
            None
        }
    };
    stop.cancel();
    let end = async {
        executions.shut_down().await;
        match ended {
            Some(ended) => ended,
            None => last_answers(serving).await,
        }
    };
    tokio::select! {
        ended = end => Ok(ended?),
        () = signals.any() => Err(Failure::Impatient),
    }
}

/// What is still said after all executions have ended; a client that does not read is not waited
/// for long.
async fn last_answers(
    serving: impl Future<Output = Result<(), ServeError>>,
) -> Result<(), ServeError> {
    timeout(LAST_ANSWERS_WAIT_MAX, serving)
        .await
        .unwrap_or(Ok(()))
}
