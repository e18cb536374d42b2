//! What other nodes may have this one hold in memory, and how it is shared.
//!
//! A node may hold as much as is left free: so one that is alone can have half of the room, and of those that
//! take all they can get none has more than another, or than whoever comes next finds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::name::NodeName;

/// Room for so many bytes. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Mutex<Books>>);

/// Whose a part of it is; nobody's are those who are no node.
pub(super) type Whose = Option<NodeName>;

#[derive(Debug)]
struct Books {
    free: usize,
    held: HashMap<Whose, usize>,
}

/// A part of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Part {
    room: Room,
    whose: Whose,
    bytes: usize,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Books {
            free: bytes,
            held: HashMap::new(),
        })))
    }

    /// So many bytes of it, if they may have them. Nothing is always there.
    pub(super) fn take(&self, whose: Whose, bytes: usize) -> Option<Part> {
        let mut books = self.books();
        let held = books.held.get(&whose).copied().unwrap_or_default();
        if bytes > 0 {
            if held.saturating_add(bytes) > books.free {
                return None;
            }
            books.free -= bytes;
            books.held.insert(whose.clone(), held + bytes);
        }
        drop(books);
        Some(Part {
            room: self.clone(),
            whose,
            bytes,
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut books = self.room.books();
        books.free += self.bytes;
        if let Some(held) = books.held.get_mut(&self.whose) {
            *held -= self.bytes;
            if *held == 0 {
                books.held.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(name: &str) -> Whose {
        Some(name.parse().unwrap())
    }

    #[test]
    fn whoever_takes_all_it_can_leaves_as_much_to_the_next() {
        let room = Room::new(120);
        let mut held = Vec::new();
        for (greedy, expected) in [("a", 60), ("b", 30), ("c", 15)] {
            let mut taken = 0;
            while let Some(part) = room.take(node(greedy), 1) {
                held.push(part);
                taken += 1;
            }
            assert_eq!(taken, expected, "{greedy}");
        }
        assert!(
            room.take(node("a"), 0).is_some(),
            "a sign of life has no body"
        );
        assert!(room.take(node("d"), 7).is_some());
        assert!(room.take(None, 16).is_none());
        held.clear();
        let books = room.books();
        assert_eq!((books.free, books.held.len()), (120, 0));
        drop(books);
        assert!(room.take(node("a"), usize::MAX).is_none());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_held_twice(
            deeds in prop::collection::vec((0_u8..4, 0_usize..50, any::<bool>()), 0..80),
        ) {
            let room = Room::new(100);
            let mut parts = Vec::new();
            for (whose, bytes, gives_back) in deeds {
                if gives_back {
                    drop(parts.pop());
                } else {
                    parts.extend(room.take(node(&format!("n{whose}")), bytes));
                }
                let books = room.books();
                let held: usize = books.held.values().sum();
                prop_assert_eq!(held + books.free, 100);
                prop_assert!(books.held.values().all(|held| *held > 0));
            }
        }
    }
}
