//! What holds when the filters are gone: the jail without them, and in turn without Landlock and
//! without namespaces. The last column has neither, and shows that the others can fail.

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
    pub(crate) mod probe;
}
use support::probe;

/// The user that everybody here is, when root runs the tests.
const NOBODY: u32 = 65_534;

/// What must come of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fails(i32),
    Works,
    /// It becomes another program.
    Becomes,
}
use Outcome::{Becomes, Fails, Works};

/// Whom or what an act is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A process of the same user.
    Process,
    /// A file that the user may change.
    File,
    /// A listening socket; the probe has one that is not connected.
    Abstract,
    Path,
    Tcp,
    None,
}
use Target::{Abstract, File, Process, Tcp};

/// Whoever it is, it is not there.
const ESRCH: Outcome = Fails(libc::ESRCH);
const EPERM: Outcome = Fails(libc::EPERM);
const EACCES: Outcome = Fails(libc::EACCES);
const ENOENT: Outcome = Fails(libc::ENOENT);
/// No descriptor is left to be had.
const EMFILE: Outcome = Fails(libc::EMFILE);
/// No process is left to be had.
const EAGAIN: Outcome = Fails(libc::EAGAIN);
/// It was let through, and found nothing at the address.
const EFAULT: Outcome = Fails(libc::EFAULT);

/// The act, its target, and what comes of it with both walls, with Landlock only, with namespaces only
/// (but for that of processes, which needs a fork server), and with neither.
const TABLE: &[(&str, Target, [Outcome; 4])] = &[
    // Processes.
    ("kill-target", Process, [EPERM, EPERM, Works, Works]),
    ("tgkill-target", Process, [EPERM, EPERM, Works, Works]),
    ("tkill-target", Process, [EPERM, EPERM, Works, Works]),
    ("ptrace-target", Process, [EPERM, EPERM, EPERM, Works]),
    ("read-target", Process, [EPERM, EPERM, EPERM, EFAULT]),
    ("kcmp-target", Process, [EPERM, EPERM, EPERM, Works]),
    ("pidfd_open-target", Process, [EMFILE; 4]),
    ("clone-fork", Target::None, [EAGAIN; 4]),
    // What /proc tells of them.
    ("openat-environ-of-target", Process, [EMFILE; 4]),
    ("openat-memory-of-target", Process, [EMFILE; 4]),
    ("openat-maps-of-target", Process, [EMFILE; 4]),
    ("openat-arguments-of-target", Process, [EMFILE; 4]),
    (
        "stat-process-target",
        Process,
        [ENOENT, Works, ENOENT, Works],
    ),
    // Files.
    ("openat", Target::None, [EMFILE; 4]),
    ("stat-file", Target::None, [ENOENT, Works, ENOENT, Works]),
    ("truncate-target", File, [ENOENT, EACCES, ENOENT, Works]),
    ("unlink-target", File, [ENOENT, EACCES, ENOENT, Works]),
    (
        "execute-file",
        Target::None,
        [ENOENT, EACCES, ENOENT, Becomes],
    ),
    ("memfd_create", Target::None, [EMFILE; 4]),
    // Sockets: none can be made, and one that came from outside leads nowhere.
    ("socket-unix", Target::None, [EMFILE; 4]),
    ("socket-inet", Target::None, [EMFILE; 4]),
    ("connect-abstract", Abstract, [EPERM, EPERM, Works, Works]),
    ("connect-tcp", Tcp, [EACCES, EACCES, Works, Works]),
    // Landlock knows no path of a socket before its ninth version.
    ("connect-path", Target::Path, [ENOENT, Works, ENOENT, Works]),
];

/// The columns of the table, by the arguments that make them.
const COLUMNS: [(&str, &[&str]); 4] = [
    ("both walls", &[]),
    ("Landlock only", &["--container"]),
    ("namespaces only", &["--no-landlock", "--best-effort"]),
    (
        "neither",
        &["--container", "--no-landlock", "--best-effort"],
    ),
];

