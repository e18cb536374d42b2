//! The REST API: what each route does when it is called rightly.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::rest_api::{Api, request};
use crate::support::{eventually, keep, left_behind, neighbour};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mcp_v8::app::HeapId;
use serde_json::json;

fn heap(name: &str) -> String {
    HeapId::of(name.as_bytes()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_accepted_and_then_looked_at() {
    let api = Api::new().await;
    let got = api
        .post(
            "/api/exec",
            &json!({"code": "out hello\nfinish 42", "session": null}),
        )
        .await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    let accepted = got.json();
    assert_eq!(accepted.as_object().unwrap().len(), 2);
    assert!((5..=2000).contains(&accepted["poll_after_ms"].as_u64().unwrap()));
    let id = accepted["execution_id"].as_str().unwrap();

    let path = format!("/api/executions/{id}");
    let seen = api.get(&format!("{path}?wait_ms=40000")).await.ok();
    assert_eq!(
        (&seen["status"], &seen["result"]),
        (&json!("completed"), &json!("42"))
    );
    assert_eq!(seen["poll_after_ms"], json!(null));
    assert_eq!(api.get(&path).await.ok(), seen);
    let output = api.get(&format!("{path}/output")).await.ok();
    assert_eq!(output["data"], "hello");
    let bytes = api
        .get(&format!("{path}/output?byte_offset=1&byte_limit=3"))
        .await
        .ok();
    assert_eq!(
        (&bytes["data"], &bytes["next_byte_offset"]),
        (&json!("ell"), &json!(4))
    );
    let lines = api
        .get(&format!("{path}/output?line_offset=2&line_limit=1"))
        .await
        .ok();
    assert_eq!(
        (&lines["data"], &lines["total_lines"]),
        (&json!(""), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_gives_the_end_with_the_output_or_what_there_is_when_it_runs_out() {
    let api = Api::stateless().await;
    let seen = api.run("out a\nout b\nfinish 1").await;
    assert_eq!(
        (&seen["result"], &seen["output"]["data"]),
        (&json!("1"), &json!("a\nb"))
    );
    let failed = api.run("fail Error: no").await;
    assert_eq!(
        (&failed["status"], &failed["error"]),
        (&json!("failed"), &json!("Error: no"))
    );

    let got = api
        .post(
            "/api/exec",
            &json!({"code": "out early\nsleep 60000", "wait_ms": 1500}),
        )
        .await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    let seen = got.json();
    assert_eq!(
        (&seen["status"], &seen["output"]["data"]),
        (&json!("running"), &json!("early"))
    );
    // It has run for more than a second already: there is no haste.
    let after = seen["poll_after_ms"].as_u64().unwrap();
    assert!((100..=2000).contains(&after), "{after}");
    let id = seen["execution_id"].as_str().unwrap();
    let still = api
        .get(&format!("/api/executions/{id}?wait_ms=10"))
        .await
        .ok();
    assert_eq!(still["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_an_execution_is_there_as_it_was_submitted() {
    for api in [Api::new().await, Api::stateless().await] {
        // Before it has started, while it runs, and after its end.
        let code = "sleep 60000\n\u{0}\u{202e}\u{1f680}\r\n";
        let running = api.submit(code).await;
        let path = format!("/api/executions/{running}/source");
        let wanted = json!({"execution_id": running, "code": code});
        assert_eq!(api.get(&path).await.ok(), wanted);
        api.executions
            .cancel(running.parse().unwrap())
            .await
            .unwrap();
        assert_eq!(api.get(&path).await.ok(), wanted);
        let large = format!("finish 1\n{}", "x".repeat((1 << 20) - 9));
        let ended = api.run(&large).await;
        let id = ended["execution_id"].as_str().unwrap();
        let got = api.get(&format!("/api/executions/{id}/source")).await.ok();
        assert!(got["code"] == large.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn code_of_another_tenant_is_unknown() {
    let api = Api::new().await;
    let ended = api.run("finish 1").await;
    let id = ended["execution_id"].as_str().unwrap();
    let database = api.home.directory.path().join("data/executions.db");
    let other = rusqlite::Connection::open(database).unwrap();
    let changed = other.execute("UPDATE executions SET tenant = 'other'", []);
    assert_eq!(changed.unwrap(), 1);
    let path = format!("/api/executions/{id}/source");
    let told = api.get(&path).await.error(404, "execution_not_found");
    let unknown = "00000000-0000-4000-8000-000000000000";
    let path = format!("/api/executions/{unknown}/source");
    let wanted = api.get(&path).await.error(404, "execution_not_found");
    assert_eq!(told.replace(id, unknown), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_only_its_wait() {
    let api = Api::stateless().await;
    let body = json!({"code": "sleep 300\nfinish 7", "wait_ms": 40_000});
    let call = api.ask(request(
        Method::POST,
        "/api/exec",
        Body::from(body.to_string()),
    ));
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(200), call).await;
    assert!(gave_up.is_err());
    let listed = api.get("/api/executions").await.ok();
    let id = listed["executions"][0]["id"].as_str().unwrap();
    let seen = api
        .get(&format!("/api/executions/{id}?wait_ms=40000"))
        .await
        .ok();
    assert_eq!(seen["result"], "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_listed_in_pages_and_by_status() {
    let api = Api::stateless().await;
    for code in ["finish 1", "fail x", "finish 3"] {
        api.run(code).await;
    }
    let page = api.get("/api/executions?limit=2").await.ok();
    assert_eq!(page["executions"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api
        .get(&format!("/api/executions?limit=2&cursor={cursor}"))
        .await
        .ok();
    assert_eq!(rest["executions"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next_cursor"], json!(null));
    let failed = api.get("/api/executions?status=failed").await.ok();
    assert_eq!(failed["executions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_cancelled_once() {
    let api = Api::stateless().await;
    let id = api.submit("out started\nsleep 60000").await;
    let path = format!("/api/executions/{id}");
    let cancel = || {
        api.ask(request(
            Method::POST,
            &format!("{path}/cancel"),
            Body::empty(),
        ))
    };
    assert_eq!(cancel().await.ok(), json!({"ok": true}));
    let seen = api.get(&path).await.ok();
    assert_eq!(seen["status"], "cancelled");
    let message = cancel().await.error(409, "not_running");
    assert!(message.contains("status: cancelled"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heap_is_left_behind_tagged_listed_and_gone_on_from() {
    let api = Api::new().await;
    let first = api
        .post(
            "/api/exec",
            &json!({"code": "finish 1", "session": "a/b ü", "tags": {"k": "v"}, "wait_ms": 40_000}),
        )
        .await
        .ok();
    let heap = first["heap"].as_str().unwrap();
    let second = api
        .post(
            "/api/exec",
            &json!({"code": "finish 2", "session": "a/b ü", "heap": "latest", "wait_ms": 40_000}),
        )
        .await
        .ok();
    assert_eq!(second["input_heap"], heap);
    let sessions = api.get("/api/sessions").await.ok();
    assert_eq!(
        sessions,
        json!({"sessions": ["a/b ü"], "next_cursor": null})
    );
    let path = "/api/sessions/a%2Fb%20%C3%BC/snapshots";
    let entries = api.get(&format!("{path}?fields=index,+code")).await.ok();
    assert_eq!(
        entries,
        json!({"entries": [{"index": 0, "code": "finish 1"}, {"index": 1, "code": "finish 2"}],
               "next_index": null})
    );
    let entries = api
        .get(&format!("{path}?from_index=1&limit=1&fields=output_heap"))
        .await;
    assert_eq!(
        entries.ok()["entries"],
        json!([{"output_heap": second["heap"]}])
    );
    let found = api
        .post("/api/heaps/query", &json!({"tags": {"k": "v"}}))
        .await
        .ok();
    assert_eq!(
        found,
        json!({"results": [{"heap": heap, "tags": {"k": "v"}}], "next_cursor": null})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_set_read_and_deleted() {
    let api = Api::new().await;
    left_behind(
        &neighbour(&api.home).await,
        keep("one").tagged(&[("old", "1")]),
    )
    .await;
    let path = format!("/api/heaps/{}/tags", heap("one"));
    assert_eq!(api.get(&path).await.ok(), json!({"tags": {"old": "1"}}));
    let tags = json!({"tags": {"a": "1", "b": "", "c d": "ü"}});
    let put = request(Method::PUT, &path, Body::from(tags.to_string()));
    assert_eq!(api.ask(put).await.ok(), json!({"ok": true}));
    assert_eq!(api.get(&path).await.ok(), tags);
    for (keys, left) in [("?keys=a,c+d,absent", json!({"b": ""})), ("", json!({}))] {
        let delete = request(Method::DELETE, &format!("{path}{keys}"), Body::empty());
        assert_eq!(api.ask(delete).await.ok(), json!({"ok": true}));
        assert_eq!(api.get(&path).await.ok(), json!({"tags": left}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let api = Api::new().await;
    let id = api.run("out x\nfinish 1").await["execution_id"].clone();
    let id = id.as_str().unwrap();
    for path in [
        "/api/executions".to_owned(),
        format!("/api/executions/{id}"),
        format!("/api/executions/{id}/output"),
        "/api/sessions".to_owned(),
        "/api/openapi.json".to_owned(),
        "/api/executions?limit=0".to_owned(),
        "/api/executions/0".to_owned(),
    ] {
        let head = api.ask(request(Method::HEAD, &path, Body::empty())).await;
        let get = api.get(&path).await;
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(head.header("content-length"), get.body.len().to_string());
    }
    let stream = format!("/api/executions/{id}/output/stream");
    let head = api.ask(request(Method::HEAD, &stream, Body::empty())).await;
    assert_eq!(head.header("content-type"), "text/event-stream");
    assert!(head.body.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_execution_is_shown_as_such() {
    let api = Api::with(|config| mcp_v8::app::ExecutionsConfig {
        max_concurrent: 1,
        ..config
    })
    .await;
    let first = api.submit("sleep 60000").await;
    let executions = api.executions.clone();
    let id = first.parse().unwrap();
    let view = || futures_util::FutureExt::now_or_never(executions.get(id));
    eventually(
        "it runs",
        || matches!(view(), Some(Ok(view)) if view.started_at.is_some()),
    )
    .await;
    let second = api.submit("finish 2").await;
    let seen = api.get(&format!("/api/executions/{second}")).await.ok();
    assert_eq!(
        (&seen["status"], &seen["started_at"]),
        (&json!("queued"), &json!(null))
    );
}
