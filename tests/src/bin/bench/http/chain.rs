//! Sessions that grow: each step begins with the heap that the one before it left, and says so.
//!
//! Where there are several servers, each step of a session goes to another one.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::load::{Place, cpu_of};
use super::wire::{self, Connection};
use crate::statistics::{Distribution, rounded};

/// How many sessions grow at once; each has one step under way.
const SESSIONS: [usize; 3] = [1, 4, 16];
/// A step; it tells how many came before it.
const STEP: &str = "globalThis.steps = (globalThis.steps ?? 0) + 1; String(steps)";
/// What a request waits for its step, in milliseconds.
const WAIT_MS: u64 = 50_000;

/// What became of chains.
pub(super) struct Chains {
    json: Vec<Value>,
    /// Steps that were refused, failed, or had another heap than that of the step before.
    pub(super) wrong: usize,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    took: Vec<Duration>,
    wrong: usize,
}

impl Chains {
    /// So many sessions at once as [`SESSIONS`] says, one load after another, each for so long.
    pub(super) fn measure(servers: &[Place], time: Duration) -> Self {
        let mut chains = Self {
            json: Vec::new(),
            wrong: 0,
        };
        for sessions in SESSIONS {
            thread::sleep(super::REST);
            chains.add(servers, sessions, time);
        }
        chains
    }

    fn add(&mut self, servers: &[Place], sessions: usize, time: Duration) {
        let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
        let before = cpu_of(servers);
        let until = Instant::now() + time;
        let seen: Vec<Seen> = thread::scope(|scope| {
            let started: Vec<_> = (0..sessions)
                .map(|number| {
                    let addresses = &addresses;
                    let name = format!("chain-{sessions}-{number}");
                    scope.spawn(move || grow(addresses, &name, number, until))
                })
                .collect();
            let ended = started.into_iter().map(|client| client.join());
            ended.map(|seen| seen.expect("no panic")).collect()
        });
        let after = cpu_of(servers);
        let wrong: usize = seen.iter().map(|seen| seen.wrong).sum();
        let took: Vec<Duration> = seen.into_iter().flat_map(|seen| seen.took).collect();
        let steps = took.len();
        let cpu_secs = after.own_secs + after.beneath_secs - before.own_secs - before.beneath_secs;
        self.wrong += wrong;
        self.json.push(json!({
            "sessions": sessions,
            "steps_per_sec": rounded(steps as f64 / time.as_secs_f64()),
            "latency_ms": Distribution::new(took).json(),
            "cpu_ms_each": rounded(cpu_secs * 1000.0 / steps as f64),
            "wrong": wrong,
        }));
    }

    pub(super) fn json(&self) -> Value {
        json!(self.json)
    }
}

/// Has a session grow until then, beginning with one of the servers.
fn grow(servers: &[SocketAddr], session: &str, first: usize, until: Instant) -> Seen {
    let mut clients: Vec<Client> = servers.iter().map(|at| Client::new(*at, session)).collect();
    let mut seen = Seen::default();
    for step in 1.. {
        if Instant::now() >= until {
            break;
        }
        let at = (first + step) % servers.len();
        let begin = Instant::now();
        let result = clients[at].step(step == 1);
        if result == Some(step.to_string()) {
            seen.took.push(begin.elapsed());
        } else {
            // What follows would be another chain.
            seen.wrong += 1;
            break;
        }
    }
    seen
}

/// Somebody who asks one server for steps of one session.
struct Client {
    connection: Connection,
    begin: Vec<u8>,
    next: Vec<u8>,
}

impl Client {
    fn new(server: SocketAddr, session: &str) -> Self {
        let begin = json!({"code": STEP, "session": session, "wait_ms": WAIT_MS});
        let mut next = begin.clone();
        next["heap"] = json!("latest");
        let [begin, next] =
            [begin, next].map(|body| wire::post(server, "/api/exec", None, &body.to_string()));
        Self {
            connection: Connection::new(server),
            begin,
            next,
        }
    }

    /// What the first step of a session came to, or the next one; `None` where it came to nothing.
    fn step(&mut self, is_first: bool) -> Option<String> {
        let request = if is_first { &self.begin } else { &self.next };
        let answer = self.connection.ask(request).ok()?;
        answer.execution()?.result
    }
}
