//! What the thread of a cluster's node does with the store: entries are applied, snapshots made and
//! installed. All of it is done by the writer between its own transactions, in the order in which it is
//! asked for, but for making snapshots.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc;

use super::durable::Durably;
use super::error::StoreError;
use super::replica::Replica;
use super::snapshot::{self, Made, Manifest, SnapshotError};
use super::writer::Order;
use crate::raft::command::Outcome;
use crate::raft::ids::RequestId;
use crate::raft::log::{ConfState, Position};
use crate::raft::state::{ApplyError, Item, Members, State as _, What, apply};

/// The store, as the thread of a cluster's node uses it. Everything here blocks, and must not be called
/// where tasks run.
#[derive(Debug, Clone)]
pub struct Replication {
    orders: mpsc::Sender<Order>,
    database: Arc<Path>,
}

/// What is shared, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct SharedState {
    /// The last entry in it.
    pub applied: Position,
    /// The configuration as of it; empty on a node that was never in a cluster.
    pub conf: ConfState,
    /// The members as of it.
    pub members: Members,
}

/// What has come of some entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedItems {
    /// The answers, in the order of the entries.
    pub answers: Vec<(RequestId, Outcome)>,
    /// The members, if an entry was about them.
    pub members: Option<Members>,
}

/// Why the thread of a node cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    /// The state cannot be read or written, or an entry not understood.
    #[error(transparent)]
    Apply(#[from] ApplyError<StoreError>),
    /// A snapshot cannot be installed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl From<StoreError> for ReplicationError {
    fn from(error: StoreError) -> Self {
        Self::Apply(ApplyError::State(error))
    }
}

impl From<rusqlite::Error> for ReplicationError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl ReplicationError {
    /// Whether the disk is full: it may have room again later.
    pub fn is_full(&self) -> bool {
        let is_full = |error: &rusqlite::Error| {
            error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
        };
        match self {
            Self::Apply(ApplyError::State(StoreError::Sqlite(error)))
            | Self::Snapshot(SnapshotError::Store(StoreError::Sqlite(error))) => is_full(error),
            Self::Snapshot(SnapshotError::Sqlite(error)) => is_full(error),
            Self::Snapshot(SnapshotError::File(error)) => {
                error.kind() == std::io::ErrorKind::StorageFull
            }
            Self::Apply(_) | Self::Snapshot(_) => false,
        }
    }

    /// Whether the store was closed: the server is going away.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Apply(ApplyError::State(StoreError::Closed)))
    }
}

type Reply<T> = SyncSender<Result<T, ReplicationError>>;

/// What the writer is told about what is shared.
#[derive(Debug)]
pub(super) enum SharedOrder {
    Look(Reply<SharedState>),
    Found(Box<SharedState>, Reply<()>),
    Apply(Vec<Item>, bool, Reply<AppliedItems>),
    Install(PathBuf, Box<Manifest>, Reply<Members>),
    Sync(Reply<u64>),
}

impl Replication {
    pub(super) const fn new(orders: mpsc::Sender<Order>, database: Arc<Path>) -> Self {
        Self { orders, database }
    }

    /// What is shared.
    ///
    /// # Errors
    /// [`ReplicationError`].
    pub fn look(&self) -> Result<SharedState, ReplicationError> {
        self.ask(SharedOrder::Look)
    }

    /// The state belongs to these first members from now on. It stays what it is; so does its position.
    /// Durable.
    ///
    /// # Errors
    /// [`ReplicationError`].
    pub fn found(connection: &mut Connection, state: &SharedState) -> Result<(), ReplicationError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut replica = Replica::new(&transaction);
    replica.set_members(&state.members)?;
    replica.set_applied(state.applied, Some(&state.conf))?;
    transaction.commit()?;
    Ok(())
}

fn apply_all(
    connection: &mut Connection,
    items: &[Item],
) -> Result<AppliedItems, ReplicationError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut replica = Replica::new(&transaction);
    let mut answers = Vec::new();
    for item in items {
        answers.extend(apply(&mut replica, item)?);
    }
    let is_about_members = |item: &Item| matches!(item.what, What::Members { .. });
    let members = if items.iter().any(is_about_members) {
        Some(replica.members()?)
    } else {
        None
    };
    transaction.commit()?;
    Ok(AppliedItems { answers, members })
}

/// A write that changes nothing: its commit takes all before it to the disk.
fn sync(connection: &mut Connection) -> Result<u64, ReplicationError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE applied SET idx = idx", [])?;
    let applied = Replica::new(&transaction).applied()?;
    transaction.commit()?;
    Ok(applied.index)
}
