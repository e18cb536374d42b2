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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cutoff {
    completed_at: i64,
    seq: i64,
}

/// Finds what has to go by age, count or size. It counts all, which is quick, and walks over those alone
/// that go.
pub(super) fn cutoff(
    connection: &Connection,
    retention: Retention,
    now: Timestamp,
) -> rusqlite::Result<Option<Cutoff>> {
    let too_old = too_old(connection, retention, now)?;
    let (count, bytes): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(kept_bytes), 0) FROM executions
             WHERE completed_at IS NOT NULL",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let excess = Excess {
        count: count.saturating_sub(integer(retention.count_max)),
        bytes: bytes.saturating_sub(integer(retention.bytes_max)),
    };
    Ok(too_old.max(too_much(connection, excess)?))
}

/// The newest that has to go because of its age.
fn too_old(
    connection: &Connection,
    retention: Retention,
    now: Timestamp,
) -> rusqlite::Result<Option<Cutoff>> {
    let age_micros = i64::try_from(retention.age_max.as_micros()).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT completed_at, seq FROM executions
             WHERE completed_at IS NOT NULL AND completed_at < ?1
             ORDER BY completed_at DESC, seq DESC LIMIT 1",
        )?
        .query_row([now.as_microsecond().saturating_sub(age_micros)], |row| {
            Ok(Cutoff {
                completed_at: row.get(0)?,
                seq: row.get(1)?,
            })
        })
        .optional()
}

/// What there is beyond what may be; nothing where it is not positive.
#[derive(Debug, Clone, Copy)]
struct Excess {
    count: i64,
    bytes: i64,
}

/// The newest that has to go so that no more is left than may be: the oldest go first.
fn too_much(connection: &Connection, mut excess: Excess) -> rusqlite::Result<Option<Cutoff>> {
    let mut oldest = connection.prepare_cached(
        "SELECT completed_at, seq, kept_bytes FROM executions
         WHERE completed_at IS NOT NULL ORDER BY completed_at, seq",
    )?;
    let mut rows = oldest.query([])?;
    let mut last = None;
    while excess.count > 0 || excess.bytes > 0 {
        let Some(row) = rows.next()? else { break };
        last = Some(Cutoff {
            completed_at: row.get(0)?,
            seq: row.get(1)?,
        });
        excess.count -= 1;
        excess.bytes -= row.get::<_, i64>(2)?;
    }
    Ok(last)
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
    let lost: Vec<ExecutionKey> = connection
        .prepare_cached(
            "SELECT id FROM executions
             WHERE completed_at IS NULL AND owner NOT IN (SELECT id FROM owners)",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let ended = lost.len() as u64;
    if ended > 0 {
        let abandon = Command::Abandon {
            executions: lost,
            at_us: now.as_microsecond(),
            error: error.to_owned(),
        };
        perform(connection, &[abandon])?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::store::schema;

    /// By looking at each: what has to go goes with all that ended before it.
    fn by_looking(ended: &[(i64, i64)], retention: Retention, now: i64) -> Option<Cutoff> {
        let mut all: Vec<(Cutoff, i64)> = (1..)
            .zip(ended)
            .map(|(seq, &(completed_at, bytes))| (Cutoff { completed_at, seq }, bytes))
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.0));
        let (mut place, mut sum) = (0, 0);
        all.into_iter().find_map(|(one, bytes)| {
            place += 1;
            sum += bytes;
            let age_max = i64::try_from(retention.age_max.as_micros()).unwrap();
            let goes = one.completed_at < now - age_max
                || place > integer(retention.count_max)
                || sum > integer(retention.bytes_max);
            goes.then_some(one)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_goes_is_what_one_finds_by_looking_at_each(
            ended in prop::collection::vec((0..100_i64, 0..4_i64), 0..40),
            age_max in 0..120_u64, count_max in 0..45_u64, bytes_max in 0..90_u64,
        ) {
            const NOW: i64 = 100;
            let mut connection = Connection::open_in_memory().unwrap();
            schema::migrate(&mut connection).unwrap();
            for (number, (completed_at, bytes)) in (0_u8..).zip(&ended) {
                connection.execute(
                    "INSERT INTO executions (id, owner, status, submitted_at, completed_at,
                         heap_memory_max_mb, execution_timeout_secs, kept_bytes)
                     VALUES (?1, 1, 'completed', 0, ?2, 8, 30, ?3)",
                    params![[number; 16], completed_at, bytes],
                ).unwrap();
            }
            // One that runs counts for nothing.
            connection.execute(
                "INSERT INTO executions (id, owner, status, submitted_at, heap_memory_max_mb,
                     execution_timeout_secs, kept_bytes)
                 VALUES (x'ff', 1, 'running', 0, 8, 30, 50)",
                [],
            ).unwrap();
            let retention = Retention { age_max: Duration::from_micros(age_max), count_max, bytes_max };
            let now = Timestamp::from_microsecond(NOW).unwrap();
            prop_assert_eq!(
                cutoff(&connection, retention, now).unwrap(),
                by_looking(&ended, retention, NOW)
            );
        }
    }
}
