//! Many executions in a row and at once: what the server takes stays flat.
//!
//! `MCP_E2E_SOAK` sets the number of real executions (default [`REAL_DEFAULT`], because each start of
//! a real worker costs some 30 ms of CPU); [`SCRIPTED`] more go through a worker without V8.

use std::time::Duration;

use e2e::home::Home;
use e2e::hostile::script;
use e2e::processes::{self, Usage};
use e2e::server::{PATIENCE, Server, is_final};
use serde_json::{Value, json};

/// Executions with the real worker when nobody says.
const REAL_DEFAULT: usize = 1_000;
/// Executions with a worker that runs no V8.
const SCRIPTED: usize = 10_000;
/// Executions that are under way at once.
const AT_ONCE: usize = 64;
/// Memory that the server may take more at the end than after its warm-up, in bytes: caches of the
/// database and of the allocator that are not yet full.
const GROWTH_BYTES_MAX: u64 = 24 << 20;
/// Descriptors that may be open more at the end than after the warm-up.
const GROWTH_DESCRIPTORS_MAX: usize = 8;

fn real_executions() -> usize {
    match std::env::var("MCP_E2E_SOAK") {
        Ok(number) => number.parse().expect("MCP_E2E_SOAK is a number"),
        Err(_) => REAL_DEFAULT,
    }
}

/// What one execution is, and what it must become.
struct Work {
    code: String,
    status: &'static str,
    result: Option<String>,
}

/// Runs `count` pieces of work, [`AT_ONCE`] under way at any time, each checked.
fn run_many(server: &mut Server, count: usize, work: impl Fn(usize) -> Work) {
    let mut under_way = std::collections::VecDeque::new();
    for n in 0..count {
        if under_way.len() == AT_ONCE {
            settle(server, under_way.pop_front());
        }
        let work = work(n);
        let arguments = json!({"code": work.code, "wait_ms": 50_000, "execution_timeout_secs": 20});
        under_way.push_back((server.send_call("run_js", arguments), work));
    }
    while !under_way.is_empty() {
        settle(server, under_way.pop_front());
    }
}

fn settle(server: &mut Server, next: Option<(i64, Work)>) {
    let Some((call, work)) = next else { return };
    let seen = server.called(call);
    assert!(is_final(&seen), "{seen}");
    assert_eq!(seen["status"], work.status, "{}: {seen}", work.code);
    assert_eq!(seen["result"].as_str(), work.result.as_deref(), "{seen}");
}

fn assert_flat(warm: Usage, end: Usage) {
    assert_eq!(end.children, 0, "{end:?}");
    let descriptors = end.descriptors <= warm.descriptors + GROWTH_DESCRIPTORS_MAX;
    assert!(descriptors, "descriptors leak: {warm:?} {end:?}");
    assert!(
        end.threads <= warm.threads + 8,
        "threads leak: {warm:?} {end:?}"
    );
    let grown = end.resident_bytes.saturating_sub(warm.resident_bytes);
    assert!(grown <= GROWTH_BYTES_MAX, "memory leaks: {warm:?} {end:?}");
}

/// Pages through the whole list; how many there are of each status.
fn rows(server: &mut Server) -> std::collections::BTreeMap<String, usize> {
    let mut counts = std::collections::BTreeMap::new();
    let mut cursor = Value::Null;
    loop {
        let page = server.call("list_executions", json!({"limit": 1000, "cursor": cursor}));
        for execution in page["executions"].as_array().expect("a list") {
            let status = execution["status"].as_str().unwrap_or_default();
            *counts.entry(status.to_owned()).or_default() += 1;
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return counts;
        }
    }
}

#[test]
fn real_executions_in_a_row_and_at_once_leave_nothing() {
    let count = real_executions();
    let home = Home::new();
    let mut server = home.start();
    let work = |n: usize| Work {
        code: format!("console.log('n', {n}); {n} + 1"),
        status: "completed",
        result: Some((n + 1).to_string()),
    };
    let warm_up = count / 5;
    run_many(&mut server, warm_up, work);
    let warm = server.usage();
    run_many(&mut server, count / 2 - warm_up, work);
    for n in count / 2..count {
        let seen = server.run(&work(n).code);
        assert_eq!(seen["result"], (n + 1).to_string());
    }
    assert_flat(warm, server.usage());
    let rows = rows(&mut server);
    assert_eq!(rows.get("completed"), Some(&count), "{rows:?}");
    assert_eq!(rows.len(), 1, "{rows:?}");
    server.finish();
    home.assert_empty();
}

#[test]
fn ten_thousand_conversations_with_hostile_ones_among_them_leave_nothing() {
    const HOSTILE: [(&str, &str); 7] = [
        ("exit=3", "failed"),
        ("signal=SIGSEGV", "failed"),
        ("garbage sleep", "failed"),
        ("torn exit=0", "failed"),
        ("finished sleep", "completed"),
        ("close exit=0", "failed"),
        ("words=some-words exit=70", "failed"),
    ];
    let home = Home::new();
    home.hostile("worker", "hello obey");
    let mut command = home.server("worker");
    command.args(["--max-concurrent-executions", "16"]);
    let mut server = Server::spawn(command);
    server.initialize();
    let work = |n: usize| {
        if !n.is_multiple_of(10) {
            return Work {
                code: n.to_string(),
                status: "completed",
                result: Some(n.to_string()),
            };
        }
        let (steps, status) = HOSTILE[n / 10 % HOSTILE.len()];
        Work {
            code: script(steps),
            status,
            result: (status == "completed").then(|| "ok".to_owned()),
        }
    };
    run_many(&mut server, SCRIPTED / 5, work);
    let warm = server.usage();
    run_many(&mut server, SCRIPTED - SCRIPTED / 5, work);
    assert_flat(warm, server.usage());
    let rows = rows(&mut server);
    assert_eq!(rows.values().sum::<usize>(), SCRIPTED, "{rows:?}");
    server.finish();
    home.assert_empty();
}

#[test]
fn a_storm_of_cancels_leaves_nothing() {
    let home = Home::new();
    home.hostile("worker", "hello obey");
    let mut command = home.server("worker");
    command.args(["--max-concurrent-executions", "8"]);
    let mut server = Server::spawn(command);
    server.initialize();
    server.run("warm");
    let warm = server.usage();
    for round in 0..20_u64 {
        let ids: Vec<String> = (0..AT_ONCE)
            .map(|n| {
                server.submit(&script(if n % 2 == 0 {
                    "sleep"
                } else {
                    "finished sleep"
                }))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(round % 6));
        let calls: Vec<i64> = ids
            .iter()
            .map(|id| server.send_call("cancel_execution", json!({"execution_id": id})))
            .collect();
        for (call, id) in calls.into_iter().zip(&ids) {
            let refused = server.answer(call)["result"]["isError"] == true;
            let status = server.get(id)["status"].clone();
            let wanted = if refused { "completed" } else { "cancelled" };
            assert_eq!(status, wanted);
        }
    }
    assert!(processes::within(PATIENCE, || server.usage().children == 0));
    assert_flat(warm, server.usage());
    server.finish();
    home.assert_empty();
}
