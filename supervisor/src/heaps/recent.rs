//! Heaps that were kept or fetched lately, as they are loaded: a chain of executions need not read,
//! unseal and hash what it has just made.

use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use super::blobs::BlobName;
use super::snapshot::Snapshot;

/// The heaps used last, up to a number of bytes.
#[derive(Debug)]
pub(super) struct Recent {
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    bytes: usize,
    snapshots: LruCache<BlobName, Snapshot>,
}

impl Recent {
    pub(super) fn new(bytes_max: usize) -> Self {
        let held = Mutex::new(Held {
            bytes: 0,
            snapshots: LruCache::unbounded(),
        });
        Self { bytes_max, held }
    }

    pub(super) fn get(&self, name: BlobName) -> Option<Snapshot> {
        self.held().snapshots.get(&name).cloned()
    }

    pub(super) fn keep(&self, name: BlobName, snapshot: Snapshot) {
        let mut held = self.held();
        held.forget(name);
        // One that would push out all others stays out.
        if snapshot.len() > self.bytes_max {
            return;
        }
        held.bytes += snapshot.len();
        held.snapshots.put(name, snapshot);
        while held.bytes > self.bytes_max
            && let Some((_, oldest)) = held.snapshots.pop_lru()
        {
            held.bytes -= oldest.len();
        }
    }

    pub(super) fn forget(&self, name: BlobName) {
        self.held().forget(name);
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn forget(&mut self, name: BlobName) {
        if let Some(snapshot) = self.snapshots.pop(&name) {
            self.bytes -= snapshot.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heaps::HeapId;
    use crate::tenant::Tenant;

    #[test]
    fn what_was_not_used_longest_goes_first() {
        let recent = Recent::new(100);
        let tenant = Tenant::local();
        let name = |of: u8| BlobName::new(&tenant, HeapId::of(&[of]));
        let keep = |of: u8, length: usize| {
            let snapshot = Snapshot::verified(HeapId::of(&[of]), vec![of; length]);
            recent.keep(name(of), snapshot);
        };
        let held = |of: u8| recent.held().snapshots.contains(&name(of));
        keep(1, 40);
        keep(2, 40);
        assert_eq!(recent.get(name(1)).map(|one| one.len()), Some(40));
        keep(3, 40);
        assert!(held(1) && !held(2) && held(3));
        keep(3, 60);
        assert!(held(1) && held(3));
        assert_eq!(recent.held().bytes, 100);
        keep(4, 101);
        assert!(held(1) && held(3) && !held(4));
        keep(3, 101);
        assert!(held(1) && !held(3));
        recent.forget(name(1));
        recent.forget(name(1));
        assert_eq!(recent.held().bytes, 0);
        assert!(recent.get(name(1)).is_none());
    }

    #[test]
    fn tenants_do_not_share() {
        let recent = Recent::new(100);
        let id = HeapId::of(b"x");
        let [alice, bob] = ["alice", "bob"].map(|name| BlobName::new(&name.parse().unwrap(), id));
        recent.keep(alice, Snapshot::verified(id, b"x".to_vec()));
        assert!(recent.get(alice).is_some() && recent.get(bob).is_none());
    }
}
