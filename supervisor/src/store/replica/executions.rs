//! The rows of executions, shared and not.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::raft_id;
use crate::raft::command::{Ended, Execution, ExecutionKey, HeapKey, Used};
use crate::raft::ids::RaftId;
use crate::store::error::StoreError;
use crate::store::read::count;
use crate::store::record::{CancelledBy, Status};
use crate::store::write::integer;

/// What [`read`] reads, up to which rows are meant.
macro_rules! unfinished_columns {
    () => {
        "SELECT id, tenant, owner, session, input_heap, submitted_at, source_bytes,
             heap_memory_max_mb, execution_timeout_secs, started_at, told_output_bytes,
             output_truncated, cpu_ms, peak_memory_bytes
         FROM executions "
    };
}

/// Whether an execution that is shared has ended.
pub(super) fn has_ended(
    connection: &Connection,
    id: &ExecutionKey,
) -> Result<Option<bool>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT completed_at IS NOT NULL FROM executions WHERE id = ?1 AND is_shared",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// Writes all of an execution, or how it goes on. What indexes hold of it is written once.
pub(super) fn put(connection: &Connection, execution: &Execution) -> Result<(), StoreError> {
    if upsert(connection, execution)? == 0 {
        share(connection, execution)?;
        upsert(connection, execution)?;
    }
    Ok(())
}

fn upsert(connection: &Connection, execution: &Execution) -> Result<usize, StoreError> {
    let end = EndColumns::of(execution.end.as_ref().map(|(_, end)| end));
    let text_bytes = execution
        .end
        .as_ref()
        .map_or(0, |(_, end)| end.text_bytes());
    Ok(connection
        .prepare_cached(
            "INSERT INTO executions (id, owner, status, submitted_at, started_at, completed_at,
                 heap_memory_max_mb, execution_timeout_secs, output_truncated, told_output_bytes,
                 failure_kind, cancelled_by, timed_out_after_secs, text_truncated, preview, error,
                 result, output_heap, heap_error, tenant, session, input_heap, source_bytes, cpu_ms,
                 peak_memory_bytes, kept_bytes, is_shared)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?23 + ?10 + ?26, 1)
             ON CONFLICT (id) DO UPDATE SET
                 status = ?3, started_at = ?5, completed_at = ?6, output_truncated = ?9,
                 told_output_bytes = ?10, failure_kind = ?11, cancelled_by = ?12,
                 timed_out_after_secs = ?13, text_truncated = ?14, preview = ?15, error = ?16,
                 result = ?17, output_heap = ?18, heap_error = ?19, cpu_ms = ?24,
                 peak_memory_bytes = ?25,
                 kept_bytes = source_bytes + max(output_bytes, ?10) + ?26
             WHERE is_shared",
        )?
        .execute(params![
            execution.id,
            integer(execution.owner.get()),
            status(execution).name(),
            execution.submitted_us,
            execution.started_us,
            execution.end.as_ref().map(|(at_us, _)| *at_us),
            integer(execution.heap_memory_max_mb),
            integer(execution.execution_timeout_secs),
            execution.output_truncated,
            integer(execution.output_bytes),
            end.failure_kind,
            end.cancelled_by,
            end.timed_out_after_secs,
            end.text_truncated,
            end.preview,
            end.error,
            end.result,
            end.output_heap,
            end.heap_error,
            execution.tenant,
            execution.session,
            execution.input_heap,
            integer(execution.source_bytes),
            execution.usage.map(|used| integer(used.cpu_ms)),
            execution.usage.map(|used| integer(used.peak_memory_bytes)),
            integer(text_bytes),
        ])?)
}

/// An execution of this node is shared from now on, as the log tells of it.
fn share(connection: &Connection, execution: &Execution) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE executions SET is_shared = 1, owner = ?2, submitted_at = ?3, tenant = ?4,
                 session = ?5, input_heap = ?6, source_bytes = ?7, heap_memory_max_mb = ?8,
                 execution_timeout_secs = ?9
             WHERE id = ?1 AND NOT is_shared",
        )?
        .execute(params![
            execution.id,
            integer(execution.owner.get()),
            execution.submitted_us,
            execution.tenant,
            execution.session,
            execution.input_heap,
            integer(execution.source_bytes),
            integer(execution.heap_memory_max_mb),
            integer(execution.execution_timeout_secs),
        ])?;
    Ok(())
}

/// Writes an execution of this node that no other one knows of.
pub(in crate::store) fn accept_here(
    connection: &Connection,
    execution: &Execution,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO executions (id, owner, status, submitted_at, started_at,
                 heap_memory_max_mb, execution_timeout_secs, tenant, session, input_heap,
                 source_bytes, kept_bytes, is_shared)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, 0)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            execution.id,
            integer(execution.owner.get()),
            status(execution).name(),
            execution.submitted_us,
            execution.started_us,
            integer(execution.heap_memory_max_mb),
            integer(execution.execution_timeout_secs),
            execution.tenant,
            execution.session,
            execution.input_heap,
            integer(execution.source_bytes),
        ])?;
    Ok(())
}

/// An execution of this node has started. One that is shared by now is the log's to change.
pub(in crate::store) fn start_here(
    connection: &Connection,
    execution: &Execution,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE executions SET status = ?2, started_at = ?3 WHERE id = ?1 AND NOT is_shared",
        )?
        .execute(params![
            execution.id,
            status(execution).name(),
            execution.started_us,
        ])?;
    Ok(())
}

/// The nodes with executions that are shared and have not ended.
pub(in crate::store) fn owners_at_work(connection: &Connection) -> Result<Vec<RaftId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT owner FROM executions WHERE completed_at IS NULL AND is_shared",
    )?;
    let owners = statement.query_and_then([], |row| raft_id(row.get(0)?))?;
    owners.collect()
}

