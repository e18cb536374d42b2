//! Heaps that nothing needs.
//!
//! A heap is needed by the entries of sessions that name it, by its tags, and by the executions
//! that start from it and have not ended, whichever server runs them. It is forgotten first, and
//! doomed: its content goes once nobody can find it any more (see `doomed`).

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::Store;
use super::doomed::DoomedHeap;
use super::error::StoreError;
use super::read::{count, heap, parsed, time};
use super::write::integer;
use crate::heaps::{HeapId, TenantFolder};
use crate::limits;
use crate::raft::command::{Command, HeapKey, Outcome};
use crate::tenant::Tenant;

/// How long heaps are kept that nothing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeapRetention {
    /// At most so long after their last use.
    pub age_max: Duration,
    /// At most so many bytes of them together; the oldest use goes first.
    pub bytes_max: u64,
}

impl Default for HeapRetention {
    fn default() -> Self {
        Self {
            age_max: limits::HEAP_RETENTION_AGE_DEFAULT,
            bytes_max: limits::HEAP_RETENTION_BYTES_DEFAULT,
        }
    }
}

/// A heap that nothing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnneededHeap {
    /// Whose it is.
    pub tenant: Tenant,
    /// The heap.
    pub heap: HeapId,
    /// What it takes where it is stored, in bytes.
    pub stored_bytes: u64,
    /// When it was made first.
    pub created_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Timestamp,
    /// Why it is kept no longer.
    pub expiry: Expiry,
}

/// Why a heap that nothing needs is kept no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Its last use was too long ago.
    Age,
    /// Those that were used after it take all the room.
    Size,
}

/// How many heaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeapCount {
    /// Their number.
    pub heaps: u64,
    /// What they take where they are stored, in bytes.
    pub bytes: u64,
}

/// The heaps of a database, by who needs them. One may be needed by several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeapCensus {
    /// All of them.
    pub all: HeapCount,
    /// Those that sessions list.
    pub by_sessions: HeapCount,
    /// Those that have tags.
    pub by_tags: HeapCount,
    /// Those that executions start from which have not ended.
    pub by_executions: HeapCount,
    /// Those that nothing needs.
    pub unneeded: HeapCount,
}

macro_rules! a_tag_needs_it {
    () => {
        "EXISTS (SELECT 1 FROM heap_tags WHERE heap = heaps.seq)"
    };
}

macro_rules! a_session_needs_it {
    () => {
        "(EXISTS (SELECT 1 FROM session_entries AS entry
             WHERE entry.tenant = heaps.tenant AND entry.output_heap = heaps.id)
         OR EXISTS (SELECT 1 FROM session_entries AS entry
             WHERE entry.tenant = heaps.tenant AND entry.input_heap = heaps.id))"
    };
}

macro_rules! an_execution_needs_it {
    () => {
        "EXISTS (SELECT 1 FROM executions AS execution
             WHERE execution.tenant = heaps.tenant AND execution.input_heap = heaps.id
                 AND execution.completed_at IS NULL)"
    };
}

macro_rules! nothing_needs_it {
    () => {
        concat!(
            "NOT ",
            a_tag_needs_it!(),
            " AND NOT ",
            a_session_needs_it!(),
            " AND NOT ",
            an_execution_needs_it!(),
        )
    };
}

impl Store {
    /// Heaps that nothing needs and that are kept no longer, the oldest use first, at most `limit`. None
    /// that was used within [`limits::HEAP_GRACE`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unneeded_heaps(
        &self,
        retention: HeapRetention,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<UnneededHeap>, StoreError> {
        self.read_own(move |connection| unneeded(connection, retention, now, limit))
            .await
    }

    /// Forgets a heap, if nothing needs it still and it was not used since it was listed; `false`
    /// when it is kept. From then on it is unknown and doomed, and its content can go.
    ///
    /// # Errors
    /// [`StoreError`]: it is kept.
    pub async fn forget_heap(&self, heap: UnneededHeap) -> Result<bool, StoreError> {
        let outcome = self
            .change_own(Command::Forget {
                tenant: heap.tenant.name().to_owned(),
                heap: *heap.heap.as_bytes(),
                unused_since_us: heap.last_used_at.as_microsecond(),
            })
            .await?;
        Ok(outcome == Outcome::Done)
    }

