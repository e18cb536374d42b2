//! The tools over MCP, with a scripted worker beneath: shapes, waits, cancellation, progress, bad
//! arguments.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use crate::mcp_client::{Client, PIPE_BYTES, cancelled, modern_meta};
use crate::mcp_pair::{DEFAULTS, Pair, checked};
use crate::support::{Home, PATIENCE, children, start};
use mcp_v8::app::ExecutionsConfig;
use mcp_v8::mcp::Server;
use mcp_v8::mcp::stdio::serve;
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_server_shows_nothing_of_its_inside() {
    let mut pair = Pair::new().await;
    let id = pair.run("finish 1").await;
    pair.ask(
        "get_execution",
        json!({"execution_id": id, "wait_ms": 30_000}),
    )
    .await;
    let path = pair.home.directory.path().join("data/executions.db");
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute("ALTER TABLE executions RENAME TO away", [])
        .unwrap();
    let listed = pair.refused("list_executions", json!({})).await;
    let (code, read) = pair.error("resources/list", json!({})).await;
    assert_eq!(code, -32603);
    for text in [listed, read] {
        let general = "the server failed; its log has the details (incident ";
        assert!(text.starts_with(general), "{text}");
    }
    database
        .execute("ALTER TABLE away RENAME TO executions", [])
        .unwrap();
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_runs_code_and_shows_all_of_it() {
    let mut pair = Pair::new().await;
    let seen = pair
        .ask(
            "run_js",
            json!({"code": "out hello\nout there\nfinish 42", "wait_ms": 30_000}),
        )
        .await;
    assert_eq!(seen["status"], "completed");
    assert_eq!(seen["result"], "42");
    assert_eq!(seen["output"]["data"], "hello\nthere");
    assert_eq!(seen["output"]["execution_id"], seen["execution_id"]);
    assert_eq!(seen["heap_memory_max_mb"], 8);
    assert_eq!(seen["heap"].as_str().map(str::len), Some(64));
    for absent in ["error", "error_kind", "heap_error"] {
        assert!(seen[absent].is_null() && seen.as_object().unwrap().contains_key(absent));
    }
    let got = pair
        .ask(
            "get_execution",
            json!({"execution_id": seen["execution_id"]}),
        )
        .await;
    let mut without_output = seen.clone();
    without_output.as_object_mut().unwrap().remove("output");
    assert_eq!(got, without_output);
    let failed = pair
        .ask(
            "run_js",
            json!({"code": "fail Error: x", "wait_ms": 30_000}),
        )
        .await;
    assert_eq!(
        (&failed["status"], &failed["error_kind"]),
        (&json!("failed"), &json!("exception"))
    );
    assert_eq!(failed["error"], "Error: x");
    let slow = json!({"code": "hang", "wait_ms": 30_000, "execution_timeout_secs": 1,
                      "heap_memory_max_mb": 4});
    let slow = pair.ask("run_js", slow).await;
    assert_eq!(slow["status"], "timed_out");
    assert!(
        slow["error"].as_str().unwrap().contains("limit of 1 s"),
        "{slow}"
    );
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_runs_out_shows_what_there_is() {
    let mut pair = Pair::new().await;
    let begin = Instant::now();
    let seen = pair
        .ask("run_js", json!({"code": "out first\nhang", "wait_ms": 300}))
        .await;
    assert!(
        begin.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(seen["status"], "running");
    assert_eq!(seen["output"]["data"], "first");
    assert!(seen["completed_at"].is_null() && seen["result"].is_null());
    let id = seen["execution_id"].clone();
    let seen = pair
        .ask("get_execution", json!({"execution_id": id, "wait_ms": 100}))
        .await;
    assert_eq!(seen["status"], "running");
    assert_eq!(
        pair.ask("cancel_execution", json!({"execution_id": id}))
            .await,
        json!({"ok": true})
    );
    let text = pair
        .refused("cancel_execution", json!({"execution_id": id}))
        .await;
    assert!(
        text.contains("is not running (status: cancelled)"),
        "{text}"
    );
    let seen = pair.ask("get_execution", json!({"execution_id": id})).await;
    assert_eq!(seen["status"], "cancelled");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_waiting_run_cancels_its_execution() {
    let mut pair = Pair::new().await;
    let call = pair
        .send(
            "run_js",
            json!({"code": "hang", "wait_ms": 50_000}),
            Value::Null,
        )
        .await;
    let id = loop {
        let list = pair
            .ask("list_executions", json!({"status": "running"}))
            .await;
        if let Some(listed) = list["executions"].get(0) {
            assert_eq!(listed["id"], listed["execution_id"]);
            break listed["execution_id"].clone();
        }
    };
    pair.client.say(cancelled(call)).await;
    let seen = pair
        .ask(
            "get_execution",
            json!({"execution_id": id, "wait_ms": 20_000}),
        )
        .await;
    assert_eq!(seen["status"], "cancelled");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_another_wait_ends_only_the_wait() {
    let mut pair = Pair::new().await;
    let id = pair.run("sleep 1500\nfinish done").await;
    let wait = json!({"execution_id": id, "wait_ms": 50_000});
    let call = pair.send("get_execution", wait.clone(), Value::Null).await;
    pair.client.say(cancelled(call)).await;
    let seen = pair.ask("get_execution", wait).await;
    assert_eq!(
        (&seen["status"], &seen["result"]),
        (&json!("completed"), &json!("done"))
    );
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_run_goes_on() {
    let mut pair = Pair::new().await;
    // Its context is cancelled by the library when the answer is sent.
    let id = pair.run("sleep 700\nfinish done").await;
    pair.client.say(cancelled(pair.last_id)).await;
    let seen = pair
        .ask(
            "get_execution",
            json!({"execution_id": id, "wait_ms": 30_000}),
        )
        .await;
    assert_eq!(seen["status"], "completed");
    let waited = pair
        .ask(
            "run_js",
            json!({"code": "sleep 900\nfinish x", "wait_ms": 100}),
        )
        .await;
    assert_eq!(waited["status"], "running");
    let id = &waited["execution_id"];
    let seen = pair
        .ask(
            "get_execution",
            json!({"execution_id": id, "wait_ms": 30_000}),
        )
        .await;
    assert_eq!(seen["status"], "completed");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_grows_and_ends_before_the_answer() {
    let mut pair = Pair::new().await;
    let meta = json!({"progressToken": "run-1"});
    let arguments = json!({"code": "out hi\nhang", "wait_ms": 3_300});
    let call = pair.send("run_js", arguments, meta).await;
    let mut told = Vec::new();
    let answer = loop {
        let message = timeout(PATIENCE, pair.client.hear()).await.unwrap();
        if message["id"] == call {
            break message;
        }
        assert_eq!(message["method"], "notifications/progress", "{message}");
        assert_eq!(message["params"]["progressToken"], "run-1");
        assert_eq!(message["params"]["total"], 3300.0);
        let text = message["params"]["message"].as_str().unwrap().to_owned();
        assert!(text.contains("running, 3 bytes of output"), "{text}");
        told.push(message["params"]["progress"].as_f64().unwrap());
    };
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.is_sorted_by(|one, next| next - one >= 250.0),
        "{told:?}"
    );
    let id = checked("run_js", &answer["result"])["execution_id"].clone();
    // The next message is the next answer: no progress comes after its call has ended.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    pair.ask("cancel_execution", json!({"execution_id": id}))
        .await;
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_read_by_lines_and_by_bytes() {
    let mut pair = Pair::new().await;
    let code = "out one\nout two\nout thr\u{e9}e\nfinish x";
    let seen = pair
        .ask("run_js", json!({"code": code, "wait_ms": 30_000}))
        .await;
    let id = seen["execution_id"].clone();
    let whole = pair
        .ask("get_execution_output", json!({"execution_id": id}))
        .await;
    assert_eq!(whole, seen["output"]);
    assert_eq!(whole["data"], "one\ntwo\nthr\u{e9}e");
    let lines = json!({"execution_id": id, "line_offset": 2, "line_limit": 1});
    let page = pair.ask("get_execution_output", lines).await;
    assert_eq!(page["data"], "two");
    assert_eq!(
        (&page["start_line"], &page["end_line"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (&page["next_line_offset"], &page["next_byte_offset"]),
        (&json!(3), &json!(8))
    );
    assert_eq!(page["has_more"], true);
    let bytes = json!({"execution_id": id, "byte_offset": 8, "byte_limit": 4});
    let page = pair.ask("get_execution_output", bytes).await;
    assert_eq!(page["data"], "thr", "a character is not split");
    let past = json!({"execution_id": id, "line_offset": 99});
    let page = pair.ask("get_execution_output", past).await;
    assert_eq!(
        (&page["data"], &page["next_line_offset"]),
        (&json!(""), &json!(4))
    );
    for (arguments, part) in [
        (
            json!({"line_offset": 1, "byte_limit": 1}),
            "not some of both",
        ),
        (
            json!({"line_offset": 0}),
            "line_offset is 0, but must be an integer of 1 to",
        ),
        (
            json!({"line_limit": 0}),
            "line_limit is 0, but must be an integer of 1 to 10000",
        ),
        (json!({"line_limit": 10_001}), "line_limit is 10001"),
        (
            json!({"byte_limit": 0}),
            "byte_limit is 0, but must be an integer of 1 to 1048576",
        ),
        (json!({"byte_limit": 1_048_577}), "byte_limit is 1048577"),
        (json!({"byte_offset": -1}), "byte_offset is -1"),
    ] {
        let mut arguments = arguments;
        arguments["execution_id"] = id.clone();
        let text = pair.refused("get_execution_output", arguments).await;
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_calls_are_errors_that_say_what_to_do() {
    let mut pair = Pair::new().await;
    let unknown = "2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e11";
    let long = "\u{e9}".repeat(1 << 19) + "x";
    for (tool, arguments, part) in [
        ("run_js", json!({}), "the parameter code is missing"),
        ("run_js", json!({"code": ""}), "code is an empty string"),
        (
            "run_js",
            json!({"code": 1}),
            "code is 1, but must be a string",
        ),
        ("run_js", json!({"code": long}), "code: "),
        (
            "run_js",
            json!({"code": "x", "heap_memory_max_mb": 3}),
            "integer of 4 to 64",
        ),
        (
            "run_js",
            json!({"code": "x", "heap_memory_max_mb": 65}),
            "integer of 4 to 64",
        ),
        (
            "run_js",
            json!({"code": "x", "execution_timeout_secs": 0}),
            "integer of 1 to 300",
        ),
        (
            "run_js",
            json!({"code": "x", "wait_ms": 50_001}),
            "integer of 0 to 50000",
        ),
        (
            "run_js",
            json!({"code": "x", "fs": "s"}),
            "there is no parameter fs; valid",
        ),
        (
            "get_execution",
            json!({}),
            "the parameter execution_id is missing",
        ),
        (
            "get_execution",
            json!({"execution_id": "x"}),
            "an execution id is a UUID",
        ),
        (
            "get_execution",
            json!({"execution_id": unknown}),
            "no execution has the id",
        ),
        (
            "get_execution_output",
            json!({"execution_id": unknown}),
            "no execution has the id",
        ),
        (
            "cancel_execution",
            json!({"execution_id": unknown}),
            "no execution has the id",
        ),
        (
            "cancel_execution",
            json!({"id": unknown}),
            "there is no parameter id",
        ),
        (
            "list_executions",
            json!({"limit": 0}),
            "limit is 0, but must be an integer of 1 to 1000",
        ),
        (
            "list_executions",
            json!({"limit": 1001}),
            "integer of 1 to 1000",
        ),
        (
            "list_executions",
            json!({"status": "done"}),
            "must be one of queued, running",
        ),
        ("list_executions", json!({"cursor": "nonsense"}), "cursor"),
    ] {
        let text = pair.refused(tool, arguments).await;
        assert!(text.contains(part), "{tool}: {part:?} is not in {text:?}");
    }
    let answer = pair.call("run_python", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("run_js"),
        "{answer}"
    );
    let call = json!({"jsonrpc": "2.0", "id": 900, "method": "tools/call",
                      "params": {"name": "run_js", "arguments": "code"}});
    pair.client.say(call).await;
    assert_eq!(pair.client.hear().await["error"]["code"], -32602);
    pair.client
        .say(json!({"jsonrpc": "2.0", "id": 901, "method": "no/such"}))
        .await;
    assert_eq!(pair.client.hear().await["error"]["code"], -32601);
    assert_eq!(
        pair.ask("list_executions", json!({})).await["executions"],
        json!([])
    );
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_newest_first() {
    let mut pair = Pair::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let run = json!({"code": "finish 1", "wait_ms": 30_000});
        ids.push(pair.ask("run_js", run).await["execution_id"].clone());
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut arguments = json!({"limit": 2, "status": "completed"});
    loop {
        let page = pair.ask("list_executions", arguments.clone()).await;
        let executions = page["executions"].as_array().unwrap();
        assert!(executions.len() <= 2);
        seen.extend(
            executions
                .iter()
                .map(|listed| listed["execution_id"].clone()),
        );
        if page["next_cursor"].is_null() {
            break;
        }
        arguments["cursor"] = page["next_cursor"].clone();
    }
    assert_eq!(seen, ids);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_so_and_accepts_nothing() {
    let mut pair = Pair::with(|config| ExecutionsConfig {
        max_concurrent: 1,
        queue_length_max: 0,
        ..config
    })
    .await;
    let id = pair.run("hang").await;
    let text = pair
        .refused("run_js", json!({"code": "finish 1", "wait_ms": 1_000}))
        .await;
    assert!(text.contains("nothing was accepted"), "{text}");
    assert_eq!(
        pair.ask("list_executions", json!({})).await["executions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    pair.ask("cancel_execution", json!({"execution_id": id}))
        .await;
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_waits_with_an_answer() {
    let mut pair = Pair::new().await;
    let call = pair
        .send(
            "run_js",
            json!({"code": "hang", "wait_ms": 50_000}),
            Value::Null,
        )
        .await;
    loop {
        let list = pair
            .ask("list_executions", json!({"status": "running"}))
            .await;
        if !list["executions"].as_array().unwrap().is_empty() {
            break;
        }
    }
    pair.client.stop.cancel();
    pair.executions.shut_down().await;
    let answers = pair.client.hear_all().await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["id"], call);
    let seen = checked("run_js", &answers[0]["result"]);
    assert_eq!(seen["status"], "cancelled");
    pair.client.ended_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_the_stateless_era_say_who_gave_them() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let mut client = Client::start(Server::for_one(executions.workspace(), DEFAULTS));
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover",
                          "params": {"_meta": modern_meta()}});
    client.say(discover).await;
    let found = client.hear().await["result"].clone();
    assert!(
        found["instructions"].as_str().unwrap().contains("run_js"),
        "{found}"
    );
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list",
                      "params": {"_meta": modern_meta()}});
    client.say(list).await;
    let listed = client.hear().await["result"].clone();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 11);
    assert!(
        listed["ttlMs"].is_u64() && listed["cacheScope"].is_string(),
        "{listed}"
    );
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
        "name": "run_js", "arguments": {"code": "finish 7", "wait_ms": 30_000},
        "_meta": modern_meta(),
    }});
    client.say(call).await;
    let result = client.hear().await["result"].clone();
    assert_eq!(checked("run_js", &result)["result"], "7");
    assert_eq!(result["resultType"], "complete");
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "mcp-v8"
    );
    client.end_input().await;
    client.ended_well().await;
    executions.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_lists_and_calls() {
    let home = Home::new();
    let executions = start(home.config()).await;
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (reader, writer) = tokio::io::split(far);
    let server = Server::for_one(executions.workspace(), DEFAULTS);
    let serving = tokio::spawn(serve(server, reader, writer, CancellationToken::new()));
    let client = ().serve(near).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), 11);
    let arguments = json!({"code": "out hi\nfinish 5", "wait_ms": 30_000});
    let call =
        CallToolRequestParams::new("run_js").with_arguments(arguments.as_object().unwrap().clone());
    let result = client.call_tool(call).await.unwrap();
    assert_eq!(result.structured_content.unwrap()["result"], "5");
    client.cancel().await.unwrap();
    serving.await.unwrap().unwrap();
    executions.shut_down().await;
    assert_eq!(children(), Vec::<String>::new());
}
