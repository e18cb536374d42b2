//! The kernel's resource limits.
//!
//! For a process: set once. For an execution ([`tighten`]): data and CPU time, set under the filter,
//! which lets a process lower these two; nobody can raise a hard limit without a capability.
//!
//! Data counts private writable memory. `MAP_SHARED` and growing stacks would escape it, so the filter
//! lets neither through; what page tables cost is bounded by the address space.

use mcp_v8_protocol::message::ExecutionLimits;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Address space, in bytes: V8 reserves far more than it uses (48 GiB when it starts).
const ADDRESS_SPACE_BYTES: u64 = 64 << 30;

/// The stack, in bytes. V8 is told to use less than one MiB; the TypeScript parser recurses as deep as
/// `typescript` lets it, and that in a build without optimisation.
const STACK_BYTES: u64 = 64 << 20;

/// Data beyond an execution's own heap and buffers, in bytes: V8's code ranges (two isolates, see
/// `runtime::inspector_ops`), the runtime's heaps, and room for parsers and tables.
const DATA_BASE_BYTES: u64 = 384 << 20;

/// What no worker needs. The C library has no names for some.
const NOTHING: [libc::__rlimit_resource_t; 9] = [
    libc::RLIMIT_CORE,
    libc::RLIMIT_FSIZE,
    libc::RLIMIT_MEMLOCK,
    libc::RLIMIT_MSGQUEUE,
    libc::RLIMIT_SIGPENDING,
    libc::RLIMIT_LOCKS,
    libc::RLIMIT_RTPRIO,
    libc::RLIMIT_NICE,
    libc::RLIMIT_NPROC,
];

/// Sets the limits that hold for every execution, but for descriptors.
pub(super) fn set() -> Result<String, Errno> {
    for resource in NOTHING {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: reads the structure.
        Errno::result(unsafe { libc::setrlimit(resource, &raw const none) })?;
    }
    lower(Resource::RLIMIT_STACK, STACK_BYTES)?;
    lower(Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES)?;
    Ok(format!(
        "{} GiB of addresses, {} MiB of stack, no files, no processes; data and CPU time for each execution",
        ADDRESS_SPACE_BYTES >> 30,
        STACK_BYTES >> 20
    ))
}

/// Gives up opening anything more.
pub(super) fn seal_descriptors() -> Result<(), Errno> {
    lower(Resource::RLIMIT_NOFILE, 0)
}

/// Sets the limits of one execution.
pub(super) fn tighten(limits: &ExecutionLimits) -> Result<(), Errno> {
    let data = DATA_BASE_BYTES
        .saturating_add(limits.heap_bytes)
        .saturating_add(limits.buffer_bytes);
    lower(Resource::RLIMIT_DATA, data)?;
    lower(Resource::RLIMIT_CPU, u64::from(limits.cpu_seconds))
}

/// Lowers both limits; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> Result<(), Errno> {
    let (_, hard) = getrlimit(resource)?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit)
}