    /// Counts the heaps, by who needs them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heap_census(&self) -> Result<HeapCensus, StoreError> {
        self.read_own(|connection| census(connection)).await
    }
}

fn census(connection: &Connection) -> Result<HeapCensus, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT count(*), coalesce(sum(stored_bytes), 0),
             count(*) FILTER (WHERE by_session),
             coalesce(sum(stored_bytes) FILTER (WHERE by_session), 0),
             count(*) FILTER (WHERE by_tag),
             coalesce(sum(stored_bytes) FILTER (WHERE by_tag), 0),
             count(*) FILTER (WHERE by_execution),
             coalesce(sum(stored_bytes) FILTER (WHERE by_execution), 0),
             count(*) FILTER (WHERE NOT (by_session OR by_tag OR by_execution)),
             coalesce(sum(stored_bytes) FILTER (
                 WHERE NOT (by_session OR by_tag OR by_execution)), 0)
         FROM (SELECT stored_bytes, ",
        a_session_needs_it!(),
        " AS by_session, ",
        a_tag_needs_it!(),
        " AS by_tag, ",
        an_execution_needs_it!(),
        " AS by_execution FROM heaps)",
    ))?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(HeapCensus::default());
    };
    let counted = |index: usize| -> Result<HeapCount, StoreError> {
        Ok(HeapCount {
            heaps: count(row, index)?,
            bytes: count(row, index + 1)?,
        })
    };
    Ok(HeapCensus {
        all: counted(0)?,
        by_sessions: counted(2)?,
        by_tags: counted(4)?,
        by_executions: counted(6)?,
        unneeded: counted(8)?,
    })
}

fn unneeded(
    connection: &Connection,
    retention: HeapRetention,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<UnneededHeap>, StoreError> {
    let before = |age: Duration| {
        let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        now.as_microsecond().saturating_sub(micros)
    };
    let mut statement = connection.prepare_cached(concat!(
        "SELECT tenant, id, stored_bytes, created_at, last_used_at, last_used_at < ?1 FROM (
             SELECT tenant, id, stored_bytes, created_at, last_used_at, seq,
                 sum(stored_bytes) OVER (
                     ORDER BY last_used_at DESC, seq DESC ROWS UNBOUNDED PRECEDING
                 ) AS bytes
             FROM heaps WHERE ",
        nothing_needs_it!(),
        ")
         WHERE (last_used_at < ?1 OR bytes > ?2) AND last_used_at < ?3
         ORDER BY last_used_at, seq LIMIT ?4",
    ))?;
    let mut rows = statement.query(params![
        before(retention.age_max),
        integer(retention.bytes_max),
        before(limits::HEAP_GRACE),
        limit,
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(UnneededHeap {
            tenant: parsed(row, 0, "name of a tenant")?,
            heap: heap(row, 1)?,
            stored_bytes: count(row, 2)?,
            created_at: time(row, 3)?,
            last_used_at: time(row, 4)?,
            expiry: if row.get(5)? {
                Expiry::Age
            } else {
                Expiry::Size
            },
        });
    }
    Ok(found)
}

/// Whether anything that is shared needs a heap.
pub(super) fn is_needed(
    connection: &Connection,
    tenant: &str,
    heap: &HeapKey,
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(concat!(
            "SELECT 1 FROM (SELECT ?1 AS tenant, ?2 AS id, coalesce(
                 (SELECT seq FROM heaps WHERE tenant = ?1 AND id = ?2), 0) AS seq) AS heaps
             WHERE ",
            a_tag_needs_it!(),
            " OR ",
            a_session_needs_it!(),
            " OR EXISTS (SELECT 1 FROM executions AS execution
                 WHERE execution.tenant = ?1 AND execution.input_heap = ?2
                     AND execution.completed_at IS NULL AND execution.is_shared)",
        ))?
        .exists(params![tenant, heap])?)
}

impl UnneededHeap {
    /// What it is once it is forgotten.
    pub fn doomed(&self) -> DoomedHeap {
        DoomedHeap {
            folder: TenantFolder::of(&self.tenant),
            heap: self.heap,
            stored_bytes: self.stored_bytes,
        }
    }
}
