//! Heaps that are half said: those that other nodes fetch, and those that they bring. Pure.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::words::piece_bytes;
use crate::heaps::{Shape, Wanted};
use crate::limits::{HEAP_TRANSFER_SILENCE_MAX, HEAP_TRANSFERS_AT_ONCE, HEAP_TRANSFERS_BYTES_MAX};
use crate::raft::ids::RaftId;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    next: u64,
    /// What all of them may come to take.
    bytes: u64,
    all: BTreeMap<(RaftId, u64), Transfer>,
}

#[derive(Debug)]
struct Transfer {
    load: Load,
    bytes: u64,
    heard: Instant,
}

#[derive(Debug)]
enum Load {
    Outward(Bytes),
    Inward(Box<Incoming>, Vec<u8>),
}

/// A heap that a node brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) wanted: Wanted,
    pub(super) shape: Shape,
}

/// There is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

/// There is no such transfer of this node at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

/// What became of a heap that a node brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// There is more to come.
    More,
    /// That was all.
    Whole(Incoming, Vec<u8>),
}

impl Transfers {
    /// Counts them from here: what was said to an earlier life of this node is then not taken for something
    /// of this one.
    pub(super) fn from(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// A node fetches a heap, and has been given its first piece.
    pub(super) fn give(&mut self, to: RaftId, payload: Bytes, now: Instant) -> Result<u64, NoRoom> {
        let bytes = payload.len() as u64;
        self.begin(to, (Load::Outward(payload), bytes), now)
    }

    /// A node brings a heap, whose first piece this is.
    pub(super) fn take(
        &mut self,
        from: RaftId,
        (incoming, first): (Incoming, &[u8]),
        now: Instant,
    ) -> Result<u64, NoRoom> {
        let bytes = incoming.shape.payload_bytes;
        let held = first.to_vec();
        let load = Load::Inward(Box::new(incoming), held);
        self.begin(from, (load, bytes), now)
    }

    /// A new one takes the place of the oldest of its node: that asks for no more at once than there are
    /// places, and has given up what is older.
    fn begin(
        &mut self,
        node: RaftId,
        (load, bytes): (Load, u64),
        now: Instant,
    ) -> Result<u64, NoRoom> {
        self.sweep(now);
        let of_node = self.all.range((node, 0)..=(node, u64::MAX));
        let of_node: Vec<u64> = of_node.map(|((_, number), _)| *number).collect();
        if of_node.len() >= HEAP_TRANSFERS_AT_ONCE
            && let Some(oldest) = of_node.iter().min()
        {
            self.end((node, *oldest));
        }
        let of_node = self.all.range((node, 0)..=(node, u64::MAX));
        let held: u64 = of_node.map(|(_, transfer)| transfer.bytes).sum();
        // One that takes all it can get leaves as much to the next.
        let free = HEAP_TRANSFERS_BYTES_MAX.saturating_sub(self.bytes);
        if held.saturating_add(bytes) > free {
            return Err(NoRoom);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes += bytes;
        let heard = now;
        let transfer = Transfer { load, bytes, heard };
        self.all.insert((node, number), transfer);
        Ok(number)
    }

    /// The piece that begins there. After the last one nothing is left of the transfer.
    pub(super) fn piece(
        &mut self,
        whose: (RaftId, u64),
        offset: u64,
        now: Instant,
    ) -> Result<Bytes, Lost> {
        self.sweep(now);
        let transfer = self.all.get_mut(&whose).ok_or(Lost)?;
        let Load::Outward(payload) = &transfer.load else {
            return Err(Lost);
        };
        let length = piece_bytes(payload.len() as u64, offset);
        let begin = usize::try_from(offset).map_err(|_| Lost)?;
        if length == 0 {
            return Err(Lost);
        }
        let piece = payload.slice(begin..begin + length);
        transfer.heard = now;
        if begin + length == payload.len() {
            self.end(whose);
        }
        Ok(piece)
    }

    /// A piece comes. One that is not the next, or not as long as it has to be, ends the transfer.
    pub(super) fn add(
        &mut self,
        whose: (RaftId, u64),
        (offset, piece): (u64, &[u8]),
        now: Instant,
    ) -> Result<Added, Lost> {
        self.sweep(now);
        let transfer = self.all.get_mut(&whose).ok_or(Lost)?;
        let Load::Inward(incoming, held) = &mut transfer.load else {
            return Err(Lost);
        };
        let whole = incoming.shape.payload_bytes;
        let is_next = offset == held.len() as u64 && piece.len() == piece_bytes(whole, offset);
        if !is_next {
            self.end(whose);
            return Err(Lost);
        }
        held.extend_from_slice(piece);
        transfer.heard = now;
        if (held.len() as u64) < whole {
            return Ok(Added::More);
        }
        match self.end(whose).map(|ended| ended.load) {
            Some(Load::Inward(incoming, held)) => Ok(Added::Whole(*incoming, held)),
            _ => Err(Lost),
        }
    }

    /// Ends those whose node has said nothing for too long; whether some are left.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        let is_silent = |transfer: &Transfer| {
            now.saturating_duration_since(transfer.heard) >= HEAP_TRANSFER_SILENCE_MAX
        };
        let silent = self.all.iter().filter(|(_, transfer)| is_silent(transfer));
        let silent: Vec<_> = silent.map(|(whose, _)| *whose).collect();
        for whose in silent {
            self.end(whose);
        }
        !self.all.is_empty()
    }

