//! A load on the API, and what becomes of it.
//!
//! At a constant rate each request has a time at which it is meant to be sent, and its latency counts
//! from there: a client that is held up by a slow server, or by a machine without a processor to spare,
//! does not hide it. Clients take turns; there are more of them than the server accepts executions, so
//! that one is always free while the server refuses what is too much.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::cluster::node::Node;
use e2e::http::HttpServer;
use jiff::Timestamp;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::Serialize;
use serde_json::{Value, json};

use super::snippets::SNIPPETS;
use super::wire::{self, Connection, Execution};
use crate::server::{Cpu, cpu};
use crate::statistics::{Distribution, rounded};

/// Clients of a constant rate for each server: twice what it accepts with its defaults.
const CLIENTS: usize = 512;
/// Memory of a client's stack, in bytes.
const STACK_BYTES: usize = 128 << 10;
/// From the start of the clients to the first request.
const LEAD: Duration = Duration::from_millis(200);
/// What a request waits for the end of its execution, in milliseconds.
const WAIT_MS: u64 = 50_000;
/// The pause before an execution is looked at again where the server does not say when.
pub(super) const POLL_PAUSE: Duration = Duration::from_millis(100);
/// How long an execution is looked at before it counts as failed.
const POLL_PATIENCE: Duration = Duration::from_secs(60);

/// How a client comes to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// It submits, then looks again and again.
    Poll,
    /// It submits with `wait_ms`.
    Wait,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrivals {
    /// So many a second, whatever becomes of them.
    Constant { per_sec: f64 },
    /// By so many clients, each when its last one has ended.
    Closed { clients: usize },
}

/// Where a server is, for several clients.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    process: Pid,
}

impl Place {
    pub(super) fn of(server: &HttpServer) -> Self {
        Self {
            address: server.address(),
            process: server.process.pid(),
        }
    }

    pub(super) fn of_node(node: &Node) -> Self {
        Self {
            address: node.http,
            process: node.pid(),
        }
    }
}

/// What is asked of a server.
#[derive(Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) way: Way,
    pub(super) arrivals: Arrivals,
    /// The token that requests come with, where one is needed.
    pub(super) token: Option<&'a str>,
}

impl Load<'_> {
    /// A load on a server that lets everybody in.
    pub(super) const fn new(way: Way, arrivals: Arrivals) -> Self {
        Self {
            way,
            arrivals,
            token: None,
        }
    }
}

/// What became of a load.
pub(super) struct Outcome {
    asked: usize,
    completed: usize,
    refused: usize,
    refused_without_retry_after: usize,
    failed: usize,
    failure: Option<String>,
    polls: u64,
    /// Executions that completed while requests were sent, a second. By the server's word: a client that
    /// polls sees an end late, and the last ones after the load is over.
    pub(super) goodput: f64,
    pub(super) latency: Distribution,
    sent_late: Distribution,
    cpu: CpuUse,
}

/// CPU time, in seconds.
struct CpuUse {
    server: f64,
    beneath: f64,
    client: f64,
    /// Of all that has nothing to do with it.
    others: f64,
    wall: f64,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    completed: Vec<Completed>,
    sent_late: Vec<Duration>,
    refused: usize,
    refused_without_retry_after: usize,
    failed: usize,
    failure: Option<String>,
    polls: u64,
}

/// An execution that completed.
struct Completed {
    /// When, on the server's clock.
    at: Timestamp,
    /// Until its client knew.
    latency: Duration,
}

/// What became of one request.
enum End {
    Completed { at: Timestamp },
    Refused { has_retry_after: bool },
    Failed(String),
}

/// Puts a load on servers for so long, and waits until all of it has come to an end. Each client has one of
/// them, in turns.
pub(super) fn put(servers: &[Place], load: Load<'_>, time: Duration) -> Outcome {
    let requests = servers.iter().map(|at| Requests::new(at.address, load));
    let requests: Vec<_> = requests.collect();
    let arrivals = load.arrivals;
    let schedule = Schedule {
        arrivals,
        begin: Instant::now() + LEAD,
        time,
        ends_at: Timestamp::now() + LEAD + time,
        next: AtomicUsize::new(0),
    };
    let clients = match arrivals {
        Arrivals::Constant { .. } => CLIENTS * servers.len(),
        Arrivals::Closed { clients } => clients,
    };
    let used = || (cpu_of(servers), own_cpu(), machine_cpu());
    let (before, since) = (used(), Instant::now());
    let seen: Vec<Seen> = thread::scope(|scope| {
        let started: Vec<_> = requests
            .iter()
            .cycle()
            .take(clients)
            .map(|requests| {
                let client = || client(requests, &schedule);
                let builder = thread::Builder::new().stack_size(STACK_BYTES);
                builder.spawn_scoped(scope, client).expect("a thread")
            })
            .collect();
        let ended = started.into_iter().map(|client| client.join());
        ended.map(|seen| seen.expect("no panic")).collect()
    });
    let cpu = CpuUse::between(before, used(), since.elapsed());
    Outcome::of(seen, &schedule, cpu)
}

