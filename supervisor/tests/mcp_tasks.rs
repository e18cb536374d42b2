//! The tasks extension over executions: who gets a task and when, and how one lives and ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::mcp_client;

use std::time::Duration;

use crate::mcp_client::cancelled;
use crate::mcp_pair::{Pair, checked};
use crate::support::PATIENCE;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

const UNKNOWN: &str = "2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e11";

const NOT_DECLARED: i64 = -32021;

fn capabilities() -> Value {
    json!({"extensions": {"io.modelcontextprotocol/tasks": {}}})
}

/// A client that declares tasks.
async fn declaring() -> Pair {
    Pair::modern(capabilities()).await
}

async fn run(pair: &mut Pair, arguments: Value) -> Value {
    let answer = pair.call("run_js", arguments).await;
    answer["result"].clone()
}

/// The id of a task that was given in place of a result.
fn created(result: &Value) -> String {
    assert_eq!(result["resultType"], "task", "{result}");
    assert_eq!(result["status"], "working", "{result}");
    let by = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(by["name"], "mcp-v8", "{result}");
    for absent in ["content", "structuredContent", "result", "error"] {
        assert!(result[absent].is_null(), "{result}");
    }
    is_task(result);
    result["taskId"].as_str().unwrap().to_owned()
}

/// Asserts what every task says.
fn is_task(task: &Value) {
    assert_eq!(task["ttlMs"], 3_600_000, "{task}");
    assert_eq!(task["pollIntervalMs"], 1000, "{task}");
    let (made, changed) = (&task["createdAt"], &task["lastUpdatedAt"]);
    let [made, changed] = [made, changed].map(|it| it.as_str().unwrap());
    assert!(made.ends_with('Z') && made <= changed, "{task}");
    assert!(task["statusMessage"].is_string(), "{task}");
}

async fn get(pair: &mut Pair, id: &str) -> Value {
    let task = pair.result("tasks/get", json!({"taskId": id})).await;
    assert_eq!(task["taskId"], id);
    is_task(&task);
    task
}

