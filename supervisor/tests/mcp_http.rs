//! Streamable HTTP: what is accepted, what is refused, how much of it at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::mcp_wire;

use std::time::Duration;

use crate::mcp_wire::stub::Stub;
use crate::mcp_wire::{
    LEGACY, MODERN, Reply, Wire, call, cancel, delete, initialize, legacy, modern, post, post_bytes,
};
use axum::Extension;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::FutureExt as _;
use mcp_v8::auth::Caller;
use mcp_v8::mcp::BodyLimits;
use mcp_v8::mcp::http::{SessionLimits, StreamableConfig, router};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

async fn served(stub: &Stub, config: StreamableConfig) -> Wire {
    Wire::loopback(router(stub.clone(), config, CancellationToken::new())).await
}

async fn quick(wire: &Wire, session: &str, id: i64) -> Value {
    wire.legacy(session, &call(id, "quick", json!({})))
        .await
        .answer()
        .await
}

fn is_busy(reply: &Reply) -> bool {
    reply.status == StatusCode::SERVICE_UNAVAILABLE && reply.header("retry-after") == "2"
}

#[tokio::test]
async fn both_eras_are_served_and_never_cached() {
    let wire = served(&Stub::new(), StreamableConfig::default()).await;
    let session = wire.session().await;
    let mut replies = vec![
        wire.legacy(&session, &call(1, "quick", json!({}))).await,
        wire.modern(call(1, "quick", json!({}))).await,
        wire.send(post(&initialize(LEGACY))).await,
    ];
    for reply in &replies {
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-accel-buffering"), "no");
    }
    replies.pop();
    for reply in replies {
        let answer = reply.answer().await;
        assert_eq!(answer["result"]["content"][0]["text"], "quick", "{answer}");
        assert_eq!(answer["id"], 1);
    }
    let reply = wire
        .send(modern(
            json!({"jsonrpc": "2.0", "id": 2, "method": "server/discover",
        "params": {}}),
        ))
        .await;
    assert_eq!(reply.answer().await["id"], 2);
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_the_reason() {
    let wire = served(&Stub::new(), StreamableConfig::default()).await;
    for (body, code, part) in [
        ("{", -32700, "not JSON"),
        ("\u{feff}nonsense", -32700, "not JSON"),
        ("[]", -32600, "batches"),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            -32600,
            "batches",
        ),
        ("5", -32600, "not an object"),
        (r#"{"id":7,"method":"ping"}"#, -32600, "jsonrpc"),
    ] {
        let reply = wire.send(post_bytes(body)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        let answer = reply.answer().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(part),
            "{answer}"
        );
    }
    for nothing in [
        "",
        " ",
        r#"{"jsonrpc":"2.0","method":"notifications/what","params":5}"#,
    ] {
        assert_eq!(
            wire.send(post_bytes(nothing)).await.status,
            StatusCode::ACCEPTED
        );
    }
    // What is around a message does not matter.
    let message = format!("\u{feff} {}\r\n", initialize(LEGACY));
    assert_eq!(wire.send(post_bytes(message)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn headers_are_checked() {
    let wire = served(&Stub::new(), StreamableConfig::default()).await;
    for (header, value, status) in [
        (
            "content-type",
            "text/plain",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "content-type",
            "application/json; charset=utf-8",
            StatusCode::OK,
        ),
        ("accept", "application/json", StatusCode::NOT_ACCEPTABLE),
        ("accept", "text/html", StatusCode::NOT_ACCEPTABLE),
        ("mcp-session-id", "of-nobody", StatusCode::NOT_FOUND),
    ] {
        let mut request = match header {
            "mcp-session-id" => post(&call(1, "quick", json!({}))),
            _ => post(&initialize(LEGACY)),
        };
        request.headers_mut().insert(header, value.parse().unwrap());
        assert_eq!(wire.send(request).await.status, status, "{header}: {value}");
    }
    // The type is looked at before the body.
    let mut request = post_bytes("a=b");
    let form = "application/x-www-form-urlencoded".parse().unwrap();
    request.headers_mut().insert("content-type", form);
    assert_eq!(
        wire.send(request).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let without_session = wire.send(post(&call(1, "quick", json!({})))).await;
    assert_eq!(without_session.status, StatusCode::BAD_REQUEST);
    let put = Request::put("/mcp")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    assert_eq!(wire.send(put).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn an_initialize_that_says_it_is_of_the_stateless_era_is_answered_by_its_rules() {
    let wire = served(&Stub::new(), StreamableConfig::default()).await;
    let opening = |version: &str| initialize(version);
    // A message whose `_meta` is of that era is of that era, where there is no such method.
    let reply = wire.modern(opening(MODERN)).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert!(!reply.headers.contains_key("mcp-session-id"));
    let answer = reply.answer().await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    assert_eq!(answer["id"], 0);
    // The header has to say the same.
    for header in [None, Some(LEGACY)] {
        let mut request = modern(opening(LEGACY));
        let headers = request.headers_mut();
        headers.remove("mcp-protocol-version");
        if let Some(version) = header {
            headers.insert("mcp-protocol-version", version.parse().unwrap());
        }
        let reply = wire.send(request).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(reply.answer().await["error"]["code"], -32020);
    }
    // Without it the method says the era, and the header must say what the message asks for.
    let mut request = post(&opening(LEGACY));
    let header = |version: &str| version.parse().unwrap();
    request
        .headers_mut()
        .insert("mcp-protocol-version", header(MODERN));
    assert_eq!(wire.send(request).await.status, StatusCode::BAD_REQUEST);
    for asked in [LEGACY, MODERN] {
        let mut request = post(&opening(asked));
        request
            .headers_mut()
            .insert("mcp-protocol-version", header(asked));
        let reply = wire.send(request).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.headers.contains_key("mcp-session-id"));
        let version = &reply.answer().await["result"]["protocolVersion"];
        assert_ne!(version, MODERN);
    }
}

#[tokio::test]
async fn the_limit_of_a_body_is_exact() {
    let wire = served(&Stub::new(), StreamableConfig::default()).await;
    let limit = StreamableConfig::default().body.bytes_max;
    assert_eq!(limit, 4 << 20);
    for (bytes, status) in [
        (limit, StatusCode::OK),
        (limit + 1, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let mut message = initialize(LEGACY);
        message["params"]["clientInfo"]["name"] = "".into();
        let padding = bytes - message.to_string().len();
        message["params"]["clientInfo"]["name"] = "x".repeat(padding).into();
        let reply = wire.send(post(&message)).await;
        assert_eq!(reply.status, status, "{bytes}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let config = StreamableConfig {
        body: BodyLimits {
            wait_max: Duration::from_millis(50),
            ..BodyLimits::default()
        },
        ..StreamableConfig::default()
    };
    let wire = served(&Stub::new(), config).await;
    let silent = futures_util::stream::pending::<Result<&[u8], std::io::Error>>();
    let request = post_bytes("").map(|_| Body::from_stream(silent));
    assert_eq!(wire.send(request).await.status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn requests_at_once_have_a_limit_in_both_eras() {
    for is_modern in [false, true] {
        let stub = Stub::new();
        let config = StreamableConfig {
            requests_max: 1,
            ..StreamableConfig::default()
        };
        let wire = served(&stub, config).await;
        // The place of an initialize is free again when it has been answered.
        wire.session().await;
        let session = wire.session().await;
        let wait = call(1, "wait", json!({}));
        let first = match is_modern {
            true => modern(wait),
            false => legacy(&session, &wait),
        };
        let (first, second) = tokio::join!(wire.send(first), async {
            stub.started(1).await;
            let second = wire.modern(call(2, "quick", json!({}))).await;
            stub.release();
            second
        });
        assert!(is_busy(&second));
        assert_eq!(second.answer().await["error"]["code"], -32603);
        assert_eq!(
            first.answer().await["result"]["content"][0]["text"],
            "released"
        );
        let third = wire.modern(call(3, "quick", json!({}))).await;
        assert_eq!(third.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_call_whose_client_is_gone_keeps_its_place() {
    let stub = Stub::new();
    let config = StreamableConfig {
        requests_max: 1,
        ..StreamableConfig::default()
    };
    let wire = served(&stub, config).await;
    let session = wire.session().await;
    drop(wire.legacy(&session, &call(1, "wait", json!({}))).await);
    stub.started(1).await;
    assert!(is_busy(
        &wire.legacy(&session, &call(2, "quick", json!({}))).await
    ));
    stub.release();
    // There is nobody to tell when it has ended.
    loop {
        let reply = wire.legacy(&session, &call(3, "quick", json!({}))).await;
        if !is_busy(&reply) {
            assert_eq!(reply.answer().await["id"], 3);
            return;
        }
    }
}

#[tokio::test]
async fn streams_at_once_have_a_limit_of_their_own() {
    let config = StreamableConfig {
        streams_max: 1,
        requests_max: 1,
        ..StreamableConfig::default()
    };
    let wire = served(&Stub::new(), config).await;
    let session = wire.session().await;
    let stream = wire.get(&session).await;
    assert_eq!(stream.status, StatusCode::OK);
    assert!(is_busy(&wire.get(&session).await));
    assert_eq!(quick(&wire, &session, 1).await["id"], 1);
    drop(stream);
    while is_busy(&wire.get(&session).await) {}
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_the_first_call_stays_cancellable() {
    let stub = Stub::new();
    let wire = served(&stub, StreamableConfig::default()).await;
    let session = wire.session().await;
    let mut first = wire.legacy(&session, &call("a", "wait", json!({}))).await;
    stub.started(1).await;
    let second = wire
        .legacy(&session, &call("a", "quick", json!({})))
        .await
        .answer()
        .await;
    assert_eq!(second["error"]["code"], -32600, "{second}");
    assert_eq!(second["id"], "a");
    let told = wire.legacy(&session, &cancel("a")).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    stub.cancelled(1).await;
    assert_eq!(
        first.message().await,
        None,
        "a cancelled call is not answered"
    );
    // It is free once the call is over.
    loop {
        let third = wire
            .legacy(&session, &call("a", "quick", json!({})))
            .await
            .answer()
            .await;
        if third["error"].is_null() {
            assert_eq!(third["result"]["content"][0]["text"], "quick");
            return;
        }
    }
}

#[tokio::test]
async fn ids_of_the_stateless_era_stand_for_themselves() {
    let stub = Stub::new();
    let wire = served(&stub, StreamableConfig::default()).await;
    let (first, second) = tokio::join!(wire.modern(call(1, "wait", json!({}))), async {
        stub.started(1).await;
        let second = wire.modern(call(1, "quick", json!({}))).await;
        stub.release();
        second
    });
    assert_eq!(
        second.answer().await["result"]["content"][0]["text"],
        "quick"
    );
    assert_eq!(
        first.answer().await["result"]["content"][0]["text"],
        "released"
    );
}

#[tokio::test]
async fn delete_ends_a_session_and_its_calls_at_once() {
    let stub = Stub::new();
    let wire = served(&stub, StreamableConfig::default()).await;
    let session = wire.session().await;
    let other = wire.session().await;
    let mut waiting = wire.legacy(&session, &call(1, "wait", json!({}))).await;
    let mut listening = wire.get(&session).await;
    stub.started(1).await;
    let began = tokio::time::Instant::now();
    let ended = wire.send(delete(&session)).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    stub.cancelled(1).await;
    assert_eq!(waiting.message().await, None);
    assert_eq!(listening.message().await, None);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    for request in [
        legacy(&session, &call(2, "quick", json!({}))),
        delete(&session),
        mcp_wire::get(&session, None),
    ] {
        assert_eq!(wire.send(request).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(quick(&wire, &other, 1).await["id"], 1);
}

#[tokio::test]
async fn only_clients_that_know_them_get_empty_events() {
    let wire = served(&Stub::new(), StreamableConfig::default()).await;
    for (version, empty) in [(LEGACY, false), ("2025-11-25", true)] {
        let session = wire.session_of(version).await;
        let mut reply = wire.legacy(&session, &call(1, "quick", json!({}))).await;
        let first = reply.event().await.unwrap();
        assert_eq!(first.data.as_deref() == Some(""), empty, "{first:?}");
        assert!(first.id.is_some(), "{first:?}");
    }
}

#[tokio::test]
async fn an_initialize_whose_client_goes_away_at_any_moment_leaves_room_for_others() {
    let sessions = SessionLimits {
        number_max: 2,
        ..StreamableConfig::default().sessions
    };
    let config = StreamableConfig {
        sessions,
        ..StreamableConfig::default()
    };
    let routes = router(Stub::new(), config, CancellationToken::new());
    let routes = routes.layer(Extension(Caller::local()));
    let (mut cut, mut answered) = (0, 0);
    // Each time the client goes away one step of the server's work later.
    for steps in 0.. {
        let request = post(&initialize(LEGACY));
        let mut opening = Box::pin(routes.clone().oneshot(request));
        let mut has_answer = false;
        for _ in 0..steps {
            has_answer = (&mut opening).now_or_never().is_some();
            if has_answer {
                break;
            }
            tokio::task::yield_now().await;
        }
        if has_answer {
            answered += 1;
        } else {
            cut += 1;
        }
        if answered == 4 {
            break;
        }
    }
    assert!(cut > 1, "the server answers at once: {cut}");
    let wire = Wire::direct(routes);
    let (first, second) = (wire.session().await, wire.session().await);
    for session in [first, second] {
        assert_eq!(quick(&wire, &session, 1).await["id"], 1);
    }
}
