//! MCP over standard input and output: one JSON-RPC message a line.
//!
//! The MCP library drops lines that it cannot read and ends five seconds after its input. Both lose
//! requests, so this transport stands in front of it:
//!
//! * a line that is too long, not UTF-8, or no JSON-RPC message is answered with an error;
//! * the end of the input is passed on once every request that was read has been answered;
//! * a message before the first request is dropped (the library would end);
//! * an id that is used twice at once is refused (the library would answer only one).

mod lines;
mod outbound;
mod streams;
mod transport;

use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::{ServerHandler, ServiceExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use streams::{output_abandoned, standard_streams};
use transport::StdioTransport;

use crate::limits;

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// The most requests that may be unanswered; reading waits beyond that. Each holds up to a line in
/// memory.
const IN_FLIGHT_MAX: usize = 512;

/// Bytes that JSON may need for one byte of text: `\u0001`.
const JSON_ESCAPE_BYTES_MAX: usize = 6;

const _: () = assert!(limits::SOURCE_BYTES_MAX * JSON_ESCAPE_BYTES_MAX < LINE_BYTES_MAX);

/// Why serving ended other than by the client's or the operator's wish.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The conversation could not be opened.
    #[error("the MCP conversation could not be opened: {0}")]
    Open(#[source] Box<ServerInitializeError>),
    /// The task that serves panicked.
    #[error("the MCP server failed: {0}")]
    Task(#[source] tokio::task::JoinError),
}

/// Serves one client until its input ends, it closes its output, or `stop` is cancelled; then
/// every request that was read is still answered. Executions are not touched.
///
/// # Errors
/// [`ServeError`]. A client that goes away is none.
pub async fn serve<H: ServerHandler>(
    handler: H,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let (outbound, task) = outbound::start(writer);
    let transport = StdioTransport::new(reader, outbound, stop);
    let ended = match handler.serve(transport).await {
        Ok(running) => match running.waiting().await {
            Ok(QuitReason::JoinError(error)) | Err(error) => Err(ServeError::Task(error)),
            Ok(_) => Ok(()),
        },
        // Nothing was asked, or the client went away before its first answer.
        Err(
            ServerInitializeError::ConnectionClosed(_)
            | ServerInitializeError::TransportError { .. }
            | ServerInitializeError::Cancelled,
        ) => Ok(()),
        Err(error) => Err(ServeError::Open(Box::new(error))),
    };
    task.finish().await;
    ended
}
