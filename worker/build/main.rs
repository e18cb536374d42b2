//! What is made when the worker is built: the compiled system call policies, and Deno's scripts.

#![allow(
    clippy::print_stdout,
    reason = "cargo listens to the standard output of build scripts"
)]

mod seccomp;
mod tree;
mod web_scripts;

use std::path::PathBuf;

/// A constructor of V8's that `src/runtime/heap_walk.rs` stands before.
const HEAP_WALK: &str =
    "_ZN2v88internal18HeapObjectIteratorC1EPNS0_4HeapENS1_20HeapObjectsFilteringE";

fn main() {
    println!("cargo::rerun-if-changed=build");
    for programs in ["bins", "tests"] {
        println!("cargo::rustc-link-arg-{programs}=-Wl,--wrap={HEAP_WALK}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    seccomp::build(&out);
    web_scripts::build(&out);
}
