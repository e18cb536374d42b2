//! Errors of the use cases. They know no transport; their texts are for clients and say what was
//! wrong, where, and what to do next.

use crate::heaps::{HeapError, HeapId};
use crate::quota::Excess;
use crate::store::{ExecutionId, SessionName, Status};

/// Why a use case did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such execution.
    #[error(
        "no execution has the id {id}; it may have expired: list_executions shows those that are \
         kept"
    )]
    NotFound {
        /// What was asked for.
        id: ExecutionId,
    },
    /// What was kept of it beside its end has gone with its node.
    #[error(
        "the node that ran execution {id} has left the cluster, and its output and code with it; \
         get_execution still shows its end"
    )]
    Gone {
        /// What was asked for.
        id: ExecutionId,
    },
    /// There is no such heap.
    #[error(
        "no heap {heap} is known here: it may have expired, or belong elsewhere; get_execution \
         names the heap that an execution left behind, list_session_snapshots those of a session"
    )]
    UnknownHeap {
        /// What was asked for.
        heap: HeapId,
    },
    /// There is no such session.
    #[error(
        "there is no session \"{session}\": a session is made by the first execution that \
         completes with it; list_sessions shows those that are there"
    )]
    UnknownSession {
        /// What was asked for.
        session: SessionName,
    },
    /// A session has no newest heap to go on from.
    #[error(
        "heap: there is no latest heap, because no execution has completed with the session \
         \"{session}\" yet; leave heap out to start fresh, or check the name with list_sessions"
    )]
    NoLatestHeap {
        /// The session that was named.
        session: SessionName,
    },
    /// The server keeps nothing between executions.
    #[error(
        "{what}: this server keeps no heaps, sessions or tags, because it was started with \
         --stateless; do without, or start it without --stateless"
    )]
    Stateless {
        /// The argument or the use case.
        what: &'static str,
    },
    /// The heap to start from cannot be used.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// An argument is not allowed.
    #[error("{field}: {problem}; allowed: {allowed}")]
    Invalid {
        /// The argument.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        allowed: String,
    },
    /// The execution is not in a state that allows this.
    #[error("{0}")]
    Conflict(Conflict),
    /// Every slot and every place in the queue is taken. Nothing was accepted.
    #[error(
        "the server is busy: {running} executions run and {queue_length} wait, which is all it \
         allows; nothing was accepted, try again in a moment"
    )]
    Overloaded {
        /// Executions that may run at once.
        running: usize,
        /// Executions that may wait.
        queue_length: usize,
    },
    /// The caller has as many executions as it may. Nothing was accepted.
    #[error(
        "{running} of your executions run and {queue_length} wait, which is all that you may have \
         (concurrent, queued); nothing was accepted, try again when one has ended"
    )]
    TenantFull {
        /// Executions of the tenant that may run at once.
        running: usize,
        /// Executions of it that may wait.
        queue_length: usize,
    },
    /// The caller has as much of the queue as it may while others could want some. Nothing was
    /// accepted.
    #[error(
        "{waiting} of your executions wait, and what is left of the queue is for others; nothing was \
         accepted, try again in a moment"
    )]
    QueueShared {
        /// Executions of the tenant that wait.
        waiting: usize,
    },
    /// The caller has used up a quota. Nothing was accepted.
    #[error("{0}; nothing was accepted")]
    OverQuota(Excess),
    /// The server cannot serve this now.
    #[error("{0}")]
    Unavailable(Unavailable),
    /// The server failed. Details are in its log.
    #[error("the server failed: {0}; its log (standard error) has the details")]
    Internal(Internal),
}

/// What the state of an execution does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Only an execution that is queued or running can be cancelled.
    #[error("execution {id} is not running (status: {status}); there is nothing to cancel")]
    NotRunning {
        /// Which.
        id: ExecutionId,
        /// Where it stands.
        status: Status,
    },
    /// Another server on the same directory runs it.
    #[error("execution {id} is run by another server on the same directory; cancel it there")]
    RunsElsewhere {
        /// Which.
        id: ExecutionId,
    },
}

/// Why the server cannot serve now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It is going away.
    #[error("the server is shutting down; nothing was accepted")]
    ShuttingDown,
    /// Executions cannot be recorded.
    #[error(
        "executions cannot be recorded: {problem}; nothing was accepted. Free space or repair the \
         session database, then try again"
    )]
    Store {
        /// What the store said.
        problem: String,
    },
    /// Something could not be written.
    #[error(
        "the session database could not be written: {problem}; nothing has changed. Free space or \
         repair it, then try again"
    )]
    Unwritten {
        /// What the store said.
        problem: String,
    },
    /// What happens could not be noted.
    #[error(
        "the audit log cannot be written: {problem}; nothing was accepted, because nothing is done that \
         is not noted. Free space or repair it, then try again"
    )]
    Audit {
        /// What the system said.
        problem: String,
    },
    /// The disk is much slower than the scripts.
    #[error(
        "the session database does not keep up with what running scripts write; nothing was \
         accepted, try again in a moment"
    )]
    SlowStore,
    /// The cluster cannot decide anything, or this node is not up with it.
    #[error(
        "the cluster cannot be asked now: {problem}; nothing was done. Try again in a moment, or \
         another node"
    )]
    Cluster {
        /// Why.
        problem: &'static str,
    },
    /// The cluster may have made a change, or may still make it.
    #[error(
        "the cluster did not say whether it has made the change: {problem}; look what is there before \
         you try again"
    )]
    Undecided {
        /// Why.
        problem: &'static str,
    },
    /// The node that runs an execution gives no answer.
    #[error(
        "node {node}, which runs this execution, gives no answer: {problem}; try again in a moment"
    )]
    Node {
        /// What it is called.
        node: String,
        /// What happened.
        problem: String,
    },
    /// The node that runs an execution was asked to end it, and its answer has not come.
    #[error(
        "node {node}, which runs this execution, did not say whether it has ended it: {problem}. Cancel it \
         again: where it is told to be cancelled then, that was done"
    )]
    CancelUnanswered {
        /// What it is called.
        node: String,
        /// What happened.
        problem: String,
    },
    /// A killed worker has not gone yet.
    #[error("execution {id} was asked to end, but has not ended yet; ask for it again later")]
    StillEnding {
        /// Which.
        id: ExecutionId,
    },
}

/// What failed inside the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Internal {
    /// A node of the same cluster says what cannot be.
    #[error("another node gave an answer that makes no sense: {problem}")]
    Node {
        /// What is wrong with it.
        problem: String,
    },
    /// The store could not be read.
    #[error("the session database could not be read: {problem}")]
    Store {
        /// What the store said.
        problem: String,
    },
}
