//! `deprived WHAT... -- PROGRAM ARGUMENTS...`: a program on a machine that does not give what is named
//! (`deprive.rs`).

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::os::unix::process::CommandExt as _;
use std::process::Command;

mod deprive;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    for what in arguments.by_ref().take_while(|it| it != "--") {
        let name = what.to_string_lossy();
        assert!(deprive::deprive(&name), "nothing is called {name}");
    }
    let program = arguments.next().expect("a program, behind --");
    let error = Command::new(&program).args(arguments).exec();
    panic!("{}: {error}", program.display());
}
