//! The older HTTP+SSE: a conversation, what is refused, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use crate::mcp_wire::stub::Stub;
use crate::mcp_wire::{LEGACY, Reply, Wire, call, cancel, initialize, say, say_bytes, sse};
use crate::support::{Executions, Home, PATIENCE, children, eventually, start};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use mcp_v8::mcp::sse::{SseConfig, router};
use mcp_v8::mcp::{BodyLimits, Defaults, Pace, Server};
use rmcp::ServerHandler;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A conversation.
struct Talk {
    stream: Reply,
    endpoint: String,
}

impl Talk {
    async fn open(wire: &Wire) -> Self {
        let mut stream = wire.send(sse()).await;
        assert_eq!(stream.status, StatusCode::OK);
        let endpoint = stream.event().await.unwrap();
        assert_eq!(endpoint.name.as_deref(), Some("endpoint"));
        let endpoint = endpoint.data.unwrap();
        assert!(endpoint.starts_with("/message?sessionId="), "{endpoint}");
        Self { stream, endpoint }
    }

    async fn initialized(wire: &Wire) -> Self {
        let mut talk = Self::open(wire).await;
        talk.say(wire, &initialize(LEGACY)).await;
        let answer = talk.stream.message().await.unwrap();
        assert_eq!(answer["result"]["protocolVersion"], LEGACY, "{answer}");
        talk
    }

    async fn say(&self, wire: &Wire, message: &Value) {
        assert_eq!(self.status(wire, message).await, StatusCode::ACCEPTED);
    }

    async fn status(&self, wire: &Wire, message: &Value) -> StatusCode {
        wire.send(say(&self.endpoint, message)).await.status
    }

    async fn ask(&mut self, wire: &Wire, message: &Value) -> Value {
        self.say(wire, message).await;
        self.stream.message().await.unwrap()
    }
}

async fn served(handler: impl ServerHandler, config: SseConfig) -> Wire {
    Wire::loopback(router(handler, config, CancellationToken::new())).await
}

fn often() -> SseConfig {
    SseConfig {
        pace: Pace {
            keep_alive: Duration::from_millis(20),
            ..Pace::default()
        },
        ..SseConfig::default()
    }
}

fn is_busy(reply: &Reply) -> bool {
    reply.status == StatusCode::SERVICE_UNAVAILABLE && reply.header("retry-after") == "2"
}

#[tokio::test]
async fn a_conversation_is_a_stream_and_posts() {
    let wire = served(Stub::new(), SseConfig::default()).await;
    let mut talk = Talk::open(&wire).await;
    assert_eq!(talk.stream.header("content-type"), "text/event-stream");
    assert_eq!(talk.stream.header("cache-control"), "no-store");
    assert_eq!(talk.stream.header("x-accel-buffering"), "no");
    // Before it is opened, what nobody waits for is dropped.
    talk.say(
        &wire,
        &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    )
    .await;
    let ping = json!({"jsonrpc": "2.0", "id": "p", "method": "ping"});
    assert_eq!(talk.ask(&wire, &ping).await["id"], "p");
    talk.say(&wire, &initialize(LEGACY)).await;
    let event = talk.stream.event().await.unwrap();
    assert_eq!(event.name.as_deref(), Some("message"));
    assert_eq!(event.json()["result"]["protocolVersion"], LEGACY);
    let answer = talk.ask(&wire, &call(1, "quick", json!({}))).await;
    assert_eq!(answer["result"]["content"][0]["text"], "quick", "{answer}");
    let other = Talk::initialized(&wire).await;
    assert_ne!(other.endpoint, talk.endpoint);
}

