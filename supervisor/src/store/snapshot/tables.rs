//! The tables of a snapshot.

/// Columns of executions that are shared. The number of a row is a node's own.
macro_rules! execution_columns {
    () => {
        "id, owner, status, submitted_at, started_at, completed_at, heap_memory_max_mb,
         execution_timeout_secs, output_truncated, told_output_bytes, failure_kind, cancelled_by,
         timed_out_after_secs, text_truncated, tenant, session, input_heap, output_heap, source_bytes,
         cpu_ms, peak_memory_bytes, preview, error, heap_error, result"
    };
}

pub(super) use execution_columns;

pub(super) const TABLES: &[(&str, &str)] = &[
    (
        "applied",
        "(idx INTEGER NOT NULL, term INTEGER NOT NULL, conf BLOB NOT NULL) STRICT",
    ),
    (
        "members",
        "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL,
          incarnation BLOB NOT NULL, is_learner_for_good INTEGER NOT NULL) STRICT",
    ),
    (
        "removed",
        "(seq INTEGER PRIMARY KEY, id INTEGER NOT NULL) STRICT",
    ),
    (
        "answers",
        "(idx INTEGER PRIMARY KEY, request BLOB NOT NULL, outcome BLOB NOT NULL) STRICT",
    ),
    (
        "cursor_key",
        "(one INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT",
    ),
    (
        "heaps",
        "(seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id BLOB NOT NULL,
          stored_bytes INTEGER NOT NULL, created_at INTEGER NOT NULL,
          last_used_at INTEGER NOT NULL) STRICT",
    ),
    (
        "heap_tags",
        "(heap INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, tenant TEXT NOT NULL,
          PRIMARY KEY (heap, key)) STRICT, WITHOUT ROWID",
    ),
    (
        "sessions",
        "(seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL) STRICT",
    ),
    (
        "session_entries",
        "(seq INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL,
          tenant TEXT NOT NULL, input_heap BLOB, output_heap BLOB NOT NULL,
          kept_at INTEGER NOT NULL, code TEXT NOT NULL) STRICT",
    ),
    (
        "executions",
        "(seq INTEGER PRIMARY KEY, id BLOB NOT NULL, owner INTEGER NOT NULL, status TEXT NOT NULL,
          submitted_at INTEGER NOT NULL, started_at INTEGER, completed_at INTEGER,
          heap_memory_max_mb INTEGER NOT NULL, execution_timeout_secs INTEGER NOT NULL,
          output_truncated INTEGER NOT NULL, told_output_bytes INTEGER NOT NULL, failure_kind TEXT,
          cancelled_by TEXT, timed_out_after_secs INTEGER, text_truncated INTEGER NOT NULL,
          tenant TEXT NOT NULL, session TEXT, input_heap BLOB, output_heap BLOB,
          source_bytes INTEGER NOT NULL, cpu_ms INTEGER, peak_memory_bytes INTEGER, preview TEXT,
          error TEXT, heap_error TEXT, result TEXT) STRICT",
    ),
];

/// Columns of the tables that are taken as they are.
pub(super) const COPIED: &[(&str, &str)] = &[
    (
        "members",
        "id, name, address, incarnation, is_learner_for_good",
    ),
    ("removed", "seq, id"),
    ("answers", "idx, request, outcome"),
    ("cursor_key", "one, key"),
    (
        "heaps",
        "seq, tenant, id, stored_bytes, created_at, last_used_at",
    ),
    ("heap_tags", "heap, key, value, tenant"),
    ("sessions", "seq, tenant, name"),
    (
        "session_entries",
        "seq, session, position, tenant, input_heap, output_heap, kept_at, code",
    ),
];
