//! The whole server over standard input and output, with its defaults.

use std::collections::VecDeque;
use std::fs;
use std::process::Command;
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
    pub(crate) server_cpu_ms_each: f64,
    /// CPU time of fork servers and workers for each execution, in milliseconds.
    pub(crate) worker_cpu_ms_each: f64,
}

impl Throughput {
    /// CPU time of all of them for each execution, in milliseconds.
    pub(crate) fn cpu_ms_each(&self) -> f64 {
        rounded(self.server_cpu_ms_each + self.worker_cpu_ms_each)
    }
}

/// A server that keeps heaps in a directory of its own, with a quiet log and these arguments.
pub(crate) fn start(home: &Home, arguments: &[&str]) -> Server {
    let mut command = home.command();
    command
        .arg("--session-db-path")
        .arg(home.path("data"))
        .arg("--directory-path")
        .arg(home.path("heaps"));
    open(command, arguments)
}

/// A server that keeps nothing, with a quiet log and these arguments.
pub(crate) fn start_stateless(home: &Home, arguments: &[&str]) -> Server {
    let mut command = home.command();
    command.arg("--stateless");
    open(command, arguments)
}

fn open(mut command: Command, arguments: &[&str]) -> Server {
    command.args(["--log-level", "error"]).args(arguments);
    let mut server = Server::spawn(command);
    server.initialize();
    server
}

/// Measures a server whose workers are started in this way.
pub(crate) fn measure(worker_start: &str, cores: usize) -> Measured {
    let home = Home::new();
    let mut server = start_stateless(&home, &["--worker-start", worker_start]);
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
    let at_saturation = throughput_of(&mut server, 2 * cores);
    let at_overload = throughput_of(&mut server, 8 * cores);
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

/// Asks for `1 + 1`.
pub(crate) fn send(server: &mut Server) -> i64 {
    server.send_call("run_js", json!({"code": "1 + 1", "wait_ms": 50_000}))
}

/// Waits for the answer.
pub(crate) fn settle(server: &mut Server, call: i64) {
    let seen = server.called(call);
    assert_eq!(seen["result"], "2", "{seen}");
}

/// Keeps so many requests under way.
pub(crate) fn throughput_of(server: &mut Server, under_way: usize) -> Throughput {
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
        worker_cpu_ms_each: each(before.beneath_secs, after.beneath_secs),
    }
}

/// CPU time so far.
#[derive(Default)]
pub(crate) struct Cpu {
    /// Of the server itself.
    pub(crate) own_secs: f64,
    /// Of all processes beneath it: workers are reaped by a fork server, and that by the server.
    pub(crate) beneath_secs: f64,
}

/// What a server has used.
pub(crate) fn cpu(pid: Pid) -> Cpu {
    let (own_secs, reaped_secs) = stat(pid).expect("the server is there");
    let children = processes::children(pid);
    let living_secs: f64 = children
        .iter()
        .filter_map(|child| stat(Pid::from_raw(child.pid)))
        .map(|(own, reaped)| own + reaped)
        .sum();
    Cpu {
        own_secs,
        beneath_secs: reaped_secs + living_secs,
    }
}

/// CPU time of a process, and of its children that are reaped, in seconds.
fn stat(pid: Pid) -> Option<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
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
    Some((sum(14), sum(16)))
}
