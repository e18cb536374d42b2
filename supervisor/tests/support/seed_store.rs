//! A database that has much in it: what a server becomes slow with, if it does.
//!
//! `seed_store DIRECTORY EXECUTIONS SESSIONS HEAPS` makes a session database there with so many of each, all
//! of the last hours. The heaps are rows: their content is nowhere.

#![allow(
    clippy::unwrap_used,
    reason = "a tool of measurements that cannot go on has failed"
)]

use std::path::Path;

use mcp_v8::store::{Retention, Store, StorePlace};
use rusqlite::Connection;

/// The name of the database in its directory.
const DATABASE: &str = "executions.db";
/// The id of the oldest execution, so that whoever measures can ask for one that no server has run.
const OLDEST: &str = "x'00000000000040008000000000000001'";
/// From one execution to the next, in microseconds: a million of them are a day.
const APART_MICROS: i64 = 86_400;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, executions, sessions, heaps] = arguments.as_slice() else {
        panic!("usage: seed_store DIRECTORY EXECUTIONS SESSIONS HEAPS");
    };
    // The store's own tables, whatever they are by now.
    let place = StorePlace::Directory(directory.into());
    let store = Store::open(place, Retention::default()).unwrap();
    store.close().await.unwrap();
    let connection = Connection::open(Path::new(directory).join(DATABASE)).unwrap();
    connection
        .execute_batch("PRAGMA synchronous = OFF; BEGIN")
        .unwrap();
    fill(
        &connection,
        [executions, sessions, heaps].map(|count| count.parse().unwrap()),
    );
    connection
        .execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}

fn fill(connection: &Connection, [executions, sessions, heaps]: [i64; 3]) {
    let now = jiff::Timestamp::now().as_microsecond();
    let numbered = |count: i64| {
        format!(
            "WITH RECURSIVE numbers (n) AS (
                 SELECT 1 WHERE {count} > 0
                 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
        )
    };
    let (of_executions, of_sessions, of_heaps) =
        (numbered(executions), numbered(sessions), numbered(heaps));
    let sql = format!(
        "{of_executions}
         INSERT INTO executions (id, owner, status, submitted_at, started_at, completed_at,
             heap_memory_max_mb, execution_timeout_secs, kept_bytes, source_bytes, cpu_ms,
             peak_memory_bytes, preview, result)
         SELECT iif(n = 1, {OLDEST}, randomblob(16)), 1, 'completed', at, at + 900, at + 3000, 8, 30, 102, 100, 2,
             20000000, '2', '2'
         FROM (SELECT n, {now} - ({executions} - n + 1) * {APART_MICROS} AS at FROM numbers);
         INSERT INTO sources (execution, code)
         SELECT seq, substr(hex(zeroblob(50)), 1, 100) FROM executions;

         {of_heaps}
         INSERT INTO heaps (tenant, id, stored_bytes, created_at, last_used_at)
         SELECT 'local', randomblob(32), 20000, {now} - n, {now} - n FROM numbers;
         INSERT INTO heap_tags (heap, key, value, tenant)
         SELECT seq, 'kind', 'k' || (seq % 10), 'local' FROM heaps;

         {of_sessions}
         INSERT INTO sessions (tenant, name) SELECT 'local', 's' || n FROM numbers;
         INSERT INTO session_entries (session, position, tenant, output_heap, kept_at, code)
         SELECT sessions.seq, 0, 'local', heaps.id, {now}, '1 + 1'
         FROM sessions JOIN heaps ON heaps.seq = 1 + sessions.seq % {heaps};"
    );
    connection.execute_batch(&sql).unwrap();
}
