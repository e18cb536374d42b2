//! MCP over HTTP, as a client of each era speaks it.

use e2e::http::{Answer, Client};
use e2e::server::{LEGACY_PROTOCOL, MODERN_PROTOCOL, initialize_params};
use serde_json::{Value, json};

use crate::client::{Wrong, ensure, send};

/// What every client of MCP accepts.
const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");

/// A session of the era with a handshake.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    calls: u64,
}

impl Session {
    /// Opens one.
    pub(crate) fn open(client: &Client) -> Result<Self, Wrong> {
        let hello = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize_params(),
        });
        let answer = send(client, "POST", "/mcp", &[ACCEPT], &hello)?;
        let id = answer.header("mcp-session-id").to_owned();
        let is_open = answer.status == 200 && !id.is_empty();
        ensure(is_open, "no session of MCP was opened", &answer.body)?;
        let session = Self { id, calls: 0 };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        session.say(client, &ready)?;
        Ok(session)
    }

    /// What it is known by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// How many calls it has had.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    fn say(&self, client: &Client, message: &Value) -> Result<Answer, Wrong> {
        let headers = [
            ACCEPT,
            ("mcp-session-id", &self.id),
            ("mcp-protocol-version", LEGACY_PROTOCOL),
        ];
        Ok(send(client, "POST", "/mcp", &headers, message)?)
    }

    /// Calls a tool: its structured result.
    pub(crate) fn call(
        &mut self,
        client: &Client,
        tool: &str,
        arguments: &Value,
    ) -> Result<Value, Wrong> {
        self.calls += 1;
        let answer = self.say(client, &call(self.calls, tool, arguments))?;
        structured(&answer)
    }

    /// Closes it.
    pub(crate) fn close(self, client: &Client) -> Result<(), Wrong> {
        let headers = [
            ("mcp-session-id", self.id.as_str()),
            ("mcp-protocol-version", LEGACY_PROTOCOL),
        ];
        let answer = send(client, "DELETE", "/mcp", &headers, &Value::Null)?;
        let is_closed = (200..300).contains(&answer.status);
        ensure(is_closed, "a session of MCP was not closed", &answer.body)
    }
}

/// Calls a tool in the era without a handshake: its structured result.
pub(crate) fn modern(client: &Client, tool: &str, arguments: &Value) -> Result<Value, Wrong> {
    let mut message = call(1, tool, arguments);
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN_PROTOCOL,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let headers = [
        ACCEPT,
        ("mcp-protocol-version", MODERN_PROTOCOL),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ];
    structured(&send(client, "POST", "/mcp", &headers, &message)?)
}

fn call(id: u64, tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    })
}

/// What a call came to; the answer is JSON or a stream of events.
fn structured(answer: &Answer) -> Result<Value, Wrong> {
    let lines = answer.body.lines();
    let events = lines.filter_map(|line| line.strip_prefix("data:"));
    let mut messages = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let found = messages.find(|message| message["id"].is_number());
    let message = found.unwrap_or_else(|| answer.json());
    let result = &message["result"];
    if result["isError"] == true && message.to_string().contains("is used up") {
        return Err(Wrong::OwnQuota);
    }
    let is_right = answer.status == 200 && result["isError"] != true;
    let is_there = is_right && result["structuredContent"].is_object();
    ensure(is_there, "a tool of MCP failed", &answer.body)?;
    Ok(result["structuredContent"].clone())
}
