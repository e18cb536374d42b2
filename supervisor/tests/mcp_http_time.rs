//! Streamable HTTP over time: long silent calls, idle sessions, clients that go or do not read, the
//! end of the server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::mcp_wire;
use crate::support;

use std::net::IpAddr;
use std::time::Duration;

use crate::mcp_wire::stub::Stub;
use crate::mcp_wire::{Wire, call, cancel, get, initialize, legacy, modern, post};
use crate::support::{Executions, Home, children, eventually, start};
use axum::http::StatusCode;
use mcp_v8::http::Peer;
use mcp_v8::mcp::http::{SessionLimits, StreamableConfig, router};
use mcp_v8::mcp::{Defaults, Pace, Server};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);

/// Routes without sockets, so that time can stand still.
fn direct(stub: &Stub, config: StreamableConfig) -> Wire {
    Wire::direct(router(stub.clone(), config, CancellationToken::new()))
}

async fn loopback(stub: &Stub, config: StreamableConfig) -> Wire {
    Wire::loopback(router(stub.clone(), config, CancellationToken::new())).await
}

fn keep_alive_often() -> StreamableConfig {
    StreamableConfig {
        first_byte_wait: Duration::from_millis(20),
        pace: Pace {
            keep_alive: Duration::from_millis(20),
            ..Pace::default()
        },
        ..StreamableConfig::default()
    }
}

/// Everything on a stream: when each comment came, and the messages.
async fn listen(mut reply: mcp_wire::Reply) -> (Vec<Duration>, Vec<Value>) {
    let began = Instant::now();
    let (mut comments, mut messages) = (Vec::new(), Vec::new());
    while let Some(event) = reply.event().await {
        match event.is_comment() {
            true => comments.push(began.elapsed()),
            false => messages.push(event.json()),
        }
    }
    (comments, messages)
}

