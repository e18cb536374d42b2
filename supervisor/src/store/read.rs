//! Reading executions back.

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::StoreError;
use super::record::{
    CancelledBy, End, ExecutionId, FailureKind, HeapEnd, Limits, Status, Summary, Usage, View,
};
use super::write::integer;
use crate::heaps::HeapId;
use crate::raft::command::CursorKey;
use crate::raft::ids::RaftId;
use crate::tenant::Tenant;

/// An execution as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The execution.
    pub view: View,
    /// The node that accepted it, and that has its output; of a single node, the server.
    pub owner: RaftId,
    /// Whether this server accepted it, and not another one on the same database.
    pub is_own: bool,
}

pub(super) fn get(
    connection: &Connection,
    own: RaftId,
    tenant: &Tenant,
    id: ExecutionId,
) -> Result<Option<Stored>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT owner, status, submitted_at, started_at, completed_at, heap_memory_max_mb,
             execution_timeout_secs, max(output_bytes, told_output_bytes), output_truncated,
             failure_kind, cancelled_by, timed_out_after_secs, text_truncated, preview, error, result, output_heap, heap_error,
             tenant, session, input_heap, source_bytes, cpu_ms, peak_memory_bytes
         FROM executions WHERE id = ?1 AND tenant = ?2",
    )?;
    let mut rows = statement.query(params![id.0.as_bytes(), tenant.name()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let status = status(row, 1)?;
    let view = View {
        id,
        tenant: parsed(row, 18, "name of a tenant")?,
        session: match row.get_ref(19)? {
            ValueRef::Null => None,
            _ => Some(parsed(row, 19, "name of a session")?),
        },
        input_heap: maybe_heap(row, 20)?,
        status,
        submitted_at: time(row, 2)?,
        started_at: maybe_time(row, 3)?,
        completed_at: maybe_time(row, 4)?,
        limits: Limits {
            heap_memory_max_mb: count(row, 5)?,
            execution_timeout_secs: count(row, 6)?,
        },
        source_bytes: count(row, 21)?,
        output_bytes: count(row, 7)?,
        output_truncated: row.get(8)?,
        end: end(row, status)?,
        usage: usage(row)?,
    };
    let owner = u64::try_from(row.get::<_, i64>(0)?).ok();
    let owner = owner
        .and_then(RaftId::from_u64)
        .ok_or(StoreError::Corrupt { what: "server" })?;
    Ok(Some(Stored {
        view,
        owner,
        is_own: owner == own,
    }))
}

fn usage(row: &Row<'_>) -> Result<Option<Usage>, StoreError> {
    if let (ValueRef::Null, _) | (_, ValueRef::Null) = (row.get_ref(22)?, row.get_ref(23)?) {
        return Ok(None);
    }
    Ok(Some(Usage {
        cpu_ms: count(row, 22)?,
        peak_memory_bytes: count(row, 23)?,
    }))
}

fn end(row: &Row<'_>, status: Status) -> Result<Option<End>, StoreError> {
    Ok(match status {
        Status::Queued | Status::Running => None,
        Status::Completed => Some(End::Completed {
            result_truncated: row.get(12)?,
            preview: row.get(13)?,
            result: row.get(15)?,
            heap: match (maybe_heap(row, 16)?, row.get(17)?) {
                (Some(heap), _) => HeapEnd::Kept(heap),
                (None, Some(why)) => HeapEnd::Lost { why },
                (None, None) => HeapEnd::NotKept,
            },
        }),
        Status::Failed => Some(End::Failed {
            kind: FailureKind::from_name(&row.get::<_, String>(9)?).ok_or(StoreError::Corrupt {
                what: "kind of failure",
            })?,
            error_truncated: row.get(12)?,
            error: row.get(14)?,
        }),
        Status::Cancelled => Some(End::Cancelled {
            by: CancelledBy::from_name(&row.get::<_, String>(10)?).ok_or(StoreError::Corrupt {
                what: "reason of a cancellation",
            })?,
        }),
        Status::TimedOut => Some(End::TimedOut {
            after_secs: count(row, 11)?,
        }),
    })
}

/// A place in a list of sessions or heaps: those after it are older. It is the number of a row, and rows of
/// both get theirs as the log tells of them: they are the same on all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPosition(pub i64);

impl ListPosition {
    /// As it is written in a cursor.
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    /// Reads [`ListPosition::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(i64::from_be_bytes(bytes.try_into().ok()?)))
    }
}

/// A place in the list of executions: those after it were accepted earlier. Rows of executions have numbers
/// of their own on each node, which hears of them in its own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionPosition {
    /// When the execution there was accepted, in microseconds since 1970.
    pub submitted_us: i64,
    /// Which it is, of those that were accepted at once.
    pub id: ExecutionId,
}

impl ExecutionPosition {
    /// Before all.
    const NEWEST: Self = Self {
        submitted_us: i64::MAX,
        id: ExecutionId(Uuid::max()),
    };

    /// The place of an execution.
    pub fn of(summary: &Summary) -> Self {
        Self {
            submitted_us: summary.submitted_at.as_microsecond(),
            id: summary.id,
        }
    }

    /// As it is written in a cursor.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.submitted_us.to_be_bytes().to_vec();
        bytes.extend(self.id.0.as_bytes());
        bytes
    }

    /// Reads [`ExecutionPosition::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (submitted_us, id) = bytes.split_first_chunk()?;
        Some(Self {
            submitted_us: i64::from_be_bytes(*submitted_us),
            id: ExecutionId::from_key(id.try_into().ok()?),
        })
    }
}

