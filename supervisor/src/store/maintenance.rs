//! What the writer does beside writing: ended executions expire, and those of dead servers end.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::Retention;
use super::error::StoreError;
use super::place::Place;
use super::replica::Replica;
use super::write::integer;
use crate::limits::RETENTION_BATCH_LENGTH;
use crate::raft::command::{Command, ExecutionKey};
use crate::raft::ids::RaftId;

const STOPPED: &str = "the server stopped before this execution ended; run it again";
pub(super) const RESTARTED: &str = "the server restarted before this execution ended; run it again";

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

/// The oldest executions up to the cutoff, so many as go at once.
pub(super) fn expired(
    connection: &Connection,
    cutoff: Cutoff,
) -> rusqlite::Result<Vec<ExecutionKey>> {
    connection
        .prepare_cached(
            "SELECT id FROM executions
             WHERE completed_at IS NOT NULL AND (completed_at, seq) <= (?1, ?2)
             ORDER BY completed_at, seq LIMIT ?3",
        )?
        .query_map(
            params![cutoff.completed_at, cutoff.seq, RETENTION_BATCH_LENGTH],
            |row| row.get(0),
        )?
        .collect()
}

/// Removes some executions up to the cutoff, with their code and output.
pub(super) fn remove_some(
    connection: &mut Connection,
    cutoff: Cutoff,
) -> Result<Removed, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let doomed = expired(&transaction, cutoff)?;
    let removed = Removed {
        count: doomed.len() as u64,
        is_all: doomed.len() < RETENTION_BATCH_LENGTH as usize,
    };
    perform(&transaction, &[Command::Expire(doomed)])?;
    transaction.commit()?;
    Ok(removed)
}

/// Ends what dead servers have left unfinished on this database.
pub(super) fn sweep_dead_owners(
    connection: &mut Connection,
    place: &Place,
    own: RaftId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let others: Vec<(i64, String)> = connection
        .prepare_cached("SELECT id, lock_name FROM owners WHERE id <> ?1")?
        .query_map([integer(own.get())], |row| Ok((row.get(0)?, row.get(1)?)))?
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

/// Takes a node of a cluster out of its own database.
pub(super) fn sign_off_node(connection: &Connection, lock_name: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM owners WHERE lock_name = ?1", [lock_name])?;
    Ok(())
}

/// Makes sure that a node of a cluster has its database for itself, and ends what was left unfinished
/// while it was in none.
pub(super) fn make_own(
    connection: &mut Connection,
    place: &Place,
    lock_name: &str,
) -> Result<IsAlone, StoreError> {
    let others: Vec<(i64, String)> = connection
        .prepare_cached("SELECT id, lock_name FROM owners WHERE lock_name <> ?1")?
        .query_map([lock_name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    if others.iter().any(|(_, name)| !place.is_dead(name)) {
        return Ok(IsAlone(false));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let was_in_none = !Replica::new(&transaction).is_in_cluster()?;
    for (owner, _) in others {
        if was_in_none {
            forget_owner(&transaction, owner, Timestamp::now(), RESTARTED)?;
        } else {
            transaction.execute("DELETE FROM owners WHERE id = ?1", [owner])?;
        }
    }
    transaction.commit()?;
    Ok(IsAlone(true))
}

/// Whether no other server uses a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IsAlone(pub(super) bool);

/// Takes this server out of the database. What it leaves unfinished, because nobody waited for its
/// executions, ends here.
pub(super) fn sign_off(
    connection: &mut Connection,
    own: RaftId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let ended = forget_owner(&transaction, integer(own.get()), now, STOPPED)?;
    transaction.commit()?;
    if ended > 0 {
        tracing::warn!(ended, "unfinished executions were ended as failed");
    }
    Ok(())
}

/// Forgets a server that has gone, and ends the executions that belong to no server. What has unfinished
/// executions is a node, for what is shared: each server of a single node is one.
fn forget_owner(
    connection: &Connection,
    gone: i64,
    now: Timestamp,
    error: &str,
) -> Result<u64, StoreError> {
    connection.execute("DELETE FROM owners WHERE id = ?1", [gone])?;
    let lost: Vec<(i64, u64)> = connection
        .prepare_cached(
            "SELECT owner, count(*) FROM executions
             WHERE completed_at IS NULL AND owner NOT IN (SELECT id FROM owners) GROUP BY owner",
        )?
        .query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?
        .collect::<Result<_, _>>()?;
    let mut ended = 0;
    for (owner, count) in lost {
        let owner = u64::try_from(owner).ok().and_then(RaftId::from_u64);
        let owner = owner.ok_or(StoreError::Corrupt { what: "server" })?;
        perform(
            connection,
            &[Command::Abandon {
                owner,
                at_us: now.as_microsecond(),
                error: error.to_owned(),
            }],
        )?;
        ended += count;
    }
    Ok(ended)
}

/// Performs commands of a single node, and counts them.
fn perform(connection: &Connection, commands: &[Command]) -> Result<(), StoreError> {
    let mut replica = Replica::new(connection);
    for command in commands {
        replica.perform(command)?;
    }
    replica.count_on(commands.len() as u64)
}
