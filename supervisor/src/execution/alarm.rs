//! What an operator has to hear of a death: a line in the log that somebody can be woken by.
//!
//! It names the execution, the code by its hash, and the fork server whose memory layout the code has
//! met. Neither the code nor what the worker said is in it.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::store::ExecutionId;
use crate::workers::{Death, Exit, ExitStatus, Origin};

/// The SHA-256 of somebody's code: the same code can be recognised by it, and not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CodeHash([u8; 32]);

impl CodeHash {
    pub(super) fn of(source: &str) -> Self {
        Self(Sha256::digest(source.as_bytes()).into())
    }
}

impl fmt::Display for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Whose worker has died, and where it was from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deceased {
    pub(super) execution: ExecutionId,
    pub(super) code: CodeHash,
    pub(super) origin: Origin,
}

/// What a death may be a sign of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    /// It asked the system for what no script can ask for while V8 is whole.
    Escape,
    /// It crashed as an exploit does that goes wrong.
    Crash,
    /// V8, Rust or C found something wrong with the worker, and ended it.
    Abort,
    /// A crash, but its last words are that memory ran out. A script can bring that about by itself;
    /// and whoever owns a worker can write what they like.
    CrashWithExcuse,
}

impl Suspicion {
    fn of(exit: &Exit, cpu_secs_max: u64) -> Option<Self> {
        match exit.death(cpu_secs_max) {
            Death::Sandbox => Some(Self::Escape),
            Death::Crashed {
                signal: libc::SIGSEGV | libc::SIGILL | libc::SIGBUS,
            } => Some(Self::Crash),
            Death::Crashed {
                signal: libc::SIGABRT | libc::SIGTRAP,
            } => Some(Self::Abort),
            Death::Memory
                if matches!(
                    exit.status,
                    ExitStatus::Signal(libc::SIGSEGV | libc::SIGILL | libc::SIGBUS)
                ) =>
            {
                Some(Self::CrashWithExcuse)
            }
            Death::Clean
            | Death::Memory
            | Death::CpuTime
            | Death::StartFailed
            | Death::Protocol
            | Death::Killed
            | Death::Crashed { .. }
            | Death::Exited { .. }
            | Death::Severed
            | Death::Lingers
            | Death::Orphaned => None,
        }
    }
}

/// Writes the line, where the death is a suspicious one.
pub(super) fn sound(deceased: Deceased, exit: &Exit, cpu_secs_max: u64) {
    let Some(suspicion) = Suspicion::of(exit, cpu_secs_max) else {
        return;
    };
    let Deceased {
        execution,
        code,
        origin,
    } = deceased;
    let how = exit.status;
    match suspicion {
        Suspicion::Escape => tracing::warn!(
            %execution, code_sha256 = %code, worker = %origin, %how,
            "a worker was killed by its jail: its script made it ask the system for what no script \
             can ask for unless it has broken V8; treat it as an attack"
        ),
        Suspicion::Crash => tracing::warn!(
            %execution, code_sha256 = %code, worker = %origin, %how,
            "a worker crashed, as by a mistake in V8 or an exploit that went wrong"
        ),
        Suspicion::Abort => tracing::warn!(
            %execution, code_sha256 = %code, worker = %origin, %how,
            "a worker found something wrong with itself and ended, as by a mistake in V8 or an exploit \
             that was noticed"
        ),
        Suspicion::CrashWithExcuse => tracing::warn!(
            %execution, code_sha256 = %code, worker = %origin, %how,
            "a worker crashed, and its last words are that memory ran out: most likely it did"
        ),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::workers::ExitStatus;

    #[test]
    fn a_hash_is_that_of_the_code() {
        assert_eq!(
            CodeHash::of("abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn what_a_script_does_by_itself_is_not_suspicious() {
        let of = |status, words: &str| {
            let exit = Exit {
                status,
                used: None,
                stderr_tail: words.to_owned(),
            };
            Suspicion::of(&exit, 32)
        };
        let signal = ExitStatus::Signal;
        assert_eq!(of(signal(libc::SIGSYS), ""), Some(Suspicion::Escape));
        for crash in [libc::SIGSEGV, libc::SIGILL, libc::SIGBUS] {
            assert_eq!(of(signal(crash), ""), Some(Suspicion::Crash));
            let excused = of(signal(crash), "Fatal JavaScript out of memory");
            assert_eq!(excused, Some(Suspicion::CrashWithExcuse));
        }
        assert_eq!(
            of(signal(libc::SIGSYS), "Fatal JavaScript out of memory"),
            Some(Suspicion::Escape)
        );
        for abort in [libc::SIGABRT, libc::SIGTRAP] {
            assert_eq!(of(signal(abort), ""), Some(Suspicion::Abort));
            let check = "# Fatal error in , line 0\n# Check failed: false.";
            assert_eq!(of(signal(abort), check), Some(Suspicion::Abort));
            assert_eq!(of(signal(abort), "Fatal JavaScript out of memory"), None);
        }
        for harmless in [libc::SIGKILL, libc::SIGXCPU, libc::SIGTERM] {
            assert_eq!(of(signal(harmless), ""), None);
        }
        assert_eq!(of(ExitStatus::Code(86), ""), None);
        assert_eq!(of(ExitStatus::Severed, ""), None);
    }
}
