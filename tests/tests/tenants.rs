//! Two tenants of one server: whatever is there for one is to the other as if it were not. Every operation
//! of the API, every tool and every method of MCP has a row here; one that has none fails the test.

use crate::tenants_parts;

use std::collections::BTreeSet;

use crate::tenants_parts::{Ids, TASKS, Tenants, bearing, modern, told};
use e2e::home::Home;
use e2e::http::{Answer, Client, HttpServer};
use e2e::server::{LEGACY_PROTOCOL, initialize_params};
use serde_json::{Value, json};

/// What the other tenant asks with ids, its own or somebody else's.
type Rest = fn(&Ids) -> (&'static str, String, Value);

/// How an operation of the API keeps tenants apart.
enum Row {
    /// It names something, which is unknown to the other.
    Names(&'static [Rest]),
    /// It lists what one has.
    Lists(Rest),
    /// It is the same for everybody.
    Same,
}

/// A row for each operation, by its name in the description of the API.
const OPERATIONS: [(&str, Row); 14] = [
    (
        "run_js",
        Row::Names(&[
            |ids| {
                (
                    "POST",
                    "/api/exec".to_owned(),
                    json!({"code": "1", "heap": ids.heap}),
                )
            },
            |ids| {
                let body = json!({"code": "1", "heap": "latest", "session": ids.session});
                ("POST", "/api/exec".to_owned(), body)
            },
        ]),
    ),
    (
        "list_executions",
        Row::Lists(|_| ("GET", "/api/executions?limit=1000".to_owned(), Value::Null)),
    ),
    (
        "get_execution",
        Row::Names(&[
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}", ids.running),
                    Value::Null,
                )
            },
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}?wait_ms=50000", ids.running),
                    Value::Null,
                )
            },
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}", ids.completed),
                    Value::Null,
                )
            },
        ]),
    ),
    (
        "get_execution_output",
        Row::Names(&[
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}/output", ids.running),
                    Value::Null,
                )
            },
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}/output", ids.completed),
                    Value::Null,
                )
            },
        ]),
    ),
    (
        "get_execution_source",
        Row::Names(&[
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}/source", ids.running),
                    Value::Null,
                )
            },
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}/source", ids.completed),
                    Value::Null,
                )
            },
        ]),
    ),
    (
        "stream_execution_output",
        Row::Names(&[
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}/output/stream", ids.running),
                    Value::Null,
                )
            },
            |ids| {
                (
                    "GET",
                    format!("/api/executions/{}/output/stream", ids.completed),
                    Value::Null,
                )
            },
        ]),
    ),
    (
        "cancel_execution",
        Row::Names(&[
            |ids| {
                (
                    "POST",
                    format!("/api/executions/{}/cancel", ids.running),
                    Value::Null,
                )
            },
            |ids| {
                (
                    "POST",
                    format!("/api/executions/{}/cancel", ids.completed),
                    Value::Null,
                )
            },
        ]),
    ),
    (
        "list_sessions",
        Row::Lists(|_| ("GET", "/api/sessions".to_owned(), Value::Null)),
    ),
    (
        "list_session_snapshots",
        Row::Names(&[|ids| {
            let path = format!("/api/sessions/{}/snapshots", ids.session);
            ("GET", path, Value::Null)
        }]),
    ),
    (
        "get_heap_tags",
        Row::Names(&[|ids| ("GET", format!("/api/heaps/{}/tags", ids.heap), Value::Null)]),
    ),
    (
        "set_heap_tags",
        Row::Names(&[|ids| {
            let path = format!("/api/heaps/{}/tags", ids.heap);
            ("PUT", path, json!({"tags": {"stolen": "1"}}))
        }]),
    ),
    (
        "delete_heap_tags",
        Row::Names(&[|ids| {
            (
                "DELETE",
                format!("/api/heaps/{}/tags", ids.heap),
                Value::Null,
            )
        }]),
    ),
    (
        "query_heaps_by_tags",
        Row::Lists(|_| {
            let body = json!({"tags": {"of": "first"}});
            ("POST", "/api/heaps/query".to_owned(), body)
        }),
    ),
    ("get_openapi", Row::Same),
];

#[test]
fn no_operation_shows_or_touches_what_another_tenant_has() {
    let tenants = Tenants::start();
    let (first, second) = (&tenants.first, &tenants.second);
    let described = first.get("/api/openapi.json").json();
    let paths = described["paths"].as_object().expect("paths").values();
    let operations: BTreeSet<&str> = paths
        .flat_map(|path| path.as_object().expect("methods").values())
        .map(|operation| operation["operationId"].as_str().expect("a name"))
        .collect();
    let rows: BTreeSet<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(operations, rows, "each operation has its row");
    assert_apart_in_api(first, second, &tenants.ids);
    tenants.assert_untouched();
}

