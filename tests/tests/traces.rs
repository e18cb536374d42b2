//! Traces over OTLP: what a collector gets, and what becomes of a server whose collector is away.

use std::fs;
use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::http::HttpServer;
use e2e::processes;
use e2e::server::{PATIENCE, Server};
use e2e::web::Web;
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use ureq::http::Request;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The phases that every execution goes through that keeps nothing.
const PHASES: [&str; 4] = ["queue", "worker", "run", "store"];

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All spans that the collector has got.
fn spans(collector: &Web) -> Vec<Span> {
    let posted = collector.seen().into_iter();
    let posted = posted.filter(|asked| asked.path == "/v1/traces");
    let requests = posted.map(|asked| {
        assert_eq!(asked.header("content-type"), ["application/x-protobuf"]);
        ExportTraceServiceRequest::decode(asked.body.as_slice()).expect("OTLP")
    });
    requests
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

/// The spans of the caller's trace, once there is one of this name.
fn spans_with(collector: &Web, name: &str) -> Vec<Span> {
    let of_trace = || {
        let all = spans(collector).into_iter();
        all.filter(|span| hex(&span.trace_id) == TRACE)
            .collect::<Vec<_>>()
    };
    let came = processes::within(PATIENCE, || of_trace().iter().any(|span| span.name == name));
    assert!(came, "no span {name}: {:?}", of_trace());
    of_trace()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no span {name} among {spans:?}"))
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|known| known.key == name);
    let value = found.and_then(|found| found.value.as_ref()?.value.clone());
    match value {
        Some(Text::StringValue(text)) => text,
        Some(Text::IntValue(number)) => number.to_string(),
        other => panic!("no {name} in {span:?}: {other:?}"),
    }
}

fn post(server: &HttpServer, traceparent: &str, code: &str) -> Value {
    let request = Request::post(server.url("/api/exec"))
        .header("content-type", "application/json")
        .header("traceparent", traceparent)
        .body(json!({"code": code, "wait_ms": 50_000}).to_string());
    server.ask(request.expect("a request")).json()
}

fn serve(home: &Home, arguments: &[&str]) -> HttpServer {
    let mut command = home.stateless_server("mcp-v8-worker");
    command.args(["--http-port", "0"]).args(arguments);
    HttpServer::spawn(command)
}

#[test]
fn an_execution_is_a_part_of_its_callers_trace_from_request_to_fetch() {
    let (home, collector, web) = (Home::new(), Web::start(), Web::start());
    let policies = home.path("policies");
    fs::create_dir(&policies).expect("a directory in our own");
    let policy = "package mcp.fetch\ndefault allow := true\n";
    fs::write(policies.join("fetch.rego"), policy).expect("a file in our own directory");
    let headers = home.path("headers");
    fs::write(&headers, "# ours\nX-Key: of-the-collector\n").expect("a file in our own directory");
    let endpoint = collector.url("");
    let server = serve(
        &home,
        &[
            "--otlp-endpoint",
            &endpoint,
            "--otlp-headers-file",
            "headers",
            "--policy-dir",
            "policies",
            "--fetch-allow-private",
        ],
    );
    let code = format!(
        "const secret = 'of-the-script'; await (await fetch('{}')).text()",
        web.url("/text")
    );
    let ran = post(&server, &traceparent("01"), &code);
    assert_eq!(ran["status"], "completed", "{ran}");
    let spans = spans_with(&collector, "request");
    let request = named(&spans, "request");
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(attribute(request, "http.route"), "/api/exec");
    assert_eq!(attribute(request, "http.request.method"), "POST");
    assert_eq!(attribute(request, "http.response.status_code"), "200");
    let spans = spans_with(&collector, "execution");
    let execution = named(&spans, "execution");
    assert_eq!(execution.parent_span_id, request.span_id);
    assert_eq!(attribute(execution, "id"), ran["execution_id"]);
    assert_eq!(attribute(execution, "tenant"), "local");
    assert_eq!(attribute(execution, "status"), "completed");
    for phase in PHASES {
        let span = named(&spans, phase);
        assert_eq!(span.parent_span_id, execution.span_id, "{phase}");
        assert!(span.start_time_unix_nano >= execution.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= execution.end_time_unix_nano);
    }
    let fetch = named(&spans, "fetch");
    assert_eq!(fetch.parent_span_id, execution.span_id);
    let policy = named(&spans, "policy");
    assert_eq!(policy.parent_span_id, fetch.span_id);
    assert_eq!(attribute(policy, "decision"), "allowed");
    // What the script asked for knows nothing of it, and neither does the collector of the script.
    let asked = web.seen();
    assert!(asked[0].header("traceparent").is_empty(), "{asked:?}");
    for posted in collector.seen() {
        assert_eq!(posted.header("x-key"), ["of-the-collector"]);
        let body = String::from_utf8_lossy(&posted.body).into_owned();
        assert!(!body.contains("of-the-script"), "code is in a trace");
    }
}

