//! Clients of a cluster that ask any node, and keep a history of what they were told.
//!
//! * Chains run scripts on the newest heap of a session of their own: each must find there all that the
//!   ones before have left, whichever nodes had run them.
//! * Others list runs in one session that all share.
//! * Others set tags, one of each heap: a register.
//! * Readers list sessions and look at tags.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::history::{Asked, History, Operation, Outcome};
use super::kept::{Kept, KeptHeaps};
use super::oracle::{self, Sessions, Wrong};
use super::{Cluster, Setup};
use crate::http::{Answer, Client, NoAnswer};
use crate::processes;
use crate::server::PATIENCE;

/// How long a client waits for an answer. Then nobody knows what has become of it.
const CLIENT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a run is waited for in one request, in milliseconds.
const WAIT_MS: u64 = 2_000;
/// How long a client asks what has become of a run.
const RUN_PATIENCE: Duration = Duration::from_secs(10);
/// What a run ends with of which its node does not know whether the others have its end.
const NOT_SAID: &str = "did not say whether its end is recorded";
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(15);
/// Runs of a chain; then it begins another.
const CHAIN: usize = 25;
/// What each node has to do for its clients before and after something happens.
pub const WORK: usize = 3;
/// Runs in a session that some clients share; then they begin another.
const SHARED_RUNS: usize = 60;

/// Heaps that each node has to go on from at the end of a test.
const HEAPS_READ: usize = 4;

/// How many clients there are of each kind.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Chains on heaps.
    pub chains: usize,
    /// Those that share a session.
    pub sharing: usize,
    /// Those that set tags; each has two readers' looks to it.
    pub setters: usize,
    /// Readers.
    pub readers: usize,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            chains: 1,
            sharing: 2,
            setters: 2,
            readers: 2,
        }
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Traffic {
    /// What they were told.
    pub history: Arc<History>,
    /// Heaps that they were told of.
    pub kept: Arc<KeptHeaps>,
    office: Arc<Office>,
    clients: Vec<JoinHandle<()>>,
}

/// What all clients share.
#[derive(Debug)]
struct Office {
    history: Arc<History>,
    kept: Arc<KeptHeaps>,
    has_ended: AtomicBool,
    nodes: Mutex<Vec<(String, SocketAddr)>>,
    registers: Vec<String>,
    /// Runs in shared sessions.
    shared: AtomicUsize,
    /// Sessions that somebody has begun.
    sessions: Mutex<Vec<String>>,
    /// What was answered instead, and how often.
    refusals: Mutex<BTreeMap<String, u64>>,
    /// Heaps that were not what they have to be.
    broken: Mutex<Vec<String>>,
}

/// What became of all of it.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Changes that were acknowledged.
    pub acknowledged: usize,
    /// Changes of which nobody knows what has become.
    pub unknown: usize,
    /// Runs among these.
    pub unknown_runs: usize,
    /// Changes that were refused.
    pub refused: usize,
    /// Reads that were answered.
    pub reads: usize,
    /// How often a node went on from a heap, at the end.
    pub heaps_read: usize,
    /// Why not, and how often.
    pub refusals: BTreeMap<String, u64>,
    /// What cannot be.
    pub wrong: Vec<String>,
}

impl Traffic {
    /// Begins, on a cluster that is ready.
    pub fn start(cluster: &Cluster, crowd: Crowd) -> Self {
        let history = Arc::new(History::default());
        let kept = Arc::<KeptHeaps>::default();
        let first = cluster.client(&cluster.nodes()[0].name);
        let registers = (0..crowd.setters.div_ceil(2)).map(|number| register(&first, number));
        let office = Arc::new(Office {
            history: Arc::clone(&history),
            kept: Arc::clone(&kept),
            has_ended: AtomicBool::new(false),
            nodes: Mutex::default(),
            registers: registers.collect(),
            shared: AtomicUsize::new(0),
            sessions: Mutex::default(),
            refusals: Mutex::default(),
            broken: Mutex::default(),
        });
        office.learn(cluster);
        let kinds: [(usize, Work); 4] = [
            (crowd.chains, Worker::chain),
            (crowd.sharing, Worker::share),
            (crowd.setters, Worker::set),
            (crowd.readers, Worker::read),
        ];
        let mut clients = Vec::new();
        for (count, work) in kinds {
            for _ in 0..count {
                let mut worker = Worker::new(&office, clients.len());
                clients.push(thread::spawn(move || worker.work(work)));
            }
        }
        Self {
            history,
            kept,
            office,
            clients,
        }
    }

