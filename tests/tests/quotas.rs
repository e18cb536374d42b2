//! Quotas over the real programs.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

use e2e::home::Home;
use e2e::http::HttpServer;
use serde_json::json;

/// Prints a MiB and a half.
const TALK: &str =
    "const line = 'x'.repeat(1023); for (let i = 0; i < 1536; i++) console.log(line);";

/// Computes for two seconds of the processor.
const COMPUTE: &str = "let n = 0; for (;;) { n++ }";

#[test]
fn executions_a_minute_are_refused_with_a_time_over_both_transports() {
    let home = Home::new();
    let server = HttpServer::start(&home, &["--tenant-executions-per-minute", "2"]);
    for _ in 0..2 {
        assert_eq!(server.run("1 + 1")["result"], "2");
    }
    let refused = server.post("/api/exec", &json!({"code": "1"}));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (429, "quota_exceeded")
    );
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=61).contains(&after), "{refused:?}");
    let message = refused.json()["error"]["message"].to_string();
    for part in [
        "executions_per_minute",
        "2 executions a minute",
        "try again in",
        "nothing was accepted",
    ] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    // What only looks is not counted.
    assert_eq!(server.get("/api/executions").status, 200);
    drop(server);
    let mut stdio = home.start_with(&["--tenant-executions-per-minute", "1"]);
    stdio.initialize();
    stdio.run("1");
    let told = stdio.refused("run_js", json!({"code": "1"}));
    assert!(
        told.contains("the quota executions_per_minute is used up"),
        "{told}"
    );
}

#[test]
fn cpu_seconds_are_measured_and_remembered_across_a_restart() {
    let home = Home::new();
    let limits = ["--tenant-cpu-seconds-per-hour", "1"];
    let server = HttpServer::start(&home, &limits);
    let arguments = json!({"code": COMPUTE, "execution_timeout_secs": 2, "wait_ms": 50_000});
    let view = server.post("/api/exec", &arguments).json();
    assert_eq!(view["status"], "timed_out", "{view}");
    let usage = &view["usage"];
    // However busy the machine is, it had the processor for some of its time, and for no more than that.
    let cpu_ms = usage["cpu_ms"].as_u64().expect("CPU time");
    assert!(cpu_ms < 3_000, "{usage}");
    assert!(
        usage["peak_memory_bytes"].as_u64() > Some(1 << 20),
        "{usage}"
    );
    let id = view["execution_id"].as_str().expect("an id").to_owned();
    let mut used = cpu_ms;
    while used < 1_000 {
        let more = server.post("/api/exec", &arguments).json();
        used += more["usage"]["cpu_ms"].as_u64().expect("CPU time");
    }
    let refused = || {
        let refused = server.post("/api/exec", &json!({"code": "1"}));
        (refused.status, refused.error_code())
    };
    // It is charged once its process is gone, which may be a moment after its end.
    assert!(e2e::processes::within(e2e::server::PATIENCE, || refused()
        .0
        == 429));
    drop(server);
    let server = HttpServer::start(&home, &limits);
    let refused = server.post("/api/exec", &json!({"code": "1"}));
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (429, "quota_exceeded")
    );
    assert!(
        refused.body.contains("cpu_seconds_per_hour"),
        "{}",
        refused.body
    );
    let kept = server.get(&format!("/api/executions/{id}")).json();
    assert_eq!(&kept["usage"], usage, "it is stored as it was told");
}

#[test]
fn output_beyond_the_quota_is_dropped_and_then_refused() {
    let home = Home::new();
    let server = HttpServer::start(&home, &["--tenant-output-mb-per-hour", "1"]);
    let view = server.run(TALK);
    assert_eq!(
        (&view["status"], &view["output_truncated"]),
        (&json!("completed"), &json!(true))
    );
    assert_eq!(view["output_bytes"], 1 << 20, "{view}");
    assert_eq!(view["usage"]["output_bytes"], 1 << 20);
    let refused = server.post("/api/exec", &json!({"code": "1"}));
    assert_eq!(refused.status, 429);
    assert!(
        refused.body.contains("output_mb_per_hour"),
        "{}",
        refused.body
    );
}

#[test]
fn a_heap_beyond_the_quota_is_not_kept_and_its_result_is() {
    let home = Home::new();
    let mut server = home.start_with(&["--tenant-stored-heap-mb", "1"]);
    server.initialize();
    // Random text does not compress.
    let fill = "var all = []; for (let i = 0; i < 60000; i++) all.push(Math.random()); all.length";
    let first = server.run(fill);
    assert!(first["heap"].is_string(), "{first}");
    let mut last = first;
    for _ in 0..8 {
        last = server.run(fill);
        if last["heap"].is_null() {
            break;
        }
    }
    assert_eq!(
        (&last["status"], &last["result"]),
        (&json!("completed"), &json!("60000"))
    );
    let why = last["heap_error"].as_str().expect("why");
    assert!(why.contains("stored_heap_mb"), "{why}");
}
