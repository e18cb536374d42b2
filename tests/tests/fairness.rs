//! A tenant that floods, and one that wants little, over the real programs. Counted in executions; how
//! long the quiet one waits is printed, not judged: `cargo nextest run -p e2e --test fairness
//! --no-capture`.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a test says what it has measured")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::tenants_parts::{FIRST, SECOND, token_file, write_tokens};
use e2e::home::Home;
use e2e::http::{Client, HttpServer};
use e2e::processes;
use e2e::server::PATIENCE;
use serde_json::{Value, json};

const SLOTS: usize = 2;
/// What the flood runs, and the quiet tenant too.
const SCRIPT: &str = "let n = 0; for (let i = 0; i < 200000; i++) n += i; n";
const QUIET_RUNS: usize = 20;

/// How long each of these runs of one client after another took.
fn runs(client: &Client) -> Vec<(Duration, Value)> {
    let one = |_| {
        let begun = Instant::now();
        let view = client.run(SCRIPT);
        assert_eq!(view["status"], "completed", "{view}");
        (begun.elapsed(), view)
    };
    (0..QUIET_RUNS).map(one).collect()
}

fn p95(runs: &[(Duration, Value)]) -> Duration {
    let mut times: Vec<Duration> = runs.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    times[times.len() * 95 / 100]
}

#[test]
fn a_flood_of_one_tenant_leaves_its_turn_to_another() {
    let home = Home::new();
    let tokens = token_file(&home);
    let slots = SLOTS.to_string();
    let arguments = [
        "--auth-tokens",
        &tokens,
        "--max-concurrent-executions",
        &slots,
    ];
    let server = HttpServer::start(&home, &arguments);
    let (loud, quiet) = (server.with_token(FIRST), server.with_token(SECOND));
    let alone = runs(&quiet);
    let is_over = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let accepted = loud.post("/api/exec", &json!({"code": SCRIPT})).status;
                    assert!([202, 429].contains(&accepted), "{accepted}");
                }
            });
        }
        // The flood has all the queue that it may have.
        let is_full = || {
            loud.post("/api/exec", &json!({"code": SCRIPT}))
                .error_code()
                == "tenant_full"
        };
        let came = processes::within(PATIENCE, is_full);
        let beside = came.then(|| runs(&quiet));
        is_over.store(true, Ordering::Relaxed);
        beside
    });
    let beside = beside.expect("the flood fills its part of the queue");
    // Of the flood, by when they began.
    let list = loud.get("/api/executions?limit=1000").json();
    let begun: Vec<String> = list["executions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["started_at"].as_str().map(str::to_owned))
        .collect();
    let mut behind = Vec::new();
    for (_, view) in &beside {
        let from = view["submitted_at"].as_str().expect("a time");
        let to = view["started_at"].as_str().expect("a time");
        behind.push(
            begun
                .iter()
                .filter(|at| from < at.as_str() && at.as_str() < to)
                .count(),
        );
    }
    eprintln!(
        "quiet tenant: p95 {:?} alone, {:?} beside a flood; executions of the flood that began while it \
         waited: {behind:?}",
        p95(&alone),
        p95(&beside)
    );
    // Its turn is next: at most one for each slot that was being given away when it came.
    assert!(behind.iter().all(|others| *others <= SLOTS), "{behind:?}");
}

#[test]
fn limits_of_the_file_of_tokens_are_of_one_tenant() {
    let home = Home::new();
    let text = std::fs::read_to_string(token_file(&home)).expect("a file");
    let limits = "[[tenants]]\ntenant = \"first\"\nlimits = { executions_per_minute = 1, heap_memory_max_mb = 8 }\n";
    let tokens = write_tokens(&home, &format!("{text}{limits}"));
    let log = home.path("audit.log").display().to_string();
    let server = HttpServer::start(&home, &["--auth-tokens", &tokens, "--audit-log", &log]);
    let (first, second) = (server.with_token(FIRST), server.with_token(SECOND));
    let large = json!({"code": "1", "heap_memory_max_mb": 16});
    let refused = first.post("/api/exec", &large);
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("up to 8 MB"), "{}", refused.body);
    assert_eq!(first.run("1")["result"], "1");
    assert_eq!(
        first.post("/api/exec", &json!({"code": "1"})).error_code(),
        "quota_exceeded"
    );
    for _ in 0..3 {
        assert_eq!(second.run("2")["result"], "2");
    }
    assert_eq!(
        server
            .with_token("mcpv8_nobodys")
            .get("/api/executions")
            .status,
        401
    );
    let noted = || std::fs::read_to_string(&log).expect("a log");
    let has = |what: &str| processes::within(PATIENCE, || noted().contains(what));
    assert!(
        has("\"event\":\"authentication_failed\",\"reason\":\"bad_token\""),
        "{}",
        noted()
    );
    // The beginning of the token's hash, and how it came.
    assert!(
        has("\"tenant\":\"second\",\"token\":\"292ba12a2525\",\"transport\":\"rest\""),
        "{}",
        noted()
    );
    assert!(!noted().contains("mcpv8_"), "{}", noted());
}
