//! What a worker gives up before it reads a user's byte, and what it gives up for each execution.
//!
//! Every step is required: one that fails ends the process.

use std::os::fd::RawFd;

use mcp_v8_protocol::message::ExecutionLimits;
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// The descriptors that a worker keeps: nothing, nothing, nothing, from and to the supervisor.
pub const INPUT_FD: RawFd = 3;
/// See [`INPUT_FD`].
pub const OUTPUT_FD: RawFd = 4;

/// Address space, in bytes: V8 reserves far more than it uses (48 GiB when it starts).
const ADDRESS_SPACE_BYTES: u64 = 64 << 30;

/// The stack, in bytes. V8 is told to use less than one MiB; the TypeScript parser recurses as deep as
/// `typescript` lets it, and that in a build without optimisation.
const STACK_BYTES: u64 = 64 << 20;

/// Data beyond an execution's own heap and buffers, in bytes: V8's code ranges (two isolates, see
/// `runtime::inspector_ops`), the runtime's heaps, and room for parsers and tables.
const DATA_BASE_BYTES: u64 = 384 << 20;

/// Which step of confinement failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {source}")]
pub struct ConfineError {
    step: &'static str,
    source: Errno,
}

type Result<T> = std::result::Result<T, ConfineError>;

trait Step<T> {
    fn step(self, step: &'static str) -> Result<T>;
}

impl<T> Step<T> for std::result::Result<T, Errno> {
    fn step(self, step: &'static str) -> Result<T> {
        self.map_err(|source| ConfineError { step, source })
    }
}

/// Gives up what no execution needs. Call it first of all, on a single thread.
///
/// # Errors
/// [`ConfineError`] names the step. The process must not go on.
pub fn confine(parent_must_live: bool) -> Result<()> {
    for fd in [INPUT_FD, OUTPUT_FD] {
        // SAFETY: F_GETFD reads a flag of a number.
        Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) })
            .step("find the supervisor's pipes on descriptors 3 and 4")?;
    }
    let first = u32::try_from(OUTPUT_FD + 1).unwrap_or(u32::MAX);
    // SAFETY: closes descriptors that this program has not opened.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
        .step("close inherited descriptors")?;
    if parent_must_live {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).step("ask to die with the supervisor")?;
    }
    nix::sys::prctl::set_no_new_privs().step("give up new privileges")?;
    nix::sys::prctl::set_dumpable(false).step("forbid others to look inside")?;
    for (resource, bytes, step) in [
        (Resource::RLIMIT_CORE, 0, "forbid core dumps"),
        (Resource::RLIMIT_FSIZE, 0, "forbid writing files"),
        (Resource::RLIMIT_MEMLOCK, 0, "forbid locked memory"),
        (Resource::RLIMIT_STACK, STACK_BYTES, "limit the stack"),
        (
            Resource::RLIMIT_AS,
            ADDRESS_SPACE_BYTES,
            "limit the address space",
        ),
    ] {
        lower(resource, bytes).step(step)?;
    }
    Ok(())
}

/// Gives up opening anything more. Call it when the runtime is made: V8 reads system files once.
///
/// # Errors
/// [`ConfineError`]; the process must not go on.
pub fn seal_descriptors() -> Result<()> {
    lower(Resource::RLIMIT_NOFILE, 0).step("forbid new descriptors")
}

/// Sets the kernel's limits for one execution.
///
/// # Errors
/// [`ConfineError`]; the process must not go on.
pub fn tighten(limits: &ExecutionLimits) -> Result<()> {
    let data = DATA_BASE_BYTES
        .saturating_add(limits.heap_bytes)
        .saturating_add(limits.buffer_bytes);
    lower(Resource::RLIMIT_DATA, data).step("limit data")?;
    lower(Resource::RLIMIT_CPU, u64::from(limits.cpu_seconds)).step("limit CPU time")
}

/// Lowers both limits; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> std::result::Result<(), Errno> {
    let (_, hard) = nix::sys::resource::getrlimit(resource)?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit)
}
