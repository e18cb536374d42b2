//! The two memory budgets that a worker keeps itself: V8's heap, and array buffers.
//!
//! Neither bounds the process: the JSON parser, ICU, WebAssembly and resizable buffers allocate past
//! both. The kernel's limits (`crate::confine`) are the ones that hold.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deno_core::v8;

use crate::runtime::state::State;

/// What V8's own base and the web globals take, in bytes: the limit that an isolate is made with.
/// An execution's own limit comes on top.
pub(crate) const BASE_HEAP_BYTES: usize = 16 << 20;

/// V8's code range, in bytes: its smallest, since the whole range counts as data of the process.
pub(crate) const CODE_RANGE_BYTES: usize = 64 << 20;

/// What V8 expects of a buffer's address.
const ALIGNMENT: usize = 16;

/// What V8's near-heap-limit callback decides by.
#[derive(Debug)]
pub(crate) struct HeapLimit {
    execution_bytes: Cell<usize>,
    raised: Cell<bool>,
    state: Rc<State>,
}

impl HeapLimit {
    pub(crate) fn new(state: Rc<State>) -> Rc<Self> {
        Rc::new(Self {
            execution_bytes: Cell::new(0),
            raised: Cell::new(false),
            state,
        })
    }

    /// Sets the limit of the execution that begins, in bytes beyond the runtime's own.
    pub(crate) fn set(&self, bytes: usize) {
        self.execution_bytes.set(bytes);
    }

    /// Installs the callback. The value must outlive the isolate.
    pub(crate) fn install(self: &Rc<Self>, isolate: &mut v8::Isolate) {
        let data = Rc::into_raw(Rc::clone(self));
        isolate.add_near_heap_limit_callback(near_heap_limit, data.cast_mut().cast());
    }
}

/// Called by V8 in the middle of an allocation: nothing here may touch the heap.
unsafe extern "C" fn near_heap_limit(data: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: `install` leaked one count of this `Rc` for as long as the isolate lives, and V8 calls
    // on the isolate's thread.
    let limit = unsafe { &*data.cast::<HeapLimit>() };
    let execution = limit.execution_bytes.get();
    if !limit.raised.get() && execution > 0 {
        limit.raised.set(true);
        return current + execution;
    }
    match limit.state.host.try_borrow_mut() {
        Ok(mut host) => match host.as_mut() {
            Some(host) => host.heap_limit_reached(),
            None => std::process::abort(),
        },
        Err(_) => std::process::abort(),
    }
}

/// Counts array buffers against a budget. V8 turns a refusal into a `RangeError`.
#[derive(Debug, Default)]
pub(crate) struct BufferBudget {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl BufferBudget {
    /// Sets the budget, in bytes.
    pub(crate) fn set(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
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
