//! Heaps on their way in and out: adopted ones, orphans, and doomed ones.
//!
//! A heap's content and its row are not changed at once, so their orders matter:
//!
//! ```text
//! put     content, then row            a killed server leaves an orphan: content without a row
//! remove  row ─▶ doomed, content, doomed ─▶ nothing
//! adopt   content is seen, row, content is seen again; a doomed heap is never adopted
//! ```
//!
//! A put of a doomed heap makes its content young and its row takes the doom away; what removes doomed
//! heaps leaves young content alone. So content goes only while no row names it, and what was doomed
//! when a server was killed goes later.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::Store;
use super::error::StoreError;
use super::read::{count, heap, parsed};
use super::write::{Write, integer};
use crate::heaps::{HeapId, TenantFolder};
use crate::raft::command::{Command, Outcome};
use crate::tenant::Tenant;

/// A heap whose content is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DoomedHeap {
    /// Whose it is.
    pub folder: TenantFolder,
    /// The heap.
    pub heap: HeapId,
    /// What it takes where it is stored, in bytes.
    pub stored_bytes: u64,
}

/// A heap that is stored and had no row.
#[derive(Debug, Clone)]
pub(super) struct Adoption {
    pub(super) tenant: Tenant,
    heap: HeapId,
    stored_bytes: u64,
    at: Timestamp,
}

impl Store {
    /// Writes down a heap that is stored and that this database does not know, as used now, and waits
    /// until that is committed; `false` when it is doomed.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed.
    pub async fn adopt_heap(
        &self,
        tenant: Tenant,
        heap: HeapId,
        stored_bytes: u64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let adoption = Adoption::new(tenant, (heap, stored_bytes), at);
        Ok(self.adopt(adoption).await? == Outcome::Done)
    }

    /// Of these stored heaps those that this database does not know, not even as doomed, each with its
    /// tenant where that is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn orphans(
        &self,
        stored: Vec<DoomedHeap>,
    ) -> Result<Vec<(DoomedHeap, Option<Tenant>)>, StoreError> {
        self.read_own(move |connection| {
            let tenants = tenants(connection)?;
            let mut orphans = Vec::new();
            for heap in stored {
                let tenant = tenants.get(&heap.folder);
                if !heap.is_known(connection, tenant)? && !heap.is_doomed(connection)? {
                    orphans.push((heap, tenant.cloned()));
                }
            }
            Ok(orphans)
        })
        .await
    }

    /// Dooms a stored heap that this database does not know; `false` when it knows it by now.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has changed.
    pub async fn doom_orphan(&self, heap: DoomedHeap) -> Result<bool, StoreError> {
        let write = Write::Doom(heap);
        Ok(self.write_own(write).await? == Outcome::Done)
    }

    /// The doomed heaps, each with its tenant where that is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn doomed_heaps(&self) -> Result<Vec<(DoomedHeap, Option<Tenant>)>, StoreError> {
        self.read_own(|connection| {
            let tenants = tenants(connection)?;
            let mut statement =
                connection.prepare_cached("SELECT folder, id, stored_bytes FROM doomed_heaps")?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let folder: String = row.get(0)?;
                let folder = TenantFolder::named(&folder).ok_or(StoreError::Corrupt {
                    what: "folder of a tenant",
                })?;
                let doomed = DoomedHeap {
                    folder,
                    heap: heap(row, 1)?,
                    stored_bytes: count(row, 2)?,
                };
                found.push((doomed, tenants.get(&folder).cloned()));
            }
            Ok(found)
        })
        .await
    }

    /// Whether a heap is doomed still: nobody has put it again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_doomed(&self, heap: DoomedHeap) -> Result<bool, StoreError> {
        self.read_own(move |connection| Ok(heap.is_doomed(connection)?))
            .await
    }

    /// Forgets a doomed heap whose content is gone.
    ///
    /// # Errors
    /// [`StoreError`]: it stays doomed.
    pub async fn bury_heap(&self, heap: DoomedHeap) -> Result<(), StoreError> {
        let write = Write::Bury(heap);
        self.write_own(write).await?;
        Ok(())
    }
}

