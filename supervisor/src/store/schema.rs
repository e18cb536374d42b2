//! The tables, and how an older database becomes this one.

use rusqlite::{Connection, TransactionBehavior};

use super::error::OpenError;

/// Step `n` leads from version `n` to `n + 1`. Steps are never changed, only added.
const MIGRATIONS: [&str; 9] = [
    EXECUTIONS, STATE, GARBAGE, TENANTS, SOURCES, USAGE, CURSORS, REPLICA, LISTS,
];

/// The newest version.
pub(super) const NEWEST: usize = MIGRATIONS.len();

const EXECUTIONS: &str = "
    -- The servers that use this database. Each holds a lock on its file while it lives. A number is
    -- never given twice: an execution of a server that is gone belongs to nobody else.
    CREATE TABLE owners (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        lock_name TEXT NOT NULL UNIQUE
    ) STRICT;

    -- Times are microseconds since 1970. Large texts come last, so that a scan need not read them.
    CREATE TABLE executions (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        owner INTEGER NOT NULL,
        status TEXT NOT NULL,
        submitted_at INTEGER NOT NULL,
        started_at INTEGER,
        completed_at INTEGER,
        heap_memory_max_mb INTEGER NOT NULL,
        execution_timeout_secs INTEGER NOT NULL,
        output_bytes INTEGER NOT NULL DEFAULT 0,
        output_newlines INTEGER NOT NULL DEFAULT 0,
        output_mid_line INTEGER NOT NULL DEFAULT 0,
        output_truncated INTEGER NOT NULL DEFAULT 0,
        kept_bytes INTEGER NOT NULL DEFAULT 0,
        failure_kind TEXT,
        cancelled_by TEXT,
        timed_out_after_secs INTEGER,
        text_truncated INTEGER NOT NULL DEFAULT 0,
        preview TEXT,
        error TEXT,
        result TEXT
    ) STRICT;
    CREATE INDEX executions_unfinished ON executions (owner) WHERE completed_at IS NULL;
    CREATE INDEX executions_by_end ON executions (completed_at, seq, kept_bytes)
        WHERE completed_at IS NOT NULL;

    -- Output in pieces, found by their first byte or by the newlines before them.
    CREATE TABLE output (
        seq INTEGER PRIMARY KEY,
        execution INTEGER NOT NULL,
        start_byte INTEGER NOT NULL,
        newlines_before INTEGER NOT NULL,
        data BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX output_by_byte ON output (execution, start_byte);
    CREATE INDEX output_by_line ON output (execution, newlines_before, start_byte);
";

/// Everything belongs to a tenant, and so does each index: nobody's work depends on how much others
/// have.
const STATE: &str = "
    ALTER TABLE executions ADD COLUMN tenant TEXT NOT NULL DEFAULT 'local';
    ALTER TABLE executions ADD COLUMN session TEXT;
    ALTER TABLE executions ADD COLUMN input_heap BLOB;
    ALTER TABLE executions ADD COLUMN output_heap BLOB;
    ALTER TABLE executions ADD COLUMN heap_error TEXT;
    CREATE INDEX executions_that_need_heaps ON executions (tenant, input_heap)
        WHERE completed_at IS NULL AND input_heap IS NOT NULL;

    -- The heaps that are stored; what they hold lies elsewhere.
    CREATE TABLE heaps (
        seq INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        id BLOB NOT NULL,
        stored_bytes INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER NOT NULL,
        UNIQUE (tenant, id)
    ) STRICT;

    -- Sessions, each from its first entry on. The position of an entry is its index for callers.
    CREATE TABLE sessions (
        seq INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        name TEXT NOT NULL,
        UNIQUE (tenant, name)
    ) STRICT;
    CREATE INDEX sessions_by_age ON sessions (tenant, seq);
    CREATE TABLE session_entries (
        seq INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        position INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        input_heap BLOB,
        output_heap BLOB NOT NULL,
        kept_at INTEGER NOT NULL,
        code TEXT NOT NULL,
        UNIQUE (session, position)
    ) STRICT;
    CREATE INDEX session_entries_by_output ON session_entries (tenant, output_heap);
    CREATE INDEX session_entries_by_input ON session_entries (tenant, input_heap)
        WHERE input_heap IS NOT NULL;

    CREATE TABLE heap_tags (
        heap INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        tenant TEXT NOT NULL,
        PRIMARY KEY (heap, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX heap_tags_by_value ON heap_tags (tenant, key, value, heap);
";

const GARBAGE: &str = "
    -- Tells this database from every other that uses the same heaps.
    CREATE TABLE identity (id TEXT NOT NULL) STRICT;
    INSERT INTO identity (id) VALUES (lower(hex(randomblob(16))));

    -- Heaps that are unknown by now, and whose content may still be there.
    CREATE TABLE doomed_heaps (
        folder TEXT NOT NULL,
        id BLOB NOT NULL,
        stored_bytes INTEGER NOT NULL,
        PRIMARY KEY (folder, id)
    ) STRICT, WITHOUT ROWID;
";

/// What one tenant lists and looks up costs no more because others have much.
const TENANTS: &str = "
    -- The rows of each tenant in the order of their numbers.
    CREATE INDEX executions_by_tenant ON executions (tenant);
    CREATE INDEX executions_by_name ON executions (tenant, id);
";

/// Code has a table of its own: the row of an execution is written again at each step and each piece of
/// output, and would take its code along.
const SOURCES: &str = "
    ALTER TABLE executions ADD COLUMN source_bytes INTEGER NOT NULL DEFAULT 0;

    CREATE TABLE sources (
        execution INTEGER PRIMARY KEY,
        code TEXT NOT NULL
    ) STRICT;
";

const USAGE: &str = "
    -- What the worker used.
    ALTER TABLE executions ADD COLUMN cpu_ms INTEGER;
    ALTER TABLE executions ADD COLUMN peak_memory_bytes INTEGER;

    -- What the heaps of each tenant take together, whoever adds or removes them.
    CREATE TABLE heap_totals (
        tenant TEXT PRIMARY KEY,
        stored_bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO heap_totals (tenant, stored_bytes)
        SELECT tenant, sum(stored_bytes) FROM heaps GROUP BY tenant;
    CREATE TRIGGER heap_added AFTER INSERT ON heaps BEGIN
        INSERT INTO heap_totals (tenant, stored_bytes) VALUES (new.tenant, new.stored_bytes)
            ON CONFLICT (tenant) DO UPDATE SET stored_bytes = stored_bytes + new.stored_bytes;
    END;
    CREATE TRIGGER heap_replaced AFTER UPDATE OF stored_bytes ON heaps BEGIN
        UPDATE heap_totals SET stored_bytes = stored_bytes + new.stored_bytes - old.stored_bytes
            WHERE tenant = new.tenant;
    END;
    CREATE TRIGGER heap_removed AFTER DELETE ON heaps BEGIN
        UPDATE heap_totals SET stored_bytes = stored_bytes - old.stored_bytes
            WHERE tenant = old.tenant;
        DELETE FROM heap_totals WHERE tenant = old.tenant AND stored_bytes = 0;
    END;
";

const CURSORS: &str = "
    -- What hides places in lists from those who are given them.
    ALTER TABLE identity ADD COLUMN cursor_key BLOB;
    UPDATE identity SET cursor_key = randomblob(32);
";

/// The tables of executions, sessions, heaps and tags become what the nodes of a cluster share.
const REPLICA: &str = "
    -- `owner` is the node that runs it; of a single node each server counts as one. `output_bytes` is what
    -- lies here, `told_output_bytes` what the others were told. One that is not shared was accepted here,
    -- and the log has not named it.
    ALTER TABLE executions ADD COLUMN told_output_bytes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE executions ADD COLUMN is_shared INTEGER NOT NULL DEFAULT 1;
    UPDATE executions SET told_output_bytes = output_bytes;

    CREATE TABLE members (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        address TEXT NOT NULL,
        incarnation BLOB NOT NULL,
        is_learner_for_good INTEGER NOT NULL
    ) STRICT;

    -- Members that have left and may not come back, in the order in which they left.
    CREATE TABLE removed (
        seq INTEGER PRIMARY KEY,
        id INTEGER NOT NULL UNIQUE
    ) STRICT;

    -- What requests were answered, by their entries.
    CREATE TABLE answers (
        idx INTEGER PRIMARY KEY,
        request BLOB NOT NULL UNIQUE,
        outcome BLOB NOT NULL
    ) STRICT;

    -- One row: the last entry that is in these tables, and the configuration as of it.
    CREATE TABLE applied (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        idx INTEGER NOT NULL,
        term INTEGER NOT NULL,
        conf BLOB NOT NULL
    ) STRICT;
    INSERT INTO applied (one, idx, term, conf) VALUES (1, 1, 1, x'');
";

/// A page of a list begins where another node has ended the one before.
const LISTS: &str = "
    -- Executions are listed by when they were accepted: the number of a row is a node's own.
    CREATE INDEX executions_by_age ON executions (tenant, submitted_at, id);
    DROP INDEX executions_by_tenant;

    -- What hides places in lists on all nodes, from when one of them needed it: one row at most. The key
    -- of `identity` is what this database proposes.
    CREATE TABLE cursor_key (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        key BLOB NOT NULL
    ) STRICT;
";

/// Brings a database to the version of this program. Several servers may try at once.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    migrate_to(connection, NEWEST)
}

/// The same up to an older version, for tests of the steps behind it.
pub(super) fn migrate_to(connection: &mut Connection, newest: usize) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = usize::try_from(found)
        .ok()
        .and_then(|found| MIGRATIONS.get(found..newest))
        .ok_or(OpenError::Newer { found, newest })?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    if !steps.is_empty() {
        transaction.execute_batch(&format!("PRAGMA user_version = {newest}"))?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let tables: i64 = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(tables, 16);
    }

    #[test]
    fn a_newer_database_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("PRAGMA user_version = 99")
            .unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
