//! The log in `raft.db`.
//!
//! The thread of the algorithm has the one connection that writes, and commits with every write
//! (`synchronous=FULL`): what it says afterwards may rest on it. Checkpoints are made by another
//! thread, so that they never delay a heartbeat.

use std::path::Path;

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, HardState};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::super::ids::{ClusterId, Incarnation, RaftId};
use super::{LogWrite, Position, StoredLog};
use crate::limits::RAFT_DB_PAGE_BYTES;

/// The version of the tables.
const FORMAT: i64 = 3;

const TABLES: &str = "
    CREATE TABLE raft_log (
        idx INTEGER PRIMARY KEY,
        term INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        context BLOB NOT NULL,
        data BLOB NOT NULL
    ) STRICT;

    -- One row. `pending_snapshot` names a snapshot that the log begins with, and whose content may not
    -- have taken the place of the state yet.
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        format INTEGER NOT NULL,
        cluster BLOB NOT NULL,
        raft_id INTEGER NOT NULL,
        incarnation BLOB NOT NULL,
        term INTEGER NOT NULL,
        vote INTEGER NOT NULL,
        commit_idx INTEGER NOT NULL,
        base_idx INTEGER NOT NULL,
        base_term INTEGER NOT NULL,
        pending_snapshot BLOB
    ) STRICT;
";

/// Since version 2. One row from when the node has first named its life: before it is in a cluster.
const LIFE: &str = "
    CREATE TABLE life (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        incarnation BLOB NOT NULL
    ) STRICT;
    INSERT INTO life (one, incarnation) SELECT 1, incarnation FROM meta;
";

/// Since version 3. At most one row: the cluster that this node makes alone, or has made when it was last
/// told to.
const FOUNDING: &str = "
    CREATE TABLE founding (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        cluster BLOB NOT NULL,
        is_done INTEGER NOT NULL
    ) STRICT;
";

/// Who this disk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's id in it.
    pub id: RaftId,
    /// The life that began with this disk.
    pub incarnation: Incarnation,
}

/// Why the log cannot be read or written. After it the node must begin again from its disk: what is in
/// memory is ahead of it.
#[derive(Debug, thiserror::Error)]
pub enum LogDbError {
    /// SQLite said so.
    #[error("the log: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A newer program has written it.
    #[error("the log was written by a newer version of this program (format {found})")]
    Newer {
        /// Its format.
        found: i64,
    },
    /// A row that this program cannot have written.
    #[error("the log holds a {what} that this program cannot have written")]
    Corrupt {
        /// What it is.
        what: &'static str,
    },
    /// Others know this disk by another life than the one that is to begin on it.
    #[error("another life of this node has begun with this log")]
    OtherLife,
    /// There is no source of random numbers.
    #[error("no random numbers can be had: {0}")]
    Random(getrandom::Error),
    /// A number that SQLite cannot hold.
    #[error("a number of the log is too large")]
    Number,
}

impl LogDbError {
    /// Whether the disk is full: it may have room again later. After any other failure of a write
    /// nobody knows what is on the disk, and the process must end.
    pub fn is_full(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }
}

/// `raft.db`, opened to write.
#[derive(Debug)]
pub struct RaftDb {
    pub(super) connection: Connection,
}

