//! What an end means, in words: what happened, which limit it was, what to do next.

use mcp_v8_protocol::limits::{self as wire, ERROR_BYTES_MAX};
use mcp_v8_protocol::message::{Completion, Failure, FailureKind as Reported, Finished, Text};
use mcp_v8_protocol::mode::Mode;

use super::event::{NotReady, Script};
use super::heap_loss::HeapLoss;
use super::state::{Riddle, Verdict};
use crate::limits;
use crate::store::{End, FailureKind, HeapEnd, Limits, StoreError};
use crate::workers::{Death, Exit, LaunchError, LinkError, SpawnError, telling_line};

/// What an execution was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// Its limits.
    pub limits: Limits,
    /// Whether its heap is kept.
    pub mode: Mode,
}

impl Given {
    /// CPU time that the kernel allows, in seconds.
    pub fn cpu_seconds(self) -> u32 {
        u32::try_from(self.limits.execution_timeout_secs)
            .unwrap_or(u32::MAX)
            .saturating_add(limits::CPU_SECS_BEYOND_TIMEOUT)
            .saturating_add(match self.mode {
                Mode::Stateless => 0,
                Mode::Stateful => limits::SAVE_CPU_SECS,
            })
    }

    /// The largest snapshot of its heap, in bytes; 0 where none is kept.
    pub fn snapshot_bytes(self) -> u64 {
        match self.mode {
            Mode::Stateless => 0,
            Mode::Stateful => {
                (2 * self.heap_bytes() + limits::SNAPSHOT_ROOM_BYTES).min(wire::SNAPSHOT_BYTES_MAX)
            }
        }
    }

    /// [`Given::resident_bytes_max`] of a worker that saves its heap.
    pub fn resident_bytes_to_save_max(self) -> u64 {
        self.resident_bytes_max() + limits::SAVING_COPIES * self.snapshot_bytes()
    }

    /// Memory of its own that a worker may have resident, in bytes: whatever it does, the kernel
    /// refuses a script more. Whoever has more has found a way around that.
    pub fn resident_bytes_max(self) -> u64 {
        limits::WARM_WORKER_BYTES
            + 2 * self.heap_bytes()
            + wire::WORKER_ROOM_BYTES
            + wire::WORKER_STACK_BYTES
    }

    /// V8's heap, in bytes; the buffers have as much again.
    pub fn heap_bytes(self) -> u64 {
        self.limits.heap_memory_max_mb << 20
    }
}

/// The end that a verdict makes.
pub(super) fn settle(verdict: Verdict, given: Given) -> End {
    match verdict {
        Verdict::Reported(Finished::Completed(done)) => completed(done, HeapEnd::NotKept),
        Verdict::Reported(Finished::Failed(failure)) => reported_failure(failure, given),
        Verdict::Cancelled(by) => End::Cancelled { by },
        Verdict::TooLarge => failed(FailureKind::Memory, memory(given)),
        Verdict::Deadline => End::TimedOut {
            after_secs: given.limits.execution_timeout_secs,
        },
        Verdict::Broke(error) => broke(&error),
    }
}

/// The end of a script that has completed.
pub(super) fn completed(done: Completion, heap: HeapEnd) -> End {
    End::Completed {
        result: done.result.text,
        result_truncated: done.result.truncated,
        preview: done.preview.text,
        heap,
    }
}

/// The end that the exit of a process makes.
pub(super) fn explain(riddle: Riddle, script: Script, exit: &Exit, given: Given) -> End {
    match (riddle, script) {
        (Riddle::Gone, Script::Unread) => unread(exit),
        (Riddle::Gone, Script::MayHaveRun) => death(exit, given),
        (Riddle::Torn, _) if is_telling(exit, given) => death(exit, given),
        (Riddle::Torn, _) => broke(&LinkError::Torn),
        (Riddle::NotReady(why), _) => not_ready(&why, exit),
        (Riddle::LostHeap(done), _) => {
            completed(*done, HeapLoss::of_death(exit, given).heap_end(given))
        }
    }
}

/// The end of an execution whose input heap was there when it was accepted, and is not any more.
pub(super) fn input_heap_failed(why: &str) -> End {
    failed(
        FailureKind::Heap,
        format!("the heap to start from cannot be had any more, so nothing ran: {why}"),
    )
}

