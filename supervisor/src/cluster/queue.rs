//! Packets that wait for one node, in order and within bounds.

use std::collections::VecDeque;

use crate::limits::{
    BATCH_PACKETS_MAX, BULK_BYTES_MAX, BULK_PACKETS_MAX, CONTROL_PACKETS_MAX, PACKET_BYTES_MAX,
};
use crate::raft::packet::Packet;

/// A queue. The algorithm sends again what it needs, so that what there is no room for may be lost.
#[derive(Debug)]
pub(super) struct Queue {
    packets: VecDeque<Packet>,
    bytes: usize,
    packets_max: usize,
    bytes_max: usize,
}

/// There was no room for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Queue {
    /// For packets that are small.
    pub(super) const fn control() -> Self {
        Self::new(CONTROL_PACKETS_MAX, usize::MAX)
    }

    /// For packets with entries.
    pub(super) const fn bulk() -> Self {
        Self::new(BULK_PACKETS_MAX, BULK_BYTES_MAX)
    }

    const fn new(packets_max: usize, bytes_max: usize) -> Self {
        Self {
            packets: VecDeque::new(),
            bytes: 0,
            packets_max,
            bytes_max,
        }
    }

    /// Adds a packet. A sign of life takes the place of an older one: a node that was not reached for a
    /// while gets one, not hundreds.
    pub(super) fn push(&mut self, packet: Packet) -> Result<(), NoRoom> {
        if packet.is_heartbeat()
            && let Some(older) = self.packets.iter_mut().find(|one| one.is_heartbeat())
        {
            *older = packet;
            return Ok(());
        }
        let bytes = self.bytes.saturating_add(packet.weight());
        let is_full = self.packets.len() >= self.packets_max || bytes > self.bytes_max;
        if is_full && !self.packets.is_empty() {
            return Err(NoRoom);
        }
        self.bytes = bytes;
        self.packets.push_back(packet);
        Ok(())
    }

    /// As many packets as go into one request, the oldest first: one at least, where there is any.
    pub(super) fn take(&mut self) -> Vec<Packet> {
        let (mut taken, mut bytes) = (Vec::new(), 0_usize);
        while let Some(packet) = self.packets.front() {
            let weight = packet.weight();
            let is_full = taken.len() >= BATCH_PACKETS_MAX || bytes + weight > PACKET_BYTES_MAX;
            if is_full && !taken.is_empty() {
                break;
            }
            bytes += weight;
            self.bytes = self.bytes.saturating_sub(weight);
            taken.extend(self.packets.pop_front());
        }
        taken
    }

    /// Forgets all; how many there were.
    pub(super) fn clear(&mut self) -> usize {
        let lost = self.packets.len();
        self.packets.clear();
        self.bytes = 0;
        lost
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::batch;
    use crate::cluster::sample_tests::{append, heartbeat, packet, propose};

    #[test]
    fn a_newer_sign_of_life_takes_the_place_of_an_older_one() {
        let mut queue = Queue::control();
        for commit in 0..5000 {
            queue.push(heartbeat(commit)).unwrap();
        }
        queue.push(packet(1)).unwrap();
        queue.push(heartbeat(6000)).unwrap();
        assert_eq!(queue.take(), [heartbeat(6000), packet(1)]);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn what_there_is_no_room_for_is_lost_and_the_rest_keeps_its_order() {
        let mut queue = Queue::control();
        for number in 0..CONTROL_PACKETS_MAX as u64 {
            queue.push(packet(number)).unwrap();
        }
        assert_eq!(queue.push(packet(9999)), Err(NoRoom));
        // It is no newer one of these.
        assert_eq!(queue.push(heartbeat(1)), Err(NoRoom));
        let taken = queue.take();
        assert_eq!(taken.len(), CONTROL_PACKETS_MAX);
        assert_eq!(taken[7], packet(7));
        assert_eq!(queue.push(packet(1)), Ok(()));
    }

    #[test]
    fn entries_are_bounded_by_their_bytes_and_one_is_always_taken() {
        let mut queue = Queue::bulk();
        let huge = append(1, Bytes::from(vec![0; BULK_BYTES_MAX + 1]));
        assert_eq!(queue.push(huge), Ok(()));
        assert_eq!(queue.push(append(2, Bytes::new())), Err(NoRoom));
        assert_eq!(queue.take().len(), 1);
        let large = Bytes::from(vec![0; 3 << 20]);
        let kept = (0..10).filter(|index| queue.push(append(*index, large.clone())).is_ok());
        assert_eq!(kept.count(), 5);
        assert_eq!(queue.take().len(), 2);
        queue.clear();
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }

    proptest! {
        #[test]
        fn what_is_taken_fits_into_one_request(sizes in prop::collection::vec((0_usize..3 << 20, any::<bool>()), 1..20)) {
            let mut queue = Queue::bulk();
            for (bytes, is_append) in sizes {
                let bytes = Bytes::from(vec![1; bytes]);
                let _ = queue.push(if is_append { append(1, bytes) } else { propose(bytes) });
            }
            while queue.len() > 0 {
                let (bytes, lost) = batch::encode(&queue.take());
                prop_assert!(bytes.len() <= crate::limits::BATCH_BYTES_MAX && lost == 0);
            }
            prop_assert_eq!(queue.bytes, 0);
        }
    }
}
