//! What a token lets its holder do: every operation of the API, every tool and every method of MCP has its
//! scope here, and is refused to every token that is not for it. One that has none fails the test.

use std::collections::BTreeSet;

use e2e::home::Home;
use e2e::http::{Answer, Client, HttpServer};
use e2e::server::initialize_params;
use serde_json::{Value, json};

use crate::tenants_parts::{self, bearing, modern, told};

/// Tokens of one tenant, by what they are for.
const ALL: &str = "mcpv8_all-token-for-tests-only";
const READ: &str = "mcpv8_read-token-for-tests-only";
const RUN: &str = "mcpv8_run-token-for-tests-only";
const NONE: &str = "mcpv8_none-token-for-tests-only";

const TOKENS: &str = r#"
[[tokens]]
tenant = "acme"
token_sha256 = "04430a0036e187d39448a71dc380427a737c376f2a0d107139b70ee75b22034d"

[[tokens]]
tenant = "acme"
token_sha256 = "54428fef1bae262adb3a9915e73f6bff223fb5d3b13fedf6e3dbc5664d944862"
scopes = ["read"]

[[tokens]]
tenant = "acme"
token_sha256 = "ae84b9b81cb63ea1a8e96a8a6ab69dd70ab557c85b3dba4791fed75bb3ee1955"
scopes = ["run"]

[[tokens]]
tenant = "acme"
token_sha256 = "38cfbe9a923a8e88ea63fa9b6b36bddf3f8d703058a7cb94e5f457d26109e11b"
scopes = []
operator = true
"#;

/// Each operation, and what a token has to be for.
const OPERATIONS: [(&str, Option<&str>); 14] = [
    ("run_js", Some("run")),
    ("list_executions", Some("read")),
    ("get_execution", Some("read")),
    ("get_execution_source", Some("read")),
    ("get_execution_output", Some("read")),
    ("stream_execution_output", Some("read")),
    ("cancel_execution", Some("run")),
    ("list_sessions", Some("read")),
    ("list_session_snapshots", Some("read")),
    ("get_heap_tags", Some("read")),
    ("set_heap_tags", Some("run")),
    ("delete_heap_tags", Some("run")),
    ("query_heaps_by_tags", Some("read")),
    ("get_openapi", None),
];

/// Each method of MCP beside tools, whose scopes are those of the operations of their names.
const METHODS: [(&str, Option<&str>); 9] = [
    ("server/discover", None),
    ("tools/list", None),
    ("resources/templates/list", None),
    ("resources/list", Some("read")),
    ("resources/read", Some("read")),
    ("completion/complete", Some("read")),
    ("tasks/get", Some("read")),
    ("tasks/update", Some("run")),
    ("tasks/cancel", Some("run")),
];

/// The server, and a client with each token: its scopes beside it.
fn start() -> (Home, HttpServer, [(Client, &'static [&'static str]); 4]) {
    let home = Home::new();
    let tokens = tenants_parts::write_tokens(&home, TOKENS);
    let server = HttpServer::start(&home, &["--auth-tokens", &tokens]);
    let both: &[&str] = &["read", "run"];
    let clients = [
        (server.with_token(ALL), both),
        (server.with_token(READ), &["read"]),
        (server.with_token(RUN), &["run"]),
        (server.with_token(NONE), &[]),
    ];
    (home, server, clients)
}

fn assert_refused(what: &str, answer: &Answer, scope: &str) {
    assert_eq!(answer.status, 403, "{what}: {answer:?}");
    let challenge = answer.header("www-authenticate");
    let said = format!("error=\"insufficient_scope\", scope=\"{scope}\"");
    assert!(
        challenge.starts_with("Bearer ") && challenge.contains(&said),
        "{what}: {challenge}"
    );
}

#[test]
fn no_operation_is_done_for_a_token_that_is_not_for_it() {
    let (_home, _server, clients) = start();
    let described = clients[3].0.get("/api/openapi.json").json();
    let mut names = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let name = operation["operationId"]
                .as_str()
                .expect("a name")
                .to_owned();
            let row = OPERATIONS.iter().find(|(known, _)| *known == name);
            let (_, scope) = row.unwrap_or_else(|| panic!("{name} has no row"));
            let path = path.replace("{execution_id}", "8c7a1a52-4b0e-4c44-9d53-0f6f2a1d8e11");
            let path = path
                .replace("{heap}", &"0".repeat(64))
                .replace("{session}", "none");
            for (client, has) in &clients {
                // What is wrong with it otherwise is told to those alone whose token is for it.
                let answer = client.send(&method.to_uppercase(), &path, &json!({"wrong": 1}));
                match scope {
                    Some(scope) if !has.contains(scope) => {
                        assert_refused(&name, &answer, scope);
                        assert_eq!(answer.error_code(), "insufficient_scope");
                    }
                    _ => assert_ne!(answer.status, 403, "{name} {has:?}: {answer:?}"),
                }
            }
            names.insert(name);
        }
    }
    let rows: BTreeSet<String> = OPERATIONS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(names, rows, "each operation has its row");
}

