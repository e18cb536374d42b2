//! What the machine offers, as far as asking changes nothing.
//!
//! Whether a namespace or a Landlock right really holds cannot be read off a version: containers
//! forbid some calls, and some kernels claim what they do not keep. Those are tried by entering them,
//! and what holds is found by effect (`landlock`, `self_check`). [`check`] does all of it
//! in a process of its own.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::capabilities::{self, Capability};
use super::plan::{Asked, Plan, Way};
use super::{Descriptors, Layer, Report, SandboxError, enter_worker, enter_zygote, fork_worker};
use mcp_v8_protocol::exit::ExitCode;

/// What this process may do to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privileges {
    /// Its user is root (of its user namespace).
    pub is_root: bool,
    /// It can become another user.
    pub can_change_user: bool,
    /// It can signal processes of other users.
    pub can_kill_others: bool,
    /// It can make namespaces without a user namespace.
    pub can_administrate: bool,
}

/// What the machine offers this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// What it may do to itself.
    pub privileges: Privileges,
    /// The version of Landlock that the kernel claims; 0 for none.
    pub landlock_abi: u32,
    /// Threads of this process: only a process with one can enter namespaces.
    pub threads: usize,
}

/// Looks; nothing is changed.
pub fn offer() -> Offer {
    let has = capabilities::effective();
    Offer {
        privileges: Privileges {
            is_root: nix::unistd::geteuid().is_root(),
            can_change_user: has(Capability::SetUid) && has(Capability::SetGid),
            can_kill_others: has(Capability::Kill),
            can_administrate: has(Capability::SysAdmin),
        },
        landlock_abi: super::landlock::claimed_abi(),
        // Where /proc cannot be read, nothing is known against one.
        threads: std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count),
    }
}

/// The jail as a child process found it.
#[derive(Debug)]
pub struct Checked {
    /// A line for each layer.
    pub layers: String,
    /// Why a worker would refuse to run here.
    pub refusal: Option<String>,
}

/// Takes the whole jail in a child process, and tells what became of each layer. The caller has one
/// thread.
///
/// # Errors
/// When no child could be made, or it broke off without a word.
pub fn check(asked: Asked) -> io::Result<Checked> {
    let (input, _keep_open) = io::pipe()?;
    let (mut answer, mut output) = io::pipe()?;
    // SAFETY: the process has one thread, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let descriptors = Descriptors {
                input: input.as_raw_fd(),
                output: output.as_raw_fd(),
                stderr: None,
            };
            let plan = Plan::new(asked, &offer());
            let mut report = Report::default();
            let entered = enter(&plan, &descriptors, &mut report);
            let (mark, refusal) = match entered {
                Ok(()) => ('+', String::new()),
                Err(error) => ('-', error.to_string()),
            };
            // The output is moved to its place by one of the steps, and may be another's before.
            let text = format!("{mark}{refusal}\0{report}");
            let fd = if report.is_on(Layer::Descriptors) {
                super::OUTPUT_FD
            } else {
                output.as_raw_fd()
            };
            // SAFETY: writes a text to a descriptor. Should that fail, the silence says so.
            let _written = unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
            crate::conversation::end_process(ExitCode::Done)
        }
        ForkResult::Parent { child } => {
            let _flushed = output.flush();
            drop(output);
            let mut text = String::new();
            answer.read_to_string(&mut text)?;
            let status = wait(child)?;
            let gone = || io::Error::other(format!("the check broke off: {status:?}"));
            let (verdict, layers) = text.split_once('\0').ok_or_else(gone)?;
            Ok(Checked {
                layers: layers.to_owned(),
                refusal: verdict.strip_prefix('-').map(str::to_owned),
            })
        }
    }
}

/// Takes the jail; by way of a fork server as one and then as its worker, in whose stead the fork
/// server waits.
fn enter(plan: &Plan, descriptors: &Descriptors, report: &mut Report) -> Result<(), SandboxError> {
    if plan.way == Way::Zygote {
        enter_zygote(plan, report)?;
        // SAFETY: the process has one thread, and holds no lock.
        let forked = unsafe { fork_worker(report) };
        let step = "fork a worker";
        if let ForkResult::Parent { child } =
            forked.map_err(|source| SandboxError::Step { step, source })?
        {
            let _ended = wait(child);
            crate::conversation::end_process(ExitCode::Done)
        }
    }
    enter_worker(plan, descriptors, report)
}

fn wait(child: nix::unistd::Pid) -> Result<WaitStatus, Errno> {
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            status => return status,
        }
    }
}
