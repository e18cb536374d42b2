//! The program `mcp-v8`: reads its configuration, starts the parts, serves MCP on standard input
//! and output or HTTP, and shuts down.

mod errand;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mcp_v8::app::{Executions, ExecutionsConfig, StartError, Tenant};
use mcp_v8::audit::{Audit, AuditError, Event};
use mcp_v8::auth::{AuthOptions, Authenticator, OpenError};
use mcp_v8::config::{self, Command, Config, Machine, Note, Transport};
use mcp_v8::fetch::options::{FetchOptions, FetchOptionsError, FetchParts};
use mcp_v8::fetch::{Broker, Network, NoTls};
use mcp_v8::http::{Access, BindError, Listening, Serving, Surface, raise_descriptors};
use mcp_v8::limits::LAST_ANSWERS_WAIT_MAX;
use mcp_v8::mcp::http::StreamableConfig;
use mcp_v8::mcp::sse::SseConfig;
use mcp_v8::mcp::stdio::{self, ServeError};
use mcp_v8::mcp::{self, Defaults, Server};
use mcp_v8::quota::Sharing;
use mcp_v8::reload::{Callers, DefaultLimits, FetchRules, Reloader, TenantDefaults};
use mcp_v8::signals::{Asked, Signals};
use mcp_v8::supervision;
use mcp_v8::telemetry::{self, Log, LogOptions, TraceError, Traces};
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
    #[error("cannot start: {0}")]
    Traces(#[from] TraceError),
    #[error("{0}")]
    Serve(#[from] ServeError),
    #[error("this node cannot take part in its cluster: {0}")]
    Lost(String),
    #[error("ended at once by a second signal: executions may have been lost")]
    Impatient,
}

fn main() -> ExitCode {
    match config::load(std::env::args_os(), std::env::vars_os(), &Machine::this()) {
        Ok(Command::Serve(config)) => run(*config),
        Ok(Command::CollectGarbage { config, options }) => errand::collect(*config, options),
        Ok(Command::CheckSandbox {
            worker_path,
            jail,
            worker_start,
        }) => errand::check_sandbox(&worker_path, jail, worker_start),
        Ok(Command::CheckPolicy { fetch, input, log }) => errand::check_policy(*fetch, &input, log),
        Ok(Command::CheckConfig(config)) => errand::check_config(&config),
        Ok(Command::Doctor { config, format }) => errand::doctor(&config, format),
        Ok(Command::VerifyAudit { audit, files }) => errand::verify_audit(&audit, &files),
        Ok(Command::NewToken {
            tenant,
            is_operator,
        }) => errand::new_token(tenant, is_operator),
        Ok(Command::AskNode { cluster, at, ask }) => errand::ask_node(&cluster, at, &ask),
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

/// Writes to standard error even when the log is off.
fn complain(problem: &dyn Display) {
    let _ = write!(std::io::stderr(), "{problem}");
}

/// Starts the log, and traces where there are any. Without a log there is a server all the same.
fn start_log(options: LogOptions, traces: Option<&Traces>) -> Option<Log> {
    match telemetry::start(options, traces) {
        Ok(log) => Some(log),
        Err(error) => {
            complain(&format!("mcp-v8: there is no log: {error}\n"));
            None
        }
    }
}

fn tell(notes: &[Note]) {
    for note in notes {
        tracing::warn!("{note}");
    }
}

fn run(config: Config) -> ExitCode {
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| {
            let options = config.traces.as_ref();
            let traces = options
                .map(|options| Traces::open(options, runtime.handle().clone()))
                .transpose()?;
            let log = start_log(config.log, traces.as_ref());
            tell(&config.notes);
            let ended = runtime.block_on(serve(config, log));
            if let Some(traces) = traces {
                traces.close();
            }
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

async fn serve(config: Config, log: Option<Log>) -> Result<(), Failure> {
    let summary = config.summary();
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
    let said = config.said;
    let config = ExecutionsConfig {
        broker: broker.clone(),
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
        started = start(config, place.as_ref().map(|place| &place.0)) => started?,
        () = asked_to_end(&mut signals, place.is_some()) => return Ok(()),
    };
    tracing::info!("{summary}; V8 {}", executions.v8_version());
    log_confinement(&executions);
    if let Some((_, Access::Tokens(authenticator), _)) = &place {
        executions.allow(authenticator.limits());
        executions.name_in_figures(&authenticator.tenants());
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
            let callers = access.authenticator().map(|authenticator| Callers {
                authenticator: Arc::clone(authenticator),
                executions: executions.clone(),
            });
            let reloader = Reloader::new(said)
                .with(DefaultLimits {
                    executions: executions.clone(),
                    server: server.clone(),
                })
                .with(TenantDefaults(executions.clone()))
                .with(FetchRules(broker))
                .with_each(callers)
                .with_each(log);
            let service = Service {
                server,
                executions,
                reloader,
                grace,
            };
            service.listen(listening, access, signals).await
        }
    }
}

/// Starts all that runs scripts. A node that waits for its cluster says so meanwhile to those who ask over
/// HTTP, such as what looks after it.
async fn start(
    config: ExecutionsConfig,
    listening: Option<&Listening>,
) -> Result<Executions, StartError> {
    match listening.filter(|_| config.node.is_some()) {
        None => Executions::start(config).await,
        Some(listening) => {
            tracing::info!(
                "{}/healthz and /readyz answer while this node waits for its cluster",
                listening.url()
            );
            listening.during(Executions::start(config)).await
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

/// Waits for a signal that ends a server on standard input and output, or on HTTP.
async fn asked_to_end(signals: &mut Signals, is_on_http: bool) {
    if is_on_http {
        signals.end().await;
    } else {
        signals.any().await;
    }
}

/// A server on HTTP.
struct Service {
    server: Server,
    executions: Executions,
    reloader: Reloader,
    /// How long what runs may go on when it is asked to end.
    grace: Duration,
}

impl Service {
    /// Serves until a signal comes that asks for the end. Then nothing new is accepted, what runs may go
    /// on for a while, and what still runs after that is cancelled, which ends all waits.
    async fn listen(
        self,
        listening: Listening,
        access: Access,
        mut signals: Signals,
    ) -> Result<(), Failure> {
        let Self {
            server,
            executions,
            mut reloader,
            grace,
        } = self;
        let serving = open(listening, access, server, &executions);
        supervision::accepting();
        loop {
            let asked = tokio::select! {
                asked = signals.next() => asked,
                // What others share with it goes on without this node.
                why = executions.lost() => return Err(Failure::Lost(why)),
            };
            match asked {
                Asked::End => break,
                Asked::Reload => tokio::select! {
                    () = reload(&mut reloader, executions.audit()) => {}
                    () = signals.end() => break,
                },
            }
        }
        supervision::ending();
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
            serving.close().await;
            executions.shut_down().await;
        };
        tokio::select! {
            () = end => Ok(()),
            () = signals.end() => Err(Failure::Impatient),
        }
    }
}

/// What is served, and how those are told who wait that it ends.
struct Open {
    stop: CancellationToken,
    serving: Serving,
}

impl Open {
    async fn close(self) {
        // Whoever waits is answered before nothing can be read any more.
        self.stop.cancel();
        self.serving.close().await;
    }
}

/// Begins to answer.
fn open(listening: Listening, access: Access, server: Server, executions: &Executions) -> Open {
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
    Open { stop, serving }
}

/// Reads the configuration again, and has the server take what it can of it.
async fn reload(reloader: &mut Reloader, audit: &Audit) {
    let is_accepted = reload_all(reloader).await;
    match audit.place_in_time().await {
        Ok(place) => place.note(Event::Reloaded {
            what: "configuration",
            is_accepted,
        }),
        Err(error) => tracing::error!(%error, "the new configuration could not be noted"),
    }
}

/// Whether all of it was taken.
async fn reload_all(reloader: &mut Reloader) -> bool {
    let read = config::load(std::env::args_os(), std::env::vars_os(), &Machine::this());
    let config = match read {
        Ok(Command::Serve(config)) => config,
        // It is the command line that this server was started with.
        Ok(_) => return false,
        Err(faults) => {
            tracing::error!("the configuration is wrong, and the one from before counts: {faults}");
            return false;
        }
    };
    match reloader.reload(&config).await {
        Ok(reloaded) => {
            tracing::info!("the configuration was read again: {reloaded}");
            true
        }
        Err(refused) => {
            tracing::error!(
                "the configuration is refused, and the one from before counts: {refused}"
            );
            false
        }
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
