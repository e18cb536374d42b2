//! What the writer does beside writing: ended executions expire, and those of dead servers end.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::Retention;
use super::place::Place;
use super::write::{forget_owner, integer};
use crate::limits::RETENTION_BATCH_LENGTH;

const STOPPED: &str = "the server stopped before this execution ended; run it again";
const RESTARTED: &str = "the server restarted before this execution ended; run it again";

/// The newest execution that has to go: it and all that ended before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutoff {
    completed_at: i64,
    seq: i64,
}

/// Finds what has to go by age, count or size.
pub(super) fn cutoff(
    connection: &Connection,
    retention: Retention,
    now: Timestamp,
) -> rusqlite::Result<Option<Cutoff>> {
    let age_micros = i64::try_from(retention.age_max.as_micros()).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT completed_at, seq FROM (
                 SELECT completed_at, seq, row_number() OVER newest AS place,
                     sum(kept_bytes) OVER newest AS bytes
                 FROM executions WHERE completed_at IS NOT NULL
                 WINDOW newest AS (ORDER BY completed_at DESC, seq DESC ROWS UNBOUNDED PRECEDING)
             )
             WHERE completed_at < ?1 OR place > ?2 OR bytes > ?3
             ORDER BY completed_at DESC, seq DESC LIMIT 1",
        )?
        .query_row(
            params![
                now.as_microsecond().saturating_sub(age_micros),
                integer(retention.count_max),
                integer(retention.bytes_max),
            ],
            |row| {
                Ok(Cutoff {
                    completed_at: row.get(0)?,
                    seq: row.get(1)?,
                })
            },
        )
        .optional()
}

/// What one step of a removal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removed {
    /// Executions that are gone.
    pub(super) count: u64,
    /// Whether that was all of them.
    pub(super) is_all: bool,
}

/// Removes some executions up to the cutoff, with their code and output.
pub(super) fn remove_some(
    connection: &mut Connection,
    cutoff: Cutoff,
) -> rusqlite::Result<Removed> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let doomed: Vec<i64> = transaction
        .prepare_cached(
            "SELECT seq FROM executions
             WHERE completed_at IS NOT NULL AND (completed_at, seq) <= (?1, ?2)
             ORDER BY completed_at, seq LIMIT ?3",
        )?
        .query_map(
            params![cutoff.completed_at, cutoff.seq, RETENTION_BATCH_LENGTH],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    for seq in &doomed {
        transaction
            .prepare_cached("DELETE FROM output WHERE execution = ?1")?
            .execute([seq])?;
        transaction
            .prepare_cached("DELETE FROM sources WHERE execution = ?1")?
            .execute([seq])?;
        transaction
            .prepare_cached("DELETE FROM executions WHERE seq = ?1")?
            .execute([seq])?;
    }
    transaction.commit()?;
    Ok(Removed {
        count: doomed.len() as u64,
        is_all: doomed.len() < RETENTION_BATCH_LENGTH as usize,
    })
}

/// Ends what dead servers have left unfinished on this database.
pub(super) fn sweep_dead_owners(
    connection: &mut Connection,
    place: &Place,
    own: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let others: Vec<(i64, String)> = connection
        .prepare_cached("SELECT id, lock_name FROM owners WHERE id <> ?1")?
        .query_map([own], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (owner, lock_name) in others {
        if !place.is_dead(&lock_name) {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ended = forget_owner(&transaction, owner, now, RESTARTED)?;
        transaction.commit()?;
        if ended > 0 {
            tracing::warn!(
                ended,
                "executions of a server that died were ended as failed"
            );
        }
    }
    Ok(())
}

/// Takes this server out of the database. What it leaves unfinished, because nobody waited for its
/// executions, ends here.
pub(super) fn sign_off(
    connection: &mut Connection,
    own: i64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let ended = forget_owner(&transaction, own, now, STOPPED)?;
    transaction.commit()?;
    if ended > 0 {
        tracing::warn!(ended, "unfinished executions were ended as failed");
    }
    Ok(())
}
