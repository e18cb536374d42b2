//! What a client can send wrong: always a clear error, and the server goes on.

use e2e::home::Home;
use e2e::server::{PATIENCE, Server, structured};
use serde_json::{Value, json};

/// The largest source, in bytes.
const CODE_BYTES_MAX: usize = 1 << 20;
/// The longest line of input, in bytes.
const LINE_BYTES_MAX: usize = 16 << 20;
/// An id that no execution has.
const UNKNOWN_ID: &str = "01234567-89ab-4cde-8f01-23456789abcd";

#[test]
fn arguments_that_do_not_fit_are_named_with_what_would() {
    let home = Home::new();
    let mut server = home.start();
    let cases: &[(&str, Value, &[&str])] = &[
        ("run_js", json!({}), &["code", "missing"]),
        ("run_js", json!({"code": 5}), &["code is 5", "string"]),
        ("run_js", json!({"code": ["1"]}), &["code is", "string"]),
        ("run_js", json!({"code": ""}), &["code", "1"]),
        ("run_js", json!({"code": null}), &["code", "missing"]),
        (
            "run_js",
            json!({"code": "1", "heap_mb": 8}),
            &["no parameter heap_mb", "heap_memory_max_mb"],
        ),
        (
            "run_js",
            json!({"code": "1", "heap_memory_max_mb": 3}),
            &["heap_memory_max_mb is 3", "4", "64"],
        ),
        (
            "run_js",
            json!({"code": "1", "heap_memory_max_mb": 65}),
            &["heap_memory_max_mb is 65", "4", "64"],
        ),
        (
            "run_js",
            json!({"code": "1", "heap_memory_max_mb": "8"}),
            &["heap_memory_max_mb", "integer"],
        ),
        (
            "run_js",
            json!({"code": "1", "heap_memory_max_mb": 8.5}),
            &["heap_memory_max_mb is 8.5", "integer"],
        ),
        (
            "run_js",
            json!({"code": "1", "execution_timeout_secs": 0}),
            &["execution_timeout_secs is 0", "1", "300"],
        ),
        (
            "run_js",
            json!({"code": "1", "execution_timeout_secs": 301}),
            &["execution_timeout_secs is 301", "300"],
        ),
        (
            "run_js",
            json!({"code": "1", "wait_ms": -1}),
            &["wait_ms is -1", "0", "50000"],
        ),
        (
            "run_js",
            json!({"code": "1", "wait_ms": 50_001}),
            &["wait_ms is 50001", "50000"],
        ),
        (
            "run_js",
            json!({"code": "1", "wait_ms": true}),
            &["wait_ms is true", "integer"],
        ),
        (
            "run_js",
            json!({"wait_ms": -1, "x": 1}),
            &["code", "missing", "wait_ms is -1", "no parameter x"],
        ),
        ("get_execution", json!({}), &["execution_id", "missing"]),
        (
            "get_execution",
            json!({"execution_id": 1}),
            &["execution_id is 1", "string"],
        ),
        (
            "get_execution",
            json!({"execution_id": "x"}),
            &["execution_id", "x"],
        ),
        (
            "get_execution",
            json!({"execution_id": UNKNOWN_ID}),
            &[UNKNOWN_ID, "list_executions"],
        ),
        (
            "get_execution",
            json!({"execution_id": UNKNOWN_ID, "wait_ms": 9}),
            &[UNKNOWN_ID],
        ),
        (
            "get_execution_output",
            json!({"execution_id": UNKNOWN_ID}),
            &[UNKNOWN_ID],
        ),
        (
            "cancel_execution",
            json!({"execution_id": UNKNOWN_ID}),
            &[UNKNOWN_ID],
        ),
        (
            "cancel_execution",
            json!({"execution_id": "../../etc/passwd"}),
            &["execution_id"],
        ),
        (
            "get_execution_output",
            json!({"execution_id": UNKNOWN_ID, "line_offset": 0}),
            &["line_offset is 0", "1"],
        ),
        (
            "get_execution_output",
            json!({"execution_id": UNKNOWN_ID, "line_limit": 0}),
            &["line_limit is 0", "10000"],
        ),
        (
            "get_execution_output",
            json!({"execution_id": UNKNOWN_ID, "line_limit": 10_001}),
            &["line_limit", "10000"],
        ),
        (
            "get_execution_output",
            json!({"execution_id": UNKNOWN_ID, "byte_limit": 0}),
            &["byte_limit is 0", "1048576"],
        ),
        (
            "get_execution_output",
            json!({"execution_id": UNKNOWN_ID, "byte_offset": -1}),
            &["byte_offset is -1"],
        ),
        (
            "get_execution_output",
            json!({"execution_id": UNKNOWN_ID, "line_offset": 1, "byte_limit": 1}),
            &["line_offset", "byte_offset"],
        ),
        (
            "list_executions",
            json!({"limit": 0}),
            &["limit is 0", "1000"],
        ),
        (
            "list_executions",
            json!({"limit": 1001}),
            &["limit is 1001", "1000"],
        ),
        (
            "list_executions",
            json!({"status": "done"}),
            &["status", "completed", "timed_out"],
        ),
        (
            "list_executions",
            json!({"cursor": "nonsense"}),
            &["cursor", "next_cursor"],
        ),
    ];
    for (tool, arguments, words) in cases {
        let text = server.refused(tool, arguments.clone());
        for word in *words {
            assert!(
                text.contains(word),
                "{tool} {arguments}: {word:?} is not in: {text}"
            );
        }
    }
    let page = server.call("list_executions", json!({}));
    assert_eq!(page["executions"], json!([]), "nothing was accepted");
    still_serves(server);
}

