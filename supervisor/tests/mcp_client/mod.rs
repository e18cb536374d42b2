//! A raw client of the stdio transport, over in-memory pipes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mcp_v8::mcp::stdio::{ServeError, serve};
use rmcp::ServerHandler;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Bytes that each pipe holds, as those of the system do.
pub(crate) const PIPE_BYTES: usize = 64 << 10;

/// The client's ends of a server's pipes.
pub(crate) struct Client {
    pub(crate) to: Option<WriteHalf<DuplexStream>>,
    pub(crate) from: Lines<BufReader<ReadHalf<DuplexStream>>>,
    pub(crate) stop: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Client {
    pub(crate) fn start(handler: impl ServerHandler) -> Self {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let (reader, writer) = tokio::io::split(far);
        let (from, to) = tokio::io::split(near);
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(handler, reader, writer, stop.clone()));
        Self {
            to: Some(to),
            from: BufReader::new(from).lines(),
            stop,
            server,
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.to.as_mut().unwrap().write_all(bytes).await.unwrap();
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    pub(crate) async fn hear(&mut self) -> Value {
        serde_json::from_str(&self.from.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// Everything that is said until the server closes its end.
    pub(crate) async fn hear_all(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        while let Some(line) = self.from.next_line().await.unwrap() {
            heard.push(serde_json::from_str(&line).unwrap());
        }
        heard
    }

    pub(crate) async fn initialize(&mut self) -> Value {
        self.say(initialize(0)).await;
        let answer = self.hear().await;
        assert_eq!(
            answer["result"]["protocolVersion"], "2025-06-18",
            "{answer}"
        );
        self.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        answer["result"].clone()
    }

    pub(crate) async fn end_input(&mut self) {
        self.to.take().unwrap().shutdown().await.unwrap();
    }

    pub(crate) async fn ended_well(self) {
        self.server.await.unwrap().unwrap();
    }
}

pub(crate) fn initialize(id: i64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }})
}

pub(crate) fn cancelled(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
           "params": {"requestId": id.into(), "reason": "enough"}})
}

/// The `_meta` of a request of the stateless era.
pub(crate) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    })
}
