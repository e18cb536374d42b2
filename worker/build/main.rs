//! What is made when the worker is built: the compiled system call policies, and Deno's scripts.

#![allow(
    clippy::print_stdout,
    reason = "cargo listens to the standard output of build scripts"
)]

mod seccomp;
mod tree;
mod web_scripts;

use std::path::PathBuf;

/// Functions of V8 that ours stand before: a constructor (`src/runtime/heap_walk.rs`), and the place that V8 wishes for
/// memory (`src/runtime/side_by_side.rs`).
const REPLACED: [&str; 2] = [
    "_ZN2v88internal18HeapObjectIteratorC1EPNS0_4HeapENS1_20HeapObjectsFilteringE",
    "_ZN2v84base2OS17GetRandomMmapAddrEv",
];

fn main() {
    println!("cargo::rerun-if-changed=build");
    for (programs, symbol) in REPLACED
        .iter()
        .flat_map(|name| [("bins", name), ("tests", name)])
    {
        println!("cargo::rustc-link-arg-{programs}=-Wl,--wrap={symbol}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    seccomp::build(&out);
    web_scripts::build(&out);
}
