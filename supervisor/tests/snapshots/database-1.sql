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

-- What a server of that version had left: one execution of each kind, and one that it did not end.
INSERT INTO owners (id, lock_name) VALUES (1, 'owner-00000000000000000000000000000000.lock');
INSERT INTO executions (id, owner, status, submitted_at, started_at, completed_at,
    heap_memory_max_mb, execution_timeout_secs, output_bytes, output_newlines, kept_bytes, preview,
    result)
VALUES (x'00000000000040008000000000000001', 1, 'completed', 1000000, 2000000, 3000000, 8, 30, 6, 1,
    8, '42', '42');
INSERT INTO output (execution, start_byte, newlines_before, data) VALUES (1, 0, 0, x'68656c6c6f0a');
INSERT INTO executions (id, owner, status, submitted_at, started_at, completed_at,
    heap_memory_max_mb, execution_timeout_secs, kept_bytes, failure_kind, error)
VALUES (x'00000000000040008000000000000002', 1, 'failed', 1000000, 2000000, 3000000, 8, 30, 4,
    'exception', 'boom');
INSERT INTO executions (id, owner, status, submitted_at, started_at, completed_at,
    heap_memory_max_mb, execution_timeout_secs, cancelled_by)
VALUES (x'00000000000040008000000000000003', 1, 'cancelled', 1000000, NULL, 3000000, 8, 30,
    'client');
INSERT INTO executions (id, owner, status, submitted_at, started_at, completed_at,
    heap_memory_max_mb, execution_timeout_secs, timed_out_after_secs)
VALUES (x'00000000000040008000000000000004', 1, 'timed_out', 1000000, 2000000, 3000000, 8, 30, 30);
INSERT INTO executions (id, owner, status, submitted_at, started_at, heap_memory_max_mb,
    execution_timeout_secs)
VALUES (x'00000000000040008000000000000005', 1, 'running', 1000000, 2000000, 8, 30);
PRAGMA user_version = 1;
