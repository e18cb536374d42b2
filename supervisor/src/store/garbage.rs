//! Heaps that nothing needs.
//!
//! A heap is needed by the entries of sessions that name it, by its tags, and by the executions
//! that start from it and have not ended, whichever server runs them.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::Store;
use super::error::StoreError;
use super::read::{count, heap, parsed, time};
use super::write::{Applied, Write, integer};
use super::writer::Command;
use crate::heaps::{HeapId, Tenant};
use crate::limits;

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
}

macro_rules! nothing_needs_it {
    () => {
        "NOT EXISTS (SELECT 1 FROM heap_tags WHERE heap = heaps.seq)
         AND NOT EXISTS (SELECT 1 FROM session_entries AS entry
             WHERE entry.tenant = heaps.tenant AND entry.output_heap = heaps.id)
         AND NOT EXISTS (SELECT 1 FROM session_entries AS entry
             WHERE entry.tenant = heaps.tenant AND entry.input_heap = heaps.id)
         AND NOT EXISTS (SELECT 1 FROM executions AS execution
             WHERE execution.tenant = heaps.tenant AND execution.input_heap = heaps.id
                 AND execution.completed_at IS NULL)"
    };
}

impl Store {
    /// Heaps that nothing needs and that are kept no longer, the oldest use first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unneeded_heaps(
        &self,
        retention: HeapRetention,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<UnneededHeap>, StoreError> {
        self.read(move |connection| unneeded(connection, retention, now, limit))
            .await
    }

    /// Forgets a heap, if nothing needs it still and it was not used since it was listed; `false`
    /// when it is kept. From then on it is unknown, and its content can go.
    ///
    /// # Errors
    /// [`StoreError`]: it is kept.
    pub async fn forget_heap(&self, heap: UnneededHeap) -> Result<bool, StoreError> {
        let write = Write::Forget(Box::new(heap));
        let applied = self.ask(|waiter| Command::WriteNow(write, waiter)).await?;
        Ok(applied == Applied::Done)
    }
}

fn unneeded(
    connection: &Connection,
    retention: HeapRetention,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<UnneededHeap>, StoreError> {
    let age_micros = i64::try_from(retention.age_max.as_micros()).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(concat!(
        "SELECT tenant, id, stored_bytes, created_at, last_used_at FROM (
             SELECT tenant, id, stored_bytes, created_at, last_used_at, seq,
                 sum(stored_bytes) OVER (
                     ORDER BY last_used_at DESC, seq DESC ROWS UNBOUNDED PRECEDING
                 ) AS bytes
             FROM heaps WHERE ",
        nothing_needs_it!(),
        ")
         WHERE last_used_at < ?1 OR bytes > ?2
         ORDER BY last_used_at, seq LIMIT ?3",
    ))?;
    let mut rows = statement.query(params![
        now.as_microsecond().saturating_sub(age_micros),
        integer(retention.bytes_max),
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
        });
    }
    Ok(found)
}

impl UnneededHeap {
    pub(super) fn forget(&self, connection: &Connection) -> rusqlite::Result<Applied> {
        let forgotten = connection
            .prepare_cached(concat!(
                "DELETE FROM heaps WHERE tenant = ?1 AND id = ?2 AND last_used_at = ?3 AND ",
                nothing_needs_it!(),
            ))?
            .execute(params![
                self.tenant.name(),
                self.heap.as_bytes(),
                self.last_used_at.as_microsecond(),
            ])?;
        Ok(if forgotten > 0 {
            Applied::Done
        } else {
            Applied::Missing
        })
    }
}
