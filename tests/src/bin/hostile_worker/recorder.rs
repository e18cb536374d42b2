//! A worker that is none: it starts the real one, and writes down what is said in both directions.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::thread;

use e2e::hostile::{RECORD_FROM_INFIX, RECORD_TO_INFIX};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::alarm;

use crate::{beside, raise};

/// Where a worker finds its pipes.
const PIPES: [RawFd; 2] = [3, 4];
/// The real worker's ends are moved here or above first, out of the way of those and the heap window.
const FIRST_FREE_FD: RawFd = 10;
/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Is the worker `program` for the supervisor behind these pipes, to its end; its exit code.
pub(crate) fn record(program: &str, mut input: File, mut output: File) -> io::Result<u8> {
    // The real one has its own deadline.
    alarm::cancel();
    let (their_input, mut to_worker) = io::pipe()?;
    let (mut from_worker, their_output) = io::pipe()?;
    let theirs = [above(their_input.into())?, above(their_output.into())?];
    let mut command = Command::new(program);
    // The subcommand too. A heap window is on its descriptor already.
    command.args(env::args_os().skip(1));
    // SAFETY: the closure calls nothing but dup2, which POSIX allows between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for (end, place) in theirs.iter().zip(PIPES) {
                Errno::result(libc::dup2(end.as_raw_fd(), place))?;
            }
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    // With it go this process's copies of the worker's ends.
    drop(command);
    let mut said_to = record_of(RECORD_TO_INFIX)?;
    let mut said_from = record_of(RECORD_FROM_INFIX)?;
    // It ends with the process, when the worker ends first.
    thread::spawn(move || pass(&mut input, &mut said_to, &mut to_worker));
    pass(&mut from_worker, &mut said_from, &mut output)?;
    end_as(child.wait()?)
}

fn record_of(infix: &str) -> io::Result<File> {
    File::create(beside(&format!("{infix}{}", std::process::id())))
}

/// Hands on what comes, once it is written down.
fn pass(from: &mut impl Read, record: &mut File, to: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        record.write_all(&piece[..read])?;
        to.write_all(&piece[..read])?;
    }
}

/// Ends in the same way.
fn end_as(status: ExitStatus) -> io::Result<u8> {
    if let Some(signal) = status.signal() {
        raise(&signal.to_string())?;
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(u8::MAX))
}

fn above(end: OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let copy = fcntl(&end, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE_FD))?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
