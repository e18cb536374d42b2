//! The transport of one conversation, under the MCP library.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::mcp::events::{Piece, event};
use crate::mcp::in_flight::InFlight;
use crate::mcp::message::{answered, cancelled, written};

/// Messages in, events out.
#[derive(Debug)]
pub(super) struct SseTransport {
    inbound: mpsc::Receiver<ClientJsonRpcMessage>,
    outbound: mpsc::Sender<Piece>,
    in_flight: Arc<InFlight>,
    stop: CancellationToken,
    drain_wait_max: Duration,
    phase: Phase,
    /// A request has opened the conversation. Until then, the library would end it at anything else.
    is_opened: bool,
}

/// How far a conversation is from its end.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Open,
    /// The server stops: answers are awaited until then.
    Draining(Instant),
    /// Nobody listens: what is still worked on is cancelled.
    Abandoned,
}

/// Why a message could not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the client has closed its stream")]
    Closed,
    #[error("a message cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl SseTransport {
    pub(super) fn new(
        inbound: mpsc::Receiver<ClientJsonRpcMessage>,
        outbound: mpsc::Sender<Piece>,
        in_flight: Arc<InFlight>,
        stop: CancellationToken,
        drain_wait_max: Duration,
    ) -> Self {
        Self {
            inbound,
            outbound,
            in_flight,
            stop,
            drain_wait_max,
            phase: Phase::Open,
            is_opened: false,
        }
    }

    /// The next message; `None` when the conversation is over.
    async fn next(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let message = match self.phase {
                Phase::Open => tokio::select! {
                    biased;
                    () = self.stop.cancelled() => {
                        self.phase = Phase::Draining(Instant::now() + self.drain_wait_max);
                        continue;
                    }
                    message = self.inbound.recv() => message,
                },
                Phase::Draining(deadline) => tokio::select! {
                    biased;
                    () = self.in_flight.at_most(0) => return None,
                    () = tokio::time::sleep_until(deadline) => None,
                    message = self.inbound.recv() => message,
                },
                Phase::Abandoned => return self.cancel_one(),
            };
            match message {
                None => self.phase = Phase::Abandoned,
                Some(message) if self.passes(&message) => return Some(message),
                Some(_) => tracing::debug!("dropped a message that came before the first request"),
            }
        }
    }

    /// The library would let what is worked on go on for five seconds.
    fn cancel_one(&self) -> Option<ClientJsonRpcMessage> {
        let id = self.in_flight.any().filter(|_| self.is_opened)?;
        self.in_flight.end(&id);
        Some(cancelled(id))
    }

    fn passes(&mut self, message: &ClientJsonRpcMessage) -> bool {
        match message {
            JsonRpcMessage::Request(request) => {
                let opens = matches!(request.request, ClientRequest::InitializeRequest(_));
                self.is_opened |= opens;
                true
            }
            _ => self.is_opened,
        }
    }
}

impl Transport<RoleServer> for SseTransport {
    type Error = SendError;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), SendError>> + Send + 'static {
        let outbound = self.outbound.clone();
        let in_flight = self.in_flight.clone();
        async move {
            let sent = match written(&message) {
                Ok(json) => outbound
                    .send(Piece {
                        bytes: event("message", &json),
                        held: answered(&message).and_then(|id| in_flight.place(id)),
                    })
                    .await
                    .map_err(|_| SendError::Closed),
                Err(error) => Err(error.into()),
            };
            let Some(id) = answered(&message) else {
                return sent;
            };
            in_flight.end(id);
            // That a client goes before its answer comes is no failure of anybody.
            sent.or_else(|error| match error {
                SendError::Closed => Ok(()),
                SendError::Encode(_) => Err(error),
            })
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.next().await
    }

    async fn close(&mut self) -> Result<(), SendError> {
        Ok(())
    }
}
