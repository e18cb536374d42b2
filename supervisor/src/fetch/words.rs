//! What the exchanges of one execution say to its worker, one word after the other.

use mcp_v8_protocol::fetch::{ExchangeId, FetchReply, ReplyStep};
use tokio::sync::mpsc;

/// How one exchange speaks.
#[derive(Debug)]
pub(super) struct Words {
    exchange: ExchangeId,
    to: mpsc::Sender<FetchReply>,
}

impl Words {
    pub(super) fn of(exchange: ExchangeId, to: mpsc::Sender<FetchReply>) -> Self {
        Self { exchange, to }
    }

    pub(super) fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// Waits while many words are not taken yet.
    pub(super) async fn say(&self, step: ReplyStep) {
        let reply = FetchReply {
            exchange: self.exchange,
            step,
        };
        // Where nobody listens any more, this exchange is about to be ended.
        let _ = self.to.send(reply).await;
    }
}
