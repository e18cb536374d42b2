//! What happens to a node, until its thread takes note of it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;

use crate::limits::{
    INBOX_BYTES_MAX, INBOX_KEPT_BACK, INBOX_LENGTH_MAX, INBOX_TAKE_BYTES_MAX, INBOX_TAKE_MAX,
};
use crate::metrics::{By, Crowded};
use crate::raft::core::Event;
use crate::raft::packet::{Body, Packet};

/// There is no room for an event. Whoever has it loses it, or comes again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node has too much to do; try again later")]
pub struct Full;

/// The way to a node's thread. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    full: By<Crowded, Counter>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
    is_closed: bool,
}

/// What a node's thread takes at once.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) events: Vec<Event>,
    /// Nothing will come any more.
    pub(super) is_over: bool,
}

/// How much an event may wait for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// Entries and requests: they are sent again.
    Bulk,
    /// Signs of life, votes and answers, which are small: without them the cluster has no leader.
    Control,
    /// What is told once, and of which there is one for each node at most.
    Vital,
}

impl Inbox {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an event where the node's thread will find it. It never blocks.
    ///
    /// # Errors
    /// [`Full`], also when the node has stopped.
    pub fn offer(&self, event: Event) -> Result<(), Full> {
        let (rank, bytes) = (rank(&event), bytes(&event));
        let mut waiting = self.lock();
        let length_max = match rank {
            Rank::Bulk => INBOX_LENGTH_MAX - INBOX_KEPT_BACK,
            Rank::Control => INBOX_LENGTH_MAX,
            Rank::Vital => usize::MAX,
        };
        let is_heavy = rank == Rank::Bulk && waiting.bytes + bytes > INBOX_BYTES_MAX;
        if waiting.is_closed {
            return Err(Full);
        }
        if waiting.events.len() >= length_max || is_heavy {
            let what = match rank {
                Rank::Bulk => Crowded::Bulk,
                Rank::Control | Rank::Vital => Crowded::Control,
            };
            self.0.full.of(what).inc();
            return Err(Full);
        }
        waiting.bytes += bytes;
        waiting.events.push_back(event);
        drop(waiting);
        self.0.came.notify_one();
        Ok(())
    }

    /// How often there was no room.
    pub(super) fn full(&self) -> By<Crowded, Counter> {
        self.0.full.clone()
    }

    /// Lets the node's thread end once it has taken note of what is here.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.0.came.notify_one();
    }

    /// What has come by then, as soon as there is something.
    pub(super) fn take(&self, until: Instant) -> Taken {
        let mut waiting = self.lock();
        while waiting.events.is_empty() && !waiting.is_closed {
            let patience = until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                break;
            }
            let woken = self.0.came.wait_timeout(waiting, patience);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (mut events, mut taken) = (Vec::new(), 0);
        while events.len() < INBOX_TAKE_MAX
            && taken < INBOX_TAKE_BYTES_MAX
            && let Some(event) = waiting.events.pop_front()
        {
            taken += bytes(&event);
            events.push(event);
        }
        waiting.bytes -= taken;
        Taken {
            is_over: waiting.is_closed && waiting.events.is_empty(),
            events,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn rank(event: &Event) -> Rank {
    match event {
        Event::Packet(Packet {
            body: Body::Raft(message),
            ..
        }) if message.entries.is_empty() => Rank::Control,
        Event::Packet(Packet {
            body: Body::Refuse(..),
            ..
        })
        | Event::Tick
        | Event::Unreachable(_) => Rank::Control,
        Event::Packet(_) | Event::Propose { .. } | Event::Read { .. } => Rank::Bulk,
        Event::Persisted(_)
        | Event::Applied { .. }
        | Event::StateDurable(_)
        | Event::SnapshotMade { .. }
        | Event::SnapshotFailed
        | Event::SnapshotSent { .. }
        | Event::ToldRemoved
        | Event::HandOver => Rank::Vital,
    }
}

/// What an event takes in memory, about.
fn bytes(event: &Event) -> usize {
    let held = match event {
        Event::Packet(packet) => packet.held_bytes(),
        Event::Propose { request, .. } => request.held_bytes(),
        _ => 0,
    };
    held + size_of::<Event>()
}

#[cfg(test)]
mod tests {
    use super::super::sample_tests::{appends, packet};
    use super::*;
    use crate::limits::PACKET_ENTRIES_MAX;
    use crate::raft::ids::{RaftId, RequestId};
    use crate::raft::request::{Ask, Request};
    use bytes::Bytes;

    fn propose(bytes: usize) -> Event {
        let request = Request {
            id: RequestId([1; 16]),
            born: 1,
            ask: Ask::Command(Bytes::from(vec![0; bytes])),
        };
        Event::Propose { request, ticks: 1 }
    }

    fn peer() -> RaftId {
        RaftId::from_u64(2).unwrap()
    }

    #[test]
    fn entries_leave_room_for_signs_of_life_and_both_for_what_is_told_once() {
        let inbox = Inbox::new();
        for _ in 0..INBOX_LENGTH_MAX - INBOX_KEPT_BACK {
            inbox.offer(propose(1)).unwrap();
        }
        assert_eq!(inbox.offer(propose(1)), Err(Full));
        for _ in 0..INBOX_KEPT_BACK {
            inbox.offer(Event::Unreachable(peer())).unwrap();
        }
        assert_eq!(inbox.offer(Event::Unreachable(peer())), Err(Full));
        let sent = Event::SnapshotSent {
            to: peer(),
            is_there: true,
        };
        inbox.offer(sent).unwrap();
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_taken_in_pieces() {
        let inbox = Inbox::new();
        let half = INBOX_BYTES_MAX / 2;
        inbox.offer(propose(half - 1000)).unwrap();
        inbox.offer(propose(half - 1000)).unwrap();
        assert_eq!(inbox.offer(propose(2000)), Err(Full));
        let taken = inbox.take(Instant::now());
        assert_eq!((taken.events.len(), taken.is_over), (1, false));
        inbox.offer(propose(2000)).unwrap();
        inbox.close();
        assert_eq!(inbox.offer(Event::HandOver), Err(Full));
        assert!(!inbox.take(Instant::now()).is_over);
        assert!(inbox.take(Instant::now()).is_over);
    }

    /// What costs its sender little takes no more memory than what is said to be the most.
    #[test]
    fn entries_that_hold_nothing_take_room_all_the_same() {
        let inbox = Inbox::new();
        let mut entries = 0;
        while inbox
            .offer(Event::Packet(appends(PACKET_ENTRIES_MAX)))
            .is_ok()
        {
            entries += PACKET_ENTRIES_MAX;
        }
        // Each of them takes so much at least, for its index, its term and two empty texts.
        assert!(entries >= PACKET_ENTRIES_MAX && 80 * entries <= INBOX_BYTES_MAX);
        inbox.offer(Event::Packet(packet(1))).unwrap();
    }

    #[test]
    fn whoever_waits_is_woken() {
        let inbox = Inbox::new();
        let other = inbox.clone();
        let waiter = std::thread::spawn(move || {
            let later = Instant::now() + std::time::Duration::from_secs(60);
            other.take(later).events
        });
        inbox.offer(Event::ToldRemoved).unwrap();
        assert_eq!(waiter.join().unwrap(), [Event::ToldRemoved]);
    }
}
