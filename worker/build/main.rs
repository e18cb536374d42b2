//! What is made when the worker is built: the compiled system call policies, and Deno's scripts.

#![allow(
    clippy::print_stdout,
    reason = "cargo listens to the standard output of build scripts"
)]

mod seccomp;
mod tree;
mod web_scripts;

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    seccomp::build(&out);
    web_scripts::build(&out);
}