/// Asserts that no operation shows the second what the first has, or lets it touch that.
pub(crate) fn assert_apart_in_api(first: &Client, second: &Client, theirs: &Ids) {
    let described = first.get("/api/openapi.json").json();
    let unknown = Ids::unknown();
    for (name, row) in &OPERATIONS {
        match row {
            Row::Names(calls) => {
                for call in *calls {
                    let foreign = ask(second, &call(theirs));
                    let none = ask(second, &call(&unknown));
                    assert_eq!(none.status, 404, "{name}: {none:?}");
                    assert_alike(name, (&foreign, theirs), (&none, &unknown));
                }
            }
            Row::Lists(call) => {
                let own = ask(first, &call(theirs));
                let other = ask(second, &call(theirs));
                assert!(theirs.shown_in(&own.body), "{name}: {own:?}");
                assert_eq!(other.status, 200, "{name}: {other:?}");
                assert!(!theirs.shown_in(&other.body), "{name}: {other:?}");
            }
            Row::Same => {
                assert_eq!(second.get("/api/openapi.json").json(), described);
            }
        }
    }
}

fn ask(client: &Client, (method, path, body): &(&str, String, Value)) -> Answer {
    match body {
        Value::Null => client.bare(method, path),
        body => client.send(method, path, body),
    }
}

/// Asserts that two answers differ in nothing but the ids that were asked for.
fn assert_alike(what: &str, (one, of_one): (&Answer, &Ids), (other, of_other): (&Answer, &Ids)) {
    assert_eq!(one.status, other.status, "{what}");
    assert_eq!(
        of_one.hidden_in(&one.body),
        of_other.hidden_in(&other.body),
        "{what}"
    );
    let names = |answer: &Answer| {
        let names = answer.headers.keys().map(ToString::to_string);
        names.collect::<BTreeSet<_>>()
    };
    assert_eq!(names(one), names(other), "{what}");
}

/// What the other tenant says over MCP with ids.
type Said = fn(&Ids) -> Value;