impl DoomedHeap {
    pub(super) fn doom(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT INTO doomed_heaps (folder, id, stored_bytes)
                 VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                self.folder.to_string(),
                self.heap.as_bytes(),
                integer(self.stored_bytes),
            ])?;
        Ok(())
    }

    pub(super) fn doom_orphan(&self, connection: &Connection) -> Result<Outcome, StoreError> {
        let tenants = tenants(connection)?;
        if self.is_known(connection, tenants.get(&self.folder))? {
            return Ok(Outcome::Missing);
        }
        self.doom(connection)?;
        Ok(Outcome::Done)
    }

    pub(super) fn bury(&self, connection: &Connection) -> rusqlite::Result<()> {
        bury(connection, self.folder, self.heap)
    }

    fn is_known(&self, connection: &Connection, tenant: Option<&Tenant>) -> rusqlite::Result<bool> {
        let Some(tenant) = tenant else {
            return Ok(false);
        };
        connection
            .prepare_cached("SELECT 1 FROM heaps WHERE tenant = ?1 AND id = ?2")?
            .exists(params![tenant.name(), self.heap.as_bytes()])
    }

    fn is_doomed(&self, connection: &Connection) -> rusqlite::Result<bool> {
        is_doomed(connection, self.folder, self.heap)
    }
}

impl Adoption {
    pub(super) const fn new(
        tenant: Tenant,
        (heap, stored_bytes): (HeapId, u64),
        at: Timestamp,
    ) -> Self {
        Self {
            tenant,
            heap,
            stored_bytes,
            at,
        }
    }

    pub(super) fn is_doomed(&self, connection: &Connection) -> rusqlite::Result<bool> {
        is_doomed(connection, TenantFolder::of(&self.tenant), self.heap)
    }

    /// As it is shared.
    pub(super) fn command(&self) -> Command {
        Command::Adopt {
            tenant: self.tenant.name().to_owned(),
            heap: *self.heap.as_bytes(),
            stored_bytes: self.stored_bytes,
            at_us: self.at.as_microsecond(),
        }
    }
}

/// A heap that was put again is not doomed any more.
pub(super) fn revive(
    connection: &Connection,
    tenant: &Tenant,
    heap: HeapId,
) -> rusqlite::Result<()> {
    bury(connection, TenantFolder::of(tenant), heap)
}

fn bury(connection: &Connection, folder: TenantFolder, heap: HeapId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM doomed_heaps WHERE folder = ?1 AND id = ?2")?
        .execute(params![folder.to_string(), heap.as_bytes()])?;
    Ok(())
}

fn is_doomed(
    connection: &Connection,
    folder: TenantFolder,
    heap: HeapId,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM doomed_heaps WHERE folder = ?1 AND id = ?2")?
        .exists(params![folder.to_string(), heap.as_bytes()])
}

/// Heaps that are known are not doomed: another state has taken the place of the one that had forgotten
/// them.
pub(super) fn revive_known(connection: &Connection) -> Result<(), StoreError> {
    let tenants = tenants(connection)?;
    let mut statement = connection.prepare("SELECT folder, id FROM doomed_heaps")?;
    let mut rows = statement.query([])?;
    let mut known = Vec::new();
    while let Some(row) = rows.next()? {
        let folder: String = row.get(0)?;
        let Some(folder) = TenantFolder::named(&folder) else {
            continue;
        };
        let heap = heap(row, 1)?;
        let of = tenants.get(&folder);
        if let Some(tenant) = of
            && connection
                .prepare_cached("SELECT 1 FROM heaps WHERE tenant = ?1 AND id = ?2")?
                .exists(params![tenant.name(), heap.as_bytes()])?
        {
            known.push((folder, heap));
        }
    }
    for (folder, heap) in known {
        bury(connection, folder, heap)?;
    }
    Ok(())
}

/// The tenants that have heaps, by their folders: one look into the index for each.
fn tenants(connection: &Connection) -> Result<HashMap<TenantFolder, Tenant>, StoreError> {
    let mut next = connection
        .prepare_cached("SELECT tenant FROM heaps WHERE tenant > ?1 ORDER BY tenant LIMIT 1")?;
    let mut found = HashMap::new();
    let mut last = String::new();
    loop {
        let tenant = next
            .query_and_then([&last], |row| parsed::<Tenant>(row, 0, "name of a tenant"))?
            .next();
        let Some(tenant) = tenant else {
            return Ok(found);
        };
        let tenant = tenant?;
        tenant.name().clone_into(&mut last);
        found.insert(TenantFolder::of(&tenant), tenant);
    }
}