impl RaftDb {
    /// Opens the file, and makes it when it is missing.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn open(path: &Path) -> Result<Self, LogDbError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "page_size", RAFT_DB_PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            0 => transaction.execute_batch(&format!("{TABLES}{LIFE}{FOUNDING}"))?,
            1 => transaction.execute_batch(&format!("{LIFE}{FOUNDING}"))?,
            2 => transaction.execute_batch(FOUNDING)?,
            FORMAT => {}
            _ => return Err(LogDbError::Newer { found }),
        }
        if found != FORMAT {
            transaction.pragma_update(None, "user_version", FORMAT)?;
        }
        transaction.commit()?;
        Ok(Self { connection })
    }

    /// Who this disk belongs to; `None` when nobody has begun on it.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn identity(&self) -> Result<Option<Identity>, LogDbError> {
        let found = self
            .connection
            .query_row(
                "SELECT cluster, raft_id, incarnation FROM meta",
                [],
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?)),
            )
            .optional()?;
        let Some((cluster, id, incarnation)) = found else {
            return Ok(None);
        };
        let id = u64::try_from(id).ok().and_then(RaftId::from_u64);
        Ok(Some(Identity {
            cluster: ClusterId(cluster),
            id: id.ok_or(LogDbError::Corrupt { what: "node's id" })?,
            incarnation: Incarnation(incarnation),
        }))
    }

    /// The life that this disk stands for: made and durable when it is first asked for, and the same until
    /// the disk is lost. The node names it to others before it is in a cluster.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn incarnation(&mut self) -> Result<Incarnation, LogDbError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(life) = life(&transaction)? {
            return Ok(life);
        }
        let mut new = [0; 16];
        getrandom::fill(&mut new).map_err(LogDbError::Random)?;
        transaction.execute("INSERT INTO life (one, incarnation) VALUES (1, ?1)", [new])?;
        transaction.commit()?;
        Ok(Incarnation(new))
    }

    /// Begins a node's life on an empty disk.
    ///
    /// # Errors
    /// [`LogDbError`], also when one has begun here before.
    pub fn begin(&mut self, identity: Identity, log: &StoredLog) -> Result<(), LogDbError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO life (one, incarnation) VALUES (1, ?1) ON CONFLICT DO NOTHING",
            [identity.incarnation.0],
        )?;
        if life(&transaction)? != Some(identity.incarnation) {
            return Err(LogDbError::OtherLife);
        }
        transaction.execute(
            "INSERT INTO meta (one, format, cluster, raft_id, incarnation, term, vote, commit_idx,
                 base_idx, base_term)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                FORMAT,
                identity.cluster.0,
                integer(identity.id.get())?,
                identity.incarnation.0,
                integer(log.hard.term)?,
                integer(log.hard.vote)?,
                integer(log.hard.commit)?,
                integer(log.base.index)?,
                integer(log.base.term)?,
            ],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Forgets a beginning that nothing has come of: the node has never said a word by it. Its life stays,
    /// which others may have heard of.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn forget_beginning(&mut self) -> Result<(), LogDbError> {
        self.connection.execute("DELETE FROM meta", [])?;
        Ok(())
    }

    /// Everything that is on the disk.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn load(&self) -> Result<StoredLog, LogDbError> {
        let (hard, base) = self.connection.query_row_and_then(
            "SELECT term, vote, commit_idx, base_idx, base_term FROM meta",
            [],
            |row| {
                let number = |at| {
                    row.get::<_, i64>(at)
                        .map_err(LogDbError::from)
                        .and_then(natural)
                };
                let hard = HardState {
                    term: number(0)?,
                    vote: number(1)?,
                    commit: number(2)?,
                    ..HardState::default()
                };
                let (index, term) = (number(3)?, number(4)?);
                Ok::<_, LogDbError>((hard, Position { index, term }))
            },
        )?;
        let mut select = self
            .connection
            .prepare("SELECT idx, term, kind, context, data FROM raft_log ORDER BY idx")?;
        let entries = select
            .query_and_then([], read_entry)?
            .collect::<Result<Vec<_>, _>>()?;
        Ok(StoredLog {
            base,
            hard,
            entries,
        })
    }

    /// Makes one change, as a whole or not at all. It is durable when this returns.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn write(&mut self, write: &LogWrite) -> Result<(), LogDbError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(install) = &write.install {
            transaction.execute("DELETE FROM raft_log", [])?;
            set_base(&transaction, install.at)?;
            transaction.execute(
                "UPDATE meta SET pending_snapshot = ?1",
                [install.manifest.as_ref()],
            )?;
        }
        append(&transaction, &write.entries)?;
        if let Some(to) = write.compact_to {
            transaction.execute("DELETE FROM raft_log WHERE idx <= ?1", [integer(to.index)?])?;
            set_base(&transaction, to)?;
        }
        transaction
            .prepare_cached("UPDATE meta SET term = ?1, vote = ?2, commit_idx = ?3")?
            .execute(params![
                integer(write.hard.term)?,
                integer(write.hard.vote)?,
                integer(write.hard.commit)?,
            ])?;
        transaction.commit()?;
        Ok(())
    }

    /// The snapshot whose content has still to take the place of the state; none where nobody has begun.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn pending_snapshot(&self) -> Result<Option<Bytes>, LogDbError> {
        let pending: Option<Option<Vec<u8>>> = self
            .connection
            .query_row("SELECT pending_snapshot FROM meta", [], |row| row.get(0))
            .optional()?;
        Ok(pending.flatten().map(Bytes::from))
    }

    /// Notes that the content of the snapshot is in its place.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn snapshot_installed(&mut self) -> Result<(), LogDbError> {
        self.connection
            .execute("UPDATE meta SET pending_snapshot = NULL", [])?;
        Ok(())
    }
}

