//! A server in need: many at once with nothing ready, and scripts that do not end.

use std::time::{Duration, Instant, SystemTime};

use e2e::home::Home;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::server::{send, settle, start_stateless};
use crate::statistics::{Distribution, millis, repeat};

/// Requests at once, right after the start of a server.
const BURST: usize = 100;
/// Bursts, each on a new server.
const BURSTS: usize = 5;
/// Scripts that do not end, so many of each at once: half of them compute, the others flood their
/// output with small or large pieces.
const ENDLESS: [&str; 4] = [
    "for (;;);",
    "for (;;) console.log(1)",
    "for (;;);",
    "for (;;) console.log('x'.repeat(60000))",
];
/// How many of each.
const OF_EACH: usize = 2;
/// Rounds of them.
const ROUNDS: usize = 25;
/// How long each may run, in seconds.
const TIMEOUT_SECS: u64 = 1;
/// How long these measurements may take together.
const BUDGET: Duration = Duration::from_secs(60);

/// How a burst went.
#[derive(Debug, Serialize)]
pub(crate) struct Burst {
    requests: usize,
    /// From the first request to the last answer, in milliseconds, of each burst.
    drained_ms: Vec<f64>,
    /// Requests that did not end well.
    pub(crate) errors: usize,
}

/// Sends as many requests at once as find no worker ready.
pub(crate) fn burst() -> Burst {
    let mut drained_ms = Vec::new();
    let mut errors = 0;
    for _ in 0..BURSTS {
        let home = Home::new();
        let mut server = start_stateless(&home, &["--max-concurrent-executions", "32"]);
        let begin = Instant::now();
        let calls: Vec<i64> = (0..BURST).map(|_| send(&mut server)).collect();
        for call in calls {
            let seen = server.called(call);
            errors += usize::from(seen["result"] != "2");
        }
        drained_ms.push(millis(begin.elapsed()));
        server.finish();
    }
    Burst {
        requests: BURST,
        drained_ms,
        errors,
    }
}

/// How long scripts that do not end are over their deadline when their client hears of it, with all that
/// is between: the kill, the reaping, the row in the store, the answer. More of them run than there are
/// cores, with short ones between them.
pub(crate) fn overshoot() -> Distribution {
    let home = Home::new();
    let mut server = start_stateless(&home, &["--max-concurrent-executions", "10"]);
    let mut over = Vec::new();
    repeat(ROUNDS, BUDGET, || {
        let codes = ENDLESS.iter().cycle().take(OF_EACH * ENDLESS.len());
        let calls: Vec<i64> = codes
            .map(|code| {
                let endless = json!({
                    "code": code, "wait_ms": 50_000, "execution_timeout_secs": TIMEOUT_SECS,
                });
                server.send_call("run_js", endless)
            })
            .collect();
        for _ in 0..OF_EACH * ENDLESS.len() {
            let call = send(&mut server);
            settle(&mut server, call);
        }
        for call in calls {
            let seen = server.called(call);
            assert_eq!(seen["status"], "timed_out", "{seen}");
            let took = since_start(&seen, server.answered_at());
            over.push(took.saturating_sub(Duration::from_secs(TIMEOUT_SECS)));
        }
    });
    server.finish();
    Distribution::new(over)
}

/// From the start of an execution, when its clock begins, to the answer that tells of its end: both by
/// the clock of this machine.
fn since_start(seen: &Value, answered_at: SystemTime) -> Duration {
    let started_at = seen["started_at"].as_str().expect("it has begun");
    let started_at: Timestamp = started_at.parse().expect("a time");
    let took = answered_at.duration_since(started_at.into());
    took.expect("the answer comes after the start")
}
