//! The MCP library's own client against the real server, in both eras of the protocol.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::home::Home;
use e2e::server::{LEGACY_PROTOCOL, MODERN_PROTOCOL};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientRequest, ProgressNotificationParam,
    ProtocolVersion, Request, ServerResult,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, NotificationContext, PeerRequestOptions,
    RunningService,
};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Value, json};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that notes the progress that it is told.
#[derive(Clone, Default)]
struct Client {
    progress: Arc<Mutex<Vec<ProgressNotificationParam>>>,
}

impl ClientHandler for Client {
    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.progress.lock().expect("nobody panicked").push(params);
    }
}

/// Every way to open a conversation, and the version that comes of it.
fn eras() -> [(ClientLifecycleMode, &'static str); 3] {
    let modern = || vec![ProtocolVersion::V_2026_07_28];
    [
        (ClientLifecycleMode::Initialize, LEGACY_PROTOCOL),
        (
            ClientLifecycleMode::Discover {
                preferred_versions: modern(),
            },
            MODERN_PROTOCOL,
        ),
        (
            ClientLifecycleMode::Auto {
                preferred_versions: modern(),
                legacy_version: None,
            },
            MODERN_PROTOCOL,
        ),
    ]
}

async fn connect(home: &Home, era: ClientLifecycleMode) -> RunningService<RoleClient, Client> {
    let transport =
        TokioChildProcess::new(tokio::process::Command::from(home.server("mcp-v8-worker")))
            .expect("the server can be executed");
    tokio::time::timeout(
        PATIENCE,
        Client::default().serve_with_lifecycle(transport, era),
    )
    .await
    .expect("in time")
    .expect("a conversation")
}

async fn call(
    client: &RunningService<RoleClient, Client>,
    tool: &'static str,
    arguments: Value,
) -> CallToolResult {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object: {arguments}");
    };
    let params = CallToolRequestParams::new(tool).with_arguments(arguments);
    let called = tokio::time::timeout(PATIENCE, client.call_tool(params)).await;
    called.expect("in time").expect("an answer")
}

fn value(result: &CallToolResult) -> &Value {
    assert_ne!(result.is_error, Some(true), "{result:?}");
    result
        .structured_content
        .as_ref()
        .expect("structured content")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_life_of_an_execution_in_every_era() {
    for (era, version) in eras() {
        let home = Home::new();
        let client = connect(&home, era).await;
        let info = client.peer_info().expect("the server has said who it is");
        assert_eq!(info.protocol_version.as_str(), version);
        assert!(info.capabilities.tools.is_some());
        assert!(
            info.instructions
                .as_deref()
                .is_some_and(|text| text.contains("run_js"))
        );

        let tools = client.list_all_tools().await.expect("a list");
        let mut names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        names.sort_unstable();
        let wanted = [
            "cancel_execution",
            "delete_heap_tags",
            "get_execution",
            "get_execution_output",
            "get_heap_tags",
            "list_executions",
            "list_session_snapshots",
            "list_sessions",
            "query_heaps_by_tags",
            "run_js",
            "set_heap_tags",
        ];
        assert_eq!(names, wanted);
        for tool in &tools {
            assert!(tool.output_schema.is_some(), "{}", tool.name);
            assert!(tool.annotations.is_some(), "{}", tool.name);
            assert!(
                tool.description
                    .as_deref()
                    .is_some_and(|text| text.len() <= 2048)
            );
        }

        let code = "const xs: number[] = [1, 2, 3]; console.log(xs); xs.reduce((a, b) => a + b)";
        let result = call(&client, "run_js", json!({"code": code, "wait_ms": 30_000})).await;
        let seen = value(&result);
        assert_eq!(seen["result"], "6", "{seen}");
        assert_eq!(seen["output"]["data"], "[ 1, 2, 3 ]");
        let id = seen["execution_id"].clone();
        let result = call(&client, "get_execution", json!({"execution_id": id})).await;
        assert_eq!(value(&result)["status"], "completed");
        let result = call(&client, "get_execution_output", json!({"execution_id": id})).await;
        assert_eq!(value(&result)["total_lines"], 1);
        let result = call(&client, "cancel_execution", json!({"execution_id": id})).await;
        assert_eq!(result.is_error, Some(true), "{result:?}");
        let result = call(&client, "list_executions", json!({})).await;
        assert_eq!(value(&result)["executions"][0]["execution_id"], id);

        let unknown = client
            .call_tool(CallToolRequestParams::new("run_python"))
            .await;
        assert!(unknown.is_err(), "{unknown:?}");
        client.cancel().await.expect("a clean end");
        home.assert_empty();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_comes_and_a_cancelled_request_kills_its_execution() {
    for (era, version) in eras() {
        let home = Home::new();
        let client = connect(&home, era).await;
        let code = json!({"code": "for (;;) {}", "wait_ms": 40_000});
        let params = CallToolRequestParams::new("run_js")
            .with_arguments(code.as_object().expect("an object").clone());
        // The library gives every request a progress token.
        let handle = client
            .send_cancellable_request(
                ClientRequest::CallToolRequest(Request::new(params)),
                PeerRequestOptions::no_options(),
            )
            .await
            .expect("sent");
        let told = || {
            client
                .service()
                .progress
                .lock()
                .expect("nobody panicked")
                .len()
        };
        let until = tokio::time::Instant::now() + PATIENCE;
        while told() < 2 {
            assert!(
                tokio::time::Instant::now() < until,
                "{version}: no progress"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let reason = Some("test".to_owned());
        handle.cancel(reason).await.expect("sent");
        loop {
            let result = call(&client, "list_executions", json!({"status": "cancelled"})).await;
            if value(&result)["executions"]
                .as_array()
                .is_some_and(|found| found.len() == 1)
            {
                break;
            }
            assert!(tokio::time::Instant::now() < until, "{version}: it goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        client.cancel().await.expect("a clean end");
        home.assert_empty();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_over_one_client() {
    let home = Home::new();
    let client = connect(&home, eras()[1].0.clone()).await;
    let peer = client.peer().clone();
    let calls: Vec<_> = (0..32)
        .map(|n| {
            let peer = peer.clone();
            tokio::spawn(async move {
                let arguments = json!({"code": format!("{n} * 2"), "wait_ms": 50_000});
                let params = CallToolRequestParams::new("run_js")
                    .with_arguments(arguments.as_object().expect("an object").clone());
                let request = ClientRequest::CallToolRequest(Request::new(params));
                match peer.send_request(request).await.expect("an answer") {
                    ServerResult::CallToolResult(result) => value(&result)["result"].clone(),
                    other => panic!("{other:?}"),
                }
            })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.expect("no panic"), (n * 2).to_string());
    }
    client.cancel().await.expect("a clean end");
    home.assert_empty();
}