#[test]
fn no_tool_and_no_method_is_done_for_a_token_that_is_not_for_it() {
    let (_home, _server, clients) = start();
    let listed = told(&modern(&clients[3].0, "tools/list", json!({})));
    let tools = listed["result"]["tools"].as_array().expect("a list");
    assert_eq!(tools.len(), 11);
    let tools = tools.iter().map(|tool| {
        let name = tool["name"].as_str().expect("a name");
        let row = OPERATIONS.iter().find(|(known, _)| *known == name);
        let (_, scope) = row.unwrap_or_else(|| panic!("{name} has no row"));
        (
            "tools/call",
            json!({"name": name, "arguments": {"wrong": 1}}),
            *scope,
        )
    });
    let methods = METHODS.iter().map(|(method, scope)| {
        let params = match *method {
            "resources/read" => {
                json!({"uri": "v8://executions/8c7a1a52-4b0e-4c44-9d53-0f6f2a1d8e11"})
            }
            "completion/complete" => json!({
                "ref": {"type": "ref/resource", "uri": "v8://executions/{id}"},
                "argument": {"name": "id", "value": ""},
            }),
            "tasks/update" => json!({
                "taskId": "8c7a1a52-4b0e-4c44-9d53-0f6f2a1d8e11", "inputResponses": {},
            }),
            "tasks/get" | "tasks/cancel" => {
                json!({"taskId": "8c7a1a52-4b0e-4c44-9d53-0f6f2a1d8e11"})
            }
            _ => json!({}),
        };
        (*method, params, *scope)
    });
    for (method, params, scope) in tools.chain(methods) {
        for (client, has) in &clients {
            let answer = modern(client, method, params.clone());
            let what = format!("{method} {params}");
            match scope {
                Some(scope) if !has.contains(&scope) => {
                    assert_refused(&what, &answer, scope);
                    let message = answer.json()["error"]["message"].to_string();
                    assert!(
                        message.contains(&format!("needs the scope {scope}")),
                        "{message}"
                    );
                }
                _ => assert_ne!(answer.status, 403, "{what} {has:?}: {answer:?}"),
            }
        }
    }
}

#[test]
fn who_may_run_is_told_what_came_of_it_and_no_more() {
    let (_home, server, clients) = start();
    let [_, (read, _), (run, _), (none, _)] = &clients;
    let view = run.run("6 * 7");
    assert_eq!(view["result"], "42", "{view}");
    let path = format!(
        "/api/executions/{}",
        view["execution_id"].as_str().expect("an id")
    );
    assert_refused("get_execution", &run.get(&path), "read");
    assert_eq!(read.get(&path).json()["result"], "42");
    assert_refused(
        "run_js",
        &read.post("/api/exec", &json!({"code": "1"})),
        "run",
    );
    let call = json!({"name": "run_js", "arguments": {"code": "6 * 7", "wait_ms": 50_000}});
    let answer = told(&modern(run, "tools/call", call));
    assert_eq!(
        answer["result"]["structuredContent"]["result"], "42",
        "{answer}"
    );
    // A token for figures alone is one for an operator that is for nothing else.
    assert_eq!(none.get("/metrics").status, 200);
    assert_refused(
        "run_js",
        &none.post("/api/exec", &json!({"code": "1"})),
        "run",
    );
    assert!(!server.process.log().contains("mcpv8_"));
}

#[test]
fn the_older_transports_ask_for_the_same() {
    let (home, server, clients) = start();
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize_params(),
    });
    let run = |id: u64| {
        json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "run_js", "arguments": {"code": "1"}},
        })
    };
    let read = &clients[1].0;
    let opened = bearing(read, "POST", "/mcp", &[], &hello);
    let session = opened.header("mcp-session-id").to_owned();
    let headers = [("mcp-session-id", session.as_str())];
    assert_refused(
        "run_js",
        &bearing(read, "POST", "/mcp", &headers, &run(2)),
        "run",
    );
    let list = json!({
        "jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": {"name": "list_executions", "arguments": {}},
    });
    let listed = told(&bearing(read, "POST", "/mcp", &headers, &list));
    assert_eq!(
        listed["result"]["structuredContent"]["executions"],
        json!([]),
        "{listed}"
    );
    drop(server);
    let tokens = tenants_parts::write_tokens(&home, TOKENS);
    let server = HttpServer::start_legacy(&home, &["--auth-tokens", &tokens]);
    let read = server.with_token(READ);
    let (endpoint, stream) = tenants_parts::conversation(&read, READ);
    assert_eq!(read.post(&endpoint, &hello).status, 202);
    assert_refused("run_js", &read.post(&endpoint, &run(2)), "run");
    assert_eq!(read.post(&endpoint, &list).status, 202);
    drop(stream);
    assert_eq!(
        read.get("/api/executions").json()["executions"],
        Value::Array(Vec::new())
    );
}
