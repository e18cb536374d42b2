//! What is kept beyond an execution: its heap, its place in a session, and the tags of heaps.
//!
//! A heap's content lies elsewhere. Here stands that it is there, whose it is, when it was used
//! last, and who needs it: nothing here names a heap that is not durable.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::Store;
use super::doomed;
use super::error::StoreError;
use super::session::SessionName;
use super::tags::{TagKey, Tags};
use super::write::{Applied, Write, integer};
use super::writer::Command;
use crate::heaps::HeapId;
use crate::tenant::Tenant;

/// What is kept of an execution that completed, beside its end. The heap is durable already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Whose the heap is.
    pub tenant: Tenant,
    /// The heap.
    pub heap: HeapId,
    /// What it takes where it is stored, in bytes.
    pub stored_bytes: u64,
    /// The heap that it came from.
    pub input_heap: Option<HeapId>,
    /// The session that it is the newest heap of from now on.
    pub session: Option<SessionName>,
    /// The code that made it, as it was submitted.
    pub code: String,
    /// Its tags. None leave those that it has: the same heap may have been made before.
    pub tags: Tags,
}

/// A change of the tags of one heap. It counts as a use of the heap.
#[derive(Debug, Clone)]
pub(super) struct Retag {
    pub(super) tenant: Tenant,
    pub(super) heap: HeapId,
    pub(super) change: TagChange,
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) enum TagChange {
    Replace(Tags),
    Delete(Vec<TagKey>),
    DeleteAll,
}

impl Store {
    /// Replaces all tags of a heap, and waits until that is committed; `false` when this tenant has
    /// no such heap.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed.
    pub async fn set_tags(
        &self,
        tenant: Tenant,
        heap: HeapId,
        tags: Tags,
    ) -> Result<bool, StoreError> {
        self.retag(tenant, heap, TagChange::Replace(tags)).await
    }

    /// Deletes these tags of a heap, or all of them, and waits until that is committed; `false` when
    /// this tenant has no such heap. A tag that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed.
    pub async fn delete_tags(
        &self,
        tenant: Tenant,
        heap: HeapId,
        keys: Option<Vec<TagKey>>,
    ) -> Result<bool, StoreError> {
        let change = keys.map_or(TagChange::DeleteAll, TagChange::Delete);
        self.retag(tenant, heap, change).await
    }

    /// Notes that a heap was used now, so that it does not expire, and waits until that is
    /// committed; `false` when this tenant has no such heap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_heap(&self, tenant: Tenant, heap: HeapId) -> Result<bool, StoreError> {
        let write = Write::Touch(tenant.clone(), heap, Timestamp::now());
        let asked = self.ask(&tenant, |waiter| Command::WriteNow(write, waiter));
        let applied = asked.await?;
        Ok(applied == Applied::Done)
    }

    async fn retag(
        &self,
        tenant: Tenant,
        heap: HeapId,
        change: TagChange,
    ) -> Result<bool, StoreError> {
        let write = Write::Retag(Box::new(Retag {
            tenant: tenant.clone(),
            heap,
            change,
            at: Timestamp::now(),
        }));
        let asked = self.ask(&tenant, |waiter| Command::WriteNow(write, waiter));
        let applied = asked.await?;
        Ok(applied == Applied::Done)
    }
}

impl Keep {
    /// Writes the heap, its place in its session, and its tags. Within one transaction, in which
    /// nobody else writes, the next index of a session is its own.
    pub(super) fn apply(&self, connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
        let tenant = self.tenant.name();
        let seq: i64 = connection
            .prepare_cached(
                "INSERT INTO heaps (tenant, id, stored_bytes, created_at, last_used_at)
                 VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT (tenant, id) DO UPDATE SET
                     stored_bytes = ?3, last_used_at = max(last_used_at, ?4)
                 RETURNING seq",
            )?
            .query_row(
                params![
                    tenant,
                    self.heap.as_bytes(),
                    integer(self.stored_bytes),
                    at.as_microsecond(),
                ],
                |row| row.get(0),
            )?;
        // It was put again: whoever was about to remove it finds it too young.
        doomed::revive(connection, &self.tenant, self.heap)?;
        if let Some(session) = &self.session {
            connection
                .prepare_cached(
                    "INSERT INTO sessions (tenant, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute(params![tenant, session.as_str()])?;
            connection
                .prepare_cached(
                    "INSERT INTO session_entries
                         (session, position, tenant, input_heap, output_heap, kept_at, code)
                     SELECT seq,
                         (SELECT coalesce(max(position) + 1, 0) FROM session_entries
                          WHERE session = sessions.seq),
                         tenant, ?3, ?4, ?5, ?6
                     FROM sessions WHERE tenant = ?1 AND name = ?2",
                )?
                .execute(params![
                    tenant,
                    session.as_str(),
                    self.input_heap.as_ref().map(HeapId::as_bytes),
                    self.heap.as_bytes(),
                    at.as_microsecond(),
                    self.code,
                ])?;
        }
        if !self.tags.is_empty() {
            replace(connection, &self.tenant, seq, &self.tags)?;
        }
        Ok(())
    }
}

impl Retag {
    pub(super) fn apply(&self, connection: &Connection) -> rusqlite::Result<Applied> {
        let Some(seq) = touch(connection, &self.tenant, self.heap, self.at)? else {
            return Ok(Applied::Missing);
        };
        match &self.change {
            TagChange::Replace(tags) => replace(connection, &self.tenant, seq, tags)?,
            TagChange::DeleteAll => clear(connection, seq)?,
            TagChange::Delete(keys) => {
                let mut delete = connection
                    .prepare_cached("DELETE FROM heap_tags WHERE heap = ?1 AND key = ?2")?;
                for key in keys {
                    delete.execute(params![seq, key.as_str()])?;
                }
            }
        }
        Ok(Applied::Done)
    }
}

/// Notes a use of a heap, and finds its row.
pub(super) fn touch(
    connection: &Connection,
    tenant: &Tenant,
    heap: HeapId,
    at: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "UPDATE heaps SET last_used_at = max(last_used_at, ?3)
             WHERE tenant = ?1 AND id = ?2 RETURNING seq",
        )?
        .query_row(
            params![tenant.name(), heap.as_bytes(), at.as_microsecond()],
            |row| row.get(0),
        )
        .optional()
}

fn clear(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM heap_tags WHERE heap = ?1")?
        .execute([seq])?;
    Ok(())
}

fn replace(
    connection: &Connection,
    tenant: &Tenant,
    seq: i64,
    tags: &Tags,
) -> rusqlite::Result<()> {
    clear(connection, seq)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO heap_tags (heap, key, value, tenant) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (key, value) in tags.iter() {
        insert.execute(params![seq, key, value, tenant.name()])?;
    }
    Ok(())
}
