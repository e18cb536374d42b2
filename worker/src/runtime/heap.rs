//! V8's heap limit.
//!
//! It does not bound the process: the JSON parser, ICU, WebAssembly and resizable buffers allocate
//! past it. The kernel's limits (`crate::sandbox`) are the ones that hold.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::rc::Rc;

use deno_core::v8;
use mcp_v8_protocol::exit::ExitCode;

use crate::conversation::end_process;
use crate::runtime::state::State;

/// The heap that an isolate is made with, in bytes: above the largest limit of an execution and what
/// the runtime itself takes. It is lowered when an execution's limit is known; V8 lowers a limit but
/// does not raise it.
pub(crate) const HEAP_BYTES_MAX: usize = 128 << 20;

/// By how much the limit is raised when V8 needs more to make a snapshot, in bytes.
const SAVING_STEP_BYTES: usize = 8 << 20;

thread_local! {
    /// Whom to tell when V8 runs out of memory: the callback for running out elsewhere than in the
    /// heap is given no data.
    static RUNNING: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

/// What is in use, in bytes.
pub(crate) fn used_bytes(isolate: &mut v8::Isolate) -> usize {
    isolate.get_heap_statistics().used_heap_size()
}

/// Sets the heap limit of the execution that begins, in bytes. V8 gives a heap that holds nearly as
/// much or more already a quarter of what it holds beyond that.
pub(crate) fn limit_heap(isolate: &mut v8::Isolate, state: &Rc<State>, bytes: usize) {
    let data = std::ptr::null_mut();
    RUNNING.set(Some(Rc::clone(state)));
    isolate.set_oom_error_handler(out_of_memory);
    speak_for_cpp();
    isolate.add_near_heap_limit_callback(near_heap_limit, data);
    // Removing a callback is how V8 is told of a lower limit.
    isolate.remove_near_heap_limit_callback(near_heap_limit, bytes);
    isolate.add_near_heap_limit_callback(near_heap_limit, data);
}

/// Called by V8 in the middle of an allocation: nothing here may touch the heap.
unsafe extern "C" fn near_heap_limit(_: *mut c_void, current: usize, _initial: usize) -> usize {
    let state = running();
    if state.is_saving.get() {
        // No script runs any more: the kernel's limit of data is the one that holds.
        return current.saturating_add(SAVING_STEP_BYTES);
    }
    // V8 counts array buffers too; they have a budget of their own, so it gets them back once.
    let buffers = state.buffers.used();
    let given = state
        .heap_given_back
        .replace(buffers.max(state.heap_given_back.get()));
    if buffers > given {
        return current.saturating_add(buffers - given);
    }
    say_last_word(&state)
}

/// Called by V8 when an allocation failed for which it has no other way out.
unsafe extern "C" fn out_of_memory(_location: *const c_char, _details: &v8::OomDetails) {
    say_last_word(&running())
}

/// Lets `new` of C++ end as V8's own allocations do. Without a handler it aborts without a word, and
/// not only when memory is short: a list that doubles asks for more than there ever was.
fn speak_for_cpp() {
    unsafe extern "C" {
        /// `std::set_new_handler`.
        #[link_name = "_ZSt15set_new_handlerPFvvE"]
        fn set_new_handler(handler: extern "C" fn()) -> *const c_void;
    }
    extern "C" fn no_memory() {
        say_last_word(&running())
    }
    // SAFETY: it stores a function, which does not return and may be called anywhere.
    let _before = unsafe { set_new_handler(no_memory) };
}

/// The state of the execution that runs. The callbacks are installed after it is set.
fn running() -> Rc<State> {
    match RUNNING.with_borrow(Clone::clone) {
        Some(state) => state,
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