    /// From now on all nodes of the cluster are asked, and no others.
    pub fn learn(&self, cluster: &Cluster) {
        self.office.learn(cluster);
    }

    /// Waits until each of these nodes has acknowledged so many changes, and answered so many reads, that
    /// were asked for after now.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn await_work(&self, nodes: &[String], count: usize) {
        let since = self.history.now();
        self.await_each(nodes, "does not work", |node| {
            let changed = self.history.changed(since, node, Outcome::Done);
            changed >= count && self.history.read(since, node) >= count
        });
    }

    /// Waits until each of these nodes has refused so many changes that were asked for after now.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn await_refusals(&self, nodes: &[String], count: usize) {
        let since = self.history.now();
        self.await_each(nodes, "does not refuse", |node| {
            let outcomes = [Outcome::Refused, Outcome::Unknown];
            let each = outcomes.map(|outcome| self.history.changed(since, node, outcome));
            each.iter().sum::<usize>() >= count
        });
    }

    fn await_each(&self, nodes: &[String], what: &str, holds: impl Fn(&str) -> bool) {
        for node in nodes {
            let came = processes::within(PATIENCE, || holds(node));
            assert!(came, "{node} {what}: {:?}", lock(&self.office.refusals));
        }
    }

    /// Ends, and judges what clients were told by what the nodes that run have to say at the end, and by so many
    /// heaps at most.
    ///
    /// # Panics
    /// When they do not say the same.
    pub fn end(self, cluster: &Cluster, heaps: usize) -> Tally {
        self.office.has_ended.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("it has not panicked");
        }
        cluster.await_level();
        let sessions = lock(&self.office.sessions).clone();
        let mut last: Option<(String, Sessions)> = None;
        for node in cluster.nodes().iter().filter(|node| node.is_up()) {
            let client = cluster.client(&node.name);
            let here: Sessions = sessions
                .iter()
                .map(|session| (session.clone(), listed_at_last(&client, session)))
                .collect();
            match &last {
                Some((other, there)) => assert_eq!(&here, there, "{} and {other}", node.name),
                None => last = Some((node.name.clone(), here)),
            }
        }
        let operations = self.history.operations();
        let (_, last) = last.expect("a node runs");
        let wrong = oracle::judge(&operations, &last);
        let mut wrong: Vec<String> = wrong.iter().map(Wrong::to_string).collect();
        wrong.append(&mut lock(&self.office.broken));
        let (heaps_read, mut unread) = self.kept.read(cluster, heaps);
        wrong.append(&mut unread);
        let changes = operations.iter().filter(|one| one.is_change());
        let count = |outcome| changes.clone().filter(|one| one.outcome == outcome).count();
        let is_lost_run = |one: &&Operation| {
            one.outcome == Outcome::Unknown && matches!(one.asked, Asked::Append { .. })
        };
        Tally {
            unknown_runs: changes.clone().filter(is_lost_run).count(),
            acknowledged: count(Outcome::Done),
            unknown: count(Outcome::Unknown),
            refused: count(Outcome::Refused),
            reads: operations.iter().filter(|one| !one.is_change()).count(),
            heaps_read,
            refusals: lock(&self.office.refusals).clone(),
            wrong,
        }
    }

    /// The same, and nothing may be wrong.
    ///
    /// # Panics
    /// When something is.
    pub fn finish(self, cluster: &Cluster) -> Tally {
        let tally = self.end(cluster, HEAPS_READ);
        assert!(tally.wrong.is_empty(), "{tally:#?}");
        tally
    }
}

