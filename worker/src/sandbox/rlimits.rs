//! The kernel's resource limits.
//!
//! For a process: set once. For an execution ([`tighten`]): data and CPU time, set under the filter,
//! which lets a process lower these two; nobody can raise a hard limit without a capability.
//!
//! # What memory an execution has
//!
//! Data is private writable memory, touched or not. An execution may have
//!
//! ```text
//! what the warm worker has ─ V8's heap ─ array buffers, WebAssembly memories ─ room for the rest
//! found when it begins       heap_bytes  buffer_bytes                         WORKER_ROOM_BYTES
//! ```
//!
//! as data, and [`WORKER_STACK_BYTES`] of stack. V8 keeps the first of the two limits between, the buffer
//! budget the second, the kernel the sum. What is resident grows by heap, buffers and room, however a
//! script goes about it; `tests/memory.rs` measures that from outside.
//!
//! *Machine code gets more.* The warm worker has some 137 MiB of data, of which 10 are resident: V8
//! reserves its code ranges (64 MiB each, two of them) writable and executable at once, so that they
//! count in full and are paid for as they fill. Scripts fill them only with code, which V8 counts
//! towards the heap; whoever owns the process can write into all of it, and the stack. So an
//! execution with 8 MiB of heap is resident with at most 90 MiB as a script, and 282 MiB as machine
//! code, beside the program's own pages, which all workers share.
//!
//! *The room* is for the TypeScript parser, V8's parsers and compilers, ICU, what JSON and regular
//! expressions take while they work, tables of collections. Of what is tried, the source text of an
//! execution asks for most. Per MiB of source, least to most: ordinary TypeScript 44 MiB, nothing but
//! declarations 62, nothing but tokens (`f(1);f(1);`) 100 and more. So 64 MiB is enough for the
//! largest source that anybody writes, with the smallest heap; the last kind ends as a memory
//! failure, or is given a larger heap, which it may use for that too.
//!
//! # What would not count, and what forbids it
//!
//! The kernel counts mappings by their kind, and looks when one is made or becomes writable. The
//! filter forbids what would get past that: shared mappings and growing stacks; pages that are touched
//! and then no longer writable (`mprotect`, pretended); a mapping in the place of another, for
//! which the kernel allows as many pages as go, of whatever kind (`MAP_FIXED`); a stack that is enlarged
//! (`mremap`). A stack that is cut into pieces would grow at each, so none grows after [`set`]. What
//! page tables cost is bounded by the address space: 2 MiB per GiB.
//!
//! *One way stays open.* The kernel does not look at data when a mapping becomes writable while the
//! *address space* is used up to its limit: the check is `data does not fit and addresses would`
//! (`mprotect_fixup`; seen on Linux 6.18). Machine code that first fills the address space can have all
//! of it as data. Without a limit of addresses, page tables would be unlimited instead. Somebody who
//! looks from outside ends that: the supervisor looks at what is resident, again and again, and a
//! control group where there is one; and the worker is the first victim when the system's memory runs
//! out.

use mcp_v8_protocol::limits::{WORKER_ROOM_BYTES, WORKER_STACK_BYTES};
use mcp_v8_protocol::message::{ExecutionLimits, HeapUse};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Address space, in bytes: V8 reserves far more than it uses (48 GiB when it starts).
const ADDRESS_SPACE_BYTES: u64 = 64 << 30;

/// More of the stack than is in use when it is fixed, arguments and environment included, in bytes.
const STACK_USED_BYTES_MAX: u64 = 1 << 20;

/// More data than any worker has before its execution, in bytes.
const DATA_FOUND_BYTES_MAX: u64 = 2 << 30;

/// Data of a second runtime, in bytes: a worker that was forked with a new heap, and continues a stored
/// one, makes another isolate for that. Its code range counts in full.
const RUNTIME_BYTES: u64 = 96 << 20;

/// How often V8 has a snapshot in memory while it makes one: in a list that doubles as it grows, and in
/// the block that it gives away.
const SNAPSHOT_COPIES: u64 = 3;

/// How exactly the data in use is found, in bytes.
const DATA_STEP_BYTES: u64 = 1 << 20;

/// What is asked for to find it, in bytes.
const PROBE_BYTES: usize = 64 << 10;

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
    fix_stack()?;
    lower(Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES)?;
    Ok(format!(
        "{} GiB of addresses, {} MiB of stack, no files, no processes; data and CPU time for each execution",
        ADDRESS_SPACE_BYTES >> 30,
        WORKER_STACK_BYTES >> 20
    ))
}

/// Takes the whole stack at once, and lets no stack grow from here on. The kernel would let each piece
/// of one grow to the limit, and a process can cut its stack into pieces.
fn fix_stack() -> Result<(), Errno> {
    lower(Resource::RLIMIT_STACK, WORKER_STACK_BYTES)?;
    let (soft, _) = getrlimit(Resource::RLIMIT_STACK)?;
    let depth = usize::try_from(soft.saturating_sub(STACK_USED_BYTES_MAX)).unwrap_or(0);
    let here = std::ptr::from_ref(&depth).addr();
    let end: *const u8 = std::ptr::with_exposed_provenance(here - depth);
    // SAFETY: the kernel lets the stack grow to its limit, and this is above it by what lies between
    // here and the stack's beginning. Nothing is done with the byte.
    let _zero = unsafe { end.read_volatile() };
    lower(Resource::RLIMIT_STACK, 0)
}

/// Gives up opening anything more.
pub(super) fn seal_descriptors() -> Result<(), Errno> {
    lower(Resource::RLIMIT_NOFILE, 0)
}

/// Sets the limits of one execution.
pub(super) fn tighten(limits: &ExecutionLimits, heap: HeapUse) -> Result<(), Errno> {
    let second_runtime = match heap {
        HeapUse::Discard | HeapUse::New => 0,
        HeapUse::Continue { .. } => RUNTIME_BYTES,
    };
    let data = data_in_use()?
        .saturating_add(second_runtime)
        .saturating_add(WORKER_ROOM_BYTES)
        .saturating_add(limits.heap_bytes)
        .saturating_add(limits.buffer_bytes);
    let to_save = SNAPSHOT_COPIES.saturating_mul(limits.snapshot_bytes);
    let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    let saving = data.saturating_add(to_save).min(hard);
    setrlimit(Resource::RLIMIT_DATA, data.min(hard), saving)?;
    lower(Resource::RLIMIT_CPU, u64::from(limits.cpu_seconds))
}

/// Takes what was kept back for a snapshot.
pub(super) fn make_room_to_save() -> Result<(), Errno> {
    let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    setrlimit(Resource::RLIMIT_DATA, hard, hard)
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
        if can_have(PROBE_BYTES) {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    setrlimit(Resource::RLIMIT_DATA, soft, hard)?;
    Ok(enough * DATA_STEP_BYTES)
}

/// Whether the kernel gives so many bytes more. Async-signal-safe.
pub(super) fn can_have(bytes: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: it was just made, and nothing points into it.
    unsafe { libc::munmap(memory, bytes) == 0 }
}

/// Lowers both limits; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> Result<(), Errno> {
    let (_, hard) = getrlimit(resource)?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit)
}
