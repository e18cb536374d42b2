//! The parts of the language that V8 leaves out of isolates that make snapshots.
//!
//! V8's own snapshot holds nothing that a flag can turn off: Temporal, `SharedArrayBuffer`,
//! `Float16Array`, `Promise.try` and some more are added whenever a context is made, but not where the
//! context may end up in a snapshot, since a context restored from it would get them twice. A heap's
//! context is made once and restored without any of that, so here they are added the first time.

use std::ffi::c_void;
use std::ptr;

use deno_core::v8;

/// V8's builder of contexts, as far as adding features reads it: `v8::internal::Genesis`, whose
/// handles and `v8::Local` are the same pointers.
#[repr(C)]
struct Genesis<'s> {
    isolate: v8::UnsafeRawIsolatePtr,
    result: v8::Local<'s, v8::Context>,
    native_context: v8::Local<'s, v8::Context>,
    global_proxy: *const c_void,
    restricted_properties_thrower: *const c_void,
    active: *const c_void,
}

unsafe extern "C" {
    /// `v8::internal::Genesis::InitializeExperimentalGlobal()`, which V8's library has, and its headers
    /// have not.
    #[link_name = "_ZN2v88internal7Genesis28InitializeExperimentalGlobalEv"]
    fn add_features(genesis: *const Genesis<'_>);
}

/// Adds them to the context that was entered, which must be fresh and of an isolate that makes
/// snapshots.
pub(crate) fn complete(scope: &mut v8::PinScope<'_, '_>) {
    let context = scope.get_current_context();
    let genesis = Genesis {
        // SAFETY: the pointer is used during the call below, and the isolate lives longer.
        isolate: unsafe { scope.as_raw_isolate_ptr() },
        result: context,
        native_context: context,
        global_proxy: ptr::null(),
        restricted_properties_thrower: ptr::null(),
        active: ptr::null(),
    };
    // SAFETY: the function reads the first three members, which have the types that it expects, and
    // adds properties to a context that does not have them. A V8 that lays them out in another way
    // crashes here at the first heap, in every test of one.
    unsafe { add_features(&raw const genesis) }
}