enum McpRow {
    Names(&'static [Said]),
    Lists(Said),
    Same,
}

/// A row for each tool: its arguments.
const TOOLS: [(&str, McpRow); 11] = [
    (
        "run_js",
        McpRow::Names(&[
            |ids| json!({"code": "1", "heap": ids.heap}),
            |ids| json!({"code": "1", "heap": "latest", "session": ids.session}),
        ]),
    ),
    (
        "get_execution",
        McpRow::Names(&[
            |ids| json!({"execution_id": ids.running}),
            |ids| json!({"execution_id": ids.running, "wait_ms": 50_000}),
            |ids| json!({"execution_id": ids.completed}),
        ]),
    ),
    (
        "get_execution_output",
        McpRow::Names(&[
            |ids| json!({"execution_id": ids.running}),
            |ids| json!({"execution_id": ids.completed, "byte_offset": 0}),
        ]),
    ),
    (
        "cancel_execution",
        McpRow::Names(&[
            |ids| json!({"execution_id": ids.running}),
            |ids| json!({"execution_id": ids.completed}),
        ]),
    ),
    ("list_executions", McpRow::Lists(|_| json!({"limit": 1000}))),
    ("list_sessions", McpRow::Lists(|_| json!({}))),
    (
        "list_session_snapshots",
        McpRow::Names(&[|ids| json!({"session": ids.session})]),
    ),
    (
        "get_heap_tags",
        McpRow::Names(&[|ids| json!({"heap": ids.heap})]),
    ),
    (
        "set_heap_tags",
        McpRow::Names(&[|ids| json!({"heap": ids.heap, "tags": {"stolen": "1"}})]),
    ),
    (
        "delete_heap_tags",
        McpRow::Names(&[|ids| json!({"heap": ids.heap})]),
    ),
    (
        "query_heaps_by_tags",
        McpRow::Lists(|_| json!({"tags": {"of": "first"}})),
    ),
];

/// A row for each method beside those of tools: its parameters.
const METHODS: [(&str, McpRow); 8] = [
    ("server/discover", McpRow::Same),
    ("resources/templates/list", McpRow::Same),
    ("resources/list", McpRow::Lists(|_| json!({}))),
    (
        "resources/read",
        McpRow::Names(&[
            |ids| json!({"uri": format!("v8://executions/{}", ids.completed)}),
            |ids| json!({"uri": format!("v8://executions/{}/output", ids.completed)}),
            |ids| json!({"uri": format!("v8://executions/{}", ids.running)}),
        ]),
    ),
    (
        "completion/complete",
        McpRow::Lists(|ids| {
            json!({
                "ref": {"type": "ref/resource", "uri": "v8://executions/{id}"},
                "argument": {"name": "id", "value": &ids.completed[..6]},
            })
        }),
    ),
    (
        "tasks/get",
        McpRow::Names(&[
            |ids| json!({"taskId": ids.running}),
            |ids| json!({"taskId": ids.completed}),
        ]),
    ),
    (
        "tasks/update",
        McpRow::Names(&[|ids| json!({"taskId": ids.running, "inputResponses": {}})]),
    ),
    (
        "tasks/cancel",
        McpRow::Names(&[|ids| json!({"taskId": ids.running})]),
    ),
];

#[test]
fn no_tool_and_no_method_shows_or_touches_what_another_tenant_has() {
    let tenants = Tenants::start();
    let (first, second) = (&tenants.first, &tenants.second);
    let hello = told(&modern(first, "server/discover", json!({})));
    let capabilities = hello["result"]["capabilities"]
        .as_object()
        .expect("an object");
    let capabilities: BTreeSet<&str> = capabilities.keys().map(String::as_str).collect();
    let known = ["completions", "extensions", "resources", "tools"];
    assert_eq!(capabilities, BTreeSet::from(known), "each has its rows");
    let extensions = hello["result"]["capabilities"]["extensions"].as_object();
    let extensions: Vec<&String> = extensions.expect("an object").keys().collect();
    assert_eq!(extensions, [TASKS]);
    let listed = told(&modern(first, "tools/list", json!({})));
    let tools = listed["result"]["tools"].as_array().expect("a list").iter();
    let tools: BTreeSet<&str> = tools
        .map(|tool| tool["name"].as_str().expect("a name"))
        .collect();
    let rows: BTreeSet<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
    assert_eq!(tools, rows, "each tool has its row");

    assert_apart_in_mcp(first, second, &tenants.ids);
    assert_eq!(
        told(&modern(second, "tools/list", json!({})))["result"]["tools"],
        listed["result"]["tools"]
    );
    tenants.assert_untouched();
}

/// Asserts that no tool and no method shows the second what the first has, or lets it touch that.
pub(crate) fn assert_apart_in_mcp(first: &Client, second: &Client, theirs: &Ids) {
    let tenants = (first, second, theirs);
    for (tool, row) in &TOOLS {
        let call = |client: &Client, arguments: Value| {
            let params = json!({"name": tool, "arguments": arguments});
            modern(client, "tools/call", params)
        };
        check(tenants, tool, row, &call);
    }
    for (method, row) in &METHODS {
        let call = |client: &Client, params: Value| modern(client, method, params);
        check(tenants, method, row, &call);
    }
}

fn check(
    (first, second, theirs): (&Client, &Client, &Ids),
    name: &str,
    row: &McpRow,
    call: &dyn Fn(&Client, Value) -> Answer,
) {
    match row {
        McpRow::Names(said) => {
            let unknown = Ids::unknown();
            for said in *said {
                let foreign = call(second, said(theirs));
                let none = call(second, said(&unknown));
                let answer = told(&none);
                let is_refused =
                    answer["result"]["isError"] == true || answer.get("error").is_some();
                assert!(is_refused, "{name}: {answer}");
                assert_alike(name, (&foreign, theirs), (&none, &unknown));
            }
        }
        McpRow::Lists(said) => {
            let own = told(&call(first, said(theirs)));
            let other = told(&call(second, said(theirs)));
            assert!(theirs.shown_in(&own.to_string()), "{name}: {own}");
            assert!(other.get("result").is_some(), "{name}: {other}");
            assert!(!theirs.shown_in(&other.to_string()), "{name}: {other}");
        }
        McpRow::Same => {
            let [own, other] = [first, second].map(|client| told(&call(client, json!({}))));
            assert_eq!(own["result"], other["result"], "{name}");
        }
    }
}

#[test]
fn a_session_of_mcp_is_unknown_to_everybody_else() {
    let tenants = Tenants::start();
    let (first, second) = (&tenants.first, &tenants.second);
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize_params(),
    });
    let opened = bearing(first, "POST", "/mcp", &[], &hello);
    let id = opened.header("mcp-session-id").to_owned();
    assert!(!id.is_empty(), "{opened:?}");
    let said = [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}),
    ];
    let ask = |client: &Client, method: &str, id: &str, message: &Value| {
        let headers = [
            ("mcp-session-id", id),
            ("mcp-protocol-version", LEGACY_PROTOCOL),
        ];
        bearing(client, method, "/mcp", &headers, message)
    };
    let nobodys = "8c7a1a52-0000-4c44-9d53-0f6f2a1d8e11";
    let mut tried: Vec<(&str, Value)> = said.iter().map(|said| ("POST", said.clone())).collect();
    tried.extend([("GET", Value::Null), ("DELETE", Value::Null)]);
    for (method, message) in &tried {
        let foreign = ask(second, method, &id, message);
        let none = ask(second, method, nobodys, message);
        assert_eq!(none.status, 404, "{none:?}");
        assert_eq!(
            (foreign.status, &foreign.body),
            (none.status, &none.body),
            "{method} {message}"
        );
    }
    // It is still there for who has opened it.
    let listed = ask(first, "POST", &id, &said[1]);
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(ask(first, "DELETE", &id, &Value::Null).status, 204);
}