struct Schedule {
    arrivals: Arrivals,
    begin: Instant,
    time: Duration,
    /// When the last request is sent at the latest.
    ends_at: Timestamp,
    next: AtomicUsize,
}

impl Schedule {
    /// The next request: which, and when it is meant to be sent; `None` after the last.
    fn next(&self) -> Option<(usize, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let at = match self.arrivals {
            Arrivals::Constant { per_sec } => {
                self.begin + Duration::from_secs_f64(number as f64 / per_sec)
            }
            Arrivals::Closed { .. } => Instant::now().max(self.begin),
        };
        (at < self.end()).then_some((number, at))
    }

    fn end(&self) -> Instant {
        self.begin + self.time
    }
}

/// The bytes of what is asked.
struct Requests<'a> {
    address: SocketAddr,
    way: Way,
    token: Option<&'a str>,
    submits: Vec<Vec<u8>>,
}

impl<'a> Requests<'a> {
    fn new(address: SocketAddr, load: Load<'a>) -> Self {
        let Load { way, token, .. } = load;
        let submits = SNIPPETS.iter().map(|snippet| {
            let body = match way {
                Way::Poll => json!({"code": snippet.code}),
                Way::Wait => json!({"code": snippet.code, "wait_ms": WAIT_MS}),
            };
            wire::post(address, "/api/exec", token, &body.to_string())
        });
        Self {
            address,
            way,
            token,
            submits: submits.collect(),
        }
    }
}

fn client(requests: &Requests<'_>, schedule: &Schedule) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::new(requests.address);
    // Where it does not connect, the first request fails.
    let _ = connection.open();
    while let Some((number, at)) = schedule.next() {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        seen.sent_late.push(at.elapsed());
        let end = run(requests, &mut connection, number, &mut seen.polls);
        match end {
            End::Completed { at: completed } => seen.completed.push(Completed {
                at: completed,
                latency: at.elapsed(),
            }),
            End::Refused { has_retry_after } => {
                seen.refused += 1;
                seen.refused_without_retry_after += usize::from(!has_retry_after);
            }
            End::Failed(why) => {
                seen.failed += 1;
                seen.failure.get_or_insert(why);
            }
        }
    }
    seen
}

fn run(
    requests: &Requests<'_>,
    connection: &mut Connection,
    number: usize,
    polls: &mut u64,
) -> End {
    let which = number % SNIPPETS.len();
    let answer = match connection.ask(&requests.submits[which]) {
        Ok(answer) => answer,
        Err(error) => return End::Failed(error.to_string()),
    };
    let mut execution = match (answer.status, answer.execution()) {
        (429 | 503, _) => {
            return End::Refused {
                has_retry_after: answer.has_retry_after,
            };
        }
        (200 | 202, Some(execution)) => execution,
        (status, _) => return End::Failed(format!("submitting was answered with {status}")),
    };
    if requests.way == Way::Poll {
        let path = format!("/api/executions/{}", execution.execution_id);
        let look = wire::get(requests.address, &path, requests.token);
        let pause = pause_after(&execution);
        execution = match poll(connection, &look, pause, polls) {
            Ok(execution) => execution,
            Err(why) => return End::Failed(why),
        };
    }
    let Execution {
        status,
        result,
        completed_at,
        ..
    } = execution;
    let completed_at = completed_at.and_then(|text| text.parse().ok());
    match completed_at {
        Some(at) if result.as_deref() == Some(SNIPPETS[which].result) => End::Completed { at },
        _ => End::Failed(format!("script {which} came to {status:?}, {result:?}")),
    }
}

/// When to look again, by the server's word.
fn pause_after(execution: &Execution) -> Duration {
    let told = execution.poll_after_ms.map(Duration::from_millis);
    told.unwrap_or(POLL_PAUSE)
}

