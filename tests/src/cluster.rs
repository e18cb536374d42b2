//! Real nodes on this machine, what lies between them, and what must hold of them.
//!
//! * [`place`]: addresses that nobody else takes.
//! * [`proxy`]: what lies between nodes, and breaks.
//! * [`lan`]: the same by the kernel, where root can have it.
//! * [`trust`]: how nodes know each other, and us.
//! * [`node`]: one node.
//! * [`balancer`]: what spreads clients over nodes.
//! * [`history`]: what clients asked, and what they were told.
//! * [`oracle`]: whether a history can be true.
//! * [`traffic`]: clients that keep one.
//! * [`kept`]: heaps that they were told of.

#![allow(clippy::print_stderr, reason = "a failed test shows what nodes said")]

pub mod balancer;
pub mod history;
pub mod kept;
pub mod lan;
pub mod node;
pub mod oracle;
pub mod place;
pub mod proxy;
pub mod traffic;
pub mod trust;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::lan::Lan;
use self::node::Node;
use self::proxy::Network;
use self::trust::{Mode, Trust};
use crate::http::Client;
use crate::processes;
use crate::server::PATIENCE;

/// How long a client of the harness itself waits for an answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(20);

/// Milliseconds of the cluster's clock: a heartbeat, and the least and the longest silence.
pub type Times = [u64; 3];
/// The program's own.
pub const TIMES_DEFAULT: Times = [100, 300, 500];
/// For machines on which tests run side by side: whoever waits for a processor is not taken for dead.
pub const TIMES_PATIENT: Times = [100, 600, 1000];

/// How a cluster is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many nodes begin it. They are called a, b, c and so on.
    pub nodes: usize,
    /// How they know each other.
    pub mode: Mode,
    /// Their times.
    pub times: Times,
    /// What all are started with besides.
    pub arguments: Vec<String>,
    /// The network that they are on; without one they have loopback addresses, and proxies between them.
    pub lan: Option<Lan>,
    /// Whose wall clock they go by.
    pub clocks: Clocks,
}

/// Whose wall clock nodes go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// The machine's.
    Shared,
    /// Each its own, which [`Node::set_clock`] sets.
    Own,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            nodes: 3,
            mode: Mode::Secret,
            times: TIMES_PATIENT,
            arguments: Vec::new(),
            lan: None,
            clocks: Clocks::Shared,
        }
    }
}

impl Setup {
    fn node(&self, name: &str, network: &Network) -> Node {
        let node = match &self.lan {
            Some(lan) => Node::in_room(name, lan.furnish().expect("there was room")),
            None => Node::new(name, network),
        };
        if self.clocks == Clocks::Own {
            node.set_clock(0);
        }
        node
    }
}

/// Nodes that are a cluster.
#[derive(Debug)]
pub struct Cluster {
    /// What lies between them.
    pub network: Network,
    nodes: Vec<Node>,
    trust: Trust,
    setup: Setup,
    _directory: TempDir,
}

impl Cluster {
    /// A new one, once all of its nodes are ready.
    pub fn start(setup: &Setup) -> Self {
        let mut cluster = Self::prepare(setup);
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.await_ready();
        cluster
    }

