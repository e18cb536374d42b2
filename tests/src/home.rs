//! Where a server of a test lives: its workers, its data, its temporary files.

#![allow(clippy::print_stderr, reason = "a test says what it has measured")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tempfile::TempDir;

use crate::hostile::{FORK_SERVER_STEPS_SUFFIX, LEAVE_INFIX, MARK_INFIX, STEPS_SUFFIX};
use crate::processes;
use crate::server::{PATIENCE, Server};

/// How long anything may outlive the server that it belongs to.
const ORPHANS_MAX: Duration = Duration::from_secs(1);

/// A program of the build that the running test, or tool, belongs to.
///
/// # Panics
/// When it is not built.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the system says where this program is");
    // target/<profile>/deps/<test>, or target/<profile>/<tool>
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{name} is not built beside {}; run scripts/test, or: cargo build --workspace",
                own.display()
            )
        })
}

/// A place of its own for servers: their workers, data and temporary files.
#[derive(Debug)]
pub struct Home {
    directory: TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// A new one, with the real worker in it.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("mcp-v8-e2e-")
            .tempdir()
            .expect("a temporary directory");
        let home = Self { directory };
        fs::create_dir(home.path("tmp")).expect("a directory in our own");
        home.link("mcp-v8-worker", "mcp-v8-worker");
        home
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a program of the build into it, under a name.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn link(&self, built: &str, name: &str) -> PathBuf {
        let link = self.path(name);
        symlink(program(built), &link).expect("a link in our own directory");
        link
    }

    /// Puts a hostile worker into it that performs these steps.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn hostile(&self, name: &str, steps: &str) -> PathBuf {
        let worker = self.link("hostile_worker", name);
        self.instruct(name, steps);
        worker
    }

    /// Tells a hostile worker what to do from its next start on.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn instruct(&self, name: &str, steps: &str) {
        self.replace(&format!("{name}{STEPS_SUFFIX}"), steps);
    }

    /// Tells a hostile fork server what to do from its next start on.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn instruct_fork_server(&self, name: &str, steps: &str) {
        self.replace(&format!("{name}{FORK_SERVER_STEPS_SUFFIX}"), steps);
    }

    fn replace(&self, name: &str, text: &str) {
        // Renamed into place: a worker that starts now reads the old steps or the new.
        let draft = self.path("steps.draft");
        fs::write(&draft, text).expect("a file in our own directory");
        fs::rename(&draft, self.path(name)).expect("a rename");
    }

    /// Waits until a hostile worker has come to the step that leaves this mark, and takes it away;
    /// which process it was.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn await_mark(&self, name: &str, mark: &str) -> Pid {
        let mark = self.path(&format!("{name}{MARK_INFIX}{mark}"));
        let came = processes::within(PATIENCE, || mark.exists());
        assert!(came, "no {}", mark.display());
        let pid = fs::read_to_string(&mark).expect("a file in our own directory");
        fs::remove_file(&mark).expect("a file in our own directory");
        Pid::from_raw(pid.parse().expect("a number"))
    }

    /// Lets a hostile worker go on that waits for it.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn give_leave(&self, name: &str, leave: &str) {
        let leave = self.path(&format!("{name}{LEAVE_INFIX}{leave}"));
        fs::write(leave, "").expect("a file in our own directory");
    }

    /// The command of a server that lives here, with nothing said yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("mcp-v8"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MCP_V8_") {
                command.env_remove(name);
            }
        }
        command
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// The command of a server with the worker of this name and its data here.
    pub fn server(&self, worker: &str) -> Command {
        let mut command = self.command();
        command
            .arg("--worker-path")
            .arg(self.path(worker))
            .arg("--session-db-path")
            .arg(self.path("data"))
            .arg("--directory-path")
            .arg(self.path("heaps"))
            .args(["--log-level", "debug"]);
        command
    }

    /// The command of a server with the worker of this name that keeps nothing.
    pub fn stateless_server(&self, worker: &str) -> Command {
        let mut command = self.command();
        command
            .arg("--worker-path")
            .arg(self.path(worker))
            .arg("--stateless")
            .args(["--log-level", "debug"]);
        command
    }

    /// Starts a server with the real worker, and opens the conversation.
    pub fn start(&self) -> Server {
        self.start_with(&[])
    }

    /// Starts a server with the real worker and further arguments, and opens the conversation.
    pub fn start_with(&self, arguments: &[&str]) -> Server {
        let mut command = self.server("mcp-v8-worker");
        command.args(arguments);
        let mut server = Server::spawn(command);
        server.initialize();
        server
    }

    /// The same command on a machine that does not give everything: `what` is taken away
    /// (`worker/tests/support/deprive.rs`).
    pub fn without(&self, what: &[&str], command: &Command) -> Command {
        let mut deprived = Command::new(program("examples/deprived"));
        deprived.args(what).arg("--").arg(command.get_program());
        deprived.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => deprived.env(name, value),
                None => deprived.env_remove(name),
            };
        }
        deprived
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        deprived
    }

    /// Gives all of it to an ordinary user, who may not be allowed to where programs are built: copies
    /// of them are made. Those of the server are in the directory that is returned.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn give_to(&self, user: u32) -> TempDir {
        let programs = tempfile::tempdir().expect("a temporary directory");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(programs.path(), open).expect("our own directory");
        fs::copy(program("mcp-v8"), programs.path().join("mcp-v8")).expect("a copy");
        let worker = self.path("mcp-v8-worker");
        fs::remove_file(&worker).expect("a link in our own directory");
        fs::copy(program("mcp-v8-worker"), &worker).expect("a copy");
        for path in [self.directory.path(), &self.path("tmp"), &worker] {
            chown(path, Some(user), Some(user)).expect("root gives what it has");
        }
        programs
    }

    /// Everything that was started from here and still runs.
    pub fn processes(&self) -> Vec<processes::Entry> {
        processes::beneath(self.directory.path())
    }

    /// Asserts that soon nothing that was started from here computes or waits to be reaped: what is
    /// left are fork servers and parked workers, which sleep.
    pub fn assert_calm(&self) {
        let sleeps = |entry: &processes::Entry| entry.state == 'S';
        let calm = processes::within(PATIENCE, || self.processes().iter().all(sleeps));
        assert!(calm, "still at work: {:?}", self.processes());
    }

    /// Asserts that nothing that was started from here runs any more, within a second where the machine
    /// has time for it. On a busy one it is said when it took longer.
    pub fn assert_empty(&self) {
        let begin = Instant::now();
        let gone = processes::within(PATIENCE, || self.processes().is_empty());
        let took = begin.elapsed();
        assert!(gone, "left behind: {:?}", self.processes());
        if took > ORPHANS_MAX {
            assert!(processes::is_machine_busy(), "it took {took:?}");
            eprintln!("the last of them was there for {took:?}, on a busy machine");
        }
    }
}

/// Whether a directory beneath `parent` has a name with this prefix.
pub fn has_entry(parent: &Path, prefix: &str) -> bool {
    fs::read_dir(parent).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        })
    })
}