/// Has clients use a cluster while something happens to it: they must get on with each of its nodes
/// before and after, and nothing that they were told may be wrong. What became of it.
pub fn under_load(setup: &Setup, happens: impl FnOnce(&mut Cluster, &Traffic)) -> Tally {
    let mut cluster = Cluster::start(setup);
    let traffic = Traffic::start(&cluster, Crowd::default());
    traffic.await_work(&cluster.names(), WORK);
    happens(&mut cluster, &traffic);
    cluster.await_ready();
    traffic.learn(&cluster);
    traffic.await_work(&cluster.names(), WORK);
    let tally = traffic.finish(&cluster);
    cluster.finish();
    tally
}

impl Office {
    fn learn(&self, cluster: &Cluster) {
        let nodes = cluster.nodes().iter();
        *lock(&self.nodes) = nodes.map(|node| (node.name.clone(), node.http)).collect();
    }

    fn refused(&self, why: &str) {
        *lock(&self.refusals).entry(why.to_owned()).or_default() += 1;
    }
}

/// What a client does, one step of it.
type Work = fn(&mut Worker);

/// What became of a run.
struct Ran {
    begin: Duration,
    outcome: Outcome,
    result: Option<String>,
    heap: Option<String>,
    /// Nobody has the heap that it was to go on from.
    is_heap_lost: bool,
}

struct Worker {
    office: Arc<Office>,
    number: usize,
    turn: usize,
    clients: BTreeMap<SocketAddr, Client>,
    /// The session of a chain, and what must be in its heap.
    chain: (String, Vec<String>),
}

impl Worker {
    fn new(office: &Arc<Office>, number: usize) -> Self {
        Self {
            office: Arc::clone(office),
            number,
            turn: 0,
            clients: BTreeMap::new(),
            chain: (String::new(), Vec::new()),
        }
    }

    fn work(&mut self, one: Work) {
        while !self.office.has_ended.load(Ordering::Relaxed) {
            self.turn += 1;
            one(self);
            thread::sleep(PAUSE);
        }
    }

    /// The next node, by turns.
    fn node(&mut self) -> (String, Client) {
        let nodes = lock(&self.office.nodes);
        let (name, address) = nodes[(self.number + self.turn) % nodes.len()].clone();
        drop(nodes);
        let client = self.clients.entry(address);
        let client = client.or_insert_with(|| Client::of(address, CLIENT_PATIENCE));
        (name, client.clone())
    }

    /// A value that nobody else has.
    fn value(&self) -> String {
        format!("{}-{}", self.number, self.turn)
    }

    fn chain(&mut self) {
        let (value, known) = (self.value(), &mut self.chain);
        if known.1.is_empty() || known.1.len() >= CHAIN {
            *known = (format!("chain-{value}"), Vec::new());
            lock(&self.office.sessions).push(known.0.clone());
        }
        let (session, mut kept) = known.clone();
        let mut body = json!({"session": session, "wait_ms": WAIT_MS});
        let code = if kept.is_empty() {
            format!("/*{value}*/ globalThis.log = ['{value}']; log.join()")
        } else {
            body["heap"] = "latest".into();
            format!("/*{value}*/ log.push('{value}'); log.join()")
        };
        body["code"] = code.into();
        let ran = self.run(&session, &value, &body);
        kept.push(value);
        match (ran.outcome, ran.result) {
            (Outcome::Done, Some(result)) => {
                let expected = kept.join(",");
                if let Some(heap) = ran.heap {
                    self.office.kept.note(Kept {
                        since: ran.begin,
                        heap,
                        holds: expected.clone(),
                    });
                }
                if result != expected {
                    let told = format!("a heap of {session} has {result}, and not {expected}");
                    lock(&self.office.broken).push(told);
                }
                self.chain.1 = kept;
            }
            // Nobody knows what the next one would find.
            (Outcome::Unknown, _) | (Outcome::Done, None) => self.chain.1.clear(),
            // Whether it may be lost is judged at the end (`KeptHeaps`): here nobody can go on.
            (Outcome::Refused, _) if ran.is_heap_lost => self.chain.1.clear(),
            (Outcome::Refused, _) => {}
        }
    }

