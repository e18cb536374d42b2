//! The connections to this node: how many, and whose.
//!
//! Whoever has not shown who it is can take no place from those who have, and a node that has lost its
//! connections without a word takes the place of its own oldest.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

use super::name::NodeName;
use crate::limits::{PEER_CONNECTIONS_MAX, PEERS_COUNTED_MAX, STRANGER_CONNECTIONS_MAX};

/// By the order in which they came.
type Line = BTreeMap<u64, CancellationToken>;

/// All connections. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats {
    books: Arc<Mutex<Books>>,
    taken: Gauge,
}

#[derive(Debug, Default)]
struct Books {
    next: u64,
    strangers: Line,
    nodes: HashMap<NodeName, Line>,
}

/// One connection. Clones are the same one; dropping the last gives its place away.
#[derive(Debug, Clone)]
pub(super) struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    seats: Seats,
    number: u64,
    leave: CancellationToken,
}

impl Seats {
    /// None is taken. How many are is shown here.
    pub(super) fn new(taken: Gauge) -> Self {
        Self {
            books: Arc::default(),
            taken,
        }
    }

    /// A place among strangers. Where all are taken, the one that has been there longest has to leave.
    pub(super) fn enter(&self) -> Seat {
        let mut books = self.books();
        let number = books.next;
        books.next += 1;
        let leave = CancellationToken::new();
        books.strangers.insert(number, leave.clone());
        bound(&mut books.strangers, STRANGER_CONNECTIONS_MAX);
        self.taken.inc();
        Seat(Arc::new(Place {
            seats: self.clone(),
            number,
            leave,
        }))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// This is a connection of that node.
    pub(super) fn belongs_to(&self, name: &NodeName) {
        let mut books = self.0.seats.books();
        if books.nodes.len() >= PEERS_COUNTED_MAX && !books.nodes.contains_key(name) {
            return;
        }
        if let Some(leave) = books.strangers.remove(&self.0.number) {
            let line = books.nodes.entry(name.clone()).or_default();
            line.insert(self.0.number, leave);
            bound(line, PEER_CONNECTIONS_MAX);
        }
    }

    /// Waits until this one has to leave.
    pub(super) async fn asked_to_leave(&self) {
        self.0.leave.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.seats.taken.dec();
        let mut books = self.seats.books();
        books.strangers.remove(&self.number);
        books.nodes.retain(|_, line| {
            line.remove(&self.number);
            !line.is_empty()
        });
    }
}

fn bound(line: &mut Line, most: usize) {
    while line.len() > most {
        if let Some((_, oldest)) = line.pop_first() {
            oldest.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_take_places_from_strangers_only() {
        let seats = Seats::default();
        let node = seats.enter();
        node.belongs_to(&"a".parse().unwrap());
        let strangers: Vec<Seat> = (0..=STRANGER_CONNECTIONS_MAX)
            .map(|_| seats.enter())
            .collect();
        assert!(!node.0.leave.is_cancelled());
        let left = strangers.iter().filter(|seat| seat.0.leave.is_cancelled());
        assert_eq!(left.count(), 1);
        assert!(strangers[0].0.leave.is_cancelled());
    }

    #[test]
    fn a_node_takes_places_from_itself_only() {
        let seats = Seats::default();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let other = seats.enter();
        other.belongs_to(&b);
        let own: Vec<Seat> = (0..=PEER_CONNECTIONS_MAX)
            .map(|_| {
                let seat = seats.enter();
                seat.belongs_to(&a);
                seat.belongs_to(&a);
                seat
            })
            .collect();
        assert!(own[0].0.leave.is_cancelled() && !own[1].0.leave.is_cancelled());
        assert!(!other.0.leave.is_cancelled());
        drop((own, other));
        let books = seats.books();
        assert!(books.strangers.is_empty() && books.nodes.is_empty());
    }
}
