//! Soaks the real servers: twenty tenants use one that keeps heaps and one that keeps nothing, fifteen of
//! them as clients do, five as attackers. Prints one JSON object, and ends with an error when something is
//! wrong: an honest tenant was not answered as it should be, a hostile one got more than is its own, a server
//! grows for as long as it runs or does not come to rest, or its audit log is not whole.
//!
//! With `cluster` first, nodes of a cluster are killed, cut off, stopped and replaced while clients use them.
//!
//! `scripts/soak` builds what it needs and runs it.

mod client;
mod clock;
mod cluster;
mod faults;
mod honest;
mod hostile;
mod ledger;
mod mcp;
mod scene;
mod spoils;
mod tenants;
mod trend;
mod watch;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use e2e::processes;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use crate::client::millis;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::honest::{Book, Honest};
use crate::hostile::{Hostile, Tally, Victim};
use crate::ledger::Ledger;
use crate::scene::Scene;
use crate::spoils::Spoils;
use crate::tenants::Tenant;
use crate::watch::Watch;

/// How long it takes, in minutes.
const MINUTES: &str = "--minutes";
/// The same in seconds.
const SECONDS: &str = "--seconds";
/// The same when nobody says, in minutes.
const MINUTES_DEFAULT: u64 = 30;
const SECS_PER_MINUTE: u64 = 60;
/// Of three honest tenants so many are at the server that keeps heaps.
const AT_THE_FIRST: usize = 2;
const OF: usize = 3;
/// What all tokens begin with.
const TOKEN_PREFIX: &str = "mcpv8_";

fn main() -> std::io::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let report = if words.first().is_some_and(|word| word == cluster::SUBJECT) {
        let until = cluster::Until::read(&words[1..]).map_err(std::io::Error::other)?;
        cluster::soak(until)
    } else {
        let length = length(&words).map_err(std::io::Error::other)?;
        soak(length, &Faults::default())
    };
    writeln!(std::io::stdout(), "{report:#}")?;
    Ok(match report["is_well"].as_bool() {
        Some(true) => ExitCode::SUCCESS,
        Some(false) | None => ExitCode::FAILURE,
    })
}

/// How long it is to take.
fn length(words: &[String]) -> Result<Duration, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let subject = cluster::SUBJECT;
    let usage = || {
        let found = words.join(" ");
        format!("[{MINUTES} N | {SECONDS} N], or {subject} first; found: {found}")
    };
    let (number, unit) = match words[..] {
        [] => return Ok(Duration::from_secs(MINUTES_DEFAULT * SECS_PER_MINUTE)),
        [MINUTES, number] => (number, SECS_PER_MINUTE),
        [SECONDS, number] => (number, 1),
        _ => return Err(usage()),
    };
    match number.parse::<u64>() {
        Ok(number @ 1..=100_000) => Ok(Duration::from_secs(number * unit)),
        Ok(_) | Err(_) => Err(usage()),
    }
}

/// Who did what.
#[derive(Default)]
struct Done {
    honest: Vec<Book>,
    hostile: Vec<(String, Tally)>,
    watches: Vec<Watch>,
}

/// All of it; what came of it.
fn soak(length: Duration, faults: &Faults) -> Value {
    let mut scene = Scene::set(length);
    let clock = Clock::start(length);
    let done = go_on(&scene, &clock, faults);
    let mut executions = Vec::new();
    let mut used = BTreeMap::<String, Map<String, Value>>::new();
    let ended = end(&mut scene, faults);
    for served in &scene.servers {
        match Ledger::read(&served.audit) {
            Ok(ledger) => {
                executions.push(ledger.executions());
                for tenant in &scene.crowd.tenants {
                    let account = ledger.judge(served.name, tenant, faults);
                    if !tenant.is_honest() {
                        let accounts = used.entry(tenant.name.clone()).or_default();
                        accounts.insert(served.name.to_owned(), account);
                    }
                }
            }
            Err(error) => faults.note(&format!("the audit log cannot be read: {error}")),
        }
    }
    let mut servers = Map::new();
    let found = executions.into_iter().zip(ended);
    for ((served, watch), (executions, verified)) in
        scene.servers.iter().zip(&done.watches).zip(found)
    {
        let report = json!({
            "executions": executions,
            "audit": verified,
            "figures": watch.judge(executions, faults),
        });
        servers.insert(served.name.to_owned(), report);
    }
    report(&clock, &done, servers, &used, faults)
}

