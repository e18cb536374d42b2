//! The heaps that a database knows, for those who count their copies.

use rusqlite::params;

use super::Store;
use super::error::StoreError;
use super::read::{heap, parsed};
use crate::heaps::HeapId;
use crate::tenant::Tenant;

/// A heap that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHeap {
    /// Its place among all: later ones have higher ones.
    pub place: i64,
    /// Whose it is.
    pub tenant: Tenant,
    /// The heap.
    pub heap: HeapId,
}

impl Store {
    /// Heaps that are known, those after a place, at most so many: those that something needs, and those
    /// that are kept for a while after that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_heaps(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KnownHeap>, StoreError> {
        self.read_own(move |connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = connection.prepare_cached(
                "SELECT seq, tenant, id FROM heaps WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let mut rows = statement.query(params![after, limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(KnownHeap {
                    place: row.get(0)?,
                    tenant: parsed(row, 1, "name of a tenant")?,
                    heap: heap(row, 2)?,
                });
            }
            Ok(found)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::{Retention, StorePlace};

    #[tokio::test]
    async fn all_are_found_in_pages_once() {
        let store = Store::open(StorePlace::Temporary, Retention::default()).unwrap();
        let mut put = Vec::new();
        for number in 0..7_u8 {
            let (tenant, heap) = (Tenant::local(), HeapId::of(&[number]));
            let now = Timestamp::now();
            assert!(store.adopt_heap(tenant, heap, 1, now).await.unwrap());
            put.push(heap);
        }
        let mut found = Vec::new();
        let mut after = 0;
        loop {
            let page = store.known_heaps(after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.place;
            found.extend(page.into_iter().map(|known| known.heap));
        }
        assert_eq!(found, put);
        store.close().await.unwrap();
    }
}