/// Looks at an execution until it has ended, first after so long.
fn poll(
    connection: &mut Connection,
    look: &[u8],
    mut pause: Duration,
    polls: &mut u64,
) -> Result<Execution, String> {
    let begin = Instant::now();
    while begin.elapsed() < POLL_PATIENCE {
        thread::sleep(pause);
        *polls += 1;
        let answer = connection.ask(look).map_err(|error| error.to_string())?;
        match (answer.status, answer.execution()) {
            // Too many requests at once: this one is asked again like any that has not ended.
            (503, _) => pause = POLL_PAUSE,
            (200, Some(execution)) => match execution.status.as_deref() {
                Some("queued" | "running") => pause = pause_after(&execution),
                _ => return Ok(execution),
            },
            (status, _) => return Err(format!("looking was answered with {status}")),
        }
    }
    Err("it did not end".to_owned())
}

impl CpuUse {
    fn between(before: (Cpu, f64, f64), after: (Cpu, f64, f64), wall: Duration) -> Self {
        let server = after.0.own_secs - before.0.own_secs;
        let beneath = after.0.beneath_secs - before.0.beneath_secs;
        let client = after.1 - before.1;
        Self {
            server,
            beneath,
            client,
            others: after.2 - before.2 - server - beneath - client,
            wall: wall.as_secs_f64(),
        }
    }
}

impl Outcome {
    fn of(all: Vec<Seen>, schedule: &Schedule, cpu: CpuUse) -> Self {
        let mut total = Seen::default();
        for mut seen in all {
            total.completed.append(&mut seen.completed);
            total.sent_late.append(&mut seen.sent_late);
            total.refused += seen.refused;
            total.refused_without_retry_after += seen.refused_without_retry_after;
            total.failed += seen.failed;
            total.failure = total.failure.or(seen.failure);
            total.polls += seen.polls;
        }
        let in_time = total.completed.iter();
        let in_time = in_time.filter(|end| end.at <= schedule.ends_at).count();
        let latency = total.completed.iter().map(|end| end.latency);
        Self {
            asked: total.sent_late.len(),
            completed: total.completed.len(),
            refused: total.refused,
            refused_without_retry_after: total.refused_without_retry_after,
            failed: total.failed,
            failure: total.failure,
            polls: total.polls,
            goodput: rounded(in_time as f64 / schedule.time.as_secs_f64()),
            latency: Distribution::new(latency.collect()),
            sent_late: Distribution::new(total.sent_late),
            cpu,
        }
    }

    /// CPU time of server, fork servers and workers for each execution that completed, in milliseconds:
    /// what was spent on refusing others is in it.
    pub(super) fn cpu_ms_each(&self) -> f64 {
        self.each(self.cpu.server + self.cpu.beneath)
    }

    /// Requests that were neither done nor refused as they have to be.
    pub(super) fn wrong(&self) -> usize {
        self.failed + self.refused_without_retry_after
    }

    fn each(&self, secs: f64) -> f64 {
        rounded(secs * 1000.0 / self.completed as f64)
    }

    /// Everything, for the report.
    pub(super) fn json(&self) -> Value {
        let share = |secs: f64| rounded(secs / self.cpu.wall);
        json!({
            "asked": self.asked,
            "completed": self.completed,
            "refused": self.refused,
            "refused_without_retry_after": self.refused_without_retry_after,
            "failed": self.failed,
            "first_failure": self.failure,
            "polls": self.polls,
            "goodput_per_sec": self.goodput,
            "latency_ms": self.latency.json(),
            "sent_late_ms": self.sent_late.json(),
            "cpu_ms_each": {
                "server": self.each(self.cpu.server),
                "workers_and_fork_servers": self.each(self.cpu.beneath),
                "server_workers_and_fork_servers": self.cpu_ms_each(),
                "client": self.each(self.cpu.client),
            },
            "cores_used": {
                "server": share(self.cpu.server),
                "workers_and_fork_servers": share(self.cpu.beneath),
                "client": share(self.cpu.client),
                "everything_else": share(self.cpu.others),
            },
        })
    }
}

/// What servers have used.
pub(super) fn cpu_of(servers: &[Place]) -> Cpu {
    let each = servers.iter().map(|server| cpu(server.process));
    each.fold(Cpu::default(), |sum, one| Cpu {
        own_secs: sum.own_secs + one.own_secs,
        beneath_secs: sum.beneath_secs + one.beneath_secs,
    })
}

/// CPU time of this process, in seconds.
fn own_cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is told");
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    micros as f64 / 1e6
}

/// CPU time that this machine has used, in seconds.
fn machine_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal: what is stolen is no less gone.
    let all = stat.lines().next().unwrap_or_default().split_whitespace();
    let used = all
        .skip(1)
        .take(8)
        .enumerate()
        .filter(|(at, _)| ![3, 4].contains(at));
    let ticks: f64 = used.filter_map(|(_, word)| word.parse::<f64>().ok()).sum();
    let per_sec = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks / per_sec as f64
}