/// Has everybody work until the end.
fn go_on(scene: &Scene, clock: &Clock, faults: &Faults) -> Done {
    let spoils = [Arc::<Spoils>::default(), Arc::default()];
    thread::scope(|scope| {
        scope.spawn(|| clock.beat());
        let watches: Vec<_> = scene
            .servers
            .iter()
            .map(|served| {
                let watch = Watch::new(served, &scene.crowd.operator);
                scope.spawn(move || watch.work(clock, faults))
            })
            .collect();
        let (mut honest, mut hostile) = (Vec::new(), Vec::new());
        for (number, tenant) in scene.crowd.tenants.iter().enumerate() {
            if tenant.is_honest() {
                let client = honest_client(scene, &spoils, number, tenant);
                honest.push(scope.spawn(move || client.work(clock, faults)));
            } else {
                let attacker = Hostile {
                    tenant,
                    victims: victims(scene, &spoils, tenant),
                    web: &scene.web,
                    clock,
                    faults,
                    tally: Tally::default(),
                };
                let name = tenant.name.clone();
                hostile.push(scope.spawn(move || (name, attacker.work())));
            }
        }
        let done = Done {
            honest: ends(honest),
            hostile: ends(hostile),
            watches: ends(watches),
        };
        for watch in &done.watches {
            watch.rest(faults);
        }
        done
    })
}

fn honest_client(scene: &Scene, spoils: &[Arc<Spoils>], number: usize, tenant: &Tenant) -> Honest {
    let at = usize::from(number % OF >= AT_THE_FIRST);
    let served = &scene.servers[at];
    Honest {
        name: tenant.name.clone(),
        client: served.server.with_token(&tenant.token),
        keeps_heaps: served.heaps.is_some(),
        url: scene.web.url("/json"),
        spoils: Arc::clone(&spoils[at]),
        session: None,
        turn: number as u64,
        book: Book::default(),
    }
}

fn victims(scene: &Scene, spoils: &[Arc<Spoils>], tenant: &Tenant) -> Vec<Victim> {
    let both = scene.servers.iter().zip(spoils);
    both.map(|(served, spoils)| Victim {
        client: served.server.with_token(&tenant.token),
        spoils: Arc::clone(spoils),
        keeps_heaps: served.heaps.is_some(),
    })
    .collect()
}

/// What all of these came to.
fn ends<T>(threads: Vec<thread::ScopedJoinHandle<'_, T>>) -> Vec<T> {
    let ended = threads.into_iter().map(thread::ScopedJoinHandle::join);
    ended.map(|one| one.expect("it has not panicked")).collect()
}

/// Ends the servers, and looks at what they leave: nothing that runs, and a log that is whole. What the
/// program says of each log.
fn end(scene: &mut Scene, faults: &Faults) -> Vec<String> {
    for served in &mut scene.servers {
        let process = &mut served.server.process;
        process.signal(Signal::SIGTERM);
        let status = process.wait_exit(PATIENCE);
        let (name, log) = (served.name, process.log());
        if !status.success() {
            faults.note(&format!("{name} ended with {status}"));
        }
        for bad in ["panicked", TOKEN_PREFIX, "ERROR"] {
            if let Some(line) = log.lines().find(|line| line.contains(bad)) {
                faults.note(&format!("the log of {name} has {bad:?}: {line}"));
            }
        }
    }
    let gone = processes::within(PATIENCE, || scene.home.processes().is_empty());
    if !gone {
        faults.note(&format!("left behind: {:?}", scene.home.processes()));
    }
    let verified = scene.servers.iter().map(|served| match served.verify() {
        Ok(told) => told,
        Err(told) => {
            faults.note(&format!("the audit log of {}: {told}", served.name));
            told
        }
    });
    verified.collect()
}

fn report(
    clock: &Clock,
    done: &Done,
    servers: Map<String, Value>,
    used: &BTreeMap<String, Map<String, Value>>,
    faults: &Faults,
) -> Value {
    let mut runs: Vec<Duration> = Vec::new();
    let (mut steps, mut over_quota) = (0, 0);
    for book in &done.honest {
        runs.extend(&book.runs);
        steps += book.steps;
        over_quota += book.over_quota;
    }
    let hostile: Map<String, Value> = done
        .hostile
        .iter()
        .map(|(name, tally)| {
            let got = used.get(name).cloned().unwrap_or_default();
            (
                name.clone(),
                json!({"answers": tally, "got_of_allowed": got}),
            )
        })
        .collect();
    let standstills: Vec<u64> = clock.standstills().iter().map(Duration::as_secs).collect();
    json!({
        "is_well": faults.count() == 0,
        "faults": faults.count(),
        "told": faults.told(),
        "seconds": clock.length().as_secs(),
        "standstills_secs": standstills,
        "excused_by_standstills": faults.excused(),
        "honest": {
            "tenants": done.honest.len(),
            "steps": steps,
            "over_their_own_quota": over_quota,
            "run_ms": latencies(runs),
        },
        "hostile": hostile,
        "servers": servers,
    })
}

/// How long runs of honest tenants took.
fn latencies(mut runs: Vec<Duration>) -> Value {
    runs.sort_unstable();
    let at = |percent: usize| {
        let at = (runs.len() * percent).div_ceil(100).saturating_sub(1);
        runs.get(at).copied().map(millis)
    };
    json!({"count": runs.len(), "p50": at(50), "p95": at(95), "max": at(100)})
}
