//! Workers that flood the server: what they say is endless, and nobody else may notice.

use std::time::{Duration, Instant};

use e2e::endurance::{WORKER, Way, assert_idle};
use e2e::home::Home;
use e2e::hostile::{OBEY, script};
use e2e::server::{Server, id_of};
use serde_json::json;

/// Workers that flood at once.
const FLOODS: usize = 4;
/// The deadline of floods, in seconds: whatever is asked meanwhile must be answered before.
const FLOOD_SECS: u64 = 10;
/// How late the end of a flood may be heard of on a busy machine. Where floods hold up the server it
/// takes as long as they please.
const LATENESS_MAX: Duration = Duration::from_secs(5);

/// A server whose executions all share one thread.
fn on_one_thread(home: &Home, way: Way) -> Server {
    home.hostile(WORKER, OBEY);
    let mut command = home.server(WORKER);
    command
        .env("TOKIO_WORKER_THREADS", "1")
        .args(["--worker-start", way.name()])
        .args(["--max-concurrent-executions", "6"]);
    let mut server = Server::spawn(command);
    server.initialize();
    server
}

/// Frames of nothing, of one byte, and as large as they may be.
const KINDS: [&str; 3] = ["flood_nothing", "flood_tiny", "flood"];

fn withstand(way: Way) {
    for steps in KINDS {
        let home = Home::new();
        let mut server = on_one_thread(&home, way);
        let begin = Instant::now();
        let floods: Vec<String> = (0..FLOODS)
            .map(|_| {
                let limits = json!({"code": script(steps), "execution_timeout_secs": FLOOD_SECS});
                id_of(&server.call("run_js", limits))
            })
            .collect();
        for id in &floods {
            server.until(id, "running");
        }
        for number in 0..5 {
            let seen = server.run(&format!("'{number}'"));
            assert_eq!(seen["result"], format!("'{number}'"), "{steps}: {seen}");
        }
        let alone = server.submit("'cancelled'");
        server.wait(&alone);
        for id in &floods {
            let seen = server.get(id);
            assert_eq!(seen["status"], "running", "{steps} held up others: {seen}");
        }
        server.call("cancel_execution", json!({"execution_id": floods[0]}));
        assert_eq!(server.get(&floods[0])["status"], "cancelled", "{steps}");
        for id in &floods[1..] {
            assert_eq!(server.wait(id)["status"], "timed_out", "{steps}");
        }
        let took = begin.elapsed();
        let late = took.saturating_sub(Duration::from_secs(FLOOD_SECS));
        assert!(late < LATENESS_MAX, "{steps}: {late:?} late");
        assert_idle(&server, way, steps);
        server.finish();
        home.assert_empty();
    }
}

#[test]
fn floods_of_executed_workers_stop_neither_others_nor_the_clock() {
    withstand(Way::Exec);
}

#[test]
fn floods_of_forked_workers_stop_neither_others_nor_the_clock() {
    withstand(Way::Zygote);
}
