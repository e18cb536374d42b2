//! The programs: whether the worker takes its jail, which versions they are, and whether a script runs
//! from end to end.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mcp_v8_protocol::PROTOCOL_VERSION;

use super::report::Finding;
use crate::app::{
    End, Executions, ExecutionsConfig, RunRequest, State, Tenant, View, sqlite_version,
};
use crate::config::Config;

const SCRIPT: &str = "[1, 2, 3].map(n => n * 2).join()";
const RESULT: &str = "2,4,6";

/// How long the script may take: a slow machine starts slowly.
const SCRIPT_WAIT: Duration = Duration::from_secs(30);

/// The layers of a worker's jail.
pub(super) fn sandbox(config: &Config) -> Vec<Finding> {
    let subject = "sandbox";
    let executions = &config.executions;
    let arguments = executions.jail.arguments();
    let arguments = arguments
        .iter()
        .map(|word| OsStr::from_bytes(word.to_bytes()));
    let checked = Command::new(&executions.worker_path)
        .args([
            "check-sandbox",
            "--worker-start",
            executions.worker_start.name(),
        ])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .output();
    let output = match checked {
        Ok(output) => output,
        Err(error) => {
            return vec![Finding::fail(
                subject,
                format!(
                    "{} cannot be run: {error}",
                    executions.worker_path.display()
                ),
                "install the worker beside this program, or name it with --worker-path",
            )];
        }
    };
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        let layers = told.lines().filter(|line| line.contains(" on ")).count();
        return vec![Finding::ok(
            subject,
            format!("workers run here, with {layers} layers of their jail"),
        )];
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = told
        .lines()
        .chain(errors.lines())
        .last()
        .unwrap_or("it says nothing");
    vec![Finding::fail(
        subject,
        format!("workers would refuse to run here: {last}"),
        "mcp-v8 --check-sandbox shows each layer and why one is off",
    )]
}

/// Which programs these are.
pub(super) fn versions() -> Vec<Finding> {
    vec![Finding::ok(
        "versions",
        format!(
            "server {}, protocol {PROTOCOL_VERSION}, SQLite {}",
            env!("CARGO_PKG_VERSION"),
            sqlite_version()
        ),
    )]
}

/// Runs a script as the server would, and keeps nothing of it.
pub(super) async fn execution(config: &Config) -> Vec<Finding> {
    let subject = "execution";
    let began = Instant::now();
    let started = Executions::start(ExecutionsConfig {
        state: State::Stateless,
        // A second node with its name would be refused, or take its place.
        node: None,
        max_concurrent: 1,
        broker: None,
        ..config.executions.clone()
    })
    .await;
    let executions = match started {
        Ok(executions) => executions,
        Err(error) => {
            return vec![Finding::fail(
                subject,
                error.to_string(),
                "a server would not start either",
            )];
        }
    };
    let start = began.elapsed();
    let began = Instant::now();
    let ran = run(&executions).await;
    let took = began.elapsed();
    let v8 = executions.v8_version().to_owned();
    executions.shut_down().await;
    let told = match ran {
        Ok(view) => match view.end {
            Some(End::Completed { result, .. }) if result == RESULT => Finding::ok(
                subject,
                format!(
                    "a script ran in {:.1} ms on V8 {v8}; the start took {:.0} ms",
                    took.as_secs_f64() * 1e3,
                    start.as_secs_f64() * 1e3
                ),
            ),
            Some(End::Failed { error, .. }) => {
                Finding::fail(subject, error, "a server's scripts would fare no better")
            }
            end => Finding::fail(
                subject,
                format!("a script did not end as it should: {end:?}"),
                "report it, with the log at --log-level debug",
            ),
        },
        Err(error) => Finding::fail(subject, error.to_string(), "see the log"),
    };
    vec![told]
}

async fn run(executions: &Executions) -> Result<View, crate::app::Error> {
    let workspace = executions.of(Tenant::local());
    let id = workspace.submit(RunRequest::new(SCRIPT)).await?;
    workspace.wait(id, SCRIPT_WAIT).await
}
