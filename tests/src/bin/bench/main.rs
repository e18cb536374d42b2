//! Measures the server and its workers, each figure beside its floor from the same run, and prints
//! one JSON object. `scripts/bench` builds what it needs and runs it.

mod floor;
mod server;
mod statistics;
mod stress;
mod talk;
mod worker;

use std::io::Write;

use serde_json::{Value, json};

use crate::floor::{Fork, Isolate};
use crate::server::Measured;
use crate::statistics::{ratio, rounded};
use crate::worker::Worker;

/// What the deadline may be passed by, in milliseconds: a target, not a floor.
const OVERSHOOT_TARGET_MS: f64 = 50.0;

fn main() -> std::io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let fork = floor::warm_fork();
    let isolate = floor::isolate();
    let forked = worker::forked();
    let executed = worker::executed();
    let zygote = server::measure("zygote", cores);
    let exec = server::measure("exec", cores);
    let report = json!({
        "machine": {"cores": cores, "cpu": cpu(), "kernel": kernel()},
        "floor": {
            "what": "fork of a warm runtime, 1 + 1, exit, reap; no jail",
            "life_ms": fork.life.json(),
            "cpu_ms": fork.cpu.json(),
        },
        "zygote_path": path(&forked, &fork, &isolate),
        "exec_path": path(&executed, &fork, &isolate),
        "parked_worker_bytes": beside(
            json!(forked.parked_bytes),
            bytes(forked.parked_bytes),
            json!({
                "what": "a bare isolate that is ready (PSS, as many of them at once)",
                "value": isolate.parked_bytes,
            }),
            bytes(isolate.parked_bytes),
        ),
        "server_with_fork_server": served(&zygote, &forked, &fork, &isolate),
        "server_with_exec": served(&exec, &executed, &fork, &isolate),
        "burst_with_nothing_ready": stress::burst(),
        "deadline_overshoot_ms": overshoot(),
        "idle_server_bytes": zygote.idle_bytes,
        "floors": {
            "process_exec_exit_ms": floor::process().json(),
            "worker_version_exec_exit_ms": floor::worker_version().json(),
            "bare_isolate_exec_until_ready_ms": isolate.start.json(),
            "bare_isolate_exec_exit_ms": isolate.life.json(),
            "processes_per_sec": floor::processes_per_sec(cores),
            "bare_isolates_per_sec": floor::isolates_per_sec(cores),
        },
    });
    writeln!(std::io::stdout(), "{report:#}")
}

/// One worker after another, from its start to its reaped end.
fn path(worker: &Worker, fork: &Fork, isolate: &Isolate) -> Value {
    json!({
        "start_to_hello_ms": worker.start.json(),
        "request_ms": beside(
            worker.request.json(),
            worker.request.p50_ms(),
            bare_request(isolate),
            isolate.request.p50_ms(),
        ),
        "cpu_ms": beside(
            worker.cpu.json(),
            worker.cpu.mean_ms(),
            json!({"what": "CPU time of the floor", "mean": fork.cpu.mean_ms()}),
            fork.cpu.mean_ms(),
        ),
    })
}

/// Executions through the whole server.
fn served(server: &Measured, worker: &Worker, fork: &Fork, isolate: &Isolate) -> Value {
    let all_cpu = server.at_saturation.server_cpu_ms_each + server.at_saturation.worker_cpu_ms_each;
    json!({
        "end_to_end_ms": beside(
            server.latency.json(),
            server.latency.p50_ms(),
            bare_request(isolate),
            isolate.request.p50_ms(),
        ),
        "overhead_ms": {
            "what": "p50 from request to answer, without the p50 of a ready worker from Start to Finished",
            "value": rounded(server.latency.p50_ms() - worker.request.p50_ms()),
        },
        "at_saturation": beside(
            json!(server.at_saturation),
            all_cpu,
            json!({"what": "CPU time of the floor", "mean": fork.cpu.mean_ms()}),
            fork.cpu.mean_ms(),
        ),
        "at_4x_overload": beside(
            json!(server.at_overload),
            server.at_overload.per_sec,
            json!({"what": "executions a second at saturation", "value": server.at_saturation.per_sec}),
            server.at_saturation.per_sec,
        ),
    })
}

fn bare_request(isolate: &Isolate) -> Value {
    json!({
        "what": "1 + 1 in a bare isolate that is ready, over the same kind of pipes",
        "value": isolate.request.json(),
    })
}

fn overshoot() -> Value {
    let over = stress::overshoot();
    json!({
        "value": over.json(),
        "target_ms": OVERSHOOT_TARGET_MS,
        "ratio": ratio(over.p99_ms(), OVERSHOOT_TARGET_MS),
    })
}

/// A figure, its floor, and how many times the floor it is.
fn beside(value: Value, number: f64, floor: Value, floor_number: f64) -> Value {
    json!({"value": value, "floor": floor, "ratio": ratio(number, floor_number)})
}

fn bytes(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or_default() as f64
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
