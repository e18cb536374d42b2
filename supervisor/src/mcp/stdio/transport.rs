//! The transport under the MCP library: it answers what is no message, and holds back the end of
//! the input until every request has been answered.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, GetMeta as _, JsonRpcMessage, ProtocolVersion,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

use super::lines::{Line, Lines};
use super::outbound::{Outbound, OutboundClosed};
use super::{IN_FLIGHT_MAX, LINE_BYTES_MAX};
use crate::mcp::in_flight::InFlight;
use crate::mcp::message::{Incoming, Refusal, answered, parse, unwanted, written};

/// Lines in, lines out.
#[derive(Debug)]
pub(super) struct StdioTransport<R> {
    lines: Lines<R>,
    outbound: Outbound,
    in_flight: Arc<InFlight>,
    /// Set from outside: read nothing more, as if the input had ended.
    stop: CancellationToken,
    /// An answer of our own that waits for its place.
    answer: Option<Vec<u8>>,
    /// The input has ended: answers are still awaited.
    ended: bool,
    /// A request has opened the conversation. Until then, the library takes only requests, and
    /// anything else would end it.
    opened: bool,
}

/// Why a message could not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Closed(#[from] OutboundClosed),
    #[error("a message cannot be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl<R: AsyncRead + Send + Unpin> StdioTransport<R> {
    pub(super) fn new(reader: R, outbound: Outbound, stop: CancellationToken) -> Self {
        Self {
            lines: Lines::new(reader, LINE_BYTES_MAX),
            outbound,
            in_flight: Arc::default(),
            stop,
            answer: None,
            ended: false,
            opened: false,
        }
    }

    /// The next message; `None` when nothing more can be read or answered.
    async fn next(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if self.answer.is_some() {
                let place = self.outbound.reserve().await.ok()?;
                if let Some(answer) = self.answer.take() {
                    place.send(answer);
                }
            }
            let most = if self.ended { 0 } else { IN_FLIGHT_MAX - 1 };
            tokio::select! {
                biased;
                () = self.outbound.closed() => return None,
                () = self.stop.cancelled(), if !self.ended => {
                    self.ended = true;
                    continue;
                }
                () = self.in_flight.at_most(most) => {}
            }
            if self.ended {
                return None;
            }
            let line = tokio::select! {
                biased;
                () = self.outbound.closed() => return None,
                () = self.stop.cancelled() => Ok(Line::End),
                line = self.lines.next() => line,
            };
            if let Some(message) = self.take(line) {
                return Some(message);
            }
        }
    }

    /// What a line means: a message for the library, or something settled here.
    fn take(&mut self, line: std::io::Result<Line>) -> Option<ClientJsonRpcMessage> {
        let incoming = match line {
            Ok(Line::Whole(line)) => parse(&line),
            Ok(Line::TooLong) => Incoming::Refused(too_long()),
            Ok(Line::End) => {
                self.ended = true;
                Incoming::Nothing
            }
            Err(error) => {
                tracing::warn!(%error, "standard input cannot be read");
                self.ended = true;
                Incoming::Nothing
            }
        };
        match incoming {
            Incoming::Nothing => None,
            Incoming::Refused(refusal) => {
                self.answer = Some(refusal_line(&refusal));
                None
            }
            Incoming::Message(message) => self.pass(*message),
        }
    }

    /// Lets a message through to the library, or settles it here.
    fn pass(&mut self, message: ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
        match &message {
            JsonRpcMessage::Request(request) => {
                if !self.in_flight.begin(request.id.clone(), None) {
                    self.answer = Some(refusal_line(&Refusal::duplicate(request.id.clone())));
                    return None;
                }
                self.opened = self.opened || opens(&request.request);
            }
            _ if !self.opened => {
                tracing::debug!("dropped a message that came before the first request");
                return None;
            }
            JsonRpcMessage::Notification(_) => {
                // The library drops the answer of a cancelled request: it is not awaited.
                if let Some(id) = unwanted(&message) {
                    self.in_flight.end(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        Some(message)
    }
}

/// Whether the library goes from its opening phase to serving with this request: an initialize, or
/// a request that brings its own metadata.
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => {
            let meta = other.get_meta();
            let known = meta
                .protocol_version()
                .is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version));
            known
                && meta
                    .missing_required_keys(&ProtocolVersion::V_2026_07_28)
                    .is_empty()
        }
    }
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleServer> for StdioTransport<R> {
    type Error = SendError;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), SendError>> + Send + 'static {
        let outbound = self.outbound.clone();
        let in_flight = self.in_flight.clone();
        async move {
            let sent = match written(&message) {
                Ok(json) => outbound.send(line(json)).await.map_err(SendError::from),
                Err(error) => Err(error.into()),
            };
            if let Some(id) = answered(&message) {
                in_flight.end(id);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.next().await
    }

    async fn close(&mut self) -> Result<(), SendError> {
        Ok(())
    }
}

/// The answer to a line that was longer than allowed.
fn too_long() -> Refusal {
    Refusal::invalid(
        None,
        format!("the line is longer than {LINE_BYTES_MAX} bytes and was not read"),
    )
}

fn refusal_line(refusal: &Refusal) -> Vec<u8> {
    line(refusal.json().to_string())
}

fn line(mut json: String) -> Vec<u8> {
    json.push('\n');
    json.into_bytes()
}
