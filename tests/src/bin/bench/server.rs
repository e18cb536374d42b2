//! The whole server over standard input and output.

use std::collections::VecDeque;
use std::fs;
use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::processes;
use e2e::server::Server;
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::Serialize;
use serde_json::json;

use crate::statistics::{Distribution, repeat, rounded};

/// Executions before anything is measured.
const WARM_UP: usize = 20;
/// Executions one after another.
const SAMPLES: usize = 500;
/// How long they may take together.
const BUDGET: Duration = Duration::from_secs(25);
/// How long throughput is measured at each load.
const THROUGHPUT_TIME: Duration = Duration::from_secs(10);

/// What the server gives.
pub(crate) struct Measured {
    /// From a request to its answer, one after another, the client's own time included.
    pub(crate) latency: Distribution,
    /// With as many requests under way as keep every slot busy.
    pub(crate) at_saturation: Throughput,
    /// With four times as many.
    pub(crate) at_overload: Throughput,
    /// Memory of the server after its warm-up, in bytes (PSS).
    pub(crate) idle_bytes: Option<u64>,
}

/// Executions a second, and what each takes.
#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    /// Executions that ended, a second.
    pub(crate) per_sec: f64,
    requests_under_way: usize,
    executions: u32,
    /// CPU time of the server itself for each execution, in milliseconds.
    server_cpu_ms_each: f64,
    /// CPU time of the workers for each execution, in milliseconds.
    worker_cpu_ms_each: f64,
}

/// Measures a server with its defaults, but for a directory of its own and a quiet log.
pub(crate) fn measure(cores: usize) -> Measured {
    let home = Home::new();
    let mut command = home.command();
    command
        .arg("--session-db-path")
        .arg(home.path("data"))
        .args(["--log-level", "warn"]);
    let mut server = Server::spawn(command);
    server.initialize();
    for _ in 0..WARM_UP {
        run(&mut server);
    }
    let idle_bytes = processes::proportional_bytes(server.pid());
    let mut latency = Vec::new();
    repeat(SAMPLES, BUDGET, || {
        let begin = Instant::now();
        run(&mut server);
        latency.push(begin.elapsed());
    });
    let at_saturation = throughput(&mut server, 2 * cores);
    let at_overload = throughput(&mut server, 8 * cores);
    server.finish();
    Measured {
        latency: Distribution::new(latency),
        at_saturation,
        at_overload,
        idle_bytes,
    }
}

fn run(server: &mut Server) {
    let call = send(server);
    settle(server, call);
}

fn send(server: &mut Server) -> i64 {
    server.send_call("run_js", json!({"code": "1 + 1", "wait_ms": 50_000}))
}

fn settle(server: &mut Server, call: i64) {
    let seen = server.called(call);
    assert_eq!(seen["result"], "2", "{seen}");
}

/// Keeps so many requests under way.
fn throughput(server: &mut Server, under_way: usize) -> Throughput {
    let mut calls: VecDeque<i64> = (0..under_way).map(|_| send(server)).collect();
    let before = cpu(server.pid());
    let begin = Instant::now();
    let mut executions = 0_u32;
    while begin.elapsed() < THROUGHPUT_TIME {
        if let Some(call) = calls.pop_front() {
            settle(server, call);
            executions += 1;
        }
        calls.push_back(send(server));
    }
    let per_sec = f64::from(executions) / begin.elapsed().as_secs_f64();
    let after = cpu(server.pid());
    for call in calls {
        settle(server, call);
    }
    let each = |before: f64, after: f64| rounded((after - before) * 1000.0 / f64::from(executions));
    Throughput {
        per_sec: rounded(per_sec),
        requests_under_way: under_way,
        executions,
        server_cpu_ms_each: each(before.own_secs, after.own_secs),
        worker_cpu_ms_each: each(before.children_secs, after.children_secs),
    }
}

struct Cpu {
    own_secs: f64,
    children_secs: f64,
}

/// CPU time of a process and of its children that are reaped.
fn cpu(pid: Pid) -> Cpu {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server is there");
    let fields: Vec<&str> = match stat.rsplit_once(')') {
        Some((_, fields)) => fields.split_whitespace().collect(),
        None => Vec::new(),
    };
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    // From the third on: utime, stime, cutime and cstime are the fields 14 to 17.
    let sum = |first: usize| -> f64 {
        let ticks_used = fields.iter().skip(first - 3).take(2);
        ticks_used
            .filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>()
            / ticks as f64
    };
    Cpu {
        own_secs: sum(14),
        children_secs: sum(16),
    }
}
