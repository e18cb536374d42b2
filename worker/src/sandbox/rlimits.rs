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

/// Data beyond an execution's own heap and buffers, and beyond what the runtime has already (most of
/// it V8's code ranges, which count in full): room for compilers, parsers, tables and collections.
const DATA_ROOM_BYTES: u64 = 64 << 20;

/// More data than any worker has before its execution, in bytes.
const DATA_FOUND_BYTES_MAX: u64 = 2 << 30;

/// How exactly the data in use is found, in bytes.
const DATA_STEP_BYTES: u64 = 1 << 20;

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
    let data = data_in_use()?
        .saturating_add(DATA_ROOM_BYTES)
        .saturating_add(limits.heap_bytes)
        .saturating_add(limits.buffer_bytes);
    lower(Resource::RLIMIT_DATA, data)?;
    lower(Resource::RLIMIT_CPU, u64::from(limits.cpu_seconds))
}

/// How much of RLIMIT_DATA is in use, rounded up. There is no `/proc` to read it from, so it is found
/// by effect: the least limit under which memory can still be had.
fn data_in_use() -> Result<u64, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    let (mut too_little, mut enough) = (0, DATA_FOUND_BYTES_MAX / DATA_STEP_BYTES);
    while enough - too_little > 1 {
        let middle = too_little.midpoint(enough);
        setrlimit(
            Resource::RLIMIT_DATA,
            (middle * DATA_STEP_BYTES).min(hard),
            hard,
        )?;
        if can_have_memory() {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    setrlimit(Resource::RLIMIT_DATA, soft, hard)?;
    Ok(enough * DATA_STEP_BYTES)
}

fn can_have_memory() -> bool {
    const LENGTH: usize = 64 << 10;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: it was just made, and nothing points into it.
    unsafe { libc::munmap(memory, LENGTH) == 0 }
}

/// Lowers both limits; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> Result<(), Errno> {
    let (_, hard) = getrlimit(resource)?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit)
}