/// A connection that moves what was committed into the file itself. It belongs to another thread.
#[derive(Debug)]
pub struct Checkpointer(Connection);

impl Checkpointer {
    /// Opens a database that is there.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn open(path: &Path) -> Result<Self, LogDbError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "fullfsync", true)?;
        Ok(Self(connection))
    }

    /// Moves what can be moved without making anybody wait; whether that was all.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn run(&self) -> Result<bool, LogDbError> {
        let (busy, log, moved): (i64, i64, i64) =
            self.0
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
        Ok(busy == 0 && log == moved)
    }
}

fn life(connection: &Connection) -> Result<Option<Incarnation>, LogDbError> {
    let found = connection.query_row("SELECT incarnation FROM life", [], |row| row.get(0));
    Ok(found.optional()?.map(Incarnation))
}

pub(super) fn append(connection: &Connection, entries: &[Entry]) -> Result<(), LogDbError> {
    let Some(first) = entries.first() else {
        return Ok(());
    };
    // What stood there was never committed: another leader has written over it.
    connection
        .prepare_cached("DELETE FROM raft_log WHERE idx >= ?1")?
        .execute([integer(first.index)?])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO raft_log (idx, term, kind, context, data) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for entry in entries {
        insert.execute(params![
            integer(entry.index)?,
            integer(entry.term)?,
            kind_number(entry.get_entry_type()),
            entry.context.as_ref(),
            entry.data.as_ref(),
        ])?;
    }
    Ok(())
}

pub(super) fn set_base(connection: &Connection, base: Position) -> Result<(), LogDbError> {
    connection
        .prepare_cached("UPDATE meta SET base_idx = ?1, base_term = ?2")?
        .execute(params![integer(base.index)?, integer(base.term)?])?;
    Ok(())
}

fn read_entry(row: &rusqlite::Row<'_>) -> Result<Entry, LogDbError> {
    let mut entry = Entry {
        index: natural(row.get(0)?)?,
        term: natural(row.get(1)?)?,
        context: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        data: Bytes::from(row.get::<_, Vec<u8>>(4)?),
        ..Entry::default()
    };
    entry.set_entry_type(match row.get::<_, i64>(2)? {
        0 => EntryType::EntryNormal,
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => {
            return Err(LogDbError::Corrupt {
                what: "kind of entry",
            });
        }
    });
    Ok(entry)
}

const fn kind_number(kind: EntryType) -> i64 {
    match kind {
        EntryType::EntryNormal => 0,
        EntryType::EntryConfChange => 1,
        EntryType::EntryConfChangeV2 => 2,
    }
}

pub(super) fn integer(value: u64) -> Result<i64, LogDbError> {
    i64::try_from(value).map_err(|_| LogDbError::Number)
}

fn natural(value: i64) -> Result<u64, LogDbError> {
    u64::try_from(value).map_err(|_| LogDbError::Number)
}

#[cfg(test)]
impl RaftDb {
    /// To set what a full disk looks like.
    pub(crate) const fn connection_for_tests(&self) -> &Connection {
        &self.connection
    }
}
