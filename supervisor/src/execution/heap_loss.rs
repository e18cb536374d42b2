//! Why the heap of a script that has completed was not saved, in words: what happened, and a way round.

use crate::limits;
use crate::store::HeapEnd;
use crate::workers::{Death, Exit, LinkError, telling_line};

use super::outcome::Given;

/// Why.
#[derive(Debug)]
pub(super) enum HeapLoss {
    /// The worker says that it cannot.
    Refused {
        /// Why, in its words.
        why: String,
    },
    /// V8 ended the process over it.
    Crashed {
        /// Its last words; empty when it had none.
        words: String,
    },
    /// There was not enough memory to make a snapshot.
    Memory,
    /// It took too long.
    TooSlow,
    /// Somebody did not want to wait for it.
    Cancelled,
    /// The worker broke the conversation.
    Broke(LinkError),
    /// The worker was killed, by the system or an operator, or with its fork server.
    Killed {
        /// How it ended.
        how: String,
    },
    /// It was saved, but could not be made durable.
    NotStored {
        /// Why.
        why: String,
    },
}

impl HeapLoss {
    /// What the death of a worker says that was saving its heap.
    pub(super) fn of_death(exit: &Exit, given: Given) -> Self {
        match exit.death(u64::from(given.cpu_seconds())) {
            Death::Memory => Self::Memory,
            Death::CpuTime => Self::TooSlow,
            Death::Killed | Death::Orphaned | Death::Lingers => Self::Killed {
                how: exit.to_string(),
            },
            Death::Clean
            | Death::Sandbox
            | Death::StartFailed
            | Death::Protocol
            | Death::Crashed { .. }
            | Death::Exited { .. }
            | Death::Severed => Self::Crashed {
                words: telling_line(&exit.stderr_tail).to_owned(),
            },
        }
    }

    /// The same for clients.
    pub(super) fn heap_end(&self, given: Given) -> HeapEnd {
        const HOLDS: &str = "Keep what the next step needs as plain values (objects, arrays, maps, \
                             functions), set the rest to undefined before the script ends, and run \
                             it again";
        let cause = match self {
            Self::Refused { why } => format!("{why}. {HOLDS}"),
            Self::Crashed { words } if words.is_empty() => {
                format!("V8 cannot save something that it holds. {HOLDS}")
            }
            Self::Crashed { words } => {
                format!("V8 cannot save something that it holds ({words}). {HOLDS}")
            }
            Self::Memory => format!(
                "saving it needs more memory than an execution of {} MB has; raise \
                 heap_memory_max_mb (up to {}), or keep less",
                given.limits.heap_memory_max_mb,
                limits::HEAP_MEMORY_MB_MAX
            ),
            Self::TooSlow => format!(
                "saving it took longer than {} s; keep less",
                limits::SAVE_WAIT_MAX.as_secs()
            ),
            Self::Cancelled => {
                "the execution was cancelled after the script had completed, while its heap was \
                 being saved"
                    .to_owned()
            }
            Self::Broke(error) => format!(
                "its worker was killed while it saved: {error}. The script, or a bug, has damaged it"
            ),
            Self::Killed { how } => format!("its worker ended while it saved: {how}. Run it again"),
            Self::NotStored { why } => why.clone(),
        };
        HeapEnd::Lost {
            why: format!("the heap was not saved, the result is not affected: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {

    use mcp_v8_protocol::mode::Mode;

    use super::*;
    use crate::store::Limits;
    use crate::workers::ExitStatus;

    const GIVEN: Given = Given {
        limits: Limits {
            heap_memory_max_mb: 8,
            execution_timeout_secs: 30,
        },
        mode: Mode::Stateful,
    };

    fn told(status: ExitStatus, stderr: &str) -> String {
        let exit = Exit {
            status,
            used: None,
            stderr_tail: stderr.to_owned(),
        };
        match HeapLoss::of_death(&exit, GIVEN).heap_end(GIVEN) {
            HeapEnd::Lost { why } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_death_while_saving_says_what_it_was_and_what_to_do() {
        let signal = ExitStatus::Signal;
        for (status, stderr, words) in [
            (
                signal(libc::SIGTRAP),
                "# Fatal error in , line 0\n# Check failed: IsSmi(x)",
                "(Check failed: IsSmi(x)). Keep what",
            ),
            (signal(libc::SIGSEGV), "", "something that it holds. Keep"),
            (
                signal(libc::SIGTRAP),
                "Fatal JavaScript out of memory",
                "raise heap_memory_max_mb",
            ),
            (
                ExitStatus::Code(86),
                "",
                "more memory than an execution of 8 MB",
            ),
            (signal(libc::SIGXCPU), "", "longer than 20 s"),
            (signal(libc::SIGKILL), "", "ended while it saved"),
            (ExitStatus::Unreported, "", "Run it again"),
        ] {
            let why = told(status, stderr);
            assert!(
                why.starts_with("the heap was not saved, the result"),
                "{why}"
            );
            assert!(why.contains(words), "{words} is not in: {why}");
        }
    }
}
