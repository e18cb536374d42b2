//! How a worker ended, and what that means.

use std::fmt;
use std::time::Duration;

use mcp_v8_protocol::exit::ExitCode;
use nix::sys::signal::Signal;

use super::usage::Used;

/// What the kernel said of a worker's end, and its last words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// What it used; `None` where nobody told.
    pub used: Option<Used>,
    /// The end of its standard error, made printable; at most
    /// [`crate::limits::STDERR_TAIL_BYTES_MAX`]. A hostile worker can have written anything.
    pub stderr_tail: String,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The kernel killed it, since its control group had reached its limit of memory.
    OverMemory,
    /// It had closed its pipe, but went on, and the supervisor lost patience.
    Severed,
    /// It was killed, but the kernel had not ended it when patience ran out.
    Lingers,
    /// It has ended, but the fork server that it came from did not tell how.
    Unreported,
}

/// What an end means when it was not the supervisor's doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Death {
    /// It exited as after a finished conversation.
    Clean,
    /// A memory limit was reached.
    Memory,
    /// The kernel's limit of CPU time was reached.
    CpuTime,
    /// It made a system call that its jail forbids.
    Sandbox,
    /// It could not set itself up.
    StartFailed,
    /// It says that the supervisor broke the protocol, or that a pipe broke.
    Protocol,
    /// Somebody killed it: the system when memory is short, or an operator.
    Killed,
    /// It crashed.
    Crashed {
        /// The signal.
        signal: i32,
    },
    /// It exited with a code that means nothing here.
    Exited {
        /// The code.
        code: i32,
    },
    /// It closed its pipe, but went on, and was killed for it.
    Severed,
    /// It is killed, but hangs in the kernel.
    Lingers,
    /// It ended with the fork server that it came from.
    Orphaned,
}

/// The end of a process that found something wrong with itself: a check of V8 that failed, a stack or
/// a heap that was written over, a panic; or that could get no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abort {
    /// How.
    pub(crate) signal: i32,
    /// Whether its last words are that memory ran out. Whoever owns a worker can write what they like.
    pub(crate) is_excused: bool,
}

/// The line of a worker's last words that says most: the first of a fatal error or a panic, else the
/// last. What V8 and Rust print around it is for their developers.
pub(crate) fn telling_line(tail: &str) -> &str {
    let mut lines = tail
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']).trim_end())
        .filter(|line| !line.is_empty());
    let last = lines.clone().next_back().unwrap_or_default();
    lines
        .find(|line| {
            MEMORY_WORDS.iter().any(|words| line.contains(words))
                || [
                    "Fatal JavaScript",
                    "Check failed",
                    "panicked at",
                    "overflowed its stack",
                ]
                .iter()
                .any(|words| line.contains(words))
        })
        .unwrap_or(last)
}

/// What memory exhaustion looks like on standard error: V8, V8 or the worker's handler of crashes
/// (`worker/src/sandbox/last_words.rs`), V8, Rust and C++ in this order.
const MEMORY_WORDS: [&str; 5] = [
    "invalid size error",
    "out of memory",
    "Out of memory",
    "memory allocation of",
    "bad_alloc",
];

impl Exit {
    /// The end of a process whose end nobody saw.
    pub fn unseen() -> Self {
        Self {
            status: ExitStatus::Lingers,
            used: None,
            stderr_tail: String::new(),
        }
    }

    /// CPU time that it is known to have used.
    pub fn cpu(&self) -> Duration {
        self.used.map_or(Duration::ZERO, |used| used.cpu)
    }

    /// Whether it ended itself for something that was wrong with it.
    pub(crate) fn abort(&self) -> Option<Abort> {
        match self.status {
            // In a process namespace of its own a worker is the first process, and aborts by a trap.
            ExitStatus::Signal(signal @ (libc::SIGABRT | libc::SIGTRAP)) => Some(Abort {
                signal,
                is_excused: self.speaks_of_memory(),
            }),
            ExitStatus::Signal(_)
            | ExitStatus::Code(_)
            | ExitStatus::OverMemory
            | ExitStatus::Severed
            | ExitStatus::Lingers
            | ExitStatus::Unreported => None,
        }
    }

