//! Children that this process has not started: reaped where nobody else would.
//!
//! Where the server is process 1 (a container without an init), the kernel gives it every process
//! whose parent has died, such as the workers of a fork server that was killed. They are killed with
//! their parent; without somebody who reaps them they would stay as zombies for ever.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// The children that were started here and are not reaped. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Register(Arc<Mutex<BTreeSet<Pid>>>);

impl Register {
    /// Enters a child. To be called on the thread that looks for strangers, at once when it is started.
    pub(super) fn enter(&self, pid: Pid) {
        self.lock().insert(pid);
    }

    /// Strikes out a child that was reaped: its number may be a stranger's next.
    pub(super) fn strike_out(&self, pid: Pid) {
        self.lock().remove(&pid);
    }

    fn knows(&self, pid: Pid) -> bool {
        self.lock().contains(&pid)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the kernel gives this process the children of others.
pub(super) fn come_here() -> bool {
    nix::unistd::getpid() == Pid::from_raw(1)
}

/// Reaps the strangers that have ended. Does not wait.
///
/// A child of our own is left to its owner, with what it died of. The kernel shows the dead in an
/// order of its own, so that one of ours can hide strangers behind it: they are found the next time.
pub(super) fn bury(register: &Register) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) =
        waitid(Id::All, look)
    {
        if register.knows(pid) {
            return;
        }
        if waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
        tracing::debug!(pid = pid.as_raw(), "a process without a parent was reaped");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const ALONE: &str = "MCP_V8_TEST_ALONE";
    const NAME: &str = "workers::strangers::tests::strangers_are_reaped_and_known_children_are_not";

    /// In a process of its own, since the children of other tests are strangers too.
    #[test]
    fn strangers_are_reaped_and_known_children_are_not() {
        if std::env::var_os(ALONE).is_some() {
            return tell_strangers_apart();
        }
        let this = std::env::current_exe().expect("the path of this test");
        let mut command = Command::new(this);
        command.args(["--exact", NAME, "--test-threads=1"]);
        let output = command
            .env(ALONE, "1")
            .output()
            .expect("it can be executed");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
    }

    fn tell_strangers_apart() {
        let register = Register::default();
        let stranger = start();
        bury(&register);
        assert!(waitpid(stranger, None).is_err(), "it is reaped");

        let known = start();
        register.enter(known);
        bury(&register);
        assert_eq!(waitpid(known, None), Ok(WaitStatus::Exited(known, 0)));
        register.strike_out(known);
        assert!(!register.knows(known));
    }

    /// A child that has ended and is not reaped.
    #[expect(clippy::zombie_processes, reason = "a zombie is what the test needs")]
    fn start() -> Pid {
        let child = Command::new("true").spawn().expect("true can be executed");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        let until_its_end = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(pid), until_its_end).expect("our own child");
        pid
    }
}