#[test]
fn code_may_have_a_mebibyte_and_not_one_byte_more() {
    let home = Home::new();
    let mut server = home.start();
    let full = format!("'ok'/*{}*/", "\u{e9}".repeat((CODE_BYTES_MAX - 8) / 2));
    assert_eq!(full.len(), CODE_BYTES_MAX);
    let seen = server.run(&full);
    assert_eq!(seen["result"], "ok", "{}", seen["error"]);
    let text = server.refused("run_js", json!({"code": format!("{full} ")}));
    assert!(
        text.contains("1048577 bytes") && text.contains("1048576"),
        "{text}"
    );
    assert!(
        text.len() < 1000,
        "the code must not come back: {} bytes",
        text.len()
    );
    // As many characters, and more bytes.
    let wide = "\u{20ac}".repeat(CODE_BYTES_MAX / 2);
    let text = server.refused("run_js", json!({"code": wide}));
    assert!(text.contains("1572864 bytes"), "{text}");
    // Worst case of JSON's escapes.
    let escaped = format!("`{}`.length", "\u{1}".repeat(CODE_BYTES_MAX - 9));
    assert_eq!(
        server.run(&escaped)["result"],
        (CODE_BYTES_MAX - 9).to_string()
    );
    assert_eq!(server.run(" ")["result"], "undefined");
    still_serves(server);
}

#[test]
fn lines_that_are_no_message_are_answered_with_a_null_id() {
    let home = Home::new();
    let mut server = home.start();
    let cases: &[(&[u8], i64, &str)] = &[
        (b"nonsense\n", -32700, "JSON"),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\n",
            -32700,
            "JSON",
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}\n",
            -32700,
            "UTF-8",
        ),
        (b"\0\0\0\0\n", -32700, "JSON"),
        (b"[]\n", -32600, "batch"),
        (b"17\n", -32600, "object"),
    ];
    for (line, code, word) in cases {
        server.write(line);
        let answer = server.answer_without_id();
        assert_eq!(answer["error"]["code"], *code, "{answer}");
        let text = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(text.contains(word), "{word}: {answer}");
    }
    // Blank lines mean nothing.
    server.write(b"\n\r\n   \n");
    still_serves(server);
}

#[test]
fn a_line_that_is_too_long_is_answered_and_skipped() {
    let home = Home::new();
    let mut server = home.start();
    let before = server.usage().resident_bytes;
    let long = vec![b'x'; 1 << 20];
    for _ in 0..3 * LINE_BYTES_MAX / long.len() {
        server.write(&long);
    }
    server.write(b"\n");
    let answer = server.answer_without_id();
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    let text = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(text.contains(&LINE_BYTES_MAX.to_string()), "{answer}");
    let grown = server.usage().resident_bytes.saturating_sub(before);
    assert!(grown < 3 * LINE_BYTES_MAX as u64, "it held {grown} bytes");
    still_serves(server);
}

#[test]
fn unknown_methods_and_tools_are_protocol_errors() {
    let home = Home::new();
    let mut server = home.start();
    let cases = [
        ("no/such/method", json!({}), -32601, "no/such/method"),
        (
            "tools/call",
            json!({"name": "run_python", "arguments": {}}),
            -32602,
            "run_js",
        ),
        ("tools/call", json!({"arguments": {}}), -32602, "tools/call"),
        (
            "tools/call",
            json!({"name": "run_js", "arguments": "code"}),
            -32602,
            "tools/call",
        ),
    ];
    for (method, params, code, word) in cases {
        let id = server.send(method, params);
        let answer = server.answer(id);
        assert_eq!(answer["error"]["code"], code, "{answer}");
        let text = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(text.contains(word), "{answer}");
    }
    still_serves(server);
}

#[test]
fn an_id_that_is_still_in_use_is_refused_and_the_first_is_answered() {
    let home = Home::new();
    let mut server = home.start();
    let arguments =
        json!({"code": "await new Promise(r => setTimeout(r, 1000)); 'first'", "wait_ms": 9000});
    let request = json!({"jsonrpc": "2.0", "id": "same", "method": "tools/call",
        "params": {"name": "run_js", "arguments": arguments}});
    server.say(&request);
    server.say(&json!({"jsonrpc": "2.0", "id": "same", "method": "ping"}));
    server.close_input();
    let answers = server.last_answers();
    let refused = answers
        .iter()
        .filter(|answer| answer["error"]["code"] == -32600);
    assert_eq!(refused.count(), 1, "{answers:?}");
    let first = answers.iter().find(|answer| answer.get("result").is_some());
    assert_eq!(
        structured(first.expect("the first was answered"))["result"],
        "first"
    );
    assert_eq!(answers.len(), 2, "{answers:?}");
}

#[test]
fn a_client_that_says_nothing_or_nonsense_before_the_handshake_is_survived() {
    let home = Home::new();
    let mut server = Server::spawn(home.server("mcp-v8-worker"));
    server.close_input();
    assert!(server.last_answers().is_empty());
    assert!(server.wait_exit(PATIENCE).success(), "{}", server.log());

    let mut server = Server::spawn(home.server("mcp-v8-worker"));
    server.write(b"GET / HTTP/1.1\n");
    assert_eq!(server.answer_without_id()["error"]["code"], -32700);
    server.notify("notifications/cancelled", json!({"requestId": 1}));
    let id = server.send("tools/list", json!({}));
    let answer = server.answer(id);
    assert!(answer.get("error").is_some(), "not opened yet: {answer}");
    server.initialize();
    still_serves(server);
}

fn still_serves(mut server: Server) {
    assert_eq!(server.run("20 + 3")["result"], "23");
    server.finish();
}
