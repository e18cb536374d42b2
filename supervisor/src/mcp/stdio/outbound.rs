//! Lines to the client: one task writes, so that no line is ever cut by another or by a dropped
//! future.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Lines that may wait to be written; senders wait beyond that.
const OUTBOUND_LINES_MAX: usize = 16;

/// How long a client that has stopped reading may keep the last lines from being written.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(5);

/// The client has closed its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has closed the server's standard output")]
pub(super) struct OutboundClosed;

/// The way to the client.
#[derive(Debug, Clone)]
pub(super) struct Outbound {
    lines: mpsc::Sender<Vec<u8>>,
    closed: CancellationToken,
}

impl Outbound {
    /// Sends a line, its end included. When this returns, the line will be written whole, before
    /// any later one, unless the client closes its end.
    pub(super) async fn send(&self, line: Vec<u8>) -> Result<(), OutboundClosed> {
        self.lines.send(line).await.map_err(|_| OutboundClosed)
    }

    /// Waits for a place for a line.
    pub(super) async fn reserve(&self) -> Result<mpsc::Permit<'_, Vec<u8>>, OutboundClosed> {
        self.lines.reserve().await.map_err(|_| OutboundClosed)
    }

    /// Waits until the client has closed its end.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

/// The task that writes.
#[derive(Debug)]
pub(super) struct OutboundTask {
    task: JoinHandle<()>,
    finish: CancellationToken,
}

impl OutboundTask {
    /// Writes what was sent and ends. A client that does not read is not waited for long.
    pub(super) async fn finish(self) {
        self.finish.cancel();
        if tokio::time::timeout(FLUSH_WAIT_MAX, self.task)
            .await
            .is_err()
        {
            tracing::warn!("the client does not read: the last answers could not be delivered");
        }
    }
}

/// Starts writing to `writer`.
pub(super) fn start(writer: impl AsyncWrite + Send + Unpin + 'static) -> (Outbound, OutboundTask) {
    let (lines, receiver) = mpsc::channel(OUTBOUND_LINES_MAX);
    let closed = CancellationToken::new();
    let finish = CancellationToken::new();
    let task = tokio::spawn(run(writer, receiver, closed.clone(), finish.clone()));
    (Outbound { lines, closed }, OutboundTask { task, finish })
}

async fn run(
    mut writer: impl AsyncWrite + Send + Unpin + 'static,
    mut lines: mpsc::Receiver<Vec<u8>>,
    closed: CancellationToken,
    finish: CancellationToken,
) {
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = finish.cancelled(), if !lines.is_closed() => {
                // Takes no more; what is there still comes out of `recv`.
                lines.close();
                continue;
            }
        };
        let Some(line) = line else { break };
        if let Err(error) = write(&mut writer, &mut lines, line).await {
            tracing::debug!(%error, "standard output is closed");
            closed.cancel();
            return;
        }
    }
}

/// Writes a line and all that wait behind it, then flushes once.
async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    lines: &mut mpsc::Receiver<Vec<u8>>,
    first: Vec<u8>,
) -> std::io::Result<()> {
    writer.write_all(&first).await?;
    while let Ok(line) = lines.try_recv() {
        writer.write_all(&line).await?;
    }
    writer.flush().await
}
