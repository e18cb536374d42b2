//! The REST API: each way in which it refuses.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use crate::rest_api::{Api, Got, request};
use crate::support::{accepted, neighbour, start};
use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::stream;
use mcp_v8::app::{ExecutionsConfig, Tenant};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const NOWHERE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const BODY_BYTES_MAX: usize = 4 << 20;

async fn exec(api: &Api, kind: Option<&str>, body: impl Into<Body>) -> Got {
    let mut request = Request::builder().method(Method::POST).uri("/api/exec");
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    api.ask(request.body(body.into()).unwrap()).await
}

/// A good body of exactly so many bytes.
fn body_of(bytes: usize) -> String {
    let body = json!({"code": "finish 1"}).to_string();
    let blanks = " ".repeat(bytes - body.len());
    format!("{body}{blanks}")
}

/// The same in pieces, whose sum nobody announces.
fn chunked(body: String) -> Body {
    let pieces: Vec<Result<Bytes, std::io::Error>> = body
        .into_bytes()
        .chunks(100_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_limit_however_they_come() {
    let api = Api::stateless().await;
    let json = Some("application/json");
    let largest = body_of(BODY_BYTES_MAX);
    let larger = body_of(BODY_BYTES_MAX + 1);
    assert_eq!(exec(&api, json, largest.clone()).await.status, 202);
    assert_eq!(exec(&api, json, chunked(largest)).await.status, 202);
    for body in [Body::from(larger.clone()), chunked(larger)] {
        let got = exec(&api, json, body).await;
        let message = got.error(413, "body_too_large");
        assert!(message.contains("4194304"), "{message}");
        assert_eq!(got.header("connection"), "close");
    }
    // What is never ending is not read to its end.
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"    ")));
    exec(&api, json, Body::from_stream(endless))
        .await
        .error(413, "body_too_large");
    let torn = stream::iter([
        Ok(Bytes::from_static(b"{")),
        Err(std::io::Error::other("torn")),
    ]);
    exec(&api, json, Body::from_stream(torn))
        .await
        .error(400, "body_cut_off");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_json_objects_and_say_so() {
    let api = Api::stateless().await;
    let good = || json!({"code": "finish 1"}).to_string();
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON ;x=y",
    ] {
        assert_eq!(exec(&api, Some(kind), good()).await.status, 202, "{kind}");
    }
    for kind in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/jsonx"),
        Some("application/x-www-form-urlencoded"),
    ] {
        exec(&api, kind, good())
            .await
            .error(415, "unsupported_media_type");
    }
    let mut packed = request(Method::POST, "/api/exec", Body::from(good()));
    let headers = packed.headers_mut();
    headers.insert("content-encoding", "gzip".parse().unwrap());
    api.ask(packed).await.error(415, "unsupported_media_type");
    let mut twice = request(Method::POST, "/api/exec", Body::from(good()));
    let headers = twice.headers_mut();
    headers.append("content-type", "application/json".parse().unwrap());
    api.ask(twice).await.error(415, "unsupported_media_type");

    for body in [
        &b""[..],
        b" ",
        b"{",
        b"{}}",
        b"[]",
        b"null",
        b"\"code\"",
        b"{\"code\": \"\xff\"}",
        b"{\"code\": \"\\ud800\"}",
        b"\xef\xbb\xbf{}",
    ] {
        let got = exec(&api, Some("application/json"), body).await;
        got.error(400, "malformed_request");
    }
    let deep = "[".repeat(100_000);
    exec(&api, Some("application/json"), deep)
        .await
        .error(400, "malformed_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_body_is_named_at_once() {
    let api = Api::new().await;
    let got = api
        .post(
            "/api/exec?wait=5",
            &json!({"heap_memory_max_mb": "8", "execution_timeout_secs": 301, "wait": 5,
                    "tags": {"k": null}}),
        )
        .await;
    let message = got.error(400, "invalid_argument");
    for part in [
        "run_js: there is no parameter wait; valid parameters: none; ",
        "the parameter code is missing; it is a string of 1 to 1048576 characters",
        "heap_memory_max_mb is the string \"8\", but must be an integer of 4 to 64",
        "execution_timeout_secs is 301, but must be an integer of 1 to 300",
        "there is no parameter wait; valid parameters: code, heap_memory_max_mb, \
         execution_timeout_secs, wait_ms, heap, session, tags",
        "tags.k is null, but must be a string",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    for body in [
        json!({"code": "1", "heap": "abc"}),
        json!({"code": "1", "heap": "latest"}),
        json!({"code": "1", "session": "a\nb"}),
        json!({"code": "1", "tags": {"a,b": ""}}),
        json!({"code": "1", "tags": []}),
        json!({"code": "ü".repeat(1 << 20)}),
        json!({"code": 1}),
    ] {
        api.post("/api/exec", &body)
            .await
            .error(400, "invalid_argument");
    }
    for body in [json!({}), json!({"tags": {}}), json!({"tags": {"a": 1}})] {
        api.post("/api/heaps/query", &body)
            .await
            .error(400, "invalid_argument");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_strings_are_read_strictly() {
    let api = Api::new().await;
    let id = api.run("finish 1").await["execution_id"].clone();
    let of = |rest: &str| format!("/api/executions/{}{rest}", id.as_str().unwrap());
    for (path, part) in [
        (
            "/api/executions?lim=1".to_owned(),
            "there is no parameter lim; valid parameters: status, limit, cursor",
        ),
        (
            "/api/executions?limit=1&limit=2".to_owned(),
            "limit is given more than once",
        ),
        (
            "/api/executions?limit=0".to_owned(),
            "limit is 0, but must be an integer of 1 to 1000",
        ),
        (
            "/api/executions?limit=-1".to_owned(),
            "limit is -1, but must be",
        ),
        (
            "/api/executions?limit".to_owned(),
            "limit is an empty string, but must be",
        ),
        (
            "/api/executions?limit=1.0".to_owned(),
            "limit is the string \"1.0\", but must be",
        ),
        (
            "/api/executions?limit=%2B1".to_owned(),
            "limit is the string \"+1\", but must be",
        ),
        (
            "/api/executions?limit=99999999999999999999".to_owned(),
            "limit is the string",
        ),
        (
            "/api/executions?limit=%zz".to_owned(),
            "limit is not percent-encoded UTF-8",
        ),
        (
            "/api/executions?status=%ff".to_owned(),
            "status is not percent-encoded UTF-8",
        ),
        (
            "/api/executions?%ff=1".to_owned(),
            "the name of a parameter is not percent-encoded",
        ),
        (
            "/api/executions?status=done".to_owned(),
            "must be one of queued, running",
        ),
        (
            "/api/executions?cursor=x".to_owned(),
            "cursor: it is not a cursor of this list",
        ),
        ("/api/executions?lim=1&limit=0".to_owned(), "limit is 0"),
        (
            "/api/openapi.json?x".to_owned(),
            "there is no parameter x; valid parameters: none",
        ),
        ("/api/sessions?limit=1001".to_owned(), "limit is 1001"),
        (
            "/api/sessions/s/snapshots?fields=heap".to_owned(),
            "\"heap\" is not a field",
        ),
        (
            of("?wait_ms=50001"),
            "wait_ms is 50001, but must be an integer of 0 to 50000",
        ),
        (
            of("?execution_id=x"),
            "there is no parameter execution_id; valid parameters: wait_ms",
        ),
        (of("/output?line_offset=0"), "line_offset is 0"),
        (
            of("/output?line_offset=1&byte_offset=1"),
            "not some of both",
        ),
        (of("/output?byte_limit=1048577"), "byte_limit is 1048577"),
        (
            of("/output/stream?byte_offset=x"),
            "byte_offset is the string",
        ),
    ] {
        let message = api.get(&path).await.error(400, "invalid_argument");
        assert!(message.contains(part), "{path}: {message}");
    }
    let delete = format!("/api/heaps/{NOWHERE}/tags?keys=");
    let got = api
        .ask(request(Method::DELETE, &delete, Body::empty()))
        .await;
    assert!(got.error(400, "invalid_argument").contains("keys: \"\""));
    for path in [of("/cancel?force=1"), "/api/executions/x/cancel".to_owned()] {
        let got = api.ask(request(Method::POST, &path, Body::empty())).await;
        got.error(400, "invalid_argument");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_what_is_no_name_400() {
    let api = Api::new().await;
    api.get("/api/heaps//tags")
        .await
        .error(400, "invalid_argument");
    for rest in ["", "?wait_ms=10", "/output", "/output/stream"] {
        let message = api
            .get(&format!("/api/executions/{NOBODY}{rest}"))
            .await
            .error(404, "execution_not_found");
        assert!(message.contains(NOBODY), "{message}");
        for malformed in ["x", "%zz", "%ff", "%00", &"1".repeat(100)] {
            api.get(&format!("/api/executions/{malformed}{rest}"))
                .await
                .error(400, "invalid_argument");
        }
    }
    let cancel = format!("/api/executions/{NOBODY}/cancel");
    api.ask(request(Method::POST, &cancel, Body::empty()))
        .await
        .error(404, "execution_not_found");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let body = || Body::from(r#"{"tags": {}}"#);
        let path = |heap: &str| format!("/api/heaps/{heap}/tags");
        api.ask(request(method.clone(), &path(NOWHERE), body()))
            .await
            .error(404, "heap_not_found");
        api.ask(request(method, &path("abc"), body()))
            .await
            .error(400, "invalid_argument");
    }
    api.get("/api/sessions/none/snapshots")
        .await
        .error(404, "session_not_found");
    api.get("/api/sessions/a%0Ab/snapshots")
        .await
        .error(400, "invalid_argument");
    api.post("/api/exec", &json!({"code": "1", "heap": NOWHERE}))
        .await
        .error(404, "heap_not_found");
    let latest = json!({"code": "1", "heap": "latest", "session": "none"});
    api.post("/api/exec", &latest)
        .await
        .error(404, "no_latest_heap");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_said_so() {
    let api = Api::new().await;
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/exec/",
        "/api/nothing",
        "/api/executions/",
        "/api/heaps",
        "/api/executions/x/y",
        "//",
        "/api/%ff",
    ] {
        api.get(path).await.error(404, "not_found");
    }
    for (method, path, allowed) in [
        (Method::GET, "/api/exec", "POST"),
        (Method::POST, "/api/executions", "GET,HEAD"),
        (Method::DELETE, "/api/executions/x", "GET,HEAD"),
        (Method::GET, "/api/executions/x/cancel", "POST"),
        (Method::PATCH, "/api/heaps/x/tags", "GET,HEAD,PUT,DELETE"),
        (Method::GET, "/api/heaps/query", "POST"),
        (Method::OPTIONS, "/api/openapi.json", "GET,HEAD"),
        (Method::TRACE, "/api/sessions", "GET,HEAD"),
    ] {
        let got = api.ask(request(method, path, Body::empty())).await;
        got.error(405, "method_not_allowed");
        assert_eq!(got.header("allow"), allowed, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_state_says_that_it_keeps_none() {
    let api = Api::stateless().await;
    let body = || Body::from(r#"{"tags": {"a": "b"}}"#);
    for (method, path) in [
        (Method::GET, "/api/sessions".to_owned()),
        (Method::GET, "/api/sessions/s/snapshots".to_owned()),
        (Method::GET, format!("/api/heaps/{NOWHERE}/tags")),
        (Method::PUT, format!("/api/heaps/{NOWHERE}/tags")),
        (Method::DELETE, format!("/api/heaps/{NOWHERE}/tags")),
        (Method::POST, "/api/heaps/query".to_owned()),
    ] {
        let message = api
            .ask(request(method, &path, body()))
            .await
            .error(404, "stateless");
        assert!(message.contains("--stateless"), "{message}");
    }
    let message = api
        .post(
            "/api/exec",
            &json!({"code": "1", "heap": "latest", "session": "s", "tags": {}}),
        )
        .await
        .error(400, "invalid_argument");
    for name in ["heap: ", "session: ", "tags: "] {
        assert!(message.contains(name), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_asks_to_come_again() {
    let api = Api::with(|config| ExecutionsConfig {
        max_concurrent: 1,
        queue_length_max: 1,
        ..config
    })
    .await;
    let mut refused = None;
    for _ in 0..3 {
        let got = api.post("/api/exec", &json!({"code": "sleep 60000"})).await;
        refused = (got.status != 202).then_some(got);
    }
    let refused = refused.unwrap();
    let message = refused.error(429, "overloaded");
    assert!(message.contains("nothing was accepted"), "{message}");
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shuts_down_serves_nobody() {
    let api = Api::new().await;
    let id = api.run("finish 1").await["execution_id"].clone();
    api.executions.shut_down().await;
    let got = api.post("/api/exec", &json!({"code": "1"})).await;
    assert_eq!(got.header("retry-after"), "1");
    got.error(503, "shutting_down");
    for path in [
        "/api/executions".to_owned(),
        format!("/api/executions/{}", id.as_str().unwrap()),
        "/api/sessions".to_owned(),
    ] {
        api.get(&path).await.error(503, "shutting_down");
    }
    let tags = format!("/api/heaps/{NOWHERE}/tags");
    let put = request(Method::PUT, &tags, Body::from(r#"{"tags": {}}"#));
    api.ask(put).await.error(503, "shutting_down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_heap_is_refused() {
    let api = Api::new().await;
    let heap: Value = api.run("finish 1").await["heap"].clone();
    api.executions.shut_down().await;
    let file = find(
        &api.home.directory.path().join("heaps"),
        heap.as_str().unwrap(),
    )
    .unwrap();
    std::fs::write(file, "damaged").unwrap();
    let executions = start(api.home.config()).await;
    let api = Api::over(api.home, executions);
    let got = api
        .post("/api/exec", &json!({"code": "1", "heap": heap}))
        .await;
    let message = got.error(422, "heap_damaged");
    assert!(message.contains("is damaged and is not used"), "{message}");
}

/// The file beneath a directory whose name has this in it.
fn find(directory: &Path, part: &str) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries.map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() {
            return find(&path, part);
        }
        path.to_string_lossy().contains(part).then_some(path)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_runs_cannot_be_cancelled_here() {
    let api = Api::new().await;
    let store = neighbour(&api.home).await;
    let view = accepted();
    let path = format!("/api/executions/{}/cancel", view.id);
    store
        .reserve(&view.tenant)
        .await
        .unwrap()
        .accept(view, Arc::default());
    store.flush(&Tenant::local()).await.unwrap();
    api.ask(request(Method::POST, &path, Body::empty()))
        .await
        .error(409, "runs_elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_server_shows_nothing_of_its_inside() {
    let api = Api::new().await;
    let id = api.run("out lost\nfinish 1").await["execution_id"].clone();
    let path = api.home.directory.path().join("data/executions.db");
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("DELETE FROM output", []).unwrap();
    let output = format!("/api/executions/{}/output", id.as_str().unwrap());
    let message = api
        .get(&format!("{output}?byte_offset=0"))
        .await
        .error(500, "internal");
    let general = "the server failed; its log has the details (incident ";
    assert!(message.starts_with(general), "{message}");
}

/// Paths, queries and bodies that are nearly right.
fn nearly() -> impl Strategy<Value = (Method, String, String)> {
    let method = prop::sample::select(vec![
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
    ]);
    let segment = prop_oneof![
        prop::sample::select(vec![
            "exec",
            "executions",
            "sessions",
            "heaps",
            "query",
            "tags",
            "output",
            "stream",
            "cancel",
            "snapshots",
            "openapi.json",
            NOBODY,
            NOWHERE,
            "%ff",
            "%",
            "..",
            "",
        ])
        .prop_map(str::to_owned),
        "[!-\"$-.0-;=@-_a-z~]{0,8}",
    ];
    let name = prop::sample::select(vec![
        "limit",
        "cursor",
        "status",
        "fields",
        "from_index",
        "keys",
        "line_offset",
        "byte_limit",
        "x",
    ]);
    let pair = (name, "[0-9a-z%+,=-]{0,6}").prop_map(|(name, text)| format!("{name}={text}"));
    let path = prop::collection::vec(segment, 0..5);
    let query = prop::collection::vec(pair, 0..3);
    let body = prop_oneof![
        "[{}\\[\\]\",:a-z0-9]{0,20}",
        prop::sample::select(vec![
            r#"{"tags": {"a": "b"}}"#,
            r#"{"tags": {"": ""}}"#,
            r#"{"tags": {}}"#,
            r#"{"code": ""}"#,
            r#"{"tags": {"a": "b"}, "limit": 0}"#,
            r#"{"code": null, "wait_ms": 1e3}"#,
        ])
        .prop_map(str::to_owned),
    ];
    (method, path, query, body).prop_map(|(method, path, query, body)| {
        let path = format!("/api/{}?{}", path.join("/"), query.join("&"));
        (method, path, body)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_is_answered_as_described() {
    let api = Api::new().await;
    let runtime = tokio::runtime::Handle::current();
    let asked = tokio::task::spawn_blocking(move || {
        let config = ProptestConfig::with_cases(2000);
        TestRunner::new(config).run(&nearly(), |(method, path, body)| {
            // What is no URI does not come this far.
            prop_assume!(path.parse::<axum::http::Uri>().is_ok());
            let got = runtime.block_on(api.ask(request(method, &path, Body::from(body))));
            prop_assert!(!got.status.is_server_error(), "{:?}", got);
            Ok(())
        })
    });
    asked.await.unwrap().unwrap();
}
