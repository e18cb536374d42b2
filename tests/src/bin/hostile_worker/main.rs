//! A worker, and a fork server, that misbehave in named ways, for tests of the supervisor.
//!
//! It performs a list of steps, separated by blanks. A worker takes those in the file
//! `<its path>.steps`, read at every start, or [`OBEY`] where there is none. The step `obey` goes on
//! with the steps that the script names behind `hostile:`, so that one server can meet every
//! misbehaviour. A fork server takes those in `<its path>.zygote-steps`, or [`SERVE`].
//!
//! Whatever it is told, it ends with its parent, and after [`LIFE_SECS`].

mod fork_server;
mod messages;
mod recorder;
mod worker;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use e2e::hostile::{FORK_SERVER_STEPS_SUFFIX, LEAVE_INFIX, MARK_INFIX, OBEY, SERVE, STEPS_SUFFIX};
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::alarm;

use crate::fork_server::{ForkServer, Turn};
use crate::worker::Worker;

/// How long a process of this program lives, whatever it is told.
const LIFE_SECS: u32 = 120;
/// The pause between two looks for a file.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// The exit code when it is told something that it does not know.
const UNKNOWN_STEP: u8 = 99;

fn main() -> ExitCode {
    end_in_time();
    let done = if env::args_os().nth(1).is_some_and(|word| word == "zygote") {
        be_fork_server()
    } else {
        be_worker(&steps_of(STEPS_SUFFIX, OBEY))
    };
    match done {
        Ok(code) => ExitCode::from(code),
        // The supervisor has gone, or has closed its end: there is nobody to talk to.
        Err(_) => ExitCode::SUCCESS,
    }
}

fn be_worker(steps: &str) -> io::Result<u8> {
    Worker::in_place().perform(steps)
}

fn be_fork_server() -> io::Result<u8> {
    let steps = steps_of(FORK_SERVER_STEPS_SUFFIX, SERVE);
    let mut server = ForkServer::in_place()?;
    match server.perform(&steps)? {
        Turn::Over(code) => Ok(code),
        Turn::Worker { steps } => {
            // Its descriptors are the parent's; here others have taken their places.
            std::mem::forget(server);
            end_in_time();
            be_worker(&steps.unwrap_or_else(|| steps_of(STEPS_SUFFIX, OBEY)))
        }
    }
}

/// Ends with the parent, and after a time. A fork forgets both.
fn end_in_time() {
    alarm::set(LIFE_SECS);
    let _not_on_this_system = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
}

/// A path behind this program's own.
fn beside(suffix: &str) -> OsString {
    let mut path = env::args_os().next().unwrap_or_default();
    path.push(suffix);
    path
}

fn steps_of(suffix: &str, otherwise: &str) -> String {
    fs::read_to_string(beside(suffix)).unwrap_or_else(|_| otherwise.to_owned())
}

/// Makes the file that tells a test who has come so far.
fn leave_mark(name: &str) -> io::Result<()> {
    // Renamed into place: who sees it sees all of it.
    let draft = beside(&format!(".draft-{}", std::process::id()));
    fs::write(&draft, std::process::id().to_string())?;
    fs::rename(draft, beside(&format!("{MARK_INFIX}{name}")))
}

/// Waits until a test has made a file.
fn await_leave(name: &str) {
    let leave = PathBuf::from(beside(&format!("{LEAVE_INFIX}{name}")));
    while !leave.exists() {
        thread::sleep(LOOK_INTERVAL);
    }
}

/// Raises a signal by its name or number, with its default action.
fn raise(signal: &str) -> io::Result<()> {
    let signal: Signal = match signal.parse::<i32>() {
        Ok(number) => Signal::try_from(number).map_err(io::Error::other)?,
        Err(_) => signal.parse().map_err(io::Error::other)?,
    };
    if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
        // Rust's own handler would survive a fault that is none.
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    Ok(nix::sys::signal::raise(signal)?)
}
