//! The server over HTTP with fixtures beside its tools, for the official conformance suite. It runs
//! the scripted worker, and prints the address of its MCP endpoint.

#[path = "fixture/mod.rs"]
mod fixture;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use mcp_v8::app::{Executions, ExecutionsConfig, State, WorkerStart};
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
    let server = Server::new(Executions::start(config).await?, DEFAULTS);
    let handler = Fixture::new(server);
    let stop = CancellationToken::new();
    let routes = router(handler.clone(), StreamableConfig::default(), stop.clone())
        .merge(sse::router(handler, SseConfig::default(), stop.clone()))
        .layer(from_fn(only_local));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "http://{}/mcp", listener.local_addr()?)?;
    // Without this, the end of each stream waits for the client to acknowledge its beginning.
    let listener = listener.tap_io(|stream| {
        let _as_is = stream.set_nodelay(true);
    });
    axum::serve(listener, routes).await?;
    Ok(())
}

fn scripted_worker() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.with_file_name("scripted_worker"))
}

/// Refuses what a page of elsewhere sends, in place of the layer that the real server has.
async fn only_local(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if is_local(headers, header::HOST.as_str()) && is_local(headers, header::ORIGIN.as_str()) {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

/// Whether a header is absent, or names this machine.
fn is_local(headers: &HeaderMap, name: &str) -> bool {
    let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
        return !headers.contains_key(name);
    };
    let uri = value.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host);
    host.is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host))
}