/// What comes of acts on other processes in a worker of a fork server, with Landlock and without: it is
/// alone in its process namespace, and numbers from outside name nobody.
const ALONE: &[(&str, Target, [Outcome; 2])] = &[
    ("kill-target", Process, [ESRCH, ESRCH]),
    ("tgkill-target", Process, [ESRCH, ESRCH]),
    ("tkill-target", Process, [ESRCH, ESRCH]),
    ("kill-parent", Target::None, [ESRCH, ESRCH]),
    ("kill-all", Target::None, [ESRCH, ESRCH]),
    ("ptrace-target", Process, [ESRCH, ESRCH]),
    ("read-target", Process, [ESRCH, ESRCH]),
    ("kcmp-target", Process, [ESRCH, ESRCH]),
    ("pidfd_open-target", Process, [ESRCH, ESRCH]),
    ("clone-fork", Target::None, [EAGAIN; 2]),
];

/// The columns of that table.
const FORKED: [(&str, &[&str]); 2] = [
    ("both walls", &["--zygote"]),
    ("namespaces only", &["--zygote", "--no-landlock"]),
];

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
            Process => (self.process.id().to_string(), Stdio::piped()),
            File => {
                let path = self.directory.path().join("file");
                std::fs::write(&path, "text").unwrap();
                self.give(&path);
                (path.display().to_string(), Stdio::piped())
            }
            Abstract => (self.name.clone(), socket(libc::AF_UNIX)),
            Target::Path => {
                let path = self.directory.path().join("socket");
                (path.display().to_string(), socket(libc::AF_UNIX))
            }
            Tcp => {
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

/// Whether a wall can be tried on this machine.
fn is_here(column: &[&str], act: &str, landlock: u32) -> bool {
    /// The versions that know of signals and abstract sockets, and of TCP.
    const SCOPES: u32 = 6;
    const TCP: u32 = 4;
    /// And of sockets with a path: what the table says is over then.
    const PATHS: u32 = 9;
    if column.contains(&"--no-landlock") {
        return true;
    }
    match act {
        "connect-tcp" => landlock >= TCP,
        "connect-path" => landlock < PATHS,
        _ => landlock >= SCOPES,
    }
}

/// Whether this machine allows user namespaces.
fn has_namespaces() -> bool {
    let (report, _) = attempt(&["--best-effort", "report"], Stdio::piped());
    report.lines().any(|line| {
        line.starts_with("user namespace") && line.split_whitespace().any(|word| word == "on")
    })
}

/// What came of an act, when it was not what is right.
fn wrong(
    outside: &Outside,
    column: &[&str],
    (act, about): (&str, Target),
    right: Outcome,
) -> Option<String> {
    let (target, input) = outside.target(about);
    let arguments = [column, &["--target", target.as_str(), act][..]].concat();
    let (said, signal) = attempt(&arguments, input);
    let is_right = match right {
        Fails(errno) => said == format!("errno {errno}"),
        Works => said.starts_with("ok "),
        // What it then does with so little memory is its own affair.
        Becomes => said.is_empty() && signal != Some(libc::SIGSYS),
    };
    (!is_right).then(|| format!("{act}: {said:?} {signal:?}, not {right:?}"))
}

#[test]
fn without_the_filters_a_worker_of_a_fork_server_reaches_nobody_else() {
    if !has_namespaces() {
        eprintln!("SKIPPED: this machine allows no user namespaces");
        return;
    }
    let outside = Outside::new();
    let mut all_wrong = Vec::new();
    for (act, about, outcomes) in ALONE {
        for ((name, column), right) in FORKED.iter().zip(outcomes) {
            let found = wrong(&outside, column, (act, *about), *right);
            all_wrong.extend(found.map(|found| format!("{name}: {found}")));
        }
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
}

#[test]
fn without_the_filters_the_walls_hold_what_the_table_says() {
    let landlock = landlock_version();
    let has_namespaces = has_namespaces();
    let outside = Outside::new();
    let mut all_wrong = Vec::new();
    for (act, about, outcomes) in TABLE {
        for ((name, column), right) in COLUMNS.iter().zip(outcomes) {
            let needs_namespaces = !column.contains(&"--container");
            if !is_here(column, act, landlock) || (needs_namespaces && !has_namespaces) {
                eprintln!("SKIPPED: {name}: {act}: this kernel does not have what it is about");
                continue;
            }
            let found = wrong(&outside, column, (act, *about), *right);
            all_wrong.extend(found.map(|found| format!("{name}: {found}")));
        }
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
}
