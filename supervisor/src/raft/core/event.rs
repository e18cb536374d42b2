//! What the core is told, and what it wants done.

use bytes::Bytes;
use raft::eraftpb::ConfState;

use super::super::command::Outcome;
use super::super::ids::{RaftId, RequestId};
use super::super::log::{LogError, LogWrite, Position};
use super::super::packet::Packet;
use super::super::request::{Refusal, Request};
use super::super::state::{Item, Members};
use super::admit::TurnedAway;

/// Somebody who waits for a read. The number is the shell's; it gives none twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadId(pub u64);

/// What happens to a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time has passed: one tick.
    Tick,
    /// Another node says something.
    Packet(Packet),
    /// A client of this node wants a change. It is sent again until it is done or its time is over. A
    /// client that asks again, here or elsewhere, does so with the same request: the same name and the
    /// same birth, which is [`super::Core::applied`] of the node that was asked first.
    Propose {
        /// What it asks for.
        request: Request,
        /// For so many ticks.
        ticks: u64,
    },
    /// A client of this node wants to read what is true now.
    Read {
        /// Who waits.
        id: ReadId,
        /// For so many ticks.
        ticks: u64,
    },
    /// The last [`Effect::Persist`] is durable. With a snapshot: the state is now that of the
    /// snapshot, and these are its members.
    Persisted(Option<Members>),
    /// The last [`Effect::Apply`] is done, and durable if that was asked for.
    Applied {
        /// The answers, in the order of the entries.
        answers: Vec<(RequestId, Outcome)>,
        /// The members, if they have changed.
        members: Option<Members>,
    },
    /// The state up to this entry survives a loss of power.
    StateDurable(u64),
    /// A snapshot of the state was made, as of this entry. Its content can be read.
    SnapshotMade {
        /// The last entry in it.
        at: Position,
        /// The configuration in it.
        conf: ConfState,
        /// What names its content.
        manifest: Bytes,
    },
    /// No snapshot could be made.
    SnapshotFailed,
    /// A snapshot has reached a node, content and message, or has not.
    SnapshotSent {
        /// Which node.
        to: RaftId,
        /// Whether it has.
        is_there: bool,
    },
    /// A packet could not be delivered.
    Unreachable(RaftId),
    /// Another member says that this node was removed.
    ToldRemoved,
    /// This node is about to stop, and gives away its leadership.
    HandOver,
}

/// What the core wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Deliver this, or lose it.
    Send(Packet),
    /// Deliver the content that the manifest of this packet names, then the packet; tell
    /// [`Event::SnapshotSent`] in any case.
    SendSnapshot(Packet),
    /// Commit this to the disk, then tell [`Event::Persisted`]. Nothing else is asked for meanwhile.
    Persist(LogWrite),
    /// Apply these as one, then tell [`Event::Applied`]. Nothing else is asked for meanwhile.
    Apply {
        /// The entries.
        items: Vec<Item>,
        /// Whether it has to be durable before it is told: a membership is used from then on.
        is_durable: bool,
    },
    /// Make a snapshot, aside.
    MakeSnapshot,
    /// This is what has become of a request of a client of this node.
    Answer(RequestId, Result<Outcome, Failure>),
    /// The state is as new as the read wants it, or will not be in time.
    ReadReady(ReadId, Result<(), Failure>),
    /// Another node leads, or none, in this term.
    Leader {
        /// Who.
        leader: Option<RaftId>,
        /// The term.
        term: u64,
    },
    /// A packet of this node was not taken; it may want to know why.
    TurnAway(RaftId, TurnedAway),
    /// This node takes no part any more.
    Stop(Stop),
}

/// Why a client gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too many wait.
    #[error("too many changes wait for their commit; try again later")]
    Overloaded,
    /// Its time is over. A change may have been made, or may still be.
    #[error("no answer in time; the change may have been made: ask again with the same request")]
    Unknown,
    /// The leader will not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The node has stopped. A change may have been made.
    #[error("this node takes no part in the cluster any more")]
    Stopped,
}

/// Why a node takes no part any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It was removed from the cluster.
    #[error(
        "this node was removed from the cluster; with an empty data directory it can join again"
    )]
    Removed,
    /// A committed change of the membership cannot be read: another version made it.
    #[error("entry {index} changes the membership in a way that this version does not know")]
    UnknownChange {
        /// The entry.
        index: u64,
    },
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log does not fit the state.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The raft crate refuses it.
    #[error("the log cannot be used: {0}")]
    Raft(#[from] raft::Error),
}
