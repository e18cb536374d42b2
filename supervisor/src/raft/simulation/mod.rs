//! A cluster in one thread, where everything that may go wrong does, and can be made to again.
//!
//! A seed decides all: how many nodes there are, how the network loses, delays and repeats, when disks
//! are slow or full and what of them survives a crash, who crashes, pauses, is wiped, joins and leaves,
//! and what clients do. After every step the invariants of [`checks`] must hold, and at the end, when
//! everything is well again, the cluster must have become one, and the clients' history must be one that
//! a single machine could have given ([`oracle`]).
//!
//! With every other seed the logs of the nodes are real files, of which a crash leaves what a loss of power may
//! leave ([`crate::power`]); what the simulated disk has promised must be there. The store's tests run seeds
//! with states in files too.
//!
//! [`Fault`] names mistakes, each of which the simulator must find: so its silence means something.
//!
//! `RAFT_SEEDS=20000 RAFT_FIRST_SEED=1` in the environment of the test `many_seeds` runs more.

mod checks;
mod clients;
mod disk;
mod files;
mod network;
mod nodes;
mod oracle;
mod tests;
mod trouble;
mod world;

pub(crate) use self::clients::heaps;
pub(crate) use self::files::{Ground, SnapshotFile, StateFile, When};
pub(crate) use self::tests::{mistakes_are_found, seed_on, seeds_of_the_environment, seeds_on};

/// A deliberate mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Votes and acknowledgements go out before they are durable.
    SpeakBeforeCommit,
    /// A client is answered when its request is in the log of the leader.
    AnswerBeforeCommit,
    /// Reads are answered from what a node has.
    ReadWithoutAsking,
    /// A leader reads without asking whether it still leads.
    ReadByLease,
    /// A node reads before it has applied what the leader had committed.
    ReadBeforeApplied,
    /// Questions for reads have the same name again.
    ReuseReadNames,
    /// The log is cut behind what the state has made durable.
    CompactTooEarly,
    /// The vote is not written.
    ForgetVote,
    /// What another leader wrote over stays behind its entries.
    KeepSuffix,
    /// The disk says that it has written, and has not.
    LoseCommits,
    /// A snapshot takes the place of the log, and a crash forgets that it must take that of the state.
    ForgetInstall,
    /// The configuration is not written with the entry that changed it.
    ForgetConf,
    /// A snapshot says that it is newer than what is in it.
    StaleSnapshot,
    /// Nobody remembers which requests were done.
    ForgetAnswers,
    /// A node that has lost its disk comes back under its old id.
    ReuseId,
}

impl Fault {
    pub(super) const ALL: [Self; 15] = [
        Self::SpeakBeforeCommit,
        Self::AnswerBeforeCommit,
        Self::ReadWithoutAsking,
        Self::ReadByLease,
        Self::ReadBeforeApplied,
        Self::ReuseReadNames,
        Self::CompactTooEarly,
        Self::ForgetVote,
        Self::KeepSuffix,
        Self::LoseCommits,
        Self::ForgetInstall,
        Self::ForgetConf,
        Self::StaleSnapshot,
        Self::ForgetAnswers,
        Self::ReuseId,
    ];
}

/// What must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation(pub(super) String);

pub(super) type Checked<T = ()> = Result<T, Violation>;

/// Something that must hold.
pub(super) fn must(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(Violation(what()))
    }
}
