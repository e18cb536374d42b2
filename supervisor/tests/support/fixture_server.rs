//! The server over HTTP with fixtures beside its tools, for the official conformance suite. It runs
//! the scripted worker behind the HTTP of the real server, and prints the address of its MCP endpoint.

#[path = "fixture/mod.rs"]
mod fixture;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use mcp_v8::app::{Executions, ExecutionsConfig, State, WorkerStart};
use mcp_v8::http::{Access, AllowedHosts, AllowedOrigins, HttpConfig, Listening, Surface};
use mcp_v8::limits;
use mcp_v8::mcp::http::{StreamableConfig, router};
use mcp_v8::mcp::sse::{self, SseConfig};
use mcp_v8::mcp::{Defaults, Server};
use mcp_v8::telemetry::{self, LogLevel};
use tokio_util::sync::CancellationToken;

use fixture::Fixture;

const DEFAULTS: Defaults = Defaults {
    heap_memory_max_mb: 8,
    execution_timeout_secs: 30,
};

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _said = writeln!(std::io::stderr(), "fixture_server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    telemetry::start(LogLevel::Warn)?;
    let config = ExecutionsConfig {
        // The scripted worker does not fork.
        worker_start: WorkerStart::Exec,
        ..ExecutionsConfig::new(scripted_worker()?, State::Stateless)
    };
    let executions = Executions::start(config).await?;
    let handler = Fixture::new(Server::for_callers(executions.clone(), DEFAULTS));
    let stop = CancellationToken::new();
    let routes = router(handler.clone(), StreamableConfig::default(), stop.clone())
        .merge(sse::router(handler, SseConfig::default(), stop.clone()));
    let address: SocketAddr = ([127, 0, 0, 1], 0).into();
    let listening = Listening::bind(&HttpConfig {
        address,
        surface: Surface::Streamable,
        hosts: AllowedHosts::new(address.ip(), Vec::new()),
        origins: AllowedOrigins::default(),
        tls: None,
        auth: None,
        shutdown_grace: limits::SHUTDOWN_GRACE_DEFAULT,
    })?;
    writeln!(std::io::stdout(), "{}", listening.mcp_url())?;
    let _serving = listening.serve(executions, routes, Access::Everybody);
    std::future::pending().await
}

fn scripted_worker() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.with_file_name("scripted_worker"))
}
