//! The budget of array buffers.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deno_core::v8;

/// What V8 expects of a buffer's address.
const ALIGNMENT: usize = 16;

/// Counts array buffers against a budget. V8 turns a refusal into a `RangeError`.
#[derive(Debug, Default)]
pub(crate) struct BufferBudget {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl BufferBudget {
    /// Sets the budget, in bytes beyond what is in use.
    pub(crate) fn set(&self, bytes: usize) {
        let used = self.used.load(Ordering::Relaxed);
        self.limit
            .store(used.saturating_add(bytes), Ordering::Relaxed);
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether so many more bytes fit.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        used.saturating_add(bytes) <= self.limit.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let used = self
            .used
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if used > self.limit.load(Ordering::Relaxed) {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// An allocator for an isolate.
    pub(crate) fn allocator(self: &Arc<Self>) -> v8::UniqueRef<v8::Allocator> {
        static VTABLE: v8::RustAllocatorVtable<BufferBudget> = v8::RustAllocatorVtable {
            allocate,
            allocate_uninitialized,
            free,
            drop: drop_budget,
        };
        // SAFETY: the pointer is one count of the `Arc`, given back in `drop_budget`, and the
        // functions match the vtable's contract.
        unsafe { v8::new_rust_allocator(Arc::into_raw(Arc::clone(self)), &VTABLE) }
    }
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()
}

unsafe extern "C" fn allocate(budget: &BufferBudget, bytes: usize) -> *mut c_void {
    match layout(bytes) {
        // SAFETY: the layout is not empty.
        Some(layout) if budget.take(bytes) => unsafe { alloc_zeroed(layout).cast() },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn allocate_uninitialized(budget: &BufferBudget, bytes: usize) -> *mut c_void {
    match layout(bytes) {
        // SAFETY: the layout is not empty.
        Some(layout) if budget.take(bytes) => unsafe { alloc(layout).cast() },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn free(budget: &BufferBudget, data: *mut c_void, bytes: usize) {
    if let (false, Some(layout)) = (data.is_null(), layout(bytes)) {
        budget.used.fetch_sub(bytes, Ordering::Relaxed);
        // SAFETY: V8 gives back what `allocate` gave it, with the same length.
        unsafe { dealloc(data.cast(), layout) };
    }
}

unsafe extern "C" fn drop_budget(budget: *const BufferBudget) {
    // SAFETY: `allocator` leaked this count.
    drop(unsafe { Arc::from_raw(budget) });
}
