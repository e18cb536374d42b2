//! A worker that misbehaves in named ways, for tests of the supervisor.
//!
//! It performs a list of steps, separated by blanks: those in the file `<its path>.steps`, read at
//! every start, or [`DEFAULT_STEPS`] where there is none. The step `obey` goes on with the steps that
//! the script names behind `hostile:`, so that one server can meet every misbehaviour.
//!
//! Whatever it is told, it ends with its parent, and after [`LIFE_SECS`].

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use e2e::hostile::{SCRIPT_PREFIX, STEPS_SUFFIX};
use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::limits;
use mcp_v8_protocol::message::{
    Completion, Confinement, Console, Failure, FailureKind, Finished, FromWorker, Hello, Text,
    ToWorker,
};
use nix::sys::signal::{SigHandler, Signal, raise};
use nix::unistd::{ForkResult, alarm, fork};

/// What it does when it is not told otherwise: a good worker that runs nothing.
const DEFAULT_STEPS: &str = "hello obey";
/// How long a process of this program lives, whatever it is told.
const LIFE_SECS: u32 = 120;
/// The exit code when it is told something that it does not know.
const UNKNOWN_STEP: u8 = 99;
/// The pause between two bytes of a frame that trickles.
const TRICKLE_PAUSE: Duration = Duration::from_millis(20);
/// Small frames that are written at once.
const TINY_FRAMES: usize = 4096;

/// The number of a console message in the enum of messages.
const CONSOLE_TAG: u32 = 1;

fn main() -> ExitCode {
    alarm::set(LIFE_SECS);
    let program = env::args_os().next().unwrap_or_default();
    let _not_on_this_system = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    // SAFETY: the supervisor gives these two; nothing else in this process uses them.
    let (input, output) = unsafe { (File::from_raw_fd(3), File::from_raw_fd(4)) };
    let mut worker = Worker { input, output };
    let mut file = program;
    file.push(STEPS_SUFFIX);
    let steps = fs::read_to_string(file).unwrap_or_else(|_| DEFAULT_STEPS.to_owned());
    match worker.perform(&steps) {
        Ok(code) => ExitCode::from(code),
        // The supervisor has gone, or has closed its end: there is nobody to talk to.
        Err(_) => ExitCode::SUCCESS,
    }
}

struct Worker {
    input: File,
    output: File,
}

impl Worker {
    /// Performs all steps; the exit code.
    fn perform(&mut self, steps: &str) -> io::Result<u8> {
        for step in steps.split_whitespace() {
            let (name, argument) = step.split_once('=').unwrap_or((step, ""));
            if let Some(code) = self.step(name, argument)? {
                return Ok(code);
            }
        }
        Ok(0)
    }

    /// Performs one step; the exit code when it is the last.
    fn step(&mut self, name: &str, argument: &str) -> io::Result<Option<u8>> {
        match name {
            "hello" => self.say(&hello(PROTOCOL_VERSION, env!("CARGO_PKG_VERSION")))?,
            "hello_of_protocol" => {
                let version = argument.parse().unwrap_or(u32::MAX);
                self.say(&hello(version, env!("CARGO_PKG_VERSION")))?;
            }
            "hello_of_version" => self.say(&hello(PROTOCOL_VERSION, argument))?,
            "start" => drop(self.hear()?),
            "obey" => return self.obey().map(Some),
            "console" => self.say(&console(argument))?,
            "finished" => self.say(&completed("ok"))?,
            "failed" => self.say(&failed())?,
            "exit" => return Ok(Some(argument.parse().unwrap_or(UNKNOWN_STEP))),
            "signal" => raise_by_name(argument)?,
            "words" => io::stderr().write_all(argument.replace('_', " ").as_bytes())?,
            "sleep" => loop {
                thread::park();
            },
            "close" => self.close(),
            "fork" => fork_a_sleeper()?,
            "exec" => return Err(exec(argument)),
            other => {
                return self
                    .bad_bytes(other)
                    .map(|known| (!known).then_some(UNKNOWN_STEP));
            }
        }
        Ok(None)
    }