#[test]
fn a_conversation_of_the_older_transport_is_unknown_to_everybody_else() {
    let home = Home::new();
    let tokens = tenants_parts::token_file(&home);
    let server = HttpServer::start_legacy(&home, &["--auth-tokens", &tokens]);
    let first = server.with_token(tenants_parts::FIRST);
    let second = server.with_token(tenants_parts::SECOND);
    let (endpoint, stream) = tenants_parts::conversation(&first, tenants_parts::FIRST);
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize_params(),
    });
    let nobodys = "/message?sessionId=8c7a1a52-0000-4c44-9d53-0f6f2a1d8e11";
    let none = second.post(nobodys, &hello);
    assert_eq!(none.status, 404, "{none:?}");
    let foreign = second.post(&endpoint, &hello);
    assert_eq!(
        (foreign.status, foreign.body),
        (none.status, none.body.clone())
    );
    assert_eq!(first.post(&endpoint, &hello).status, 202);
    drop(stream);
    // Nor do others learn that it has ended.
    let ended = || first.post(&endpoint, &hello).status == 410;
    assert!(e2e::processes::within(e2e::server::PATIENCE, ended));
    let foreign = second.post(&endpoint, &hello);
    assert_eq!((foreign.status, foreign.body), (none.status, none.body));
}

#[test]
fn the_same_names_are_different_things() {
    let tenants = Tenants::start();
    let body = json!({
        "code": "var mine = 'second'; mine", "session": tenants.ids.session, "wait_ms": 50_000,
    });
    let ran = tenants.second.post("/api/exec", &body).json();
    assert_eq!(ran["status"], "completed", "{ran}");
    let path = format!("/api/sessions/{}/snapshots", tenants.ids.session);
    let [own, other] = [&tenants.first, &tenants.second].map(|client| client.get(&path).json());
    assert_eq!(own["entries"].as_array().map(Vec::len), Some(1));
    assert_eq!(other["entries"].as_array().map(Vec::len), Some(1));
    assert_ne!(
        own["entries"][0]["output_heap"],
        other["entries"][0]["output_heap"]
    );
    let body = json!({
        "code": "mine", "heap": "latest", "session": tenants.ids.session, "wait_ms": 50_000,
    });
    for (client, expected) in [(&tenants.first, "first"), (&tenants.second, "second")] {
        assert_eq!(client.post("/api/exec", &body).json()["result"], expected);
    }
}

#[test]
fn a_cursor_tells_nothing_of_others_and_is_nobody_elses() {
    let tenants = Tenants::start();
    let (first, second) = (&tenants.first, &tenants.second);
    for client in [first, second, first, second, first] {
        assert_eq!(client.run("1")["status"], "completed");
    }
    let cursor = |client: &Client| {
        let page = client.get("/api/executions?limit=1").json();
        page["next_cursor"].as_str().expect("a cursor").to_owned()
    };
    let (own, other) = (cursor(first), cursor(second));
    assert_eq!(own.len(), other.len());
    let page = |client: &Client, cursor: &str| {
        client.get(&format!("/api/executions?limit=1&cursor={cursor}"))
    };
    let listed = |answer: Answer| answer.json()["executions"][0]["execution_id"].clone();
    let next = page(first, &own);
    assert_eq!(next.status, 200, "{next:?}");
    let next = listed(next);
    // It goes on where it was, whatever came since.
    assert_eq!(first.run("1")["status"], "completed");
    assert_eq!(listed(page(first, &own)), next);
    let foreign = page(second, &own);
    let none = page(second, "e1-1");
    assert_eq!(none.status, 400, "{none:?}");
    assert_eq!((foreign.status, foreign.body), (none.status, none.body));
    assert_eq!(page(second, &other).status, 200);
}
