//! V8, once for the whole process: flags, platform, initialisation.

use std::sync::OnceLock;

use deno_core::{JsRuntime, v8};

use crate::tier::EngineTier;

/// Flags beside the ones that `deno_core` sets.
///
/// * `--single-threaded`: no compiler or collector threads, so that a warm process can fork, the jail
///   can deny `clone`, and CPU time means what it says.
/// * `--random-seed`, `--hash-seed`: fixed, so that equal heaps have equal bytes; scripts see another
///   `Math.random` (`web/js/bootstrap.js`), and memory lies elsewhere in each process
///   ([`scatter_memory`]).
/// * `--stack-size`: in KiB; leaves most of the stack (`crate::sandbox`) to native recursion.
const FLAGS: &str = "--single-threaded --random-seed=42 --hash-seed=42 --stack-size=984";

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
        scatter_memory();
        platform
    })
}

/// Lets V8 place its memory by chance again. It asks the kernel for addresses that it draws from a
/// generator of its own, which `--random-seed` has seeded: every process on every machine would have
/// its heap and its code at the same places. (What V8 reserves while it is initialised, the cage of the
/// host's own objects, still is.) Nothing else is drawn from that generator, so heaps keep
/// equal bytes.
fn scatter_memory() {
    unsafe extern "C" {
        /// `v8::base::OS::SetRandomMmapSeed(int64_t)`, which V8's library has, and its headers have not.
        #[link_name = "_ZN2v84base2OS17SetRandomMmapSeedEl"]
        fn set_random_mmap_seed(seed: i64);
    }
    let mut seed = [0; 8];
    match getrandom::fill(&mut seed) {
        // Not 0: V8 takes that for none. SAFETY: it takes a number, and a lock of its own.
        Ok(()) => unsafe { set_random_mmap_seed(i64::from_ne_bytes(seed) | 1) },
        Err(error) => unreachable!("the kernel has random numbers: {error}"),
    }
}

/// The version of V8, for Hello.
pub fn v8_version() -> &'static str {
    v8::V8::get_version()
}