    /// A new one, of which nothing runs.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn prepare(setup: &Setup) -> Self {
        let directory = tempfile::Builder::new().prefix("mcp-v8-cluster-").tempdir();
        let directory = directory.expect("a temporary directory");
        let network = Network::default();
        let names = (b'a'..).take(setup.nodes).map(char::from);
        let nodes: Vec<Node> = names
            .map(|name| setup.node(&name.to_string(), &network))
            .collect();
        let mut cluster = Self {
            network,
            nodes,
            trust: Trust::new(setup.mode, directory.path()),
            setup: setup.clone(),
            _directory: directory,
        };
        let listed: Vec<String> = cluster
            .nodes
            .iter()
            .map(|node| format!("{}@{}", node.name, node.advertised))
            .collect();
        for at in 0..cluster.nodes.len() {
            let mut others = listed.clone();
            others.remove(at);
            let begin = match others.len() {
                0 => Vec::new(),
                _ => vec!["--peers".to_owned(), others.join(",")],
            };
            cluster.tell(at, begin);
        }
        cluster
    }

    /// Has a node start with what all of them have, and this.
    fn tell(&mut self, at: usize, begin: Vec<String>) {
        let [heartbeat, least, most] = self.setup.times.map(|ms| ms.to_string());
        let times = [
            ("--heartbeat-interval", heartbeat),
            ("--election-timeout-min", least),
            ("--election-timeout-max", most),
        ];
        let times = times.into_iter();
        let times = times.flat_map(|(flag, value)| [flag.to_owned(), value]);
        let name = self.nodes[at].name.clone();
        self.nodes[at].arguments = begin
            .into_iter()
            .chain(times)
            .chain(self.trust.arguments(&name))
            .chain(self.setup.arguments.iter().cloned())
            .collect();
    }

    /// All nodes, members or not.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The names of all.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// The names of those that are not `name`.
    pub fn others(&self, name: &str) -> Vec<String> {
        let mut names = self.names();
        names.retain(|other| other != name);
        names
    }

    /// The node of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn node(&self, name: &str) -> &Node {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The same, to do something to it.
    ///
    /// # Panics
    /// When there is none.
    pub fn node_mut(&mut self, name: &str) -> &mut Node {
        let found = self.nodes.iter_mut().find(|node| node.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The file of a heap on a node, where it is there.
    pub fn heap_file(&self, name: &str, heap: &Value) -> Option<PathBuf> {
        let file = format!("{}.heap", heap.as_str()?);
        let folders = fs::read_dir(self.node(name).heaps()).ok()?;
        let files = folders.flatten().map(|folder| folder.path().join(&file));
        files.into_iter().find(|path| path.exists())
    }

    /// The nodes on whose disks a heap is.
    pub fn holders(&self, heap: &Value) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| self.heap_file(name, heap).is_some());
        names
    }

    /// A client of a node.
    pub fn client(&self, name: &str) -> Client {
        self.node(name).client(CLIENT_PATIENCE)
    }

    /// Adds a node that asks the node `seed` to be let in, and starts it; it is not waited for.
    pub fn join(&mut self, name: &str, seed: &str, arguments: &[&str]) {
        self.nodes.push(self.setup.node(name, &self.network));
        self.rejoin(name, seed, arguments);
    }

    /// Has a node that does not run, and whose disk is empty, ask to be let in.
    ///
    /// # Panics
    /// When there is none.
    pub fn rejoin(&mut self, name: &str, seed: &str, arguments: &[&str]) {
        let seed = self.node(seed).advertised.to_string();
        let begin = ["--join".to_owned(), seed].into_iter();
        let begin = begin.chain(arguments.iter().map(|&word| word.to_owned()));
        let at = self.nodes.iter().position(|node| node.name == name);
        self.tell(at.expect("there is one"), begin.collect());
        self.node_mut(name).start();
    }

    /// Starts a node that has been a member, and says this besides.
    ///
    /// # Panics
    /// When there is none.
    pub fn start_with(&mut self, name: &str, arguments: &[&str]) {
        let at = self.nodes.iter().position(|node| node.name == name);
        let arguments = arguments.iter().map(|&word| word.to_owned());
        self.tell(at.expect("there is one"), arguments.collect());
        self.node_mut(name).start();
    }

    /// Asks the node `asked` to have `who` removed: the answer.
    ///
    /// # Panics
    /// When there is none.
    pub fn leave(&self, asked: &str, who: &str) -> (u16, Value) {
        let body = json!({"node_id": who}).to_string();
        let answer = self.ask(asked, ("POST", "/raft/leave"), &body);
        answer.unwrap_or_else(|error| panic!("{asked} does not answer: {error}"))
    }

    /// Forgets a node, which is killed if it still runs.
    ///
    /// # Panics
    /// When it has panicked.
    pub fn forget(&mut self, name: &str) {
        self.node(name).assert_sound();
        self.nodes.retain(|node| node.name != name);
    }

    /// How a node says that it stands; `None` where it does not.
    pub fn status(&self, name: &str) -> Option<Value> {
        let (status, answer) = self.ask(name, ("GET", "/raft/status"), "").ok()?;
        (status == 200).then_some(answer)
    }

    /// Asks a node on its port.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask(&self, name: &str, what: (&str, &str), body: &str) -> io::Result<(u16, Value)> {
        let port = self.node(name).port;
        self.trust.ask((name, port), what, body)
    }

    /// The node that leads most of these, once all of them say so.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn leader_of(&self, names: &[String]) -> String {
        let mut leader = None;
        let is_led = processes::within(PATIENCE, || {
            leader = self.agreed(names);
            leader.is_some()
        });
        let seen: Vec<_> = names.iter().map(|name| self.status(name)).collect();
        assert!(is_led, "no leader of {names:?}: {seen:?}");
        leader.expect("there is one")
    }

    /// Who leads, when these all name one of them.
    fn agreed(&self, names: &[String]) -> Option<String> {
        let mut led = names.iter().map(|name| {
            let status = self.status(name)?;
            let term = status["term"].as_u64()?;
            Some((term, status["leader_id"].as_str()?.to_owned()))
        });
        let first = led.next()??;
        let is_one = led.all(|other| other.as_ref() == Some(&first));
        (is_one && names.contains(&first.1)).then_some(first.1)
    }

    /// The node that leads, once all that run say so.
    pub fn leader(&self) -> String {
        let up = self.nodes.iter().filter(|node| node.is_up());
        let up: Vec<String> = up.map(|node| node.name.clone()).collect();
        self.leader_of(&up)
    }

    /// One that does not lead.
    ///
    /// # Panics
    /// When there is none.
    pub fn follower(&self) -> String {
        let leader = self.leader();
        let mut others = self.others(&leader).into_iter();
        let up = others.find(|name| self.node(name).is_up());
        up.expect("more than one runs")
    }

    /// Terms that were begun so far, as a node knows: each has had an election.
    ///
    /// # Panics
    /// When it does not say.
    pub fn term(&self, name: &str) -> u64 {
        let status = self.status(name).unwrap_or_default();
        let term = status["term"].as_u64();
        term.unwrap_or_else(|| panic!("{name} says {status}"))
    }

    /// Waits until all nodes that run are ready, and led.
    pub fn await_ready(&self) {
        for node in self.nodes.iter().filter(|node| node.is_up()) {
            self.await_ready_one(&node.name);
        }
        self.leader();
    }

    /// Waits until a node is ready.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn await_ready_one(&self, name: &str) {
        let client = self.client(name);
        let mut seen = None;
        let is_ready = processes::within(PATIENCE, || {
            seen = client.try_get("/readyz").ok();
            seen.as_ref().is_some_and(|answer| answer.status == 200)
        });
        assert!(is_ready, "{name} is not ready: {seen:?}");
    }

    /// Waits until a node that has come votes.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn await_vote(&self, name: &str) {
        let votes = || {
            let status = self.status(name).unwrap_or_default();
            ["Leader", "Follower"].contains(&status["role"].as_str().unwrap_or_default())
        };
        assert!(
            processes::within(PATIENCE, votes),
            "{name} has no vote: {:?}",
            self.status(name)
        );
    }

    /// Waits until all nodes that run have applied the same.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn await_level(&self) {
        let mut seen = Vec::new();
        let is_level = processes::within(PATIENCE, || {
            let up = self.nodes.iter().filter(|node| node.is_up());
            seen = up
                .map(|node| {
                    self.status(&node.name)
                        .and_then(|status| status["last_applied"].as_u64())
                })
                .collect();
            seen.iter()
                .all(|applied| applied.is_some() && *applied == seen[0])
        });
        assert!(is_level, "they have applied {seen:?}");
    }

    /// Ends all nodes as an operator does, and asserts that each ends well, that none has panicked, and
    /// that nothing is left.
    ///
    /// # Panics
    /// When it is otherwise.
    pub fn finish(mut self) {
        for node in &mut self.nodes {
            if node.is_up() {
                node.signal(Signal::SIGTERM);
            }
        }
        for node in &mut self.nodes {
            if node.is_up() {
                let status = node.await_end();
                assert!(status.success(), "{} ended with {status}", node.name);
            }
            node.assert_sound();
            node.home.assert_empty();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let kept = std::env::temp_dir().join(format!("mcp-v8-cluster-logs-{}", std::process::id()));
        let _ = std::fs::create_dir_all(&kept);
        for node in &self.nodes {
            let path = kept.join(format!("{}.log", node.name));
            let _ = std::fs::write(&path, node.log());
            eprintln!(
                "--- the last words of {} (all are in {}):\n{}",
                node.name,
                path.display(),
                node.last_words()
            );
        }
    }
}
