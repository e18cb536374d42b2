//! V8, once for the whole process: flags, platform, initialisation.

use std::sync::OnceLock;

use deno_core::{JsRuntime, v8};

use super::side_by_side::at_known_places;
use crate::tier::EngineTier;

/// Flags beside the ones that `deno_core` sets.
///
/// * `--single-threaded`: no compiler or collector threads, so that a warm process can fork, the jail
///   can deny `clone`, and CPU time means what it says.
/// * `--random-seed`, `--hash-seed`: fixed, so that equal heaps have equal bytes; scripts see another
///   `Math.random` (`web/js/bootstrap.js`), and memory lies elsewhere in each process (`side_by_side.rs`).
/// * `--no-memory-pool-share-memory-on-teardown`: a new isolate gets no pages that another one has
///   written to. V8 leaves some bytes of its objects as they were, and a heap would hold them.
/// * `--stack-size`: in KiB; leaves most of the stack (`crate::sandbox`) to native recursion.
const FLAGS: &str = "--single-threaded --random-seed=42 --hash-seed=42 --stack-size=984 --no-memory-pool-share-memory-on-teardown";

/// V8's code range, in bytes: its smallest, since the whole range counts as data of the process.
pub(crate) const CODE_RANGE_BYTES: usize = 64 << 20;

static TIER: OnceLock<EngineTier> = OnceLock::new();

static PLATFORM: OnceLock<v8::SharedRef<v8::Platform>> = OnceLock::new();

/// Chooses the tier; without a choice it is the default. Call it before anything of V8: the first
/// choice holds.
pub fn choose_tier(tier: EngineTier) {
    let _first = TIER.set(tier);
}

/// All flags that are set here.
pub(crate) fn flags() -> String {
    let tier = TIER.get_or_init(EngineTier::default);
    format!("{FLAGS} {}", tier.v8_flags())
}

/// Initialises V8 on the calling thread, which must be the one that runs scripts. Later calls do
/// nothing.
pub(crate) fn initialize() -> &'static v8::SharedRef<v8::Platform> {
    PLATFORM.get_or_init(|| {
        v8::V8::set_flags_from_string(&flags());
        let platform = v8::new_single_threaded_default_platform(false).make_shared();
        JsRuntime::init_platform(Some(platform.clone()));
        platform
    })
}

/// What all isolates share and none changes, V8's read-only heap, at addresses that are the same in
/// every process. (Heaps hold traces of them; the rest of V8 lies elsewhere in each process.) It is
/// made with the first isolate and lives while there is one: until there is another, it is this.
pub(crate) struct Constants(v8::OwnedIsolate);

impl Constants {
    pub(crate) fn place() -> Self {
        let params = v8::CreateParams::default().set_code_range_size_in_bytes(CODE_RANGE_BYTES);
        let isolate = at_known_places(|| v8::Isolate::new(params));
        // SAFETY: it was entered when it was made, last of all, and is entered again before it goes.
        unsafe { isolate.exit() };
        Self(isolate)
    }
}

impl Drop for Constants {
    fn drop(&mut self) {
        // SAFETY: the isolate belongs to this thread, and is exited by going.
        unsafe { self.0.enter() }
    }
}

/// Whether scripts have WebAssembly, which needs executable memory.
pub(crate) fn has_web_assembly() -> bool {
    TIER.get() != Some(&EngineTier::Jitless)
}

/// The version of V8, for Hello.
pub fn v8_version() -> &'static str {
    v8::V8::get_version()
}
