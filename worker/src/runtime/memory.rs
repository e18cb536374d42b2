//! The two memory budgets that a worker keeps itself: V8's heap, and array buffers.
//!
//! Neither bounds the process: the JSON parser, ICU, WebAssembly and resizable buffers allocate past
//! both. The kernel's limits (`crate::sandbox`) are the ones that hold.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deno_core::v8;
use mcp_v8_protocol::exit::ExitCode;

use crate::conversation::end_process;
use crate::runtime::state::State;

/// The heap that an isolate is made with, in bytes: above the largest limit of an execution and what
/// the runtime itself takes. It is lowered when an execution's limit is known; V8 lowers a limit but
/// does not raise it.
pub(crate) const HEAP_BYTES_MAX: usize = 128 << 20;

/// V8's code range, in bytes: its smallest, since the whole range counts as data of the process.
pub(crate) const CODE_RANGE_BYTES: usize = 64 << 20;

/// What V8 expects of a buffer's address.
const ALIGNMENT: usize = 16;

thread_local! {
    /// Whom to tell when V8 runs out of memory elsewhere; V8 gives that callback no data.
    static RUNNING: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

/// Sets the heap limit of the execution that begins: `bytes` beyond what the runtime takes.
pub(crate) fn limit_heap(isolate: &mut v8::Isolate, state: &Rc<State>, bytes: usize) {
    let used = isolate.get_heap_statistics().used_heap_size();
    // One count stays with V8 for as long as the isolate lives.
    let data = Rc::into_raw(Rc::clone(state)).cast_mut().cast();
    RUNNING.set(Some(Rc::clone(state)));
    isolate.set_oom_error_handler(out_of_memory);
    isolate.add_near_heap_limit_callback(near_heap_limit, data);
    // Removing a callback is how V8 is told of a lower limit.
    isolate.remove_near_heap_limit_callback(near_heap_limit, used.saturating_add(bytes));
    isolate.add_near_heap_limit_callback(near_heap_limit, data);
}

/// Called by V8 in the middle of an allocation: nothing here may touch the heap.
unsafe extern "C" fn near_heap_limit(data: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: `limit_heap` leaked one count of this `Rc`, and V8 calls on the isolate's thread.
    let state = unsafe { &*data.cast::<State>() };
    // V8 counts array buffers too; they have a budget of their own, so it gets them back once.
    let buffers = state.buffers.used.load(Ordering::Relaxed);
    let given = state
        .heap_given_back
        .replace(buffers.max(state.heap_given_back.get()));
    if buffers > given {
        return current.saturating_add(buffers - given);
    }
    say_last_word(state)
}

/// Called by V8 when an allocation failed for which it has no other way out.
unsafe extern "C" fn out_of_memory(_location: *const c_char, _details: &v8::OomDetails) {
    match RUNNING.with_borrow(Clone::clone) {
        Some(state) => say_last_word(&state),
        None => end_process(ExitCode::HeapLimit),
    }
}

fn say_last_word(state: &State) -> ! {
    match state.host.try_borrow_mut().as_deref_mut() {
        Ok(Some(host)) => host.heap_limit_reached(),
        // In the middle of a console call, or after the last word: there is nothing to say.
        Ok(None) | Err(_) => end_process(ExitCode::HeapLimit),
    }
}

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