    fn speaks_of_memory(&self) -> bool {
        let mut words = MEMORY_WORDS.iter();
        words.any(|words| self.stderr_tail.contains(words))
    }

    /// Reads the status, with CPU time and last words as further evidence.
    pub fn death(&self, cpu_secs_max: u64) -> Death {
        match self.status {
            ExitStatus::Code(code) => match ExitCode::from_code(code) {
                Some(ExitCode::Done) => Death::Clean,
                Some(ExitCode::HeapLimit) => Death::Memory,
                Some(ExitCode::StartFailed | ExitCode::Usage) => Death::StartFailed,
                Some(ExitCode::Protocol) => Death::Protocol,
                Some(ExitCode::ScriptFailed | ExitCode::TimedOut) | None => Death::Exited { code },
            },
            ExitStatus::Signal(signal) => self.death_by_signal(signal, cpu_secs_max),
            ExitStatus::OverMemory => Death::Memory,
            ExitStatus::Severed => Death::Severed,
            ExitStatus::Lingers => Death::Lingers,
            ExitStatus::Unreported => Death::Orphaned,
        }
    }

    fn death_by_signal(&self, signal: i32, cpu_secs_max: u64) -> Death {
        match signal {
            libc::SIGSYS => Death::Sandbox,
            libc::SIGXCPU => Death::CpuTime,
            // Beyond the hard limit of CPU time the kernel kills with SIGKILL.
            libc::SIGKILL if self.cpu() >= Duration::from_secs(cpu_secs_max) => Death::CpuTime,
            libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGHUP => Death::Killed,
            // V8 and Rust end a process that cannot get memory with one of these.
            libc::SIGTRAP | libc::SIGABRT | libc::SIGSEGV | libc::SIGILL | libc::SIGBUS
                if self.speaks_of_memory() =>
            {
                Death::Memory
            }
            signal => Death::Crashed { signal },
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "it exited with code {code}"),
            Self::Signal(signal) => write!(f, "it was ended by {}", signal_name(*signal)),
            Self::OverMemory => f.write_str("the kernel killed it for the memory that it took"),
            Self::Severed => f.write_str("it closed its pipe, but went on, and was killed"),
            Self::Lingers => f.write_str("it was killed, but hangs in the kernel"),
            Self::Unreported => f.write_str("it ended, and its fork server did not tell how"),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)?;
        if !self.stderr_tail.is_empty() {
            write!(f, "; its last words: {}", telling_line(&self.stderr_tail))?;
        }
        Ok(())
    }
}

/// The name of a signal, such as `SIGSEGV`.
pub(crate) fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.as_str().to_owned())
}

/// Keeps the end of what a worker wrote to standard error, without what could disturb a terminal or
/// a log.
pub(crate) fn printable_tail(bytes: &[u8], bytes_max: usize) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    let text = without_addresses(text.trim());
    let from = text.ceil_char_boundary(text.len().saturating_sub(bytes_max));
    text[from..].trim_start().to_owned()
}

