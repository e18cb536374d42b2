//! One real node: a process with a directory of its own, which can be killed, stopped, started again, and
//! lose its disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::lan::Room;
use super::place;
use super::proxy::{Entrance, Network};
use crate::home::{Home, program};
use crate::http::Client;
use crate::processes;
use crate::server::PATIENCE;

/// Lines of a node's log that a failed test shows.
const LINES_SHOWN: usize = 120;

/// A node, running or not.
#[derive(Debug)]
pub struct Node {
    /// What it is called.
    pub name: String,
    /// Where it lives.
    pub home: Home,
    /// Where clients reach it.
    pub http: SocketAddr,
    /// Where its port for other nodes is reached by who is none.
    pub port: SocketAddr,
    /// Where other nodes find it.
    pub advertised: SocketAddr,
    /// What it is started with beside its addresses.
    pub(super) arguments: Vec<String>,
    child: Option<Child>,
    way: Way,
}

/// How others reach a node.
#[derive(Debug)]
enum Way {
    /// [`Network`] carries from where it is found to its port.
    Carried {
        network: Network,
        _entrance: Entrance,
    },
    /// It is on a network of real packets.
    Wired(Room),
}

impl Node {
    /// One on a loopback address.
    pub(super) fn new(name: &str, network: &Network) -> Self {
        let (http, port, advertised) = (place::reserve(), place::reserve(), place::reserve());
        let way = Way::Carried {
            network: network.clone(),
            _entrance: network.open(name, advertised, port),
        };
        Self::at(name, [http, port, advertised], way)
    }

    /// One in a network namespace.
    pub(super) fn in_room(name: &str, room: Room) -> Self {
        let places = [room.http(), room.port(), room.advertised()];
        Self::at(name, places, Way::Wired(room))
    }

    fn at(name: &str, [http, port, advertised]: [SocketAddr; 3], way: Way) -> Self {
        Self {
            name: name.to_owned(),
            home: Home::new(),
            http,
            port,
            advertised,
            arguments: Vec::new(),
            child: None,
            way,
        }
    }

    /// Its place on a network of real packets.
    ///
    /// # Panics
    /// When it is on none.
    pub fn room(&self) -> &Room {
        match &self.way {
            Way::Wired(room) => room,
            Way::Carried { .. } => panic!("{} has a loopback address", self.name),
        }
    }

    /// The address on which it hears other nodes: where they and we reach it by different ones, all.
    fn heard_at(&self) -> IpAddr {
        match &self.way {
            Way::Wired(_) => Ipv4Addr::UNSPECIFIED.into(),
            Way::Carried { .. } => self.port.ip(),
        }
    }

    /// A client of it, with so much patience.
    pub fn client(&self, patience: Duration) -> Client {
        Client::of(self.http, patience)
    }

    /// Whether its process runs, or is stopped.
    pub fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Where it keeps heaps.
    pub fn heaps(&self) -> PathBuf {
        self.home.path("heaps")
    }

    /// Starts it, and does not wait for anything.
    ///
    /// # Panics
    /// When it runs already, or cannot be started.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = self.log_file();
        let mut command = self.home.command();
        let flag = |value: &dyn ToString| value.to_string();
        let words = [
            (
                "--worker-path",
                self.home.path("mcp-v8-worker").display().to_string(),
            ),
            (
                "--session-db-path",
                self.home.path("data").display().to_string(),
            ),
            (
                "--directory-path",
                self.home.path("heaps").display().to_string(),
            ),
            ("--bind-host", flag(&self.http.ip())),
            ("--http-port", flag(&self.http.port())),
            ("--cluster-bind-host", flag(&self.heard_at())),
            ("--cluster-port", flag(&self.port.port())),
            ("--node-id", self.name.clone()),
            ("--advertise-addr", flag(&self.advertised)),
        ];
        for (flag, value) in words {
            command.arg(flag).arg(value);
        }
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log));
        if matches!(self.way, Way::Wired(_)) {
            // What is no loopback address is not open to anybody by itself.
            command.arg("--allow-unauthenticated");
        }
        if self.clock_path().exists() {
            command
                .env("LD_PRELOAD", program("examples/libown_clock.so"))
                .env("MCP_E2E_CLOCK", self.clock_path());
        }
        let child = self.spawn(&mut command);
        self.child = Some(child.expect("the server can be executed"));
    }

    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        match &self.way {
            Way::Wired(room) => room.spawn(command),
            Way::Carried { network, .. } => {
                let child = command.spawn()?;
                network.is_process(&self.name, child.id().cast_signed());
                Ok(child)
            }
        }
    }

    fn log_file(&self) -> File {
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).open(self.log_path());
        opened.expect("a file in our own directory")
    }

    fn log_path(&self) -> PathBuf {
        self.home.path("log")
    }

    /// What it has written to standard error, in all its lives.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asserts that it has not panicked, in any of its lives.
    ///
    /// # Panics
    /// When it has.
    pub(super) fn assert_sound(&self) {
        let log = self.log();
        let bad = log.lines().find(|line| line.contains("panicked"));
        assert!(bad.is_none(), "{}: {bad:?}", self.name);
    }

    /// The last lines of that.
    pub(super) fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// Sets its wall clock so many seconds ahead of the machine's. One that was never set is the machine's, until
    /// the node is started again.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn set_clock(&self, ahead: i64) {
        // Written over, and not anew: a node that runs looks at this file.
        let mut options = OpenOptions::new();
        let opened = options.create(true).truncate(false).write(true);
        let opened = opened.open(self.clock_path());
        let file = opened.expect("a file in our own directory");
        let written = file.write_all_at(&ahead.to_ne_bytes(), 0);
        written.expect("a file in our own directory");
    }

    fn clock_path(&self) -> PathBuf {
        self.home.path("clock")
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it runs");
        Pid::from_raw(child.id().cast_signed())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is our child, and not reaped");
    }

    /// Kills it, without a warning.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.await_end();
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn end(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.await_end()
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_end(&mut self) -> ExitStatus {
        let begin = Instant::now();
        let child = self.child.as_mut().expect("it runs");
        let mut status = None;
        let has_ended = processes::within(PATIENCE, || {
            status = child.try_wait().expect("it is our child");
            status.is_some()
        });
        assert!(has_ended, "{} runs since {:?}", self.name, begin.elapsed());
        self.child = None;
        status.expect("it has ended")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// Takes its disk away.
    ///
    /// # Panics
    /// When it runs.
    pub fn wipe(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        for directory in ["data", "heaps"] {
            let removed = fs::remove_dir_all(self.home.path(directory));
            removed.expect("a directory in our own");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Not reaped: the id is its.
            let _already_gone = child.kill();
            let _status = child.wait();
        }
    }
}
