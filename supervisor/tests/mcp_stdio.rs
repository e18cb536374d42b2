//! The stdio transport over in-memory pipes, with a handler whose one tool sleeps: bad lines, the
//! end of the input, cancellation, a client that goes away.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::mcp_client::{Client, PIPE_BYTES, cancelled, initialize, modern_meta};
use mcp_v8::mcp::stdio::{LINE_BYTES_MAX, serve};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    ListToolsResult, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Sleeps for `ms`, or until it is cancelled.
#[derive(Clone, Default)]
struct Sleeper {
    cancelled: Arc<AtomicUsize>,
}

impl ServerHandler for Sleeper {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<rmcp::model::PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::default())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let ms = arguments.get("ms").and_then(Value::as_u64).unwrap_or(0);
        let bytes = arguments.get("bytes").and_then(Value::as_u64).unwrap_or(1);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = context.ct.cancelled() => {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
            }
        }
        let text = "x".repeat(usize::try_from(bytes).unwrap());
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

fn sleep(id: impl Into<Value>, ms: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": {
        "name": "sleep", "arguments": {"ms": ms},
    }})
}

fn ids(answers: &[Value]) -> Vec<i64> {
    let mut ids: Vec<i64> = answers
        .iter()
        .map(|answer| answer["id"].as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn bad_lines_are_answered_and_the_server_goes_on() {
    let mut client = Client::start(Sleeper::default());
    for (line, code) in [
        (b"nonsense\n".as_slice(), -32700),
        (b"{\"jsonrpc\":\"2.0\",\n", -32700),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}\n",
            -32700,
        ),
        (
            b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]\n",
            -32600,
        ),
        (b"\"text\"\n", -32600),
        (b"{\"id\":1}\n", -32600),
    ] {
        client.write(b"\n \r\n").await;
        client.write(line).await;
        let answer = client.hear().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer["error"]["message"].is_string(), "{answer}");
    }
    client.initialize().await;
    client.write(b"nonsense\n").await;
    let answer = client.hear().await;
    assert!(answer["id"].is_null() && answer.as_object().unwrap().contains_key("id"));
    client.say(sleep(7, 0)).await;
    assert_eq!(client.hear().await["id"], 7);
    client.end_input().await;
    assert!(client.hear_all().await.is_empty());
    client.ended_well().await;
}

#[tokio::test]
async fn a_line_of_the_limit_passes_and_one_more_byte_does_not() {
    let mut client = Client::start(Sleeper::default());
    client.initialize().await;
    for (extra, passes) in [(0, true), (1, false), (LINE_BYTES_MAX, false)] {
        let frame = sleep(3, 0).to_string().replace("\"sleep\"", "\"\"");
        let filler = "s".repeat(LINE_BYTES_MAX - frame.len() + extra);
        let line = frame.replace("\"name\":\"\"", &format!("\"name\":\"{filler}\""));
        assert_eq!(line.len(), LINE_BYTES_MAX + extra);
        client.write(line.as_bytes()).await;
        client.write(b"\n").await;
        let answer = client.hear().await;
        if passes {
            assert_eq!(answer["id"], 3, "{answer}");
        } else {
            assert_eq!(answer["error"]["code"], -32600, "{answer}");
            assert!(answer["id"].is_null(), "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains("longer than 16777216 bytes"), "{message}");
        }
    }
    client.end_input().await;
    client.ended_well().await;
}

#[tokio::test]
async fn messages_before_the_first_request_are_dropped_and_harm_nothing() {
    let mut client = Client::start(Sleeper::default());
    for message in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
        json!({"jsonrpc": "2.0", "id": 5, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 5, "error": {"code": 1, "message": "x"}}),
        json!({"jsonrpc": "2.0", "method": "something/else"}),
    ] {
        client.say(message).await;
    }
    client
        .say(json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
        .await;
    assert_eq!(
        client.hear().await,
        json!({"jsonrpc": "2.0", "id": 1, "result": {}})
    );
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        .await;
    client
        .say(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}))
        .await;
    assert_eq!(client.hear().await["error"]["code"], -32602);
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        .await;
    client.initialize().await;
    client.say(sleep(3, 0)).await;
    assert_eq!(client.hear().await["id"], 3);
    client.end_input().await;
    client.ended_well().await;
}

#[tokio::test(start_paused = true)]
async fn everything_read_before_the_end_of_the_input_is_answered() {
    let sleeper = Sleeper::default();
    let mut client = Client::start(sleeper.clone());
    let mut input = String::new();
    for message in [
        initialize(0),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        sleep(1, 20_000),
        sleep(2, 50_000),
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}),
    ] {
        input.push_str(&format!("{message}\n"));
    }
    // The last line has no end.
    input.push_str(&sleep(4, 7_000).to_string());
    let start = Instant::now();
    client.write(input.as_bytes()).await;
    client.end_input().await;
    let answers = client.hear_all().await;
    assert_eq!(ids(&answers), [0, 1, 2, 3, 4]);
    assert!(
        answers.iter().all(|answer| answer["error"].is_null()),
        "{answers:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(51),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(sleeper.cancelled.load(Ordering::SeqCst), 0);
    client.ended_well().await;
}

