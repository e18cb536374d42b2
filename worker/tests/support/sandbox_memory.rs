//! Acts that take memory: all of it, the stack, what is only addresses, and what a heap needs.

use mcp_v8_protocol::limits::WORKER_STACK_BYTES;
use mcp_v8_protocol::message::{ExecutionLimits, FromWorker, HeapUse};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm};
use mcp_v8_worker::sandbox;

use super::{ANON, Before, NULL, PAGE, RW};

/// The limits of an execution.
const LIMITS: ExecutionLimits = ExecutionLimits {
    heap_bytes: 8 << 20,
    buffer_bytes: 8 << 20,
    cpu_seconds: 60,
    snapshot_bytes: 0,
};

struct Silent;

impl Host for Silent {
    fn console(&mut self, _text: &str) {}
    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }
    fn heap_limit_reached(&mut self) -> ! {
        std::process::abort()
    }
}

/// Runs a script on a new heap, stores it, and runs another on what was stored; 0 when all is well.
pub(super) fn keep_heap() -> i64 {
    tighten();
    let mut heap = None;
    for source in [
        "const add = [0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, \
           100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11];
         const { module, instance } = await WebAssembly.instantiate(new Uint8Array(add));
         const kept = [new URL('http://a.b/'), /x/g, new Map([[1n, new Float64Array(1000)]])];
         for (let i = 0; i < 300000; i++) kept[3] = [i, String(i)];
         await new Promise((resolve) => setTimeout(resolve, 1));
         instance.exports.add(2, 3)",
        "new WebAssembly.Instance(module).exports.add(kept[3][0], Temporal.PlainDate.from('2024-01-01').day) - 299995",
    ] {
        let mut realm = Realm::for_heap(heap.take());
        let outcome = realm.run(source, &LIMITS, Box::new(Silent));
        let Outcome::Completed { result, .. } = outcome else {
            return 2;
        };
        drop(realm.take_host());
        match realm.into_snapshot() {
            Ok(snapshot) if result == "5" => heap = Some(snapshot),
            Ok(_) | Err(_) => return 3,
        }
    }
    0
}

pub(super) fn tighten() {
    sandbox::tighten(&LIMITS, HeapUse::Discard).unwrap();
}

/// Writes where nothing is, as ICU does with what was not allocated.
pub(super) fn null() -> i64 {
    let nowhere: *mut u8 = std::ptr::without_provenance_mut(std::hint::black_box(8));
    // SAFETY: the point of this program: it ends here.
    unsafe { nowhere.write_volatile(1) };
    0
}

fn at(address: i64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}

/// Writes to each page.
fn touch(start: *mut u8, bytes: usize) {
    for offset in (0..bytes).step_by(PAGE) {
        // SAFETY: the caller has mapped it, and nothing else lies there.
        unsafe { start.wrapping_add(offset).write_volatile(1) };
    }
}

/// Maps and touches until the kernel refuses a page.
pub(super) fn fill_data() {
    let mut bytes = 64 << 20;
    while bytes >= PAGE {
        let start = call!(libc::SYS_mmap, NULL, bytes, RW, ANON, -1, 0);
        if start < 0 {
            bytes /= 2;
            continue;
        }
        touch(at(start), bytes);
        // Were this done, the pages would stay, and count no more.
        call!(libc::SYS_mprotect, start, bytes, libc::PROT_READ);
    }
}

/// The end of the stack that `sandbox` has fixed, and one page of it.
fn stack_end() -> *mut u8 {
    let here = 0_u8;
    let used = 1 << 20;
    let depth = usize::try_from(WORKER_STACK_BYTES).unwrap() - used;
    let address = (&raw const here).expose_provenance() & !(PAGE - 1);
    std::ptr::with_exposed_provenance_mut(address - depth + used)
}

/// Below the whole stack: it must not grow.
pub(super) fn stack_beyond() -> i64 {
    let depth = usize::try_from(WORKER_STACK_BYTES).unwrap();
    touch(stack_end().wrapping_sub(depth / 2), PAGE);
    0
}

/// Cuts the stack into pieces and tries to let the upper end of the gap grow into it.
pub(super) fn stack_in_pieces() -> i64 {
    let cut = stack_end();
    if call!(libc::SYS_munmap, cut, 4 << 20) != 0 {
        return 1;
    }
    touch(cut.wrapping_add((4 << 20) - PAGE), PAGE);
    0
}

/// Fills all memory that can be had, in every way; gives the limit of data, in MiB.
pub(super) fn fill() -> i64 {
    tighten();
    let mut data = [0_u64; 2];
    call!(
        libc::SYS_prlimit64,
        0,
        libc::c_int::try_from(libc::RLIMIT_DATA).unwrap(),
        NULL,
        &raw mut data
    );
    // So that there is memory left to say this.
    let spare = vec![0_u8; 64 << 10];
    fill_data();
    let end = call!(libc::SYS_brk, 0);
    if call!(libc::SYS_brk, end + 4096) > end {
        touch(at(end), PAGE);
    }
    let stack = stack_end();
    let here = 0_u8;
    touch(stack, (&raw const here).addr() - stack.addr() - (256 << 10));
    let page = (&raw const here).addr() & !(PAGE - 1);
    let moved = call!(
        libc::SYS_mremap,
        page - (512 << 10),
        PAGE,
        1 << 30,
        libc::MREMAP_MAYMOVE
    );
    if moved > 0 {
        touch(at(moved), 1 << 30);
    }
    read_everywhere();
    drop(spare);
    i64::try_from(data[0] >> 20).unwrap_or(0)
}

/// Reads one byte of each 2 MiB of all addresses that can be had: a page table each, and no page. Gives
/// the addresses, in bytes; the last call failed.
fn read_everywhere() -> usize {
    let mut all = 0;
    let mut bytes = 1_usize << 30;
    let flags = ANON | libc::MAP_NORESERVE;
    while bytes >= 2 << 20 {
        let start = call!(libc::SYS_mmap, NULL, bytes, libc::PROT_READ, flags, -1, 0);
        if start < 0 {
            bytes /= 2;
            continue;
        }
        for offset in (0..bytes).step_by(2 << 20) {
            // SAFETY: it was just mapped.
            let _zero = unsafe { at(start).wrapping_add(offset).read_volatile() };
        }
        all += bytes;
    }
    all
}

/// Page tables, which RLIMIT_DATA does not count, until the address space ends.
pub(super) fn page_tables() -> i64 {
    const ADDRESSES_BYTES: usize = 64 << 30;
    if read_everywhere() <= ADDRESSES_BYTES {
        -1
    } else {
        0
    }
}

/// The same; says so, and waits until its input ends: somebody looks at it meanwhile.
pub(super) fn hold_page_tables(before: &Before) -> i64 {
    let taken = page_tables();
    call!(libc::SYS_write, 4, c"full".as_ptr(), 4);
    call!(libc::SYS_read, 3, before.page, 1);
    taken
}
