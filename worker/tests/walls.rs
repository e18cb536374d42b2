//! What holds when the filter is gone: the jail without it, and in turn without Landlock and
//! without namespaces. The last column has neither, and shows that the others can fail. A table
//! (`tests/abuse.toml`) says what must come of each act.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::io::Read as _;
use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

mod support {
    #[allow(dead_code, reason = "each test program uses a part of this")]
    pub(crate) mod abuse;
    #[allow(dead_code, reason = "each test program uses a part of this")]
    pub(crate) mod probe;
}
use support::abuse::{Act, Table, Target, UNTOLD, Walls, is_right, outcome};
use support::probe;

/// The user that everybody here is, when root runs the tests.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What the probe said, and the signal that ended it.
fn attempt(arguments: &[&str], input: Stdio) -> (String, Option<i32>) {
    let mut command = Command::new(probe::program());
    command.arg("--no-filter");
    if is_root() {
        command.arg("--nobody");
    }
    let mut child = command
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _open = child.stdin.take();
    let mut text = String::new();
    let mut output = child.stdout.take().unwrap();
    output.read_to_string(&mut text).unwrap();
    (text, child.wait().unwrap().signal())
}

/// Everything outside that acts are about.
struct Outside {
    directory: tempfile::TempDir,
    process: Child,
    name: String,
    tcp: TcpListener,
    _abstract: UnixListener,
    _path: UnixListener,
}

impl Outside {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut sleeper = Command::new("sleep");
        sleeper.arg("1000");
        if is_root() {
            sleeper.uid(NOBODY).gid(NOBODY);
            std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let name = format!("mcp-v8-walls-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let path = directory.path().join("socket");
        let outside = Self {
            process: sleeper.spawn().unwrap(),
            name,
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            _abstract: UnixListener::bind_addr(&address).unwrap(),
            _path: UnixListener::bind(&path).unwrap(),
            directory,
        };
        outside.give(&path);
        outside
    }

    fn give(&self, path: &Path) {
        if is_root() {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// How the probe is told of it, and what it has as its input.
    fn target(&self, target: Target) -> (String, Stdio) {
        match target {
            Target::None => (String::new(), Stdio::piped()),
            // The probe knows it.
            Target::Sibling => (String::new(), Stdio::piped()),
            Target::Process => (self.process.id().to_string(), Stdio::piped()),
            Target::File => {
                let path = self.directory.path().join("file");
                std::fs::write(&path, "text").unwrap();
                self.give(&path);
                (path.display().to_string(), Stdio::piped())
            }
            Target::Abstract => (self.name.clone(), socket(libc::AF_UNIX)),
            Target::Path => {
                let path = self.directory.path().join("socket");
                (path.display().to_string(), socket(libc::AF_UNIX))
            }
            Target::Tcp => {
                let port = self.tcp.local_addr().unwrap().port();
                (port.to_string(), socket(libc::AF_INET))
            }
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// A socket that is not connected.
fn socket(family: i32) -> Stdio {
    // SAFETY: integers only.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Stdio::from(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The version of Landlock that the kernel claims.
fn landlock_version() -> u32 {
    let (report, _) = attempt(&["--best-effort", "report"], Stdio::piped());
    let line = report.lines().find(|line| line.starts_with("landlock"));
    let version = line.and_then(|line| line.rsplit("version ").next()?.parse().ok());
    version.unwrap_or(0)
}

/// Whether an act can be tried on this machine, in a column.
fn is_here(column: &[&str], act: &Act, landlock: u32) -> bool {
    let is_known = landlock >= act.landlock_from.unwrap_or(1)
        && landlock < act.landlock_before.unwrap_or(u32::MAX);
    column.contains(&"--no-landlock") || is_known
}

/// Whether this machine allows user namespaces.
fn has_namespaces() -> bool {
    let (report, _) = attempt(&["--best-effort", "report"], Stdio::piped());
    report.lines().any(|line| {
        line.starts_with("user namespace") && line.split_whitespace().any(|word| word == "on")
    })
}

/// Does all acts of which the table says something, in each column, with more arguments; what did not
/// come out as it says.
fn try_all(table: &Table, more: &[&str], say: fn(&Act) -> Option<&Walls>) {
    let landlock = landlock_version();
    let has_namespaces = has_namespaces();
    let outside = Outside::new();
    let mut wrong = Vec::new();
    for (about, act) in table.acts() {
        let Some(walls) = say(act) else { continue };
        for (column, wanted) in table.column.iter().zip(walls.of_columns()) {
            let mut arguments: Vec<&str> = column.arguments.iter().map(String::as_str).collect();
            let needs_namespaces = !arguments.contains(&"--container");
            if !is_here(&arguments, act, landlock) || (needs_namespaces && !has_namespaces) {
                let (column, act) = (&column.name, &act.act);
                eprintln!("SKIPPED: {column}: {act}: this kernel does not have what it is about");
                continue;
            }
            if wanted == UNTOLD {
                continue;
            }
            let (target, input) = outside.target(act.target);
            if act.target == Target::Sibling {
                arguments.push("--sibling");
            }
            arguments.extend(more);
            arguments.extend(["--target", target.as_str(), act.act.as_str()]);
            let (said, signal) = attempt(&arguments, input);
            let found = outcome(&said, signal);
            if !is_right(wanted, &found) {
                let (column, act) = (&column.name, &act.act);
                wrong.push(format!("{column}: {about}: {act}: {found}, not {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_the_filters_the_walls_hold_what_the_table_says() {
    try_all(&Table::load(), &[], |act| act.walls.as_ref());
}

/// A worker of a fork server is alone in its process namespace, and numbers from outside name nobody.
/// Where it has none, a Landlock domain of its own keeps it from the fork server and its siblings.
#[test]
fn without_the_filters_a_forked_worker_reaches_what_the_table_says() {
    try_all(&Table::load(), &["--zygote"], |act| {
        act.forked.as_ref().or(act.walls.as_ref())
    });
}
