//! Measures the server and its workers, each figure beside its floor from the same run, and prints
//! one JSON object. `scripts/bench` builds what it needs and runs it.

mod floor;
mod server;
mod statistics;
mod worker;

use std::io::Write;

use serde_json::{Value, json};

use crate::statistics::ratio;

fn main() -> std::io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let process = floor::process();
    let isolate = floor::isolate();
    let worker = worker::measure();
    let version = floor::worker_version();
    let server = server::measure(cores);
    let bare_per_sec = floor::processes_per_sec(cores);
    let isolates_per_sec = floor::isolates_per_sec(cores);
    let report = json!({
        "machine": {"cores": cores, "cpu": cpu(), "kernel": kernel()},
        "worker_start_ms": beside(
            worker.start.json(),
            worker.start.p50_ms(),
            json!({
                "what": "exec of a program with a bare isolate and context, until it is ready",
                "value": isolate.start.json(),
            }),
            isolate.start.p50_ms(),
        ),
        "hot_request_ms": beside(
            worker.request.json(),
            worker.request.p50_ms(),
            json!({
                "what": "1 + 1 in a bare isolate that is ready, over the same kind of pipes",
                "value": isolate.request.json(),
            }),
            isolate.request.p50_ms(),
        ),
        "end_to_end_ms": beside(
            server.latency.json(),
            server.latency.p50_ms(),
            json!({
                "what": "exec of a program with a bare isolate, 1 + 1, exit",
                "value": isolate.life.json(),
            }),
            isolate.life.p50_ms(),
        ),
        "executions_per_sec": beside(
            json!(server.at_saturation),
            server.at_saturation.per_sec,
            json!({
                "what": "bare isolate processes a second, one after another on every core",
                "value": isolates_per_sec,
            }),
            isolates_per_sec,
        ),
        "executions_per_sec_at_4x_overload": beside(
            json!(server.at_overload),
            server.at_overload.per_sec,
            json!({"what": "executions a second at saturation", "value": server.at_saturation.per_sec}),
            server.at_saturation.per_sec,
        ),
        "parked_worker_bytes": beside(
            json!(worker.parked_bytes),
            worker.parked_bytes.unwrap_or_default() as f64,
            json!({
                "what": "a bare isolate that is ready (PSS, as many of them at once)",
                "value": isolate.parked_bytes,
            }),
            isolate.parked_bytes.unwrap_or_default() as f64,
        ),
        "idle_server_bytes": server.idle_bytes,
        "floors": {
            "process_exec_exit_ms": process.json(),
            "worker_version_exec_exit_ms": version.json(),
            "processes_per_sec": bare_per_sec,
        },
    });
    writeln!(std::io::stdout(), "{report:#}")
}

/// A figure, its floor, and how many times the floor it is.
fn beside(value: Value, number: f64, floor: Value, floor_number: f64) -> Value {
    json!({"value": value, "floor": floor, "ratio": ratio(number, floor_number)})
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(text.trim().to_owned())
}
