//! V8's last look at a heap before it makes a snapshot: for functions of WebAssembly and asm.js, which it
//! cannot store.
//!
//! It looks among what is reachable, and to know that it marks the heap again and puts each object into a
//! hash table: a fifth of the CPU time of an execution that keeps a small heap. But it has just collected
//! all garbage, twice, and no script has run since: no function is among what it has let go of. Here it looks
//! among all that is there. A function that it found among garbage would end the process, as one that is reachable does.
//!
//! The linker gives V8's calls of the constructor to this one (`--wrap` in `build/main.rs`), in programs and in
//! integration tests. The floor of `scripts/bench`, an example, has V8's own.

use std::cell::Cell;
use std::ffi::c_void;

/// `HeapObjectIterator::kNoFiltering`, as `src/heap/heap.h` of V8 has it.
const NO_FILTERING: u32 = 0;

thread_local! {
    static IS_SAVING: Cell<bool> = const { Cell::new(false) };
    static PLAIN_WALKS: Cell<u32> = const { Cell::new(0) };
}

unsafe extern "C" {
    /// The constructor's other name: it is the same for a class without virtual bases (Itanium C++ ABI,
    /// 5.1.4.4), and nothing wraps it.
    #[link_name = "_ZN2v88internal18HeapObjectIteratorC2EPNS0_4HeapENS1_20HeapObjectsFilteringE"]
    fn construct(iterator: *mut c_void, heap: *mut c_void, filtering: u32);
}

/// `v8::internal::HeapObjectIterator::HeapObjectIterator(Heap*, HeapObjectsFiltering)`.
///
/// # Safety
/// As for V8's own: room for an iterator, and a heap.
#[unsafe(export_name = "__wrap__ZN2v88internal18HeapObjectIteratorC1EPNS0_4HeapENS1_20HeapObjectsFilteringE")]
unsafe extern "C" fn construct_plain(iterator: *mut c_void, heap: *mut c_void, filtering: u32) {
    let mut filtering = filtering;
    if IS_SAVING.get() && filtering != NO_FILTERING {
        PLAIN_WALKS.set(PLAIN_WALKS.get().saturating_add(1));
        filtering = NO_FILTERING;
    }
    // SAFETY: the caller says so.
    unsafe { construct(iterator, heap, filtering) }
}

/// Makes a snapshot; V8's walks meanwhile are over all that is there.
pub(crate) fn while_saving<T>(save: impl FnOnce() -> T) -> T {
    IS_SAVING.set(true);
    let saved = save();
    IS_SAVING.set(false);
    saved
}

/// How many walks of this thread were made plain. It shows whether the linker was told.
pub fn plain_walks() -> u32 {
    PLAIN_WALKS.get()
}