/// The end of an execution that waited too long for a slot.
pub(super) fn queue_wait_over(after_secs: u64) -> End {
    failed(
        FailureKind::QueueWait,
        format!(
            "it waited {after_secs} s for a free slot and was given up; nothing of it ran. Run it \
             again when the server is less busy"
        ),
    )
}

/// The end of an execution whose worker could not be started.
pub(super) fn spawn_failed(error: &SpawnError) -> End {
    failed(FailureKind::WorkerStart, error.to_string())
}

/// The end of an execution that did end, in a way that could not be written.
pub(super) fn not_recorded(error: &StoreError) -> End {
    let text = match error {
        StoreError::Cluster(_) => {
            "the execution ended, and its cluster did not say whether its end is \
                                   recorded; look at it again before you run it again"
                .to_owned()
        }
        StoreError::EndedByOthers => {
            "the other nodes of the cluster took the node that ran it for dead, \
                                      and ended it; run it again"
                .to_owned()
        }
        error => format!(
            "the execution ended, but its end could not be recorded ({error}); free space or \
             repair the session database, then run it again"
        ),
    };
    failed(FailureKind::Server, text)
}

/// The end of an execution that this server no longer runs, and whose end is not recorded.
pub(crate) fn lost() -> End {
    failed(
        FailureKind::Server,
        "the server lost this execution before its end was recorded; its log says why. Run it \
         again"
            .to_owned(),
    )
}

fn reported_failure(failure: Failure, given: Given) -> End {
    let kind = match failure.kind {
        Reported::Syntax => FailureKind::Syntax,
        Reported::Exception => FailureKind::Exception,
        Reported::UnhandledRejection => FailureKind::UnhandledRejection,
        Reported::NothingLeftToWaitFor => FailureKind::NothingLeftToWaitFor,
        Reported::Unprintable => FailureKind::Unprintable,
        Reported::Memory => {
            // The limit is ours to explain, behind what the worker says.
            let text = match failure.error.text.trim_end() {
                "" => memory(given),
                said => format!("{}\n{said}", memory(given)),
            };
            return failed(FailureKind::Memory, text);
        }
    };
    End::Failed {
        kind,
        error: failure.error.text,
        error_truncated: failure.error.truncated,
    }
}

fn memory(given: Given) -> String {
    let limit = given.limits.heap_memory_max_mb;
    let advice = if limit < limits::HEAP_MEMORY_MB_MAX {
        format!(
            "raise heap_memory_max_mb (up to {}), or hold less at once",
            limits::HEAP_MEMORY_MB_MAX
        )
    } else {
        "this is the largest limit there is; hold less at once".to_owned()
    };
    format!(
        "the script reached its memory limit of {limit} MiB for V8's heap, and as much again for \
         array buffers and WebAssembly memories; {advice}"
    )
}

fn death(exit: &Exit, given: Given) -> End {
    let cpu_seconds = given.cpu_seconds();
    let (kind, text) = match exit.death(u64::from(cpu_seconds)) {
        Death::Memory => (FailureKind::Memory, memory(given)),
        Death::CpuTime => (
            FailureKind::CpuTime,
            format!(
                "the script used more than {cpu_seconds} s of CPU time and was killed; raise \
                 execution_timeout_secs (up to {}), or make it do less",
                limits::EXECUTION_TIMEOUT_SECS_MAX
            ),
        ),
        Death::Sandbox => (
            FailureKind::Sandbox,
            "the worker was killed by its jail: the script made it ask the system for something \
             that is never allowed. Nothing outside was touched; the script has to do without"
                .to_owned(),
        ),
        Death::Clean => (
            FailureKind::WorkerDied,
            "the worker exited without a result; run it again, and report it if it happens again"
                .to_owned(),
        ),
        Death::StartFailed => (
            FailureKind::WorkerStart,
            format!(
                "the worker could not set itself up: {exit}. The server's log and the \
                     worker's own message say what is missing"
            ),
        ),
        Death::Protocol => (
            FailureKind::WorkerDied,
            format!(
                "the worker did not understand the server: {exit}. Install mcp-v8 and \
                 mcp-v8-worker from one build"
            ),
        ),
        Death::Killed => (
            FailureKind::WorkerDied,
            format!(
                "the worker was killed from outside: {exit}. Most likely the machine is short of \
                 memory: run it again, or lower --max-concurrent-executions"
            ),
        ),
        Death::Crashed { .. } | Death::Exited { .. } => (
            FailureKind::WorkerDied,
            format!(
                "the worker crashed: {exit}. Only this execution is lost; run it again with less \
                 of the script to find what does it"
            ),
        ),
        Death::Severed => (
            FailureKind::WorkerDied,
            "the worker closed its pipe without a result, but went on, and was killed. The \
             script, or a bug, has damaged it; only this execution is lost"
                .to_owned(),
        ),
        Death::Orphaned => (
            FailureKind::WorkerDied,
            "the worker ended together with the fork server that had made it, which crashed, hung \
             or was killed; only what ran at that moment is lost. Run it again"
                .to_owned(),
        ),
        Death::Lingers => (
            FailureKind::WorkerDied,
            "the worker went silent and could not be ended in time; run it again".to_owned(),
        ),
    };
    failed(kind, text)
}