/// The task once it has ended.
async fn end_of(pair: &mut Pair, id: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let task = get(pair, id).await;
        if task["status"] != "working" {
            return task;
        }
        assert!(task["result"].is_null(), "{task}");
        assert!(Instant::now() < until, "{task}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_soon_is_a_result_at_once() {
    let mut pair = declaring().await;
    for arguments in [
        json!({"code": "out hi\nfinish 7"}),
        json!({"code": "out hi\nfinish 7", "wait_ms": null}),
        json!({"code": "out hi\nfinish 7", "wait_ms": 30_000}),
    ] {
        let result = run(&mut pair, arguments).await;
        assert_eq!(result["resultType"], "complete");
        let seen = checked("run_js", &result);
        assert_eq!(seen["result"], "7");
        assert_eq!(seen["output"]["data"], "hi");
    }
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_is_a_task_that_ends_with_the_result() {
    let mut pair = declaring().await;
    for wait in [json!({}), json!({"wait_ms": 100})] {
        let mut arguments = wait;
        arguments["code"] = json!("out hi\nsleep 2500\nfinish 7");
        let result = run(&mut pair, arguments).await;
        let id = created(&result);
        let task = get(&mut pair, &id).await;
        assert_eq!(task["status"], "working", "{task}");
        assert_eq!(task["statusMessage"], "running, 3 bytes of output");
        let task = end_of(&mut pair, &id).await;
        assert_eq!(task["status"], "completed", "{task}");
        let result = &task["result"];
        assert_eq!(result["resultType"], "complete");
        assert!(result["_meta"]["io.modelcontextprotocol/related-task"].is_null());
        let seen = checked("run_js", result);
        assert_eq!(
            (&seen["result"], &seen["status"]),
            (&json!("7"), &json!("completed"))
        );
        assert_eq!(seen["output"]["data"], "hi");
        assert_eq!(seen["execution_id"], id);
        assert_eq!(task["lastUpdatedAt"], seen["completed_at"]);
        assert_eq!(task["createdAt"], seen["submitted_at"]);
    }
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_fails_is_a_completed_task() {
    let mut pair = declaring().await;
    for (code, status) in [
        ("sleep 300\nfail Error: x", "failed"),
        ("hang", "timed_out"),
    ] {
        let arguments = json!({"code": code, "wait_ms": 50, "execution_timeout_secs": 1});
        let id = created(&run(&mut pair, arguments).await);
        let task = end_of(&mut pair, &id).await;
        assert_eq!(task["status"], "completed", "{task}");
        assert_eq!(task["statusMessage"], status);
        let seen = checked("run_js", &task["result"]);
        assert_eq!(seen["status"], status);
        assert!(seen["error"].is_string(), "{seen}");
    }
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_is_cancelled_once_and_for_all() {
    let mut pair = declaring().await;
    let id = created(&run(&mut pair, json!({"code": "hang", "wait_ms": 50})).await);
    let task = json!({"taskId": id});
    for _ in 0..2 {
        let done = pair.result("tasks/cancel", task.clone()).await;
        assert_eq!(done, json!({"resultType": "complete"}));
        let found = get(&mut pair, &id).await;
        assert_eq!(found["status"], "cancelled", "{found}");
        assert_eq!(found["statusMessage"], "cancelled by a client");
        assert!(found["result"].is_null() && found["error"].is_null());
    }
    let seen = pair.ask("get_execution", json!({"execution_id": id})).await;
    assert_eq!(seen["status"], "cancelled");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_task_that_has_ended_changes_nothing() {
    let mut pair = declaring().await;
    let arguments = json!({"code": "finish 7", "wait_ms": 30_000});
    let seen = pair.ask("run_js", arguments).await;
    let id = seen["execution_id"].as_str().unwrap();
    pair.result("tasks/cancel", json!({"taskId": id})).await;
    let task = get(&mut pair, id).await;
    assert_eq!(task["status"], "completed");
    assert_eq!(checked("run_js", &task["result"]), seen);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_asked_for_are_ignored() {
    let mut pair = declaring().await;
    let id = created(&run(&mut pair, json!({"code": "hang", "wait_ms": 50})).await);
    let update = json!({"taskId": id, "inputResponses": {"name": {"action": "decline"}}});
    let done = pair.result("tasks/update", update).await;
    assert_eq!(done, json!({"resultType": "complete"}));
    assert_eq!(get(&mut pair, &id).await["status"], "working");
    pair.result("tasks/cancel", json!({"taskId": id})).await;
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_only_the_id_gets_it_and_can_ask_for_the_task_all_the_same() {
    let mut pair = declaring().await;
    let begin = Instant::now();
    let result = run(
        &mut pair,
        json!({"code": "sleep 1500\nfinish 7", "wait_ms": 0}),
    )
    .await;
    assert!(begin.elapsed() < Duration::from_millis(1000));
    let accepted = checked("run_js", &result);
    assert_eq!(accepted.as_object().unwrap().len(), 1);
    let id = accepted["execution_id"].as_str().unwrap();
    assert_eq!(get(&mut pair, id).await["status"], "working");
    assert_eq!(end_of(&mut pair, id).await["status"], "completed");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_before_there_is_a_task_cancels_its_execution() {
    let mut pair = declaring().await;
    let run = json!({"code": "hang"});
    let call = pair.send("run_js", run, Value::Null).await;
    let id = loop {
        let running = json!({"status": "running"});
        let list = pair.ask("list_executions", running).await;
        if let Some(listed) = list["executions"].get(0) {
            break listed["execution_id"].as_str().unwrap().to_owned();
        }
    };
    pair.client.say(cancelled(call)).await;
    assert_eq!(end_of(&mut pair, &id).await["status"], "cancelled");
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_not_there_is_an_error() {
    let mut pair = declaring().await;
    for id in [UNKNOWN, "x", ""] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let params = json!({"taskId": id, "inputResponses": {}});
            let (code, text) = pair.error(method, params).await;
            assert_eq!(code, -32602, "{method}: {text}");
            assert!(text.starts_with("there is no task"), "{method}: {text}");
        }
    }
    for (method, params) in [
        ("tasks/get", json!({})),
        ("tasks/cancel", json!({"taskId": 5})),
    ] {
        let (code, text) = pair.error(method, params).await;
        assert!(code == -32602 && text.contains("do not fit"), "{text}");
    }
    for gone in ["tasks/list", "tasks/result"] {
        let (code, _) = pair.error(gone, json!({"taskId": UNKNOWN})).await;
        assert_eq!(code, -32601, "{gone}");
    }
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_declare_tasks_gets_none() {
    let mut pair = Pair::modern(json!({"elicitation": {}})).await;
    let found = pair.result("server/discover", json!({})).await;
    let extensions = &found["capabilities"]["extensions"];
    assert_eq!(extensions, &json!({"io.modelcontextprotocol/tasks": {}}));
    let accepted = run(&mut pair, json!({"code": "sleep 1500\nfinish 7"})).await;
    let accepted = checked("run_js", &accepted);
    assert_eq!(accepted.as_object().unwrap().len(), 1);
    let waited = run(&mut pair, json!({"code": "hang", "wait_ms": 50})).await;
    let waited = checked("run_js", &waited);
    assert_eq!(waited["status"], "running");
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let params = json!({"taskId": waited["execution_id"], "inputResponses": {}});
        let answer = pair.request(method, params).await;
        assert_eq!(answer["error"]["code"], NOT_DECLARED, "{answer}");
        let required = &answer["error"]["data"]["requiredCapabilities"];
        assert_eq!(required, &capabilities());
    }
    // What counts is the request, not what was said before.
    pair.meta["io.modelcontextprotocol/clientCapabilities"] = capabilities();
    let id = created(&run(&mut pair, json!({"code": "hang", "wait_ms": 50})).await);
    pair.meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let (code, _) = pair.error("tasks/get", json!({"taskId": id})).await;
    assert_eq!(code, NOT_DECLARED);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_era_has_no_tasks() {
    let mut pair = Pair::new().await;
    let mut hello = mcp_client::initialize(900);
    hello["params"]["capabilities"] = capabilities();
    pair.client.say(hello).await;
    let answer = timeout(PATIENCE, pair.client.hear()).await.unwrap();
    let declared = answer["result"]["capabilities"].as_object().unwrap();
    assert!(!declared.contains_key("extensions"), "{answer}");
    let waited = run(&mut pair, json!({"code": "hang", "wait_ms": 50})).await;
    let waited = checked("run_js", &waited);
    assert_eq!(waited["status"], "running");
    let id = waited["execution_id"].clone();
    let (code, _) = pair.error("tasks/get", json!({"taskId": id})).await;
    assert!([-32601, NOT_DECLARED].contains(&code), "{code}");
    pair.ask("cancel_execution", json!({"execution_id": id}))
        .await;
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_era_has_no_method_of_the_other() {
    // Without what the method would need: one that is there would say so.
    let mut modern = Pair::modern(json!({})).await;
    for gone in ["initialize", "ping"] {
        let (code, text) = modern.error(gone, json!({"protocolVersion": 5})).await;
        assert_eq!(code, -32601, "{gone}: {text}");
    }
    modern.end().await;
    let mut legacy = Pair::new().await;
    for foreign in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let (code, text) = legacy.error(foreign, json!({})).await;
        assert_eq!(code, -32601, "{foreign}: {text}");
    }
    legacy.end().await;
}
