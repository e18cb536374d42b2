//! Servers over hostile workers, and what they have to withstand.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::home::Home;
use crate::hostile::OBEY;
use crate::processes;
use crate::server::{PATIENCE, Server};

/// How long anything but silence may take.
pub const PROMPT: Duration = Duration::from_secs(15);
/// How long a worker may stay silent before Hello, and the time to notice.
pub const SILENCE: Duration = Duration::from_secs(25);
/// The deadline of scripts that reach it, in seconds.
pub const DEADLINE_SECS: u64 = 1;
/// The deadline of scripts that end before it, in seconds: longer than any patience here.
pub const FAR_DEADLINE_SECS: u64 = 40;

/// The name of the hostile worker in its home.
pub const WORKER: &str = "worker";

/// How a server starts its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One by one.
    Exec,
    /// By a fork server.
    Zygote,
}

impl Way {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Zygote => "zygote",
        }
    }
}

/// A server over a hostile worker that obeys its scripts, with further arguments. It keeps no heaps.
///
/// # Panics
/// When the system refuses, or the server does not start.
pub fn serve(home: &Home, way: Way, arguments: &[&str]) -> Server {
    home.hostile(WORKER, OBEY);
    open(home.stateless_server(WORKER), way, arguments)
}

/// The same, and it keeps heaps.
///
/// # Panics
/// As [`serve`].
pub fn serve_with_heaps(home: &Home, way: Way, arguments: &[&str]) -> Server {
    home.hostile(WORKER, OBEY);
    start(home, way, arguments)
}

/// A server over the hostile worker that is in its home already, with further arguments.
///
/// # Panics
/// When the system refuses, or the server does not start.
pub fn start(home: &Home, way: Way, arguments: &[&str]) -> Server {
    open(home.server(WORKER), way, arguments)
}

fn open(mut command: Command, way: Way, arguments: &[&str]) -> Server {
    command.args(["--worker-start", way.name()]).args(arguments);
    let mut server = Server::spawn(command);
    server.initialize();
    server
}

/// What the execution of a hostile script says at its end, in time, with this deadline.
///
/// # Panics
/// When it takes longer.
pub fn endure(server: &mut Server, code: &str, deadline_secs: u64, patience: Duration) -> Value {
    let begin = Instant::now();
    let seen = server.run_with(code, json!({"execution_timeout_secs": deadline_secs}));
    let took = begin.elapsed();
    assert!(took < patience, "{took:?} for {code}: {seen}");
    seen
}

/// Asserts that an error says what it should, in plain text.
///
/// # Panics
/// When it does not.
pub fn assert_words(about: &str, text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{about}: {word:?} is not in: {text}");
    }
    let clean = text
        .chars()
        .all(|c| !c.is_control() || c == '\n' || c == '\t');
    assert!(clean, "{about}: control characters in: {text:?}");
}

/// Kills what workers have left behind: without a jail they can have children, of which nobody is
/// told. Spares everything that is still beneath the server.
pub fn kill_orphans(home: &Home, server: &Server) {
    // In this order: what begins between the two looks is seen by neither, or by the second.
    let all = home.processes();
    let known = processes::descendants(server.pid());
    for entry in all {
        if !known.iter().any(|known| known.pid == entry.pid) {
            let _already_gone = kill(Pid::from_raw(entry.pid), Signal::SIGKILL);
        }
    }
}

/// Asserts that the server has nobody beneath it but a fork server and workers that wait.
///
/// # Panics
/// When there is somebody else.
pub fn assert_idle(server: &Server, way: Way, about: &str) {
    let expected = match way {
        Way::Exec => 0,
        Way::Zygote => 1,
    };
    let is_idle = processes::within(PATIENCE, || server.usage().children <= expected);
    let seen = processes::descendants(server.pid());
    assert!(is_idle, "after {about}: {seen:?}");
}
