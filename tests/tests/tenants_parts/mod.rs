//! A server with two tenants, and what the first has.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use e2e::home::Home;
use e2e::http::{Answer, Client, HttpServer};
use e2e::server::{MODERN_PROTOCOL, PATIENCE};
use serde_json::{Value, json};
use ureq::http::Request;

/// The extension of tasks.
pub(crate) const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The tokens of two tenants and of an operator.
pub(crate) const FIRST: &str = "mcpv8_first-token-for-tests-only";
pub(crate) const SECOND: &str = "mcpv8_second-token-for-tests-only";
pub(crate) const OPERATOR: &str = "mcpv8_operator-token-for-tests-only";

/// Their SHA-256.
const HASHES: [(&str, &str, bool); 3] = [
    (
        "first",
        "9396b75539ad3772fec2be657144391423c58c3afe81b7ac304ea25b50241843",
        false,
    ),
    (
        "second",
        "292ba12a2525c4f0049f26f185f6127cdffa85bafcdf51a5782aa4db6697ac59",
        false,
    ),
    (
        "first",
        "8b0598d33b77a3ee68ecf6224cc92b55f05354926dcd130b0fbb1711c8d59c36",
        true,
    ),
];

/// What one tenant has, by name.
pub(crate) struct Ids {
    pub(crate) running: String,
    pub(crate) completed: String,
    pub(crate) session: String,
    pub(crate) heap: String,
}

impl Ids {
    /// What nobody has.
    pub(crate) fn unknown() -> Self {
        Self {
            running: "8c7a1a52-4b0e-4c44-9d53-0f6f2a1d8e11".to_owned(),
            completed: "8c7a1a52-4b0e-4c44-9d53-0f6f2a1d8e12".to_owned(),
            session: "nobodys".to_owned(),
            heap: "0123456789abcdef".repeat(4),
        }
    }

    fn all(&self) -> [&str; 4] {
        [&self.running, &self.completed, &self.session, &self.heap]
    }

    pub(crate) fn shown_in(&self, text: &str) -> bool {
        self.all().iter().any(|id| text.contains(id))
    }

    /// A text without them.
    pub(crate) fn hidden_in(&self, text: &str) -> String {
        let all = self.all().into_iter();
        all.fold(text.to_owned(), |text, id| text.replace(id, "ID"))
    }
}

/// The server.
pub(crate) struct Tenants {
    pub(crate) first: Client,
    pub(crate) second: Client,
    /// What the first has.
    pub(crate) ids: Ids,
    pub(crate) server: HttpServer,
    _home: Home,
}

/// A file that lists the tokens.
pub(crate) fn token_file(home: &Home) -> String {
    let entries = HASHES.map(|(tenant, hash, operator)| {
        format!(
            "[[tokens]]\ntenant = \"{tenant}\"\ntoken_sha256 = \"{hash}\"\noperator = {operator}\n"
        )
    });
    write_tokens(home, &entries.concat())
}

pub(crate) fn write_tokens(home: &Home, text: &str) -> String {
    let path = home.path("tokens.toml");
    fs::write(&path, text).expect("a file in our own directory");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    path.display().to_string()
}

impl Tenants {
    pub(crate) fn start() -> Self {
        let home = Home::new();
        let tokens = token_file(&home);
        let arguments = ["--auth-tokens", &tokens, "--max-concurrent-executions", "4"];
        let server = HttpServer::start(&home, &arguments);
        let (first, second) = (server.with_token(FIRST), server.with_token(SECOND));
        let ids = Ids::of(&first);
        Self {
            first,
            second,
            ids,
            server,
            _home: home,
        }
    }

    /// Asserts that the first has what it had.
    pub(crate) fn assert_untouched(&self) {
        assert_untouched(&self.first, &self.second, &self.ids);
        assert!(!self.server.process.log().contains("mcpv8_"));
    }
}

/// Asserts that the first has what it had, and that the second has run nothing, whatever it has tried.
pub(crate) fn assert_untouched(first: &Client, second: &Client, ids: &Ids) {
    let execution = first
        .get(&format!("/api/executions/{}", ids.running))
        .json();
    let status = execution["status"].as_str();
    assert!(matches!(status, Some("queued" | "running")), "{execution}");
    let tags = first.get(&format!("/api/heaps/{}/tags", ids.heap)).json();
    assert_eq!(tags["tags"], json!({"of": "first"}));
    let all = second.get("/api/executions").json();
    assert_eq!(all["executions"], json!([]), "{all}");
}

impl Ids {
    /// Has a tenant run something that ends, with a session, a heap and tags, and something that does not.
    pub(crate) fn of(first: &Client) -> Self {
        let kept = json!({
            "code": "var mine = 'first'; console.log('secret of the first'); mine",
            "session": "confidential", "tags": {"of": "first"}, "wait_ms": 50_000,
        });
        let kept = first.post("/api/exec", &kept).json();
        assert_eq!(kept["status"], "completed", "{kept}");
        let name = |field: &str| kept[field].as_str().expect("a name").to_owned();
        let endless = json!({
            "code": "console.log('secret of the first'); await new Promise((r) => setTimeout(r, 3e5))",
            "execution_timeout_secs": 300,
        });
        let endless = first.post("/api/exec", &endless).json();
        let running = endless["execution_id"].as_str().expect("an id").to_owned();
        Self {
            running,
            completed: name("execution_id"),
            session: "confidential".to_owned(),
            heap: name("heap"),
        }
    }
}

/// A request with these headers, as clients of MCP send it.
pub(crate) fn bearing(
    client: &Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    message: &Value,
) -> Answer {
    let accept = match method {
        "GET" => "text/event-stream",
        _ => "application/json, text/event-stream",
    };
    let mut request = Request::builder()
        .method(method)
        .uri(client.url(path))
        .header("accept", accept);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match message {
        Value::Null => client.ask(request.body(()).expect("a request")),
        message => {
            let request = request.header("content-type", "application/json");
            client.ask(request.body(message.to_string()).expect("a request"))
        }
    }
}

/// A request of the era without sessions, from a client that knows tasks.
pub(crate) fn modern(client: &Client, method: &str, mut params: Value) -> Answer {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN_PROTOCOL,
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}},
    });
    let named = ["name", "uri", "taskId"].map(|name| params[name].as_str().map(str::to_owned));
    let named = named.into_iter().flatten().next();
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let mut headers = vec![
        ("mcp-protocol-version", MODERN_PROTOCOL),
        ("mcp-method", method),
    ];
    if let Some(named) = &named {
        headers.push(("mcp-name", named));
    }
    bearing(client, "POST", "/mcp", &headers, &message)
}

/// The message in an answer, which is JSON or a stream of events.
pub(crate) fn told(answer: &Answer) -> Value {
    let lines = answer.body.lines();
    let events = lines.filter_map(|line| line.strip_prefix("data:"));
    let mut messages = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let found = messages.find(|message| message["id"].is_number());
    found.unwrap_or_else(|| answer.json())
}

/// Opens a conversation of the older transport: where to say something, and the stream.
pub(crate) fn conversation(client: &Client, token: &str) -> (String, BufReader<TcpStream>) {
    let mut stream = client.connect();
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let head = format!(
        "GET /sse HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let length = lines.read_line(&mut line).expect("it says something");
        assert!(length > 0, "it has closed the stream");
        if let Some(endpoint) = line.strip_prefix("data: /") {
            return (format!("/{}", endpoint.trim()), lines);
        }
    }
}
