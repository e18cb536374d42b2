//! A node that goes on alone, as the only member of a new cluster, when the others are lost for good.
//!
//! From the moment on that it is noted here, the node does nothing else: whatever it is told when it begins
//! next, it makes that cluster first. The old one would not know what this node takes for certain.

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::super::ids::ClusterId;
use super::StoredLog;
use super::db::{LogDbError, RaftDb, integer, set_base};

/// What a node was told to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Founding {
    /// The new cluster.
    pub cluster: ClusterId,
    /// Whether the node is in it.
    pub is_done: bool,
}

impl RaftDb {
    /// Which cluster this node makes alone, or has made when it was last told to.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn founding(&self) -> Result<Option<Founding>, LogDbError> {
        let found = self
            .connection
            .query_row("SELECT cluster, is_done FROM founding", [], |row| {
                Ok(Founding {
                    cluster: ClusterId(row.get(0)?),
                    is_done: row.get(1)?,
                })
            });
        Ok(found.optional()?)
    }

    /// Notes that this node makes a cluster of its own. There is no way back.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn begin_founding(&mut self, cluster: ClusterId) -> Result<(), LogDbError> {
        self.connection.execute(
            "INSERT OR REPLACE INTO founding (one, cluster, is_done) VALUES (1, ?1, FALSE)",
            [cluster.0],
        )?;
        Ok(())
    }

    /// Is in the cluster that was noted from now on, and has this log.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn end_founding(&mut self, log: &StoredLog) -> Result<(), LogDbError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("DELETE FROM raft_log", [])?;
        super::db::append(&transaction, &log.entries)?;
        set_base(&transaction, log.base)?;
        transaction.execute(
            "UPDATE meta SET cluster = (SELECT cluster FROM founding),
                 term = ?1, vote = ?2, commit_idx = ?3",
            params![
                integer(log.hard.term)?,
                integer(log.hard.vote)?,
                integer(log.hard.commit)?,
            ],
        )?;
        transaction.execute("UPDATE founding SET is_done = TRUE", [])?;
        transaction.commit()?;
        Ok(())
    }

    /// Forgets that this node has made a cluster alone: it may be told to again.
    ///
    /// # Errors
    /// [`LogDbError`].
    pub fn forget_founding(&mut self) -> Result<(), LogDbError> {
        self.connection
            .execute("DELETE FROM founding WHERE is_done", [])?;
        Ok(())
    }
}