    /// Sends bytes that are no message; `false` when it does not know them by that name.
    fn bad_bytes(&mut self, name: &str) -> io::Result<bool> {
        let good = frame(&console("hostile"))?;
        match name {
            "garbage" => self.output.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?,
            "garbage_frame" => self.write_payload(&[0xa5; 64])?,
            "empty_frame" => self.write_payload(&[])?,
            "oversize" => self.output.write_all(&u32::MAX.to_le_bytes())?,
            "oversize_by_one" => {
                let length = u32::try_from(limits::FRAME_FROM_WORKER_BYTES_MAX + 1);
                self.output
                    .write_all(&length.unwrap_or(u32::MAX).to_le_bytes())?;
            }
            "torn" => self.output.write_all(&good[..good.len() - 1])?,
            "trickle" => {
                for byte in &good[..good.len() - 1] {
                    self.output.write_all(&[*byte])?;
                    thread::sleep(TRICKLE_PAUSE);
                }
            }
            "slow_finished" => {
                for byte in frame(&completed("slow"))? {
                    self.output.write_all(&[byte])?;
                    thread::sleep(TRICKLE_PAUSE / 10);
                }
            }
            "trailing" => {
                let payload = [&good[limits::FRAME_HEADER_BYTES..], &[0]].concat();
                self.write_payload(&payload)?;
            }
            "bad_utf8" => self.write_payload(&console_payload(&[0xff, 0xfe], 2))?,
            "long_text" => {
                let text = vec![b'x'; limits::CONSOLE_CHUNK_BYTES_MAX + 1];
                let length = text.len() as u64;
                self.write_payload(&console_payload(&text, length))?;
            }
            // A text that says it is far longer than its frame.
            "lying_length" => self.write_payload(&console_payload(b"x", u64::MAX / 2))?,
            "flood" => {
                let full = frame(&console(&"x".repeat(limits::CONSOLE_CHUNK_BYTES_MAX)))?;
                loop {
                    self.output.write_all(&full)?;
                }
            }
            "flood_tiny" => {
                let tiny = frame(&console("x"))?.repeat(TINY_FRAMES);
                loop {
                    self.output.write_all(&tiny)?;
                }
            }
            // Nobody reads standard error while a worker runs.
            "flood_words" => loop {
                io::stderr().write_all(&[b'x'; 4096])?;
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Does what the script says; without such words, gives the script back as its result.
    fn obey(&mut self) -> io::Result<u8> {
        let source = self.hear()?;
        if let Some(steps) = source.strip_prefix(SCRIPT_PREFIX) {
            return self.perform(steps);
        }
        self.say(&completed(&source))?;
        Ok(0)
    }

    fn say(&mut self, message: &FromWorker) -> io::Result<()> {
        self.output.write_all(&frame(message)?)
    }

    fn write_payload(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.output.write_all(&length.to_le_bytes())?;
        self.output.write_all(payload)
    }

    /// Reads Start; its source.
    fn hear(&mut self) -> io::Result<String> {
        let mut frames = FrameReader::<ToWorker>::default();
        let mut bytes = vec![0; 64 << 10];
        loop {
            if let Some(ToWorker::Start(start)) = frames.next_message().map_err(io::Error::other)? {
                return Ok(start.source);
            }
            match self.input.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => frames.push(&bytes[..read]),
            }
        }
    }

    /// Closes both pipes; what is said later goes nowhere.
    fn close(&mut self) {
        let null = || File::options().read(true).write(true).open("/dev/null");
        if let (Ok(input), Ok(output)) = (null(), null()) {
            self.input = input;
            self.output = output;
        }
    }
}

fn frame(message: &FromWorker) -> io::Result<Vec<u8>> {
    encode(message).map_err(io::Error::other)
}

fn console_payload(text: &[u8], length: u64) -> Vec<u8> {
    [&CONSOLE_TAG.to_le_bytes()[..], &length.to_le_bytes(), text].concat()
}

fn hello(protocol_version: u32, worker_version: &str) -> FromWorker {
    FromWorker::Hello(Hello {
        protocol_version,
        worker_version: worker_version.to_owned(),
        v8_version: "none".to_owned(),
        confinement: Confinement::default(),
    })
}

fn console(text: &str) -> FromWorker {
    FromWorker::Console(Console {
        text: text.to_owned(),
    })
}

fn completed(result: &str) -> FromWorker {
    FromWorker::Finished(Finished::Completed(Completion {
        result: whole(result),
        preview: whole("'ok'"),
    }))
}

fn failed() -> FromWorker {
    FromWorker::Finished(Finished::Failed(Failure {
        kind: FailureKind::Exception,
        error: whole("Error: told to fail"),
    }))
}

fn whole(text: &str) -> Text {
    Text {
        text: text.to_owned(),
        truncated: false,
    }
}

fn raise_by_name(name: &str) -> io::Result<()> {
    let signal: Signal = name.parse().map_err(io::Error::other)?;
    if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
        // Rust's own handler would survive a fault that is none.
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    Ok(raise(signal)?)
}

/// Leaves a process behind that holds the pipes.
fn fork_a_sleeper() -> io::Result<()> {
    // SAFETY: this process has one thread.
    if let ForkResult::Child = unsafe { fork() }? {
        alarm::set(LIFE_SECS);
        loop {
            thread::park();
        }
    }
    Ok(())
}

/// Becomes another worker program, with the same pipes.
fn exec(program: &str) -> io::Error {
    alarm::cancel();
    let own_name = env::args_os().next().unwrap_or_default();
    Command::new(program).arg0(own_name).arg("serve").exec()
}