#[tokio::test]
async fn an_empty_input_ends_well() {
    let mut client = Client::start(Sleeper::default());
    client.end_input().await;
    assert!(client.hear_all().await.is_empty());
    client.ended_well().await;
    let mut client = Client::start(Sleeper::default());
    client.write(b"{\"jsonrpc\":").await;
    client.end_input().await;
    let answers = client.hear_all().await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["error"]["code"], -32700);
    client.ended_well().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_is_not_answered_and_not_awaited() {
    let sleeper = Sleeper::default();
    let mut client = Client::start(sleeper.clone());
    client.initialize().await;
    client.say(sleep(1, 40_000)).await;
    client.say(sleep("1", 1_000)).await;
    let cancel = cancelled(1);
    client.say(cancel.clone()).await;
    client.say(cancel).await;
    let start = Instant::now();
    client.end_input().await;
    let answers = client.hear_all().await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["id"], "1");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(sleeper.cancelled.load(Ordering::SeqCst), 1);
    client.ended_well().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_in_use_is_refused_and_both_are_answered() {
    let mut client = Client::start(Sleeper::default());
    client.initialize().await;
    client.say(sleep(1, 1_000)).await;
    client.say(sleep(1, 0)).await;
    let refused = client.hear().await;
    assert_eq!(refused["id"], 1);
    assert_eq!(refused["error"]["code"], -32600);
    let answer = client.hear().await;
    assert_eq!(answer["id"], 1);
    assert!(answer["result"].is_object(), "{answer}");
    client.say(sleep(1, 0)).await;
    assert!(
        client.hear().await["result"].is_object(),
        "an id is free once it was answered"
    );
    client.end_input().await;
    client.ended_well().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_reads_no_more_and_answers_what_was_read() {
    let mut client = Client::start(Sleeper::default());
    client.initialize().await;
    client.say(sleep(1, 8_000)).await;
    client
        .say(json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}))
        .await;
    assert_eq!(client.hear().await["id"], 2);
    client.stop.cancel();
    tokio::time::sleep(Duration::from_millis(1)).await;
    client.say(sleep(3, 0)).await;
    let answers = client.hear_all().await;
    assert_eq!(ids(&answers), [1]);
    client.ended_well().await;
}

#[tokio::test]
async fn a_client_that_closes_its_end_ends_the_conversation() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (input, mut to) = tokio::io::duplex(PIPE_BYTES);
    let server = tokio::spawn(serve(
        Sleeper::default(),
        input,
        far,
        CancellationToken::new(),
    ));
    to.write_all(format!("{}\n", initialize(0)).as_bytes())
        .await
        .unwrap();
    drop(near);
    // The input stays open: only a write tells that nobody listens.
    to.write_all(format!("{}\n", sleep(1, 0)).as_bytes())
        .await
        .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), server).await;
    ended.expect("it does not hang").unwrap().unwrap();
}

#[tokio::test]
async fn many_more_requests_than_may_be_in_flight_are_all_answered() {
    const REQUESTS: i64 = 3_000;
    let mut client = Client::start(Sleeper::default());
    client.initialize().await;
    let mut to = client.to.take().unwrap();
    let saying = tokio::spawn(async move {
        for id in 1..=REQUESTS {
            to.write_all(format!("{}\n", sleep(id, 5)).as_bytes())
                .await
                .unwrap();
        }
        to.shutdown().await.unwrap();
    });
    let answers = client.hear_all().await;
    saying.await.unwrap();
    assert_eq!(ids(&answers), (1..=REQUESTS).collect::<Vec<_>>());
    client.ended_well().await;
}

#[tokio::test]
async fn large_answers_are_never_mixed_up() {
    let mut client = Client::start(Sleeper::default());
    client.initialize().await;
    for id in 1..=20 {
        client
            .say(
                json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
                    "name": "sleep", "arguments": {"bytes": 500_000},
                }}),
            )
            .await;
    }
    client.end_input().await;
    let answers = client.hear_all().await;
    assert_eq!(ids(&answers), (1..=20).collect::<Vec<_>>());
    client.ended_well().await;
}

#[tokio::test]
async fn the_stateless_era_is_served_beside_the_old_one() {
    let meta = modern_meta();
    let mut client = Client::start(Sleeper::default());
    client
        .say(
            json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover",
                    "params": {"_meta": meta}}),
        )
        .await;
    let discovered = client.hear().await;
    let versions = discovered["result"]["supportedVersions"]
        .as_array()
        .unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    // A discovery alone opens nothing: a notification must still do no harm.
    client
        .say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled"}))
        .await;
    let mut call = sleep(2, 60_000);
    call["params"]["_meta"] = meta;
    client.say(call.clone()).await;
    call["id"] = json!(3);
    call["params"]["arguments"]["ms"] = json!(0);
    client.say(call).await;
    let answer = client.hear().await;
    assert_eq!(answer["id"], 3);
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    client
        .say(
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                    "params": {"requestId": 2}}),
        )
        .await;
    client.end_input().await;
    assert!(client.hear_all().await.is_empty());
    client.ended_well().await;
}

#[tokio::test]
async fn a_real_client_is_served() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (reader, writer) = tokio::io::split(far);
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(Sleeper::default(), reader, writer, stop));
    let client = ().serve(near).await.unwrap();
    let result = client
        .call_tool(CallToolRequestParams::new("sleep"))
        .await
        .unwrap();
    assert_eq!(result.is_error, Some(false));
    assert!(client.list_all_tools().await.unwrap().is_empty());
    client.cancel().await.unwrap();
    server.await.unwrap().unwrap();
}
