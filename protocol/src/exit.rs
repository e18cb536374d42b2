//! The exit codes of a worker, so that a death can be told apart from a misuse.

/// Why a worker process ended by its own will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// It said Finished, or its supervisor went away before Start.
    Done = 0,
    /// By hand only: the script failed.
    ScriptFailed = 1,
    /// By hand only: wrong arguments, or the script could not be read (BSD `EX_USAGE`).
    Usage = 64,
    /// Confinement or the runtime could not be set up.
    StartFailed = 70,
    /// The supervisor broke the protocol, or a pipe broke.
    Protocol = 76,
    /// V8's heap limit was reached and the worker could not say Finished. By hand: the script failed
    /// by a memory limit.
    HeapLimit = 86,
    /// By hand only: the time limit was reached (as GNU `timeout` has it).
    TimedOut = 124,
}

impl ExitCode {
    /// The code for the process.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Reads an exit status.
    pub const fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            0 => Self::Done,
            1 => Self::ScriptFailed,
            64 => Self::Usage,
            70 => Self::StartFailed,
            76 => Self::Protocol,
            86 => Self::HeapLimit,
            124 => Self::TimedOut,
            _ => return None,
        })
    }
}