    fn share(&mut self) {
        let value = self.value();
        let number = self.office.shared.fetch_add(1, Ordering::Relaxed);
        let session = shared(number);
        if number.is_multiple_of(SHARED_RUNS) {
            lock(&self.office.sessions).push(session.clone());
        }
        let code = format!("/*{value}*/ 1");
        let body = json!({"code": code, "session": session, "wait_ms": WAIT_MS});
        self.run(&session, &value, &body);
    }

    /// Runs something to its end.
    fn run(&mut self, session: &str, value: &str, body: &Value) -> Ran {
        let (name, client) = self.node();
        let begin = self.office.history.now();
        let answer = client.try_send("POST", "/api/exec", body);
        let mut is_heap_lost = false;
        let (outcome, seen) = match answer {
            Err(error) => (self.unknown(&error), Value::Null),
            Ok(answer) if answer.status == 200 => self.ended(answer.json()),
            Ok(answer) if answer.status == 202 => self.follow(&answer.json()),
            // Whatever is said instead: it was not accepted.
            Ok(answer) => {
                is_heap_lost = answer.error_code() == "heap_not_found";
                self.refused(&answer);
                (Outcome::Refused, Value::Null)
            }
        };
        let asked = Asked::Append {
            session: session.to_owned(),
            value: value.to_owned(),
        };
        self.office.history.note(&name, begin, (asked, outcome));
        let text = |name: &str| seen[name].as_str().map(str::to_owned);
        Ran {
            begin,
            outcome,
            result: text("result"),
            heap: text("heap"),
            is_heap_lost,
        }
    }

