//! Commits that survive a loss of power.

use rusqlite::Connection;

/// While this is there, a commit is durable when it returns, and with it all before. (The database's own
/// commits survive the end of the process alone: nothing is promised of more than that on a single node,
/// and in a cluster the log has it all.)
pub(super) struct Durably<'a> {
    connection: &'a mut Connection,
    before: i64,
}

impl<'a> Durably<'a> {
    /// Must not be called within a transaction.
    pub(super) fn begin(connection: &'a mut Connection) -> rusqlite::Result<Self> {
        let before = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { connection, before })
    }

    pub(super) const fn connection(&mut self) -> &mut Connection {
        self.connection
    }
}

impl Drop for Durably<'_> {
    fn drop(&mut self) {
        // A transaction that has failed is over by now. If this fails, commits only take longer.
        let _ = self
            .connection
            .pragma_update(None, "synchronous", self.before);
    }
}
