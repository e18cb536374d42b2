//! The writes, each within a transaction of the writer.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::doomed::{Adoption, DoomedHeap};
use super::garbage::UnneededHeap;
use super::keep::{Keep, Retag, TagChange, touch};
use super::record::{CancelledBy, End, ExecutionId, FailureKind, HeapEnd, Status, View};
use super::session::SessionName;
use super::source;
use crate::heaps::HeapId;
use crate::tenant::Tenant;

/// A piece of output: whole characters, at most [`crate::limits::OUTPUT_CHUNK_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Whose.
    pub id: ExecutionId,
    /// Bytes of the output before it.
    pub start_byte: u64,
    /// Newlines of the output before it.
    pub newlines_before: u64,
    /// The text; not empty.
    pub data: String,
}

/// One change of the database.
#[derive(Debug)]
pub(super) enum Write {
    /// A new execution, and its code.
    Accept(Box<View>, Arc<String>),
    Start(Box<View>),
    Output(Chunk),
    /// An end, and what is kept of it.
    End(Box<View>, Option<Box<Keep>>),
    /// A heap was used at this time.
    Touch(Tenant, HeapId, Timestamp),
    Retag(Box<Retag>),
    Forget(Box<UnneededHeap>),
    /// A heap that is stored and that nobody here knows is to go.
    Doom(DoomedHeap),
    /// The content of a doomed heap is gone.
    Bury(DoomedHeap),
    Adopt(Box<Adoption>),
}

/// Whether a write found what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// It did, and has done it.
    Done,
    /// It did not, and has changed nothing.
    Missing,
}

impl Write {
    /// What it adds to a transaction, in bytes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Accept(_, code) => 256 + code.len(),
            Self::Start(_)
            | Self::Touch(..)
            | Self::Forget(_)
            | Self::Doom(_)
            | Self::Bury(_)
            | Self::Adopt(_) => 128,
            Self::Output(chunk) => 128 + chunk.data.len(),
            Self::End(view, keep) => {
                let texts = usize::try_from(view.text_bytes()).unwrap_or(usize::MAX);
                let kept = keep.as_ref();
                let kept = kept.map_or(0, |keep| 256 + keep.code.len() + keep.tags.bytes());
                texts.saturating_add(128 + kept)
            }
            Self::Retag(retag) => match &retag.change {
                TagChange::Replace(tags) => 128 + tags.bytes(),
                TagChange::Delete(_) | TagChange::DeleteAll => 128,
            },
        }
    }

    pub(super) fn apply(&self, connection: &Connection, owner: i64) -> rusqlite::Result<Applied> {
        match self {
            Self::Accept(view, code) => {
                write_view(connection, owner, view)?;
                source::write(connection, view.id, code)?;
                if let Some(heap) = view.input_heap {
                    touch(connection, &view.tenant, heap, view.submitted_at)?;
                }
            }
            Self::Start(view) => {
                write_view(connection, owner, view)?;
            }
            Self::Output(chunk) => append(connection, chunk)?,
            Self::End(view, keep) => {
                let is_written = write_view(connection, owner, view)?;
                // Of an execution that another server has ended as lost, nothing is kept.
                if let Some((keep, at)) = keep.as_ref().zip(view.completed_at)
                    && is_written
                {
                    keep.apply(connection, at)?;
                }
            }
            Self::Touch(tenant, heap, at) => {
                return touch(connection, tenant, *heap, *at).map(Applied::of);
            }
            Self::Retag(retag) => return retag.apply(connection),
            Self::Forget(heap) => return heap.forget(connection),
            Self::Doom(heap) => return heap.doom_orphan(connection),
            Self::Bury(heap) => heap.bury(connection)?,
            Self::Adopt(adoption) => return adoption.apply(connection),
        }
        Ok(Applied::Done)
    }
}

impl Applied {
    /// By what a write has found.
    fn of<T>(found: Option<T>) -> Self {
        found.map_or(Self::Missing, |_| Self::Done)
    }
}

