//! A worker for tests: it obeys the source that it is given, line by line, and misbehaves before
//! Hello as the name it is started by says.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mcp_v8_protocol::PROTOCOL_VERSION;
use mcp_v8_protocol::codec::{FrameReader, encode};
use mcp_v8_protocol::limits::PREVIEW_BYTES_MAX;
use mcp_v8_protocol::message::{
    Completion, Confinement, Console, Failure, FailureKind, Finished, FromWorker, Hello, Saved,
    Text, ToWorker, Unsaved,
};

#[path = "scripted_zygote.rs"]
mod scripted_zygote;

use scripted_zygote::Turn;

/// So often a worker called `fickle` leaves after its Hello: for the probe, and for two tries.
const FICKLE_STARTS: u64 = 3;

/// What it says of its jail, which it does not have: production refuses those who say less.
const CLAIMED: Confinement = Confinement {
    seccomp: true,
    landlock: true,
    user_namespace: false,
    pid_namespace: false,
    mount_namespace: false,
    network_namespace: false,
    own_user: false,
    checked: true,
};

struct Pipes {
    from_supervisor: File,
    to_supervisor: File,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new("zygote")) {
        let name = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&name).file_name().and_then(OsStr::to_str);
        let hello = hello(env!("CARGO_PKG_VERSION"));
        match scripted_zygote::serve(name.unwrap_or_default(), hello) {
            Turn::Over => return ExitCode::SUCCESS,
            Turn::Worker => {}
        }
    }
    // SAFETY: the supervisor gives these two descriptors to whoever it starts.
    let mut pipes = unsafe {
        Pipes {
            from_supervisor: File::from_raw_fd(3),
            to_supervisor: File::from_raw_fd(4),
        }
    };
    // A supervisor that is killed must not leave this behind.
    // SAFETY: integers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(OsStr::to_str);
    match name.unwrap_or_default() {
        "silent" => forever(),
        "garbage" => pipes.raw(&[0x2a; 64]),
        "huge" => pipes.raw(&u32::MAX.to_le_bytes()),
        "early" => pipes.say(&console("too early")),
        "torn" => return pipes.torn_hello(),
        "dies" => {
            write_stderr("no user namespaces here\n");
            return ExitCode::from(70);
        }
        "old" => pipes.say(&hello("0.0.1")),
        "loose" => pipes.say(&unconfined()),
        "closes" => {
            drop(pipes);
            forever();
        }
        "deaf" => {
            pipes.say(&hello(env!("CARGO_PKG_VERSION")));
            forever();
        }
        "quits" => {
            pipes.say(&hello(env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        "fickle" if count_start() <= FICKLE_STARTS => {
            pipes.say(&hello(env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        "nibbler" => {
            count_start();
            pipes.say(&hello(env!("CARGO_PKG_VERSION")));
            let _nothing_matters = pipes.from_supervisor.read(&mut [0]);
            return ExitCode::SUCCESS;
        }
        _ => {
            pipes.say(&hello(env!("CARGO_PKG_VERSION")));
            return obey(pipes);
        }
    }
    forever();
}

fn obey(mut pipes: Pipes) -> ExitCode {
    let Some(source) = pipes.start() else {
        return ExitCode::SUCCESS;
    };
    for line in source.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse::<u64>().unwrap_or(0);
        match word {
            "out" => pipes.say(&console(&format!("{rest}\n"))),
            "part" => pipes.say(&console(rest)),
            "flood" => pipes.flood(number()),
            "sleep" => std::thread::sleep(Duration::from_millis(number())),
            "spin" => spin(Duration::from_millis(number())),
            "finish" => pipes.finish(rest),
            // Without a heap, whatever the server keeps.
            "complete" => pipes.say(&completed(rest)),
            "unsaved" => pipes.say(&unsaved(rest)),
            "saved" => pipes.say(&saved(number())),
            "fail" => pipes.say(&failed(FailureKind::Exception, rest)),
            "memory" => pipes.say(&failed(FailureKind::Memory, rest)),
            "stderr" => write_stderr(rest),
            "exit" => return ExitCode::from(u8::try_from(number()).unwrap_or(255)),
            "signal" => raise(i32::try_from(number()).unwrap_or(0)),
            "garbage" => pipes.raw(&[0x2a; 4096]),
            "torn" => pipes.raw(&[64, 0, 0, 0, 1, 2, 3]),
            "hello" => pipes.say(&hello(env!("CARGO_PKG_VERSION"))),
            "close" => pipes.to_supervisor = File::open("/dev/null").expect("/dev/null"),
            "surroundings" => pipes.say(&console(&surroundings())),
            "grandchild" => grandchild(),
            _ => forever(),
        }
    }
    ExitCode::SUCCESS
}

impl Pipes {
    fn raw(&mut self, bytes: &[u8]) {
        // The supervisor may have hung up already: that is its right.
        let _ = self.to_supervisor.write_all(bytes);
    }

    fn say(&mut self, message: &FromWorker) {
        let frame = encode(message).expect("messages of this program are within limits");
        self.raw(&frame);
    }

    /// Completes, and where heaps are kept saves one that is made of the result.
    fn finish(&mut self, result: &str) {
        self.say(&completed(result));
        if is_stateful() {
            let heap = format!("heap of {result}");
            // SAFETY: a worker of this mode gets a window on this descriptor; it stays open.
            let window = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(5) });
            window
                .write_all_at(heap.as_bytes(), 0)
                .expect("the window has room");
            self.say(&saved(heap.len() as u64));
        }
    }

    fn torn_hello(&mut self) -> ExitCode {
        let frame = encode(&hello("x")).expect("a short message");
        self.raw(&frame[..frame.len() / 2]);
        ExitCode::SUCCESS
    }

    fn flood(&mut self, bytes: u64) {
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..bytes / 1024 {
            self.say(&console(&line));
        }
    }

    fn start(&mut self) -> Option<String> {
        let mut reader = FrameReader::<ToWorker>::default();
        let mut buffer = [0; 65536];
        loop {
            if let Some(ToWorker::Start(start)) = reader.next_message().expect("a good supervisor")
            {
                return Some(start.source);
            }
            match self.from_supervisor.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(length) => reader.push(&buffer[..length]),
            }
        }
    }
}

/// Counts the starts of this program in a file beside it, one line for each.
fn count_start() -> u64 {
    let program = std::env::args_os().next().unwrap_or_default();
    let path = Path::new(&program).with_extension("starts");
    let options = File::options().append(true).create(true).open(&path);
    options
        .and_then(|mut file| file.write_all(b"\n"))
        .expect("a file of our own");
    std::fs::read(path).expect("it was just written").len() as u64
}

fn hello(version: &str) -> FromWorker {
    FromWorker::Hello(Hello {
        protocol_version: PROTOCOL_VERSION,
        worker_version: version.to_owned(),
        v8_version: "0.scripted".to_owned(),
        heap_build: "scripted".to_owned(),
        confinement: CLAIMED,
    })
}

/// A Hello that does not claim any jail.
fn unconfined() -> FromWorker {
    let mut hello = hello(env!("CARGO_PKG_VERSION"));
    if let FromWorker::Hello(hello) = &mut hello {
        hello.confinement = Confinement::default();
    }
    hello
}

fn console(text: &str) -> FromWorker {
    FromWorker::Console(Console {
        text: text.to_owned(),
    })
}

fn text(text: &str) -> Text {
    Text {
        text: text.to_owned(),
        truncated: false,
    }
}

fn completed(result: &str) -> FromWorker {
    FromWorker::Finished(Finished::Completed(Completion {
        result: text(result),
        preview: Text::cut(result.to_owned(), PREVIEW_BYTES_MAX),
    }))
}

fn saved(bytes: u64) -> FromWorker {
    FromWorker::Saved(Saved { bytes })
}

fn unsaved(why: &str) -> FromWorker {
    FromWorker::Unsaved(Unsaved { why: text(why) })
}

/// Whether the server keeps heaps.
fn is_stateful() -> bool {
    std::env::args_os().any(|argument| argument == "stateful")
}

fn failed(kind: FailureKind, error: &str) -> FromWorker {
    FromWorker::Finished(Finished::Failed(Failure {
        kind,
        error: text(error),
    }))
}

fn write_stderr(words: &str) {
    let _ = std::io::stderr().write_all(words.as_bytes());
}

/// Open descriptors and environment, as this process sees them.
fn surroundings() -> String {
    let mut found = String::new();
    let mut descriptors: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .expect("proc is mounted")
        .flatten()
        .filter(|entry| entry.path().read_link().is_ok_and(|to| !to.ends_with("fd")))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    descriptors.sort();
    let _ = writeln!(found, "{}", descriptors.join(" "));
    let mut variables: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
    variables.sort();
    let _ = writeln!(found, "{}", variables.join(" "));
    found
}

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn raise(signal: i32) {
    // SAFETY: integers only; a signal may well end this process, which is the point.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// Leaves a process behind that holds the pipes for ten seconds.
fn grandchild() {
    // SAFETY: this process has one thread.
    if unsafe { libc::fork() } == 0 {
        std::thread::sleep(Duration::from_secs(10));
        // SAFETY: ends the copy at once, as a copy should end.
        unsafe { libc::_exit(0) };
    }
}

fn forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}