#[tokio::test]
async fn only_versions_that_know_this_transport_are_spoken() {
    let wire = served(Stub::new(), SseConfig::default()).await;
    for (asked, spoken) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ] {
        let mut talk = Talk::open(&wire).await;
        let answer = talk.ask(&wire, &initialize(asked)).await;
        assert_eq!(answer["result"]["protocolVersion"], spoken, "{answer}");
    }
    let mut talk = Talk::open(&wire).await;
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "io.modelcontextprotocol/clientCapabilities": {}});
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover",
                          "params": {"_meta": meta}});
    let answer = talk.ask(&wire, &discover).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    let mut modern = call(2, "quick", json!({}));
    modern["params"]["_meta"] = meta;
    let answer = talk.ask(&wire, &modern).await;
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    let answer = talk.ask(&wire, &initialize(LEGACY)).await;
    assert_eq!(answer["result"]["protocolVersion"], LEGACY);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_the_reason() {
    let config = SseConfig {
        body: BodyLimits {
            bytes_max: 1000,
            ..BodyLimits::default()
        },
        ..SseConfig::default()
    };
    let wire = served(Stub::new(), config).await;
    let talk = Talk::initialized(&wire).await;
    let unknown = "/message?sessionId=00000000-0000-4000-8000-000000000000";
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let long = format!("{ping}{}", " ".repeat(1001 - ping.len()));
    for (endpoint, body, status) in [
        (talk.endpoint.as_str(), "{", StatusCode::BAD_REQUEST),
        (&talk.endpoint, "[]", StatusCode::BAD_REQUEST),
        (&talk.endpoint, &long, StatusCode::PAYLOAD_TOO_LARGE),
        (&talk.endpoint, &long[..1000], StatusCode::ACCEPTED),
        ("/message", &ping, StatusCode::BAD_REQUEST),
        (unknown, &ping, StatusCode::NOT_FOUND),
        ("/message?sessionId=x", &ping, StatusCode::NOT_FOUND),
    ] {
        let reply = wire.send(say_bytes(endpoint, body.to_owned())).await;
        assert_eq!(reply.status, status, "{endpoint} {body}");
        if status != StatusCode::ACCEPTED {
            assert!(reply.answer().await["error"]["code"].is_i64());
        }
    }
    let mut plain = say(&talk.endpoint, &json!({}));
    plain
        .headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(
        wire.send(plain).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let mut html = sse();
    html.headers_mut()
        .insert("accept", "text/html".parse().unwrap());
    assert_eq!(wire.send(html).await.status, StatusCode::NOT_ACCEPTABLE);
    let posted = Request::post("/sse").body(Body::empty()).unwrap();
    assert_eq!(
        wire.send(posted).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let stub = Stub::new();
    let wire = served(stub.clone(), often()).await;
    let mut talk = Talk::initialized(&wire).await;
    talk.say(&wire, &call(1, "wait", json!({}))).await;
    for _ in 0..3 {
        assert!(talk.stream.event().await.unwrap().is_comment());
    }
    stub.release();
    assert_eq!(talk.stream.message().await.unwrap()["id"], 1);
}

#[tokio::test]
async fn conversations_and_requests_at_once_have_limits() {
    let stub = Stub::new();
    let config = SseConfig {
        connections_max: 1,
        requests_max: 1,
        ..often()
    };
    let wire = served(stub.clone(), config).await;
    let mut talk = Talk::initialized(&wire).await;
    assert!(is_busy(&wire.send(sse()).await));
    talk.say(&wire, &call(1, "wait", json!({}))).await;
    stub.started(1).await;
    assert!(is_busy(
        &wire
            .send(say(&talk.endpoint, &call(2, "quick", json!({}))))
            .await
    ));
    stub.release();
    assert_eq!(talk.stream.message().await.unwrap()["id"], 1);
    drop(talk);
    while is_busy(&wire.send(sse()).await) {}
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_the_first_call_stays_cancellable() {
    let stub = Stub::new();
    let wire = served(stub.clone(), SseConfig::default()).await;
    let mut talk = Talk::initialized(&wire).await;
    talk.say(&wire, &call("a", "wait", json!({}))).await;
    stub.started(1).await;
    let again = wire
        .send(say(&talk.endpoint, &call("a", "quick", json!({}))))
        .await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(again.answer().await["id"], "a");
    talk.say(&wire, &cancel("a")).await;
    stub.cancelled(1).await;
    let next = talk.ask(&wire, &call("b", "quick", json!({}))).await;
    assert_eq!(next["id"], "b", "the cancelled call is not answered");
}

#[tokio::test]
async fn a_conversation_ends_with_its_stream_at_once() {
    let stub = Stub::new();
    let wire = served(stub.clone(), SseConfig::default()).await;
    let mut talk = Talk::initialized(&wire).await;
    talk.say(&wire, &call(1, "wait", json!({}))).await;
    talk.say(&wire, &call(2, "wait", json!({}))).await;
    stub.started(2).await;
    let other = Talk::initialized(&wire).await;
    let began = Instant::now();
    talk.stream = wire
        .send(Request::get("/").body(Body::empty()).unwrap())
        .await;
    stub.cancelled(2).await;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    let quick = call(3, "quick", json!({}));
    assert_eq!(talk.status(&wire, &quick).await, StatusCode::GONE);
    other.say(&wire, &quick).await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_given_up() {
    let stub = Stub::new();
    let config = SseConfig {
        pace: Pace {
            stall_max: Duration::from_secs(1),
            ..Pace::default()
        },
        ..SseConfig::default()
    };
    let wire = served(stub.clone(), config).await;
    let mut deaf = BufReader::with_capacity(512, wire.deaf(sse()).await);
    let mut line = String::new();
    let endpoint = loop {
        line.clear();
        deaf.read_line(&mut line).await.unwrap();
        if let Some(endpoint) = line.trim().strip_prefix("data: ") {
            break endpoint.to_owned();
        }
    };
    let mut flood = call(1, "flood", json!({}));
    flood["params"]["_meta"] = json!({"progressToken": 1});
    for message in [initialize(LEGACY), flood] {
        let reply = wire.send(say(&endpoint, &message)).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED);
    }
    stub.stuck().await;
    stub.flooded(1).await;
    let quick = say(&endpoint, &call(2, "quick", json!({})));
    assert_eq!(wire.send(quick).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn when_the_server_stops_calls_are_answered_and_then_all_ends() {
    let stub = Stub::new();
    let stop = CancellationToken::new();
    let wire = Wire::loopback(router(stub.clone(), often(), stop.clone())).await;
    let mut idle = Talk::initialized(&wire).await;
    let mut talk = Talk::initialized(&wire).await;
    talk.say(&wire, &call(1, "wait", json!({}))).await;
    stub.started(1).await;
    stop.cancel();
    assert_eq!(idle.stream.message().await, None);
    assert!(is_busy(&wire.send(sse()).await));
    let quick = call(2, "quick", json!({}));
    assert!(is_busy(&wire.send(say(&talk.endpoint, &quick)).await));
    stub.release();
    let answer = talk.stream.message().await.unwrap();
    assert_eq!(
        answer["result"]["content"][0]["text"], "released",
        "{answer}"
    );
    assert_eq!(talk.stream.message().await, None);
    assert_eq!(stub.cancelled_so_far(), 0);
}

#[tokio::test]
async fn a_call_that_does_not_end_does_not_hold_up_the_end_forever() {
    let stub = Stub::new();
    let stop = CancellationToken::new();
    let config = SseConfig {
        drain_wait_max: Duration::from_millis(100),
        ..often()
    };
    let wire = Wire::loopback(router(stub.clone(), config, stop.clone())).await;
    let mut talk = Talk::initialized(&wire).await;
    talk.say(&wire, &call(1, "wait", json!({}))).await;
    stub.started(1).await;
    stop.cancel();
    stub.cancelled(1).await;
    assert_eq!(talk.stream.message().await, None);
}

async fn real(home: &Home) -> (Executions, Wire) {
    let executions = start(home.config()).await;
    let defaults = Defaults {
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
    };
    let wire = served(
        Server::for_callers(executions.whole.clone(), defaults),
        often(),
    )
    .await;
    (executions, wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_waited_for_ends_with_the_conversation_and_others_go_on() {
    let home = Home::new();
    let (executions, wire) = real(&home).await;
    let mut talk = Talk::initialized(&wire).await;
    let code = json!({"code": "sleep 500\nfinish 7"});
    let accepted = talk.ask(&wire, &call(1, "run_js", code)).await;
    let free = accepted["result"]["structuredContent"]["execution_id"].clone();
    let hang = json!({"code": "hang", "wait_ms": 50_000});
    talk.say(&wire, &call(2, "run_js", hang)).await;
    let mut other = Talk::initialized(&wire).await;
    let running = json!({"status": "running"});
    let began = Instant::now();
    loop {
        let list = other
            .ask(&wire, &call(1, "list_executions", running.clone()))
            .await;
        let list = &list["result"]["structuredContent"]["executions"];
        if list.as_array().unwrap().len() == 2 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{list}");
        sleep(Duration::from_millis(10)).await;
    }
    drop(talk);
    for (status, is_free) in [("cancelled", false), ("completed", true)] {
        let began = Instant::now();
        loop {
            let wanted = json!({"status": status});
            let list = other.ask(&wire, &call(1, "list_executions", wanted)).await;
            let found = &list["result"]["structuredContent"]["executions"][0];
            if found.is_object() {
                assert_eq!(found["execution_id"] == free, is_free, "{list}");
                break;
            }
            assert!(began.elapsed() < PATIENCE, "none was {status}");
            sleep(Duration::from_millis(10)).await;
        }
    }
    executions.shut_down().await;
    eventually("all workers are gone", || children().is_empty()).await;
}