const LIST: &str = "SELECT id, status, submitted_at, started_at, completed_at
     FROM executions
     WHERE tenant = ?1 AND (submitted_at, id) < (?2, ?3) AND (?4 IS NULL OR status = ?4)
     ORDER BY submitted_at DESC, id DESC LIMIT ?5";

/// Those of a tenant, newest first, at most `limit`, behind `after`.
pub(super) fn list(
    connection: &Connection,
    tenant: &Tenant,
    filter: Option<Status>,
    limit: u32,
    after: Option<ExecutionPosition>,
) -> Result<Vec<Summary>, StoreError> {
    let after = after.unwrap_or(ExecutionPosition::NEWEST);
    let mut statement = connection.prepare_cached(LIST)?;
    let found = statement.query_and_then(
        params![
            tenant.name(),
            after.submitted_us,
            after.id.0.as_bytes(),
            filter.map(Status::name),
            limit,
        ],
        summary,
    )?;
    found.collect()
}

fn summary(row: &Row<'_>) -> Result<Summary, StoreError> {
    Ok(Summary {
        id: ExecutionId(Uuid::from_bytes(row.get(0)?)),
        status: status(row, 1)?,
        submitted_at: time(row, 2)?,
        started_at: maybe_time(row, 3)?,
        completed_at: maybe_time(row, 4)?,
    })
}

/// What hides places in lists; none until somebody needed it.
pub(super) fn cursor_key(connection: &Connection) -> Result<Option<CursorKey>, StoreError> {
    let key = connection.query_row("SELECT key FROM cursor_key", [], |row| row.get(0));
    Ok(key.optional()?.map(CursorKey))
}

/// What this database proposes for it.
pub(super) fn own_cursor_key(connection: &Connection) -> Result<CursorKey, StoreError> {
    let key = connection.query_row("SELECT cursor_key FROM identity", [], |row| row.get(0))?;
    Ok(CursorKey(key))
}

/// What is known about an output as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutputTotals {
    pub(super) execution: i64,
    pub(super) status: Status,
    pub(super) bytes: u64,
    pub(super) newlines: u64,
    pub(super) mid_line: bool,
}

pub(super) fn output_totals(
    connection: &Connection,
    tenant: &Tenant,
    id: ExecutionId,
) -> Result<Option<OutputTotals>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, status, output_bytes, output_newlines, output_mid_line
         FROM executions WHERE id = ?1 AND tenant = ?2",
    )?;
    let mut rows = statement.query(params![id.0.as_bytes(), tenant.name()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(OutputTotals {
        execution: row.get(0)?,
        status: status(row, 1)?,
        bytes: count(row, 2)?,
        newlines: count(row, 3)?,
        mid_line: row.get(4)?,
    }))
}

/// A piece of output as it is stored.
#[derive(Debug)]
pub(super) struct StoredChunk {
    pub(super) start_byte: u64,
    pub(super) newlines_before: u64,
    pub(super) data: Vec<u8>,
}

/// The piece that holds a byte.
pub(super) fn chunk_at_byte(
    connection: &Connection,
    execution: i64,
    byte: u64,
) -> Result<Option<StoredChunk>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT start_byte, newlines_before, data FROM output
         WHERE execution = ?1 AND start_byte <= ?2
         ORDER BY start_byte DESC LIMIT 1",
    )?;
    Ok(statement
        .query_row(params![execution, integer(byte)], chunk)
        .optional()?)
}

/// The piece that holds the newline with this number (from 1).
pub(super) fn chunk_at_newline(
    connection: &Connection,
    execution: i64,
    newline: u64,
) -> Result<Option<StoredChunk>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT start_byte, newlines_before, data FROM output
         WHERE execution = ?1 AND newlines_before < ?2
         ORDER BY newlines_before DESC, start_byte DESC LIMIT 1",
    )?;
    Ok(statement
        .query_row(params![execution, integer(newline)], chunk)
        .optional()?)
}

fn chunk(row: &Row<'_>) -> rusqlite::Result<StoredChunk> {
    Ok(StoredChunk {
        start_byte: row.get::<_, i64>(0)?.unsigned_abs(),
        newlines_before: row.get::<_, i64>(1)?.unsigned_abs(),
        data: row.get(2)?,
    })
}

pub(super) fn count(row: &Row<'_>, index: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(index)?).map_err(|_| StoreError::Corrupt {
        what: "negative count",
    })
}

fn status(row: &Row<'_>, index: usize) -> Result<Status, StoreError> {
    Status::from_name(&row.get::<_, String>(index)?).ok_or(StoreError::Corrupt { what: "status" })
}

pub(super) fn time(row: &Row<'_>, index: usize) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(row.get(index)?).map_err(|_| StoreError::Corrupt { what: "time" })
}

fn maybe_time(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>, StoreError> {
    match row.get::<_, Option<i64>>(index)? {
        None => Ok(None),
        Some(micros) => Timestamp::from_microsecond(micros)
            .map(Some)
            .map_err(|_| StoreError::Corrupt { what: "time" }),
    }
}

/// The name of a heap.
pub(super) fn heap(row: &Row<'_>, index: usize) -> Result<HeapId, StoreError> {
    Ok(HeapId::from_bytes(row.get(index)?))
}

pub(super) fn maybe_heap(row: &Row<'_>, index: usize) -> Result<Option<HeapId>, StoreError> {
    Ok(row
        .get::<_, Option<[u8; 32]>>(index)?
        .map(HeapId::from_bytes))
}

/// A text that was checked when it was written.
pub(super) fn parsed<T: FromStr>(
    row: &Row<'_>,
    index: usize,
    what: &'static str,
) -> Result<T, StoreError> {
    let text: String = row.get(index)?;
    text.parse().map_err(|_| StoreError::Corrupt { what })
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod list_tests;