    /// Asks all nodes by turns what has become of a run.
    fn follow(&mut self, accepted: &Value) -> (Outcome, Value) {
        let id = accepted["execution_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let until = Instant::now() + RUN_PATIENCE;
        while Instant::now() < until {
            self.turn += 1;
            let (_, client) = self.node();
            let answer = client.try_get(&format!("/api/executions/{id}?wait_ms={WAIT_MS}"));
            match answer {
                Ok(answer) if answer.status == 200 => {
                    let seen = answer.json();
                    if crate::server::is_final(&seen) {
                        return self.ended(seen);
                    }
                }
                Ok(answer) => drop(self.refused(&answer)),
                Err(error) => drop(self.unknown(&error)),
            }
            thread::sleep(PAUSE);
        }
        self.office.refused("a run without an end");
        (Outcome::Unknown, Value::Null)
    }

    fn ended(&self, seen: Value) -> (Outcome, Value) {
        if seen["status"] == "completed" {
            return (Outcome::Done, seen);
        }
        let error = seen["error"].as_str().unwrap_or_default();
        let status = seen["status"].as_str().unwrap_or_default();
        self.office.refused(&format!("{status}: {error}"));
        let outcome = match error.contains(NOT_SAID) {
            true => Outcome::Unknown,
            false => Outcome::Refused,
        };
        (outcome, Value::Null)
    }

    fn set(&mut self) {
        let value = self.value();
        let register = self.register();
        let (name, client) = self.node();
        let path = format!("/api/heaps/{register}/tags");
        let begin = self.office.history.now();
        let answer = client.try_send("PUT", &path, &json!({"tags": {"v": value}}));
        let outcome = match answer {
            Ok(answer) if answer.status == 200 => Outcome::Done,
            Ok(answer) => self.refused(&answer),
            Err(error) => self.unknown(&error),
        };
        let asked = Asked::Set { register, value };
        self.office.history.note(&name, begin, (asked, outcome));
    }

    fn read(&mut self) {
        let (name, client) = self.node();
        let begin = self.office.history.now();
        let asked = if self.turn.is_multiple_of(2) {
            let register = self.register();
            let answer = client.try_get(&format!("/api/heaps/{register}/tags"));
            self.answered(answer).map(|seen| Asked::Get {
                register,
                value: seen["tags"]["v"].as_str().map(str::to_owned),
            })
        } else {
            // The shared one, and the last ones that were begun.
            let sessions = lock(&self.office.sessions);
            let last = sessions.len().checked_sub((self.turn / 2) % 3);
            let session = match last.and_then(|at| sessions.get(at)) {
                Some(session) => session.clone(),
                None => shared(self.office.shared.load(Ordering::Relaxed)),
            };
            drop(sessions);
            let values = self.list(&client, &session);
            values.map(|values| Asked::List { session, values })
        };
        if let Some(asked) = asked {
            let told = (asked, Outcome::Done);
            self.office.history.note(&name, begin, told);
        }
    }

    fn list(&self, client: &Client, session: &str) -> Option<Vec<String>> {
        let answer = client.try_get(&path_of(session));
        if let Ok(answer) = &answer
            && answer.error_code() == "session_not_found"
        {
            return Some(Vec::new());
        }
        self.answered(answer).map(|seen| values(&seen))
    }

    fn register(&self) -> String {
        let registers = &self.office.registers;
        // Two who set take the same one.
        registers[(self.turn / 4) % registers.len()].clone()
    }

    fn answered(&self, answer: Result<Answer, NoAnswer>) -> Option<Value> {
        match answer {
            Ok(answer) if answer.status == 200 => Some(answer.json()),
            Ok(answer) => {
                self.refused(&answer);
                None
            }
            Err(error) => {
                self.unknown(&error);
                None
            }
        }
    }

    /// What an answer that is an error says of the change.
    fn refused(&self, answer: &Answer) -> Outcome {
        let code = answer.error_code();
        self.office.refused(&format!("{} {code}", answer.status));
        match code.as_str() {
            // These say that it may have been made.
            "undecided" | "internal" | "store_unavailable" => Outcome::Unknown,
            _ => Outcome::Refused,
        }
    }

    fn unknown(&self, error: &NoAnswer) -> Outcome {
        self.office.refused(&error.to_string());
        if error.is_nobody() {
            Outcome::Refused
        } else {
            Outcome::Unknown
        }
    }
}

/// The session that this run of those who share one belongs to.
fn shared(number: usize) -> String {
    format!("shared-{}", number / SHARED_RUNS)
}

fn path_of(session: &str) -> String {
    format!("/api/sessions/{session}/snapshots?fields=code")
}

/// The values of the runs of a session.
fn values(seen: &Value) -> Vec<String> {
    let entries = seen["entries"].as_array().into_iter().flatten();
    let codes = entries.map(|entry| entry["code"].as_str().unwrap_or_default());
    codes.map(|code| value_in(code).to_owned()).collect()
}

/// The value that stands in a comment before the code.
fn value_in(code: &str) -> &str {
    let rest = code.strip_prefix("/*").unwrap_or(code);
    rest.split_once("*/").map_or(rest, |(value, _)| value)
}

/// A session at the end, whole.
fn listed_at_last(client: &Client, session: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        let answer = client.get(&format!("{}&from_index={from}", path_of(session)));
        if answer.error_code() == "session_not_found" {
            break;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = answer.json();
        all.append(&mut values(&seen));
        next = seen["next_index"].as_u64();
    }
    all
}

/// A heap whose tag is a register.
fn register(client: &Client, number: usize) -> String {
    let made = client.run(&format!("globalThis.register = {number}; 1"));
    let heap = made["heap"].as_str();
    heap.unwrap_or_else(|| panic!("no heap: {made}")).to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
