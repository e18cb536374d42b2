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
use super::writer::{Order, Queued};
use crate::raft::command::Outcome;
use crate::raft::ids::RequestId;
use crate::raft::log::{ConfState, Position};
use crate::raft::state::{ApplyError, Item, Members, State as _, What, apply};

/// The store, as the thread of a cluster's node uses it. Everything here blocks, and must not be called
/// where tasks run.
#[derive(Debug, Clone)]
pub struct Replication {
    orders: mpsc::Sender<Queued>,
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
    pub(super) const fn new(orders: mpsc::Sender<Queued>, database: Arc<Path>) -> Self {
        Self { orders, database }
    }

    /// What is shared.
    ///
    /// # Errors
    /// [`ReplicationError`].
    pub fn look(&self) -> Result<SharedState, ReplicationError> {
        self.ask(SharedOrder::Look)
    }

    /// Says whose the state is from now on, and where it stands; what is in it stays. Durable.
    ///
    /// # Errors
    /// [`ReplicationError`].
    pub fn found(&self, state: SharedState) -> Result<(), ReplicationError> {
        self.ask(|reply| SharedOrder::Found(Box::new(state), reply))
    }

    /// Applies entries as one, and makes that durable if it is wanted.
    ///
    /// # Errors
    /// [`ReplicationError`]: none of them is applied.
    pub fn apply(
        &self,
        items: Vec<Item>,
        is_durable: bool,
    ) -> Result<AppliedItems, ReplicationError> {
        self.ask(|reply| SharedOrder::Apply(items, is_durable, reply))
    }

    /// Makes what is shared that of a snapshot that was verified; its members. Durable.
    ///
    /// # Errors
    /// [`ReplicationError`]: nothing has changed.
    pub fn install(&self, path: PathBuf, manifest: Manifest) -> Result<Members, ReplicationError> {
        self.ask(|reply| SharedOrder::Install(path, Box::new(manifest), reply))
    }

    /// Makes everything durable; up to which entry that is.
    ///
    /// # Errors
    /// [`ReplicationError`].
    pub fn sync(&self) -> Result<u64, ReplicationError> {
        self.ask(SharedOrder::Sync)
    }

    /// Makes a snapshot in this directory. It takes long, and keeps nobody else waiting.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn make_snapshot(&self, directory: &Path) -> Result<Made, SnapshotError> {
        snapshot::make(&self.database, directory)
    }

    fn ask<T>(&self, order: impl FnOnce(Reply<T>) -> SharedOrder) -> Result<T, ReplicationError> {
        let (reply, answer) = sync_channel(1);
        let queued = Queued {
            order: Order::Shared(order(reply)),
            _place: None,
        };
        let sent = self.orders.blocking_send(queued);
        sent.map_err(|_| StoreError::Closed)?;
        answer.recv().map_err(|_| StoreError::Closed)?
    }
}

impl SharedOrder {
    /// Does it, and says what has come of it.
    pub(super) fn obey(self, connection: &mut Connection) {
        // Whoever does not wait any more has stopped.
        match self {
            Self::Look(reply) => {
                let _ = reply.send(look(connection));
            }
            Self::Found(state, reply) => {
                let _ = reply.send(durably(connection, |connection| found(connection, &state)));
            }
            Self::Apply(items, is_durable, reply) => {
                let applied = if is_durable {
                    durably(connection, |connection| apply_all(connection, &items))
                } else {
                    apply_all(connection, &items)
                };
                let _ = reply.send(applied);
            }
            Self::Install(path, manifest, reply) => {
                let installed = snapshot::install(connection, &path, &manifest);
                let _ = reply.send(installed.map_err(ReplicationError::from));
            }
            Self::Sync(reply) => {
                let _ = reply.send(durably(connection, sync));
            }
        }
    }
}

fn durably<T>(
    connection: &mut Connection,
    act: impl FnOnce(&mut Connection) -> Result<T, ReplicationError>,
) -> Result<T, ReplicationError> {
    let mut durably = Durably::begin(connection)?;
    act(durably.connection())
}

fn look(connection: &Connection) -> Result<SharedState, ReplicationError> {
    let replica = Replica::new(connection);
    Ok(SharedState {
        applied: replica.applied()?,
        conf: replica.conf()?,
        members: replica.members()?,
    })
}

fn found(connection: &mut Connection, state: &SharedState) -> Result<(), ReplicationError> {
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

/// A write whose commit takes all before it to the disk. What it writes it takes back: a transaction in
/// which no page has changed is none for SQLite, and syncs nothing.
fn sync(connection: &mut Connection) -> Result<u64, ReplicationError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE applied SET idx = idx + 1", [])?;
    transaction.execute("UPDATE applied SET idx = idx - 1", [])?;
    let applied = Replica::new(&transaction).applied()?;
    transaction.commit()?;
    Ok(applied.index)
}
