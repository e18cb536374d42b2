//! What can happen to an execution, and what its driver can be told to do.

use mcp_v8_protocol::message::Finished;

use crate::heaps::HeapId;
use crate::store::CancelledBy;
use crate::workers::{Exit, LaunchError, LinkError, SpawnError};

/// What a worker that has ended had of the script that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Nothing, for certain: another worker may have it.
    Unread,
    /// A byte of it at least, as far as we know: it may have run.
    MayHaveRun,
}

/// Why a started worker was not ready.
#[derive(Debug)]
pub enum NotReady {
    /// It said nothing for too long.
    Silent {
        /// How long.
        after_ms: u64,
    },
    /// It said something wrong, or closed its pipe.
    Launch(LaunchError),
}

impl NotReady {
    /// Whether the worker died by itself: it is not killed then, since its own exit says why.
    pub fn is_death(&self) -> bool {
        match self {
            Self::Launch(LaunchError::Gone) => true,
            Self::Silent { .. }
            | Self::Launch(
                LaunchError::OtherVersion { .. }
                | LaunchError::Unconfined { .. }
                | LaunchError::Broken(_),
            ) => false,
        }
    }
}

/// What can happen.
#[derive(Debug)]
pub enum Event {
    /// A slot is free.
    SlotGranted,
    /// It has waited too long for a slot.
    QueueWaitOver {
        /// How long, in seconds.
        after_secs: u64,
    },
    /// No process could be started.
    SpawnFailed(SpawnError),
    /// The worker has said the right Hello.
    WorkerReady,
    /// The worker will not become ready.
    WorkerNotReady(NotReady),
    /// The heap that it is to continue cannot be had.
    InputHeapFailed {
        /// Why, for people.
        why: String,
    },
    /// The worker's last word.
    Reported(Finished),
    /// The worker has saved the heap, and there is a copy of it.
    HeapSaved,
    /// The worker cannot save the heap.
    HeapNotSaved {
        /// Why.
        why: String,
    },
    /// The heap is durable.
    HeapStored(HeapId),
    /// The heap could not be made durable.
    HeapNotStored {
        /// Why, for people.
        why: String,
    },
    /// The worker closed its pipe, or died.
    WorkerGone,
    /// The worker sent something illegal.
    WorkerBroke(LinkError),
    /// Somebody asked for its end.
    CancelAsked(CancelledBy),
    /// The time is over.
    Deadline,
    /// The worker was found with more memory than it may have.
    WorkerTooLarge,
    /// The process is reaped.
    Reaped(Exit, Script),
    /// The end is in the store.
    Committed,
    /// The end could not be written.
    CommitFailed(crate::store::StoreError),
}

/// What the driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Start a worker and wait for its Hello.
    Launch,
    /// Send it the script and arm the deadline.
    Run,
    /// Wait for its heap, for a while.
    AwaitHeap,
    /// Store the heap. Answered by [`Event::HeapStored`] or [`Event::HeapNotStored`].
    StoreHeap,
    /// Kill it.
    Kill,
    /// Wait for its end and reap it. Answered by [`Event::Reaped`].
    Reap,
    /// Write the end. Answered by [`Event::Committed`] or [`Event::CommitFailed`].
    Commit,
    /// Show the end to everybody.
    Publish,
    /// Give back the slot, or the place in the queue.
    Release,
}
