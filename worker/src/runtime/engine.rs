//! V8, once for the whole process: flags, platform, initialisation.

use std::sync::OnceLock;

use deno_core::{JsRuntime, v8};

/// Flags beside the ones that `deno_core` sets.
///
/// * `--single-threaded`: no compiler or collector threads, so that a warm process can fork, the jail
///   can deny `clone`, and CPU time means what it says.
/// * `--random-seed`, `--hash-seed`: fixed, so that equal heaps have equal bytes; scripts see another
///   `Math.random` (`web/js/bootstrap.js`).
/// * `--stack-size`: in KiB; leaves most of the stack (`crate::confine`) to native recursion.
const FLAGS: &str = "--single-threaded --random-seed=42 --hash-seed=42 --stack-size=984";

/// V8's code range, in bytes: its smallest, since the whole range counts as data of the process.
pub(crate) const CODE_RANGE_BYTES: usize = 64 << 20;

static PLATFORM: OnceLock<v8::SharedRef<v8::Platform>> = OnceLock::new();

/// Initialises V8 on the calling thread, which must be the one that runs scripts. Later calls do
/// nothing.
pub(crate) fn initialize() -> &'static v8::SharedRef<v8::Platform> {
    PLATFORM.get_or_init(|| {
        v8::V8::set_flags_from_string(FLAGS);
        let platform = v8::new_single_threaded_default_platform(false).make_shared();
        JsRuntime::init_platform(Some(platform.clone()));
        platform
    })
}

/// The version of V8, for Hello.
pub fn v8_version() -> &'static str {
    v8::V8::get_version()
}