/// An execution that is shared and has not ended.
pub(super) fn unfinished(
    connection: &Connection,
    id: &ExecutionKey,
) -> Result<Option<Execution>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        unfinished_columns!(),
        "WHERE id = ?1 AND completed_at IS NULL AND is_shared"
    ))?;
    let mut rows = statement.query_and_then([id], read)?;
    rows.next().transpose()
}

/// The names of the executions of a node that are shared and have not ended.
pub(in crate::store) fn named_of(
    connection: &Connection,
    owner: RaftId,
) -> Result<Vec<ExecutionKey>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM executions WHERE owner = ?1 AND completed_at IS NULL AND is_shared
         ORDER BY id",
    )?;
    let rows = statement.query_map([integer(owner.get())], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The executions of this node that no other one knows of.
pub(in crate::store) fn unshared_of(
    connection: &Connection,
    owner: RaftId,
) -> Result<Vec<Execution>, StoreError> {
    all_unfinished(connection, owner, false)
}

/// All executions of this node that have no end, shared or not.
pub(in crate::store) fn unfinished_here(
    connection: &Connection,
    owner: RaftId,
) -> Result<Vec<Execution>, StoreError> {
    let mut all = all_unfinished(connection, owner, true)?;
    all.extend(all_unfinished(connection, owner, false)?);
    Ok(all)
}

fn all_unfinished(
    connection: &Connection,
    owner: RaftId,
    is_shared: bool,
) -> Result<Vec<Execution>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        unfinished_columns!(),
        "WHERE owner = ?1 AND completed_at IS NULL AND is_shared = ?2 ORDER BY id"
    ))?;
    let rows = statement.query_and_then(params![integer(owner.get()), is_shared], read)?;
    rows.collect()
}

fn read(row: &Row<'_>) -> Result<Execution, StoreError> {
    let used = row
        .get::<_, Option<i64>>(12)?
        .zip(row.get::<_, Option<i64>>(13)?);
    Ok(Execution {
        id: row.get(0)?,
        tenant: row.get(1)?,
        owner: raft_id(row.get(2)?)?,
        session: row.get(3)?,
        input_heap: row.get(4)?,
        submitted_us: row.get(5)?,
        source_bytes: count(row, 6)?,
        heap_memory_max_mb: count(row, 7)?,
        execution_timeout_secs: count(row, 8)?,
        started_us: row.get(9)?,
        output_bytes: count(row, 10)?,
        output_truncated: row.get(11)?,
        usage: used.map(|(cpu_ms, peak)| Used {
            cpu_ms: cpu_ms.unsigned_abs(),
            peak_memory_bytes: peak.unsigned_abs(),
        }),
        end: None,
    })
}

/// Removes an execution with its code and output.
pub(super) fn forget(connection: &Connection, id: &ExecutionKey) -> Result<(), StoreError> {
    let seq: Option<i64> = connection
        .prepare_cached("DELETE FROM executions WHERE id = ?1 AND is_shared RETURNING seq")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(seq) = seq else { return Ok(()) };
    connection
        .prepare_cached("DELETE FROM output WHERE execution = ?1")?
        .execute([seq])?;
    connection
        .prepare_cached("DELETE FROM sources WHERE execution = ?1")?
        .execute([seq])?;
    Ok(())
}

const fn status(execution: &Execution) -> Status {
    match &execution.end {
        Some((_, end)) => match end {
            Ended::Completed { .. } => Status::Completed,
            Ended::Failed { .. } => Status::Failed,
            Ended::Cancelled { .. } => Status::Cancelled,
            Ended::TimedOut { .. } => Status::TimedOut,
        },
        None if execution.started_us.is_some() => Status::Running,
        None => Status::Queued,
    }
}

/// An end, spread over its columns.
struct EndColumns<'a> {
    failure_kind: Option<&'a str>,
    cancelled_by: Option<&'static str>,
    timed_out_after_secs: Value,
    text_truncated: bool,
    preview: Option<&'a str>,
    error: Option<&'a str>,
    result: Option<&'a str>,
    output_heap: Option<HeapKey>,
    heap_error: Option<&'a str>,
}

impl<'a> EndColumns<'a> {
    fn of(end: Option<&'a Ended>) -> Self {
        let mut columns = Self {
            failure_kind: None,
            cancelled_by: None,
            timed_out_after_secs: Value::Null,
            text_truncated: false,
            preview: None,
            error: None,
            result: None,
            output_heap: None,
            heap_error: None,
        };
        match end {
            None => {}
            Some(Ended::Completed {
                result,
                result_truncated,
                preview,
                heap,
            }) => {
                columns.result = Some(result);
                columns.text_truncated = *result_truncated;
                columns.preview = Some(preview);
                match heap {
                    Ok(heap) => columns.output_heap = *heap,
                    Err(why) => columns.heap_error = Some(why),
                }
            }
            Some(Ended::Failed {
                kind,
                error,
                error_truncated,
            }) => {
                columns.failure_kind = Some(kind);
                columns.error = Some(error);
                columns.text_truncated = *error_truncated;
            }
            Some(Ended::Cancelled { by_shutdown }) => {
                let by = if *by_shutdown {
                    CancelledBy::Shutdown
                } else {
                    CancelledBy::Client
                };
                columns.cancelled_by = Some(by.name());
            }
            Some(Ended::TimedOut { after_secs }) => {
                columns.timed_out_after_secs = Value::Integer(integer(*after_secs));
            }
        }
        columns
    }
}