#[tokio::test(start_paused = true)]
async fn a_silent_call_of_forty_minutes_is_answered_in_both_eras() {
    for is_modern in [false, true] {
        let stub = Stub::new();
        let wire = direct(&stub, StreamableConfig::default());
        let session = wire.session().await;
        let wait = call(1, "wait", json!({}));
        let began = Instant::now();
        let reply = match is_modern {
            true => wire.modern(wait).await,
            false => wire.legacy(&session, &wait).await,
        };
        assert!(
            began.elapsed() <= Duration::from_secs(6),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), "text/event-stream");
        assert_eq!(reply.header("cache-control"), "no-store");
        let stream = tokio::spawn(listen(reply));
        sleep(40 * MINUTE).await;
        stub.release();
        let (comments, messages) = stream.await.unwrap();
        let gaps = comments.windows(2).map(|two| two[1] - two[0]);
        assert!(
            gaps.max().unwrap() <= Duration::from_secs(16),
            "{comments:?}"
        );
        assert!(comments.len() >= 150, "{}", comments.len());
        assert_eq!(messages.len(), 1);
        assert_eq!(
            messages[0]["result"]["content"][0]["text"], "released",
            "{messages:?}"
        );
        // And so is what comes next.
        let next = wire.legacy(&session, &call(2, "quick", json!({}))).await;
        let expected = if is_modern {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::OK
        };
        assert_eq!(next.status, expected, "only a session in use was kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_that_is_json_becomes_an_event() {
    let stub = Stub::new();
    let wire = direct(&stub, StreamableConfig::default());
    let mut reply = wire.modern(call("x", "wait_and_fail", json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK);
    stub.release();
    let event = reply.event().await.unwrap();
    assert_eq!(event.name.as_deref(), Some("message"));
    assert_eq!(event.json()["error"]["code"], -32601, "{event:?}");
    assert_eq!(event.json()["id"], "x");
    assert_eq!(reply.event().await, None);
    // In time, the library's own status is kept.
    let reply = wire.modern(call("x", "wait_and_fail", json!({}))).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(reply.answer().await["error"]["code"], -32601);
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_end_and_used_ones_do_not() {
    let stub = Stub::new();
    let wire = direct(&stub, StreamableConfig::default());
    let [idle, talking, listening, calling] = [
        wire.session().await,
        wire.session().await,
        wire.session().await,
        wire.session().await,
    ];
    let _listens = tokio::spawn(listen(wire.get(&listening).await));
    // Its client is gone, but the call goes on.
    drop(wire.legacy(&calling, &call(1, "wait", json!({}))).await);
    stub.started(1).await;
    for id in 2..4 {
        sleep(20 * MINUTE).await;
        let reply = wire.legacy(&talking, &call(id, "quick", json!({}))).await;
        assert_eq!(reply.answer().await["id"], id);
    }
    for (session, status) in [
        (&idle, StatusCode::NOT_FOUND),
        (&talking, StatusCode::OK),
        (&listening, StatusCode::OK),
        (&calling, StatusCode::OK),
    ] {
        let reply = wire.legacy(session, &call(9, "quick", json!({}))).await;
        assert_eq!(reply.status, status);
    }
    assert_eq!(stub.cancelled_so_far(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_handler_panicked_ends_like_others() {
    let wire = direct(&Stub::new(), StreamableConfig::default());
    let session = wire.session().await;
    let reply = wire.legacy(&session, &call(1, "panic", json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK);
    drop(reply);
    sleep(31 * MINUTE).await;
    let reply = wire.legacy(&session, &call(2, "quick", json!({}))).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn sessions_have_a_limit_and_what_is_used_is_never_displaced() {
    let stub = Stub::new();
    let sessions = SessionLimits {
        number_max: 2,
        ..StreamableConfig::default().sessions
    };
    let wire = direct(
        &stub,
        StreamableConfig {
            sessions,
            ..StreamableConfig::default()
        },
    );
    let used = wire.session().await;
    drop(wire.legacy(&used, &call(1, "wait", json!({}))).await);
    stub.started(1).await;
    let busy = wire.session().await;
    drop(wire.legacy(&busy, &call(1, "wait", json!({}))).await);
    stub.started(2).await;
    let refused = wire.send(post(&initialize(mcp_wire::LEGACY))).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "2");
    // The other era has no sessions.
    assert_eq!(
        wire.modern(call(1, "quick", json!({}))).await.status,
        StatusCode::OK
    );
    let told = wire.legacy(&busy, &cancel(1)).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    stub.cancelled(1).await;
    // Nothing uses it any more, if only for a moment.
    let third = wire.session().await;
    assert_are(
        &wire,
        [
            (&busy, StatusCode::NOT_FOUND),
            (&used, StatusCode::OK),
            (&third, StatusCode::OK),
        ],
    )
    .await;
}

async fn assert_are<const N: usize>(wire: &Wire, sessions: [(&String, StatusCode); N]) {
    for (session, status) in sessions {
        let reply = wire.legacy(session, &call(7, "quick", json!({}))).await;
        assert_eq!(reply.status, status);
    }
}

/// Opens a session from this address.
async fn session_from(wire: &Wire, address: [u8; 4]) -> String {
    let mut request = post(&initialize(mcp_wire::LEGACY));
    let peer = Peer::from(IpAddr::from(address));
    request.extensions_mut().insert(peer);
    let reply = wire.send(request).await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.header("mcp-session-id").to_owned()
}

#[tokio::test(start_paused = true)]
async fn who_opens_many_sessions_displaces_its_own() {
    let sessions = SessionLimits {
        number_max: 4,
        ..StreamableConfig::default().sessions
    };
    let config = StreamableConfig {
        sessions,
        ..StreamableConfig::default()
    };
    let wire = direct(&Stub::new(), config);
    let (greedy, modest) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let first = session_from(&wire, modest).await;
    sleep(MINUTE).await;
    let mut flood = Vec::new();
    for _ in 0..20 {
        flood.push(session_from(&wire, greedy).await);
        sleep(Duration::from_millis(1)).await;
    }
    // Those who have few get in beside it, and stay.
    let second = session_from(&wire, modest).await;
    let [.., third, last] = &flood[..] else {
        panic!("they are twenty");
    };
    assert_are(
        &wire,
        [
            (&first, StatusCode::OK),
            (&second, StatusCode::OK),
            (&flood[0], StatusCode::NOT_FOUND),
            (&flood[17], StatusCode::NOT_FOUND),
            (third, StatusCode::OK),
            (last, StatusCode::OK),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_never_used_makes_room_before_one_that_was() {
    let sessions = SessionLimits {
        number_max: 2,
        ..StreamableConfig::default().sessions
    };
    let config = StreamableConfig {
        sessions,
        ..StreamableConfig::default()
    };
    let wire = direct(&Stub::new(), config);
    let used = wire.session().await;
    let reply = wire.legacy(&used, &call(1, "quick", json!({}))).await;
    assert_eq!(reply.answer().await["id"], 1);
    sleep(MINUTE).await;
    let unused = wire.session().await;
    let another = wire.session().await;
    assert_are(
        &wire,
        [
            (&used, StatusCode::OK),
            (&unused, StatusCode::NOT_FOUND),
            (&another, StatusCode::OK),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_session_outlives_its_connections_and_its_call_can_be_heard_again() {
    let stub = Stub::new();
    let wire = loopback(&stub, keep_alive_often()).await;
    let session = wire.session_of("2025-11-25").await;
    let mut reply = wire.legacy(&session, &call(1, "wait", json!({}))).await;
    let priming = reply.event().await.unwrap();
    stub.started(1).await;
    drop(reply);
    let mut resumed = wire.send(get(&session, priming.id.as_deref())).await;
    assert_eq!(resumed.status, StatusCode::OK);
    stub.release();
    let answer = resumed.message().await.unwrap();
    assert_eq!(
        answer["result"]["content"][0]["text"], "released",
        "{answer}"
    );
    assert_eq!(stub.cancelled_so_far(), 0);
}

#[tokio::test]
async fn a_client_of_the_stateless_era_that_goes_cancels_its_call() {
    let stub = Stub::new();
    // Before there is anything to hear of it.
    let wire = loopback(&stub, StreamableConfig::default()).await;
    tokio::select! {
        reply = wire.modern(call(1, "wait", json!({}))) => panic!("{}", reply.status),
        () = stub.started(1) => {}
    }
    stub.cancelled(1).await;
    // After its stream has been opened.
    let wire = loopback(&stub, keep_alive_often()).await;
    let reply = wire.modern(call(1, "wait", json!({}))).await;
    stub.started(2).await;
    drop(reply);
    stub.cancelled(2).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nothing_but_its_stream() {
    for is_modern in [false, true] {
        let pace = Pace {
            stall_max: Duration::from_secs(1),
            ..Pace::default()
        };
        let config = StreamableConfig {
            pace,
            requests_max: 2,
            ..StreamableConfig::default()
        };
        let stub = Stub::new();
        let wire = loopback(&stub, config).await;
        let session = wire.session().await;
        let mut flood = call(1, "flood", json!({}));
        flood["params"]["_meta"] = json!({"progressToken": 1});
        let request = match is_modern {
            true => modern(flood),
            false => legacy(&session, &flood),
        };
        let deaf = wire.deaf(request).await;
        stub.stuck().await;
        // A session that is stuck answers again once the stream has been given up.
        let reply = wire.legacy(&session, &call(2, "quick", json!({}))).await;
        assert_eq!(reply.answer().await["id"], 2);
        stub.flooded(1).await;
        drop(deaf);
    }
}

#[tokio::test]
async fn when_the_server_stops_calls_are_answered_and_then_all_ends() {
    for is_modern in [false, true] {
        let stub = Stub::new();
        let stop = CancellationToken::new();
        let wire = Wire::loopback(router(stub.clone(), keep_alive_often(), stop.clone())).await;
        let session = wire.session().await;
        let mut listening = wire.get(&session).await;
        let wait = call(1, "wait", json!({}));
        let waiting = match is_modern {
            true => wire.modern(wait).await,
            false => wire.legacy(&session, &wait).await,
        };
        stub.started(1).await;
        stop.cancel();
        for request in [
            post(&initialize(mcp_wire::LEGACY)),
            modern(call(2, "quick", json!({}))),
            legacy(&session, &call(2, "quick", json!({}))),
            get(&session, None),
        ] {
            let reply = wire.send(request).await;
            assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(reply.header("retry-after"), "2");
        }
        stub.release();
        let answer = waiting.answer().await;
        assert_eq!(
            answer["result"]["content"][0]["text"], "released",
            "{answer}"
        );
        assert_eq!(listening.message().await, None);
        assert_eq!(stub.cancelled_so_far(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_does_not_hold_up_the_end_forever() {
    let stub = Stub::new();
    let stop = CancellationToken::new();
    let wire = Wire::direct(router(
        stub.clone(),
        StreamableConfig::default(),
        stop.clone(),
    ));
    let session = wire.session().await;
    let stream = tokio::spawn(listen(
        wire.legacy(&session, &call(1, "wait", json!({}))).await,
    ));
    stub.started(1).await;
    stop.cancel();
    let (_, messages) = stream.await.unwrap();
    assert_eq!(messages, Vec::<Value>::new());
    stub.cancelled(1).await;
}

async fn real(home: &Home) -> (Executions, Wire) {
    let executions = start(home.config()).await;
    let defaults = Defaults {
        heap_memory_max_mb: 8,
        execution_timeout_secs: 30,
    };
    let server = Server::for_callers(executions.whole.clone(), defaults);
    let config = keep_alive_often();
    let wire = Wire::loopback(router(server, config, CancellationToken::new())).await;
    (executions, wire)
}

/// The status of the only execution.
async fn status(wire: &Wire) -> Value {
    let list = wire
        .modern(call(9, "list_executions", json!({})))
        .await
        .answer()
        .await;
    list["result"]["structuredContent"]["executions"][0]["status"].clone()
}

async fn is_status(wire: &Wire, wanted: &str) {
    let began = Instant::now();
    while status(wire).await != wanted {
        assert!(began.elapsed() < support::PATIENCE, "it never was {wanted}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_its_client_in_the_stateless_era_alone() {
    let hang = || call(1, "run_js", json!({"code": "hang", "wait_ms": 50_000}));
    for is_modern in [false, true] {
        let home = Home::new();
        let (executions, wire) = real(&home).await;
        let session = wire.session().await;
        let reply = match is_modern {
            true => wire.modern(hang()).await,
            false => wire.legacy(&session, &hang()).await,
        };
        is_status(&wire, "running").await;
        drop(reply);
        if !is_modern {
            // The disconnect has been noticed when the stream takes no more comments.
            sleep(Duration::from_millis(200)).await;
            assert_eq!(status(&wire).await, "running");
            wire.legacy(&session, &cancel(1)).await;
        }
        is_status(&wire, "cancelled").await;
        executions.shut_down().await;
        eventually("all workers are gone", || children().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_waits_for_goes_on() {
    let home = Home::new();
    let (executions, wire) = real(&home).await;
    let session = wire.session().await;
    let accepted = wire
        .legacy(
            &session,
            &call(1, "run_js", json!({"code": "sleep 300\nfinish 7"})),
        )
        .await;
    let accepted = accepted.answer().await;
    assert!(
        accepted["result"]["structuredContent"]["execution_id"].is_string(),
        "{accepted}"
    );
    let ended = wire.send(mcp_wire::delete(&session)).await;
    assert!(ended.status.is_success());
    is_status(&wire, "completed").await;
    executions.shut_down().await;
}
