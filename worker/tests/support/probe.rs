//! The program that takes the jail of a worker and does one thing in it (`sandbox_probe.rs`).

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The probe of the build that the running test belongs to.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let probe = profile.join("examples/sandbox_probe");
    assert!(
        probe.exists(),
        "build it first: cargo build -p mcp-v8-worker --example sandbox_probe"
    );
    probe
}

/// The probe in an environment, with the pipes of a worker.
pub(crate) fn start(environment: &[&str], act: &str) -> Child {
    Command::new(program())
        .args(environment)
        .arg(act)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the probe said, and the signal that ended it.
pub(crate) fn attempt(environment: &[&str], act: &str) -> (String, Option<i32>) {
    let mut child = start(environment, act);
    let _open = child.stdin.take();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    (text, child.wait().unwrap().signal())
}