/// Hides addresses: a crash dump would tell whoever made it happen how memory is laid out.
fn without_addresses(text: &str) -> String {
    let mut pieces = text.split("0x");
    let mut hidden = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        hidden.push_str("0x..");
        hidden.push_str(piece.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_is_found() {
        let v8 = "#\n# Fatal error in , line 0\n# Fatal JavaScript invalid size error 7\n#\n==== C stack trace ====\n    a\n";
        assert_eq!(telling_line(v8), "Fatal JavaScript invalid size error 7");
        assert_eq!(telling_line("one\ntwo\n\n"), "two");
        assert_eq!(telling_line(""), "");
    }

    fn exit(status: ExitStatus, cpu_secs: u64, stderr: &str) -> Exit {
        Exit {
            status,
            used: Some(Used {
                cpu: Duration::from_secs(cpu_secs),
                peak_bytes: 0,
            }),
            stderr_tail: stderr.to_owned(),
        }
    }

    #[test]
    fn exit_codes_are_told_apart() {
        let death = |code| exit(ExitStatus::Code(code), 0, "").death(5);
        assert_eq!(death(0), Death::Clean);
        assert_eq!(death(86), Death::Memory);
        assert_eq!(death(70), Death::StartFailed);
        assert_eq!(death(64), Death::StartFailed);
        assert_eq!(death(76), Death::Protocol);
        assert_eq!(death(1), Death::Exited { code: 1 });
        assert_eq!(death(3), Death::Exited { code: 3 });
        assert_eq!(exit(ExitStatus::OverMemory, 0, "").death(5), Death::Memory);
    }

    #[test]
    fn signals_are_told_apart_by_evidence() {
        let death =
            |signal, cpu, stderr: &str| exit(ExitStatus::Signal(signal), cpu, stderr).death(5);
        assert_eq!(death(libc::SIGSYS, 0, ""), Death::Sandbox);
        assert_eq!(death(libc::SIGXCPU, 5, ""), Death::CpuTime);
        assert_eq!(death(libc::SIGKILL, 5, ""), Death::CpuTime);
        assert_eq!(death(libc::SIGKILL, 4, ""), Death::Killed);
        assert_eq!(
            death(libc::SIGSEGV, 0, ""),
            Death::Crashed {
                signal: libc::SIGSEGV
            }
        );
        for signal in [libc::SIGTRAP, libc::SIGABRT, libc::SIGILL] {
            let words = "# Fatal JavaScript out of memory: Reached heap limit";
            assert_eq!(death(signal, 0, words), Death::Memory);
            assert_eq!(
                death(signal, 0, "# Check failed"),
                Death::Crashed { signal }
            );
        }
    }

    #[test]
    fn a_crash_for_want_of_memory_is_told_by_what_the_worker_saw() {
        let words = "\nout of memory: the kernel refused more at the moment of the crash\n";
        for signal in [libc::SIGSEGV, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT] {
            let exit = exit(ExitStatus::Signal(signal), 0, words);
            assert_eq!(exit.death(5), Death::Memory);
        }
        assert_eq!(telling_line(words), words.trim());
        // The words do not change what the kernel says of a call that is forbidden.
        let sys = exit(ExitStatus::Signal(libc::SIGSYS), 0, words);
        assert_eq!(sys.death(5), Death::Sandbox);
    }

    #[test]
    fn an_abort_is_a_crash_by_either_of_its_signals() {
        // In a process namespace of its own a worker is the first process, and aborts by a trap.
        for signal in [libc::SIGABRT, libc::SIGTRAP] {
            let crashed = exit(ExitStatus::Signal(signal), 0, "Check failed");
            assert_eq!(crashed.death(5), Death::Crashed { signal });
            let abort = |is_excused| Some(Abort { signal, is_excused });
            assert_eq!(crashed.abort(), abort(false));
            let excused = exit(ExitStatus::Signal(signal), 0, "bad_alloc");
            assert_eq!(excused.abort(), abort(true));
        }
        for signal in [libc::SIGKILL, libc::SIGSEGV] {
            assert_eq!(exit(ExitStatus::Signal(signal), 0, "").abort(), None);
        }
    }

    #[test]
    fn last_words_are_bounded_and_printable() {
        let tail = printable_tail("\x1b[31mred\x07 \u{e9}\u{e9}\u{e9}\n\n".as_bytes(), 5);
        assert_eq!(tail, "\u{e9}\u{e9}");
        assert_eq!(printable_tail(b"\x1b[1m", 64), "\u{fffd}[1m");
        assert_eq!(printable_tail(&[0xff, b'a'], 64), "\u{fffd}a");
        assert_eq!(printable_tail(b"", 64), "");
        assert_eq!(
            printable_tail(b"at [0x7fe01Ac0], 0x12 and 0xyz", 64),
            "at [0x..], 0x.. and 0x..yz"
        );
    }
}