#[test]
fn a_call_of_mcp_is_a_part_of_the_trace_that_its_meta_names() {
    let (home, collector) = (Home::new(), Web::start());
    let endpoint = collector.url("/v1/traces");
    let mut command = home.stateless_server("mcp-v8-worker");
    command.args(["--otlp-endpoint", &endpoint]);
    let mut server = Server::spawn(command);
    server.initialize();
    let called = server.ask(
        "tools/call",
        json!({
            "name": "run_js",
            "arguments": {"code": "1 + 1", "wait_ms": 50_000},
            "_meta": {"traceparent": traceparent("01")},
        }),
    );
    assert_eq!(called["structuredContent"]["result"], "2", "{called}");
    // The last spans are sent when the server ends.
    server.finish();
    let spans = spans_with(&collector, "execution");
    let call = named(&spans, "tools/call");
    assert_eq!(hex(&call.parent_span_id), CALLER);
    assert_eq!(attribute(call, "gen_ai.tool.name"), "run_js");
    let execution = named(&spans, "execution");
    assert_eq!(execution.parent_span_id, call.span_id);
}

#[test]
fn a_caller_decides_on_its_trace_and_the_ratio_on_all_others() {
    let (home, collector) = (Home::new(), Web::start());
    let endpoint = collector.url("");
    let mut server = serve(
        &home,
        &["--otlp-endpoint", &endpoint, "--otlp-sample-ratio", "0"],
    );
    server.run("1");
    post(&server, &traceparent("00"), "2");
    post(&server, "00-nonsense-01", "3");
    let ran = post(&server, &traceparent("01"), "4");
    server.process.signal(Signal::SIGTERM);
    server.process.wait_exit(PATIENCE);
    let executions = spans(&collector).into_iter();
    let executions: Vec<_> = executions.filter(|span| span.name == "execution").collect();
    assert_eq!(executions.len(), 1, "{executions:?}");
    assert_eq!(attribute(&executions[0], "id"), ran["execution_id"]);
}

#[test]
fn a_collector_that_is_away_costs_nothing_and_is_told_once() {
    let home = Home::new();
    // Nobody listens there.
    let mut server = serve(&home, &["--otlp-endpoint", "http://127.0.0.1:1"]);
    for _ in 0..20 {
        assert_eq!(server.run("1")["result"], "1");
    }
    let told = || {
        server
            .process
            .log()
            .contains("the trace collector takes no spans")
    };
    assert!(
        processes::within(PATIENCE, told),
        "{}",
        server.process.log()
    );
    server.run("1");
    let begin = Instant::now();
    server.process.signal(Signal::SIGTERM);
    assert!(server.process.wait_exit(PATIENCE).success());
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    let log = server.process.log();
    let times = log.matches("the trace collector takes no spans").count();
    assert_eq!(times, 1, "{log}");
}

#[test]
fn headers_that_cannot_be_read_refuse_the_start_and_are_not_shown() {
    let home = Home::new();
    fs::write(
        home.path("headers"),
        "good: value\nsecret-without-a-colon\n",
    )
    .expect("a file");
    let mut command = home.stateless_server("mcp-v8-worker");
    command.args(["--otlp-endpoint", "http://127.0.0.1:1"]);
    command.args(["--otlp-headers-file", "headers"]);
    let output = command.output().expect("it can be executed");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("line 2 of headers is not a header"), "{text}");
    assert!(!text.contains("secret-without"), "{text}");
}