/// Whether an exit says more than that the conversation broke off.
fn is_telling(exit: &Exit, given: Given) -> bool {
    match exit.death(u64::from(given.cpu_seconds())) {
        Death::Memory
        | Death::CpuTime
        | Death::Sandbox
        | Death::Killed
        | Death::Crashed { .. }
        | Death::Orphaned => true,
        Death::Clean
        | Death::StartFailed
        | Death::Protocol
        | Death::Exited { .. }
        | Death::Severed
        | Death::Lingers => false,
    }
}

fn unread(exit: &Exit) -> End {
    failed(
        FailureKind::WorkerStart,
        format!(
            "{} workers were given the script, one after another, and each ended before it had \
             read a byte of it, so nothing of it ran; of the last one: {exit}. The machine may be \
             short of memory; run it again",
            limits::START_ATTEMPTS_MAX
        ),
    )
}

fn not_ready(why: &NotReady, exit: &Exit) -> End {
    failed(FailureKind::WorkerStart, not_ready_text(why, exit))
}

/// Why a started worker was of no use, and what to do.
pub(super) fn not_ready_text(why: &NotReady, exit: &Exit) -> String {
    match why {
        NotReady::Silent { after_ms } => format!(
            "the worker was started, but said nothing for {after_ms} ms, and was killed{}. The \
             machine may be overloaded, or --worker-path may name another program",
            last_words(exit)
        ),
        NotReady::Launch(LaunchError::Gone) => format!(
            "the worker was started, but ended before it was ready: {exit}. Run \
             'mcp-v8-worker run' by hand to see why, or correct --worker-path"
        ),
        NotReady::Launch(
            error @ (LaunchError::OtherVersion { .. } | LaunchError::Unconfined { .. }),
        ) => error.to_string(),
        NotReady::Launch(LaunchError::Broken(error)) => format!(
            "the worker was started, but is not a worker: {error}{}. Correct --worker-path, or \
             install mcp-v8 and mcp-v8-worker from one build",
            last_words(exit)
        ),
    }
}

fn broke(error: &LinkError) -> End {
    let advice = match error {
        LinkError::TooManyFrames => "Print less often, or more at once",
        LinkError::TooManyCalls => "Request less often, or more at once",
        LinkError::Decode(_)
        | LinkError::Violation(_)
        | LinkError::Breach(_)
        | LinkError::Torn
        | LinkError::Io(_) => "The script, or a bug, has damaged it; only this execution is lost",
    };
    failed(
        FailureKind::WorkerDied,
        format!("the worker was killed: {error}. {advice}"),
    )
}

fn last_words(exit: &Exit) -> String {
    match telling_line(&exit.stderr_tail) {
        "" => String::new(),
        words => format!("; its last words: {words}"),
    }
}

fn failed(kind: FailureKind, text: String) -> End {
    let error = Text::cut(text, ERROR_BYTES_MAX);
    End::Failed {
        kind,
        error: error.text,
        error_truncated: error.truncated,
    }
}
