//! Where V8 wishes for memory: anywhere, but for its constants.
//!
//! By itself V8 asks for each piece of its heap (256 KiB) at an address that it draws by chance, from a generator that
//! `--random-seed` seeds: each process would have them at the same places. And so far apart each needs three pages of
//! page tables and a mapping of its own, all of which fork(2) copies for each worker and its end gives up. Without a wish
//! the kernel puts them next to each other, where it puts all that a process maps: at an address that is random for
//! each fork server. (Workers of one fork server have the same addresses in any case.)
//!
//! The linker gives V8's calls to this function (`--wrap` in `build/main.rs`), in programs and in integration tests; a worker
//! does not link where it was not told (`main.rs`). Elsewhere V8 draws its addresses.

use std::cell::Cell;
use std::ffi::c_void;

/// The first known place: far from all that the kernel places by itself, where addresses have 47 bits, as on x86-64. (Where
/// they have fewer the kernel chooses, and equal heaps need not have equal bytes.)
const KNOWN_PLACE: usize = 0x1000_0000_0000;
/// From one to the next, in bytes: more than V8 reserves at once.
const KNOWN_PLACES_APART: usize = 64 << 30;

thread_local! {
    /// Where V8 is to wish for memory next.
    static NEXT_PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Does something for which V8 gets memory at places that are the same in every process.
pub(super) fn at_known_places<T>(make: impl FnOnce() -> T) -> T {
    NEXT_PLACE.set(Some(KNOWN_PLACE));
    let made = make();
    NEXT_PLACE.set(None);
    made
}

/// `v8::base::OS::GetRandomMmapAddr()`.
#[unsafe(export_name = "__wrap__ZN2v84base2OS17GetRandomMmapAddrEv")]
extern "C" fn place() -> *mut c_void {
    let place = NEXT_PLACE.get();
    NEXT_PLACE.set(place.map(|place| place + KNOWN_PLACES_APART));
    std::ptr::without_provenance_mut(place.unwrap_or(0))
}
