//! What each tier leaves out, found by effect: V8 says what it compiles, and with what.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::Command;

use deno_core::v8;
use mcp_v8_protocol::message::{ExecutionLimits, FromWorker};
use mcp_v8_worker::conversation::ConversationError;
use mcp_v8_worker::runtime::{Host, Outcome, Realm, choose_tier};
use mcp_v8_worker::tier::EngineTier;

/// Tells the child of a test, which is this program again, what it is to be.
const TIER: &str = "MCP_V8_TEST_TIER";

/// V8 says which code it makes, on standard output.
const TALK: &str = "--trace-opt --trace-wasm-compilation-times";

/// Hot code of both kinds: a function of WebAssembly, `(i32) -> i32`, that counts down from its
/// argument, and one of JavaScript.
const HOT: &str = "
    const bytes = new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
      10, 18, 1, 16, 0, 3, 64, 32, 0, 65, 1, 107, 34, 0, 13, 0, 11, 32, 0, 11,
    ]);
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    let sum = 0;
    for (let i = 0; i < 2000; i++) sum += f(50_000);
    function add(a, b) { return a + b }
    for (let i = 0; i < 5e6; i++) sum = add(sum, i & 1);
    sum";

/// What [`HOT`] gives.
const SUM: &str = "2500000";

struct Silent;

impl Host for Silent {
    fn console(&mut self, _text: &str) {}
    fn finished(&mut self, _message: &FromWorker) -> Result<(), ConversationError> {
        Ok(())
    }
    fn heap_limit_reached(&mut self) -> ! {
        panic!("the heap limit was reached")
    }
}

/// What V8 says while it runs hot code in a tier.
fn talk_of(tier: EngineTier) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hot_code_runs_in_the_tier_that_was_chosen"])
        .arg("--nocapture")
        .env(TIER, tier.name())
        .output()
        .unwrap();
    let talk = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{tier:?}: {talk}");
    talk
}

#[test]
fn hot_code_runs_in_the_tier_that_was_chosen() {
    let tier = match std::env::var(TIER).as_deref() {
        Ok("baseline") => EngineTier::Baseline,
        _ => EngineTier::Jit,
    };
    choose_tier(tier);
    v8::V8::set_flags_from_string(TALK);
    let limits = ExecutionLimits {
        heap_bytes: 32 << 20,
        buffer_bytes: 8 << 20,
        cpu_seconds: 60,
        snapshot_bytes: 0,
    };
    let outcome = Realm::for_run().run(HOT, &limits, Box::new(Silent));
    let Outcome::Completed { result, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(result, SUM);
}

#[test]
fn the_baseline_tier_optimises_neither_javascript_nor_webassembly() {
    let optimises = |line: &&str| {
        ["TURBOFAN", "MAGLEV", "TurboFan", "Turboshaft"]
            .iter()
            .any(|compiler| line.contains(compiler))
    };
    let wasm = |line: &&str| line.contains("TurboFan") || line.contains("Turboshaft");
    let jit = talk_of(EngineTier::Jit);
    assert!(jit.lines().any(|line| line.contains("TURBOFAN")), "{jit}");
    assert!(jit.lines().any(|line| wasm(&line)), "{jit}");
    let baseline = talk_of(EngineTier::Baseline);
    assert!(baseline.contains("Liftoff"), "{baseline}");
    let optimised: Vec<&str> = baseline.lines().filter(optimises).collect();
    assert!(optimised.is_empty(), "{optimised:?}");
}
