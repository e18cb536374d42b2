//! The heap that an execution goes on from: it is there when the execution is accepted, and it stays.
//!
//! The store of heaps says what there is. A heap may have been put by another server with a database
//! of its own, or this database may have been lost: what is stored, sealed for this tenant and loadable
//! is used, and written down here.

use jiff::Timestamp;

use super::error::Error;
use super::executions::{failed, unreadable};
use crate::heaps::{HeapError, HeapId, Heaps};
use crate::limits;
use crate::store::{Expiry, Store, StoreError, UnneededHeap};
use crate::tenant::Tenant;

/// Makes sure that a heap can be loaded, and that it is not collected before an execution that starts
/// from it is written down.
pub(super) async fn prepare(
    store: &Store,
    heaps: &Heaps,
    tenant: &Tenant,
    heap: HeapId,
) -> Result<(), Error> {
    let is_known = note_use(store, tenant, heap).await?;
    // It may be fetched again when its turn comes: those who wait hold no heaps in memory.
    match heaps.fetch(tenant, heap).await {
        Ok(_) if is_known => Ok(()),
        Ok(_) => adopt(store, heaps, tenant, heap).await,
        Err(HeapError::Unknown { .. }) => Err(Error::UnknownHeap { heap }),
        Err(error) => Err(error.into()),
    }
}

/// Notes a use of a heap; `false` when the database does not know it. What was used lately is safe, and
/// costs no write.
async fn note_use(store: &Store, tenant: &Tenant, heap: HeapId) -> Result<bool, Error> {
    let last_used = store.heap_last_used(tenant.clone(), heap).await;
    let Some(last_used) = last_used.map_err(unreadable)? else {
        return Ok(false);
    };
    let age = Timestamp::now().duration_since(last_used).unsigned_abs();
    if age < limits::HEAP_GRACE / 2 {
        return Ok(true);
    }
    let touched = store.touch_heap(tenant.clone(), heap).await;
    touched.map_err(unwritten)
}

/// Writes down a heap that is stored. Between the first look and the row it may have been removed, by a
/// collector that was at it; afterwards it is safe.
async fn adopt(store: &Store, heaps: &Heaps, tenant: &Tenant, heap: HeapId) -> Result<(), Error> {
    let unknown = || Error::UnknownHeap { heap };
    let stored_bytes = heaps.size(tenant, heap).await?.ok_or_else(unknown)?;
    let at = Timestamp::now();
    let adopted = store.adopt_heap(tenant.clone(), heap, stored_bytes, at);
    if !adopted.await.map_err(unwritten)? {
        return Err(unknown());
    }
    if heaps.size(tenant, heap).await?.is_some() {
        tracing::info!(%heap, "a heap that another database has left is used, and kept, here too");
        return Ok(());
    }
    let mistaken = UnneededHeap {
        tenant: tenant.clone(),
        heap,
        stored_bytes,
        created_at: at,
        last_used_at: at,
        expiry: Expiry::Age,
    };
    store.forget_heap(mistaken).await.map_err(unwritten)?;
    Err(unknown())
}

fn unwritten(error: StoreError) -> Error {
    failed(error, "the use of a heap could not be written")
}