    fn end(&mut self, whose: (RaftId, u64)) -> Option<Transfer> {
        let ended = self.all.remove(&whose)?;
        self.bytes = self.bytes.saturating_sub(ended.bytes);
        Some(ended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::heaps::{BuildId, HeapId};
    use crate::limits::{HEAP_BYTES_MAX, HEAP_PIECE_BYTES};
    use crate::tenant::Tenant;

    fn node(number: u64) -> RaftId {
        RaftId::from_u64(number).unwrap()
    }

    fn incoming(bytes: u64) -> Incoming {
        Incoming {
            wanted: Wanted {
                tenant: Tenant::local(),
                id: HeapId::of(b""),
                build: BuildId::new("1", "2").unwrap(),
            },
            shape: Shape {
                is_packed: false,
                snapshot_bytes: bytes,
                payload_bytes: bytes,
            },
        }
    }

    const PIECE: u64 = HEAP_PIECE_BYTES as u64;

    #[test]
    fn what_is_fetched_comes_piece_by_piece_and_is_then_forgotten() {
        let mut transfers = Transfers::from(u64::MAX);
        let now = Instant::now();
        let payload = Bytes::from(vec![3; 2 * HEAP_PIECE_BYTES + 5]);
        let number = transfers.give(node(1), payload.clone(), now).unwrap();
        let whose = (node(1), number);
        assert_eq!(transfers.piece((node(2), number), PIECE, now), Err(Lost));
        assert_eq!(transfers.piece(whose, u64::MAX, now), Err(Lost));
        assert_eq!(transfers.piece(whose, payload.len() as u64, now), Err(Lost));
        assert_eq!(transfers.add(whose, (PIECE, b"x"), now), Err(Lost));
        for _ in 0..2 {
            let piece = transfers.piece(whose, PIECE, now).unwrap();
            assert_eq!(piece.len(), HEAP_PIECE_BYTES);
        }
        let last = transfers.piece(whose, 2 * PIECE, now).unwrap();
        assert_eq!(last.len(), 5);
        assert_eq!(transfers.piece(whose, PIECE, now), Err(Lost));
        assert_eq!((transfers.bytes, transfers.all.len()), (0, 0));
    }

    #[test]
    fn what_is_brought_in_another_order_or_length_is_dropped() {
        let now = Instant::now();
        let first = vec![1; HEAP_PIECE_BYTES];
        let bad: [(u64, usize); 5] = [
            (0, HEAP_PIECE_BYTES),
            (PIECE, 4),
            (PIECE, 6),
            (PIECE, 0),
            (PIECE + 1, 5),
        ];
        for (offset, length) in bad {
            let mut transfers = Transfers::default();
            let number = transfers
                .take(node(1), (incoming(PIECE + 5), &first), now)
                .unwrap();
            let whose = (node(1), number);
            assert_eq!(transfers.piece(whose, PIECE, now), Err(Lost));
            let piece = vec![2; length];
            assert_eq!(transfers.add(whose, (offset, &piece), now), Err(Lost));
            assert_eq!(transfers.add(whose, (PIECE, &[2; 5]), now), Err(Lost));
            assert_eq!((transfers.bytes, transfers.all.len()), (0, 0));
        }
        let mut transfers = Transfers::default();
        let number = transfers
            .take(node(1), (incoming(2 * PIECE + 5), &first), now)
            .unwrap();
        let whose = (node(1), number);
        assert_eq!(transfers.add(whose, (PIECE, &first), now), Ok(Added::More));
        let added = transfers.add(whose, (2 * PIECE, &[2; 5]), now).unwrap();
        let Added::Whole(whole, bytes) = added else {
            panic!("{added:?}");
        };
        assert_eq!(whole, incoming(2 * PIECE + 5));
        assert!(bytes == [&first[..], &first, &[2; 5]].concat());
    }

    #[test]
    fn a_node_has_so_many_and_all_have_so_much_and_the_silent_are_forgotten() {
        let mut transfers = Transfers::default();
        let now = Instant::now();
        let most = HEAP_BYTES_MAX as u64;
        let begin = |transfers: &mut Transfers, of, bytes, now| {
            transfers.take(node(of), (incoming(bytes), b"x"), now)
        };
        let first = begin(&mut transfers, 1, 2 * PIECE, now).unwrap();
        for _ in 0..HEAP_TRANSFERS_AT_ONCE {
            begin(&mut transfers, 1, 2 * PIECE, now).unwrap();
        }
        assert_eq!(transfers.all.len(), HEAP_TRANSFERS_AT_ONCE);
        assert!(!transfers.all.contains_key(&(node(1), first)));
        let mut held = 0;
        while begin(&mut transfers, 2 + held, most, now).is_ok() {
            held += 1;
        }
        assert!(held >= 1 && transfers.bytes <= HEAP_TRANSFERS_BYTES_MAX);
        assert_eq!(begin(&mut transfers, 99, most, now), Err(NoRoom));
        let mut greedy = Transfers::default();
        while begin(&mut greedy, 1, 20 * PIECE, now).is_ok()
            && greedy.all.len() < HEAP_TRANSFERS_AT_ONCE
        {}
        assert!(
            begin(&mut greedy, 1, 20 * PIECE, now).is_ok(),
            "it replaces its own"
        );
        assert_eq!(begin(&mut greedy, 1, 60 * PIECE, now), Err(NoRoom));
        begin(&mut greedy, 2, most, now).unwrap();
        let later = now + HEAP_TRANSFER_SILENCE_MAX;
        assert!(transfers.sweep(later - Duration::from_millis(1)));
        begin(&mut transfers, 99, most, later).unwrap();
        assert_eq!(transfers.bytes, most);
        assert!(!transfers.sweep(later + HEAP_TRANSFER_SILENCE_MAX));
        assert_eq!(transfers.bytes, 0);
    }

    proptest! {
        #[test]
        fn whatever_nodes_do_what_is_held_is_bounded(
            deeds in prop::collection::vec((0_u8..4, 1_u64..4, 0_u64..12, 0_u64..3 * PIECE, 0_u64..20), 1..60),
        ) {
            let mut transfers = Transfers::default();
            let mut now = Instant::now();
            for (deed, of, number, bytes, secs) in deeds {
                now += Duration::from_secs(secs);
                let whose = (node(of), number);
                match deed {
                    0 => drop(transfers.give(node(of), vec![0; 10].into(), now)),
                    1 => drop(transfers.take(node(of), (incoming(bytes << 6), b""), now)),
                    2 => drop(transfers.piece(whose, bytes, now)),
                    _ => drop(transfers.add(whose, (bytes, b"1234"), now)),
                }
                let sum: u64 = transfers.all.values().map(|transfer| transfer.bytes).sum();
                prop_assert_eq!(sum, transfers.bytes);
                prop_assert!(sum <= HEAP_TRANSFERS_BYTES_MAX);
                for of in 1..4 {
                    let held = transfers.all.keys().filter(|(whose, _)| *whose == node(of));
                    prop_assert!(held.count() <= HEAP_TRANSFERS_AT_ONCE);
                }
            }
        }
    }
}
