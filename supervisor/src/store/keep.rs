//! What is kept beyond an execution: its heap, its place in a session, and the tags of heaps.
//!
//! A heap's content lies elsewhere. Here stands that it is there, whose it is, when it was used
//! last, and who needs it: nothing here names a heap that is not durable.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::session::SessionName;
use super::tags::{TagKey, Tags};
use crate::heaps::HeapId;
use crate::raft::command::{Command, Kept, Outcome, Retag, TagChange};
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
        self.retag(tenant, heap, TagChange::Replace(pairs(tags)))
            .await
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
        let named = |keys: Vec<TagKey>| {
            let keys = keys.iter().map(|key| key.as_str().to_owned());
            TagChange::Delete(keys.collect())
        };
        let change = keys.map_or(TagChange::DeleteAll, named);
        self.retag(tenant, heap, change).await
    }

    /// Notes that a heap was used now, so that it does not expire, and waits until that is
    /// committed; `false` when this tenant has no such heap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_heap(&self, tenant: Tenant, heap: HeapId) -> Result<bool, StoreError> {
        let touch = Command::Touch {
            tenant: tenant.name().to_owned(),
            heap: *heap.as_bytes(),
            at_us: Timestamp::now().as_microsecond(),
        };
        Ok(self.change(&tenant, touch).await? == Outcome::Done)
    }

    async fn retag(
        &self,
        tenant: Tenant,
        heap: HeapId,
        change: TagChange,
    ) -> Result<bool, StoreError> {
        let retag = Command::Retag(Box::new(Retag {
            tenant: tenant.name().to_owned(),
            heap: *heap.as_bytes(),
            change,
            at_us: Timestamp::now().as_microsecond(),
        }));
        Ok(self.change(&tenant, retag).await? == Outcome::Done)
    }
}

impl Keep {
    /// As it is shared.
    pub(super) fn into_kept(self) -> Kept {
        Kept {
            heap: *self.heap.as_bytes(),
            stored_bytes: self.stored_bytes,
            code: self.code,
            tags: pairs(self.tags),
        }
    }
}

fn pairs(tags: Tags) -> Vec<(String, String)> {
    BTreeMap::from(tags).into_iter().collect()
}
