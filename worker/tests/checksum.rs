//! The checksum of snapshots that stands in V8's place (`worker/src/runtime/checksum.rs`).

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use deno_core::v8;
use mcp_v8_worker::runtime::Realm;

/// V8's own snapshot carries the sum that V8's own function made when V8 was built.
#[test]
fn what_v8_summed_up_is_verified_and_so_is_what_is_summed_up_here() {
    v8::V8::set_flags_from_string("--verify-snapshot-checksum");
    let heap = Realm::for_heap(None).into_snapshot().unwrap();
    let again = Realm::for_heap(Some(heap)).into_snapshot().unwrap();
    assert!(again.is_valid());
}