/// Writes all of a view, whether it is there or not: so no write depends on an earlier one. An end
/// is never written over: `false` when there was one.
fn write_view(connection: &Connection, owner: i64, view: &View) -> rusqlite::Result<bool> {
    let end = EndColumns::of(view.end.as_ref());
    let changed = connection
        .prepare_cached(
            "INSERT INTO executions (id, owner, status, submitted_at, started_at, completed_at,
                 heap_memory_max_mb, execution_timeout_secs, output_truncated, kept_bytes,
                 failure_kind, cancelled_by, timed_out_after_secs, text_truncated, preview, error,
                 result, output_heap, heap_error, tenant, session, input_heap, source_bytes, cpu_ms,
                 peak_memory_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)
             ON CONFLICT (id) DO UPDATE SET
                 status = ?3, started_at = ?5, completed_at = ?6, output_truncated = ?9,
                 kept_bytes = ?10, failure_kind = ?11, cancelled_by = ?12,
                 timed_out_after_secs = ?13, text_truncated = ?14, preview = ?15, error = ?16,
                 result = ?17, output_heap = ?18, heap_error = ?19, cpu_ms = ?24,
                 peak_memory_bytes = ?25
             WHERE completed_at IS NULL",
        )?
        .execute(params![
            view.id.0.as_bytes(),
            owner,
            view.status.name(),
            view.submitted_at.as_microsecond(),
            view.started_at.map(|at| at.as_microsecond()),
            view.completed_at.map(|at| at.as_microsecond()),
            integer(view.limits.heap_memory_max_mb),
            integer(view.limits.execution_timeout_secs),
            view.output_truncated,
            integer(view.source_bytes + view.output_bytes + view.text_bytes()),
            end.failure_kind,
            end.cancelled_by,
            end.timed_out_after_secs,
            end.text_truncated,
            end.preview,
            end.error,
            end.result,
            end.output_heap.as_ref().map(HeapId::as_bytes),
            end.heap_error,
            view.tenant.name(),
            view.session.as_ref().map(SessionName::as_str),
            view.input_heap.as_ref().map(HeapId::as_bytes),
            integer(view.source_bytes),
            view.usage.map(|usage| integer(usage.cpu_ms)),
            view.usage.map(|usage| integer(usage.peak_memory_bytes)),
        ])?;
    Ok(changed > 0)
}

fn append(connection: &Connection, chunk: &Chunk) -> rusqlite::Result<()> {
    let data = chunk.data.as_bytes();
    let newlines = data.iter().filter(|byte| **byte == b'\n').count() as u64;
    connection
        .prepare_cached(
            "INSERT INTO output (execution, start_byte, newlines_before, data)
             SELECT seq, ?2, ?3, ?4 FROM executions WHERE id = ?1",
        )?
        .execute(params![
            chunk.id.0.as_bytes(),
            integer(chunk.start_byte),
            integer(chunk.newlines_before),
            data,
        ])?;
    connection
        .prepare_cached(
            "UPDATE executions
             SET output_bytes = ?2, output_newlines = ?3, output_mid_line = ?4
             WHERE id = ?1",
        )?
        .execute(params![
            chunk.id.0.as_bytes(),
            integer(chunk.start_byte + data.len() as u64),
            integer(chunk.newlines_before + newlines),
            data.last() != Some(&b'\n'),
        ])?;
    Ok(())
}

/// Forgets a server that has gone, and ends the executions that belong to no server.
pub(super) fn forget_owner(
    connection: &Connection,
    gone: i64,
    completed_at: jiff::Timestamp,
    error: &str,
) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM owners WHERE id = ?1", [gone])?;
    connection.execute(
        "UPDATE executions
         SET status = ?1, completed_at = ?2, failure_kind = ?3, error = ?4,
             kept_bytes = source_bytes + output_bytes + length(?4)
         WHERE completed_at IS NULL AND owner NOT IN (SELECT id FROM owners)",
        params![
            Status::Failed.name(),
            completed_at.as_microsecond(),
            FailureKind::Server.name(),
            error,
        ],
    )
}

/// SQLite's integers are signed. No count of ours comes near the difference.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl CancelledBy {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Shutdown => "shutdown",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Client, Self::Shutdown]
            .into_iter()
            .find(|by| by.name() == name)
    }
}

/// An end, spread over its columns.
struct EndColumns<'a> {
    failure_kind: Option<&'static str>,
    cancelled_by: Option<&'static str>,
    timed_out_after_secs: Value,
    text_truncated: bool,
    preview: Option<&'a str>,
    error: Option<&'a str>,
    result: Option<&'a str>,
    output_heap: Option<HeapId>,
    heap_error: Option<&'a str>,
}

impl<'a> EndColumns<'a> {
    fn of(end: Option<&'a End>) -> Self {
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
            Some(End::Completed {
                result,
                result_truncated,
                preview,
                heap,
            }) => {
                columns.result = Some(result);
                columns.text_truncated = *result_truncated;
                columns.preview = Some(preview);
                match heap {
                    HeapEnd::NotKept => {}
                    HeapEnd::Kept(id) => columns.output_heap = Some(*id),
                    HeapEnd::Lost { why } => columns.heap_error = Some(why),
                }
            }
            Some(End::Failed {
                kind,
                error,
                error_truncated,
            }) => {
                columns.failure_kind = Some(kind.name());
                columns.error = Some(error);
                columns.text_truncated = *error_truncated;
            }
            Some(End::Cancelled { by }) => columns.cancelled_by = Some(by.name()),
            Some(End::TimedOut { after_secs }) => {
                columns.timed_out_after_secs = Value::Integer(integer(*after_secs));
            }
        }
        columns
    }
}
