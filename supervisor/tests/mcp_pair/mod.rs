//! A server over a scripted worker, and a client that checks every answer against its schema.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mcp_v8::app::{ExecutionsConfig, Mode};
use mcp_v8::mcp::{Defaults, Server, ToolList};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::mcp_client::{Client, modern_meta};
use crate::support::{Executions, Home, PATIENCE, children, start};

pub(crate) const DEFAULTS: Defaults = Defaults {
    heap_memory_max_mb: 8,
    execution_timeout_secs: 30,
};

/// A server with a client that has said hello.
pub(crate) struct Pair {
    pub(crate) client: Client,
    pub(crate) executions: Executions,
    pub(crate) home: Home,
    pub(crate) last_id: i64,
    /// What each request carries: nothing before the stateless era.
    pub(crate) meta: Value,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn with(change: impl FnOnce(ExecutionsConfig) -> ExecutionsConfig) -> Self {
        let home = Home::new();
        let executions = start(change(home.config())).await;
        let mut client = Client::start(Server::for_one(executions.workspace(), DEFAULTS));
        let hello = client.initialize().await;
        assert_eq!(hello["serverInfo"]["name"], "mcp-v8");
        assert_eq!(hello["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        assert!(hello["instructions"].as_str().unwrap().len() <= 2048);
        Self {
            client,
            executions,
            last_id: 0,
            home,
            meta: Value::Null,
        }
    }

    /// A client of the stateless era that says these capabilities in each request.
    pub(crate) async fn modern(capabilities: Value) -> Self {
        let home = Home::new();
        let executions = start(home.config()).await;
        let client = Client::start(Server::for_one(executions.workspace(), DEFAULTS));
        let mut meta = modern_meta();
        meta["io.modelcontextprotocol/clientCapabilities"] = capabilities;
        let mut pair = Self {
            client,
            executions,
            last_id: 0,
            home,
            meta,
        };
        pair.request("server/discover", json!({})).await;
        pair
    }

    /// Clients of both eras, each with a server of its own.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::new().await, Self::modern(json!({})).await]
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.meta.is_object()
    }

    /// The answer to a request of any method.
    pub(crate) async fn request(&mut self, method: &str, mut params: Value) -> Value {
        self.last_id += 1;
        if self.is_modern() {
            params["_meta"] = self.meta.clone();
        }
        let request = json!({"jsonrpc": "2.0", "id": self.last_id, "method": method,
                             "params": params});
        self.client.say(request).await;
        let answer = timeout(PATIENCE, self.client.hear()).await.unwrap();
        assert_eq!(answer["id"], self.last_id, "{answer}");
        answer
    }

    /// The result of a request that succeeds.
    pub(crate) async fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params).await;
        let result = answer["result"].clone();
        assert!(result.is_object(), "{method}: {answer}");
        let said = if self.is_modern() {
            json!("complete")
        } else {
            Value::Null
        };
        assert_eq!(result["resultType"], said, "{method}: {answer}");
        result
    }

    /// The code and the text of a request that fails.
    pub(crate) async fn error(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.request(method, params).await;
        let text = answer["error"]["message"].as_str();
        let text = text.unwrap_or_else(|| panic!("{method}: {answer}"));
        (answer["error"]["code"].as_i64().unwrap(), text.to_owned())
    }

    /// Sends a call without waiting for its answer.
    pub(crate) async fn send(&mut self, tool: &str, arguments: Value, meta: Value) -> i64 {
        self.last_id += 1;
        let mut params = json!({"name": tool, "arguments": arguments});
        if meta.is_object() {
            params["_meta"] = meta;
        } else if self.is_modern() {
            params["_meta"] = self.meta.clone();
        }
        let call = json!({"jsonrpc": "2.0", "id": self.last_id, "method": "tools/call",
                          "params": params});
        self.client.say(call).await;
        self.last_id
    }

    /// Calls a tool; nothing but the answer may come.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send(tool, arguments, Value::Null).await;
        let answer = timeout(PATIENCE, self.client.hear()).await.unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The structured result of a call that succeeds, checked against its schema and its text.
    pub(crate) async fn ask(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.call(tool, arguments).await;
        checked(tool, &answer["result"])
    }

    /// The text of a call that fails as a tool.
    pub(crate) async fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.call(tool, arguments).await;
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{answer}");
        assert!(result["structuredContent"].is_null(), "{answer}");
        assert_eq!(result["content"].as_array().unwrap().len(), 1, "{answer}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn run(&mut self, code: &str) -> String {
        let accepted = self.ask("run_js", json!({"code": code})).await;
        let fields: Vec<&String> = accepted.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["execution_id"]);
        accepted["execution_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn end(mut self) {
        self.client.end_input().await;
        self.client.hear_all().await;
        self.client.ended_well().await;
        self.executions.shut_down().await;
        assert_eq!(children(), Vec::<String>::new());
    }
}

/// The structured result of a call that succeeded, checked against its schema and its text.
pub(crate) fn checked(tool: &str, result: &Value) -> Value {
    assert_eq!(result["isError"], false, "{result}");
    let content = result["content"].as_array().unwrap();
    assert_eq!(content.len(), 1, "{result}");
    let text: Value = serde_json::from_str(content[0]["text"].as_str().unwrap()).unwrap();
    let structured = &result["structuredContent"];
    assert_eq!(&text, structured, "the text is the same JSON");
    let tools = serde_json::to_value(ToolList::new(DEFAULTS, Mode::Stateful).all()).unwrap();
    let tool = tools
        .as_array()
        .unwrap()
        .iter()
        .find(|known| known["name"] == tool)
        .unwrap();
    conforms(&tool["outputSchema"], structured, "result");
    structured.clone()
}

/// As much of JSON Schema as the results use. A field that no schema knows is an error too.
fn conforms(schema: &Value, value: &Value, at: &str) {
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let fits = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: {other}"),
    };
    assert!(types.iter().any(fits), "{at}: {value} is not {types:?}");
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(
            allowed.contains(value),
            "{at}: {value} is not in {allowed:?}"
        );
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(&schema["items"], item, at);
    }
    let none = Map::new();
    let fields = value.as_object().unwrap_or(&none);
    for (name, field) in fields {
        let known = schema["properties"].get(name);
        let schema = known.unwrap_or(&schema["additionalProperties"]);
        conforms(schema, field, &format!("{at}.{name}"));
    }
    if value.is_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(
                fields.contains_key(name.as_str().unwrap()),
                "{at} has no {name}"
            );
        }
    }
}
