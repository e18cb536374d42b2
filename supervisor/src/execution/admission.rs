//! Who may run now, who waits, and who is turned away.
//!
//! A fixed number of slots, and a queue of bounded length before them, first come, first served.
//! An entry is made when an execution is accepted, so that the order is the order of acceptance.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The slots and the queue. Clones share them.
#[derive(Debug, Clone)]
pub struct Admission {
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    slots: usize,
    queue_length_max: usize,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    free: usize,
    /// Slots that are held, but will be given back by themselves in a moment.
    promised: usize,
    queue: VecDeque<Waiting>,
    next_number: u64,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    grant: oneshot::Sender<Slot>,
}

/// The right to run. Dropping it hands it to the next in the queue.
#[derive(Debug)]
pub struct Slot {
    desk: Arc<Desk>,
    is_promised: bool,
}

/// What an accepted execution holds: a slot, or a place in the queue. Dropping it gives both up.
#[derive(Debug)]
pub struct Ticket {
    desk: Arc<Desk>,
    number: u64,
    granted: oneshot::Receiver<Slot>,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// All slots and places are taken.
    #[error("{slots} executions run and {queue_length} wait")]
    Full {
        /// How many there are of the one.
        slots: usize,
        /// And of the other.
        queue_length: usize,
    },
    /// The server is going away.
    #[error("the server is shutting down")]
    Closed,
}

impl Admission {
    /// `slots` executions run at once, and `queue_length_max` wait.
    pub fn new(slots: usize, queue_length_max: usize) -> Self {
        Self {
            desk: Arc::new(Desk {
                slots,
                queue_length_max,
                books: Mutex::new(Books {
                    free: slots,
                    promised: 0,
                    queue: VecDeque::new(),
                    next_number: 0,
                    is_closed: false,
                }),
            }),
        }
    }

    /// Whether anybody would be let in now. Takes nothing: who asks may still be refused.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn look(&self) -> Result<(), Refusal> {
        self.desk.look(&self.desk.books())
    }

    /// Takes a slot or a place in the queue.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was taken.
    pub fn enter(&self) -> Result<Ticket, Refusal> {
        let (grant, granted) = oneshot::channel();
        let mut books = self.desk.books();
        self.desk.look(&books)?;
        let number = books.next_number;
        books.next_number += 1;
        if books.free > 0 {
            books.free -= 1;
            let slot = Slot {
                desk: Arc::clone(&self.desk),
                is_promised: false,
            };
            drop(books);
            // The other end is in our hand.
            let _ = grant.send(slot);
        } else {
            books.queue.push_back(Waiting { number, grant });
        }
        Ok(Ticket {
            desk: Arc::clone(&self.desk),
            number,
            granted,
        })
    }

    /// Lets nobody in any more. Who is in stays.
    pub fn close(&self) {
        self.desk.books().is_closed = true;
    }
}

impl Slot {
    /// Says that it will be given back in a moment, so that one more may wait for it. Whoever has
    /// seen the end of an execution is not turned away because its process still goes away.
    pub fn promise(&mut self) {
        if !self.is_promised {
            self.is_promised = true;
            self.desk.books().promised += 1;
        }
    }
}

impl Ticket {
    /// Waits for the slot. Can be dropped and asked again until it was given.
    pub async fn slot(&mut self) -> Slot {
        match (&mut self.granted).await {
            Ok(slot) => slot,
            // The sender is dropped without a slot only by our own drop.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let abandoned = {
            let mut books = self.desk.books();
            let at = books
                .queue
                .iter()
                .position(|waiting| waiting.number == self.number);
            at.and_then(|at| books.queue.remove(at))
        };
        // A slot that was granted and not taken goes to the next when the channel drops it.
        drop(abandoned);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let next = {
            let mut books = self.desk.books();
            if self.is_promised {
                books.promised -= 1;
            }
            let next = books.queue.pop_front();
            if next.is_none() {
                books.free += 1;
            }
            next
        };
        if let Some(waiting) = next {
            // Who has gone meanwhile drops the slot, and so it comes here again.
            let _ = waiting.grant.send(Self {
                desk: Arc::clone(&self.desk),
                is_promised: false,
            });
        }
    }
}

impl Desk {
    fn look(&self, books: &Books) -> Result<(), Refusal> {
        if books.is_closed {
            return Err(Refusal::Closed);
        }
        if books.free > 0 || books.queue.len() < self.queue_length_max + books.promised {
            return Ok(());
        }
        Err(Refusal::Full {
            slots: self.slots,
            queue_length: self.queue_length_max,
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(ticket: &mut Ticket) -> Option<Slot> {
        ticket.granted.try_recv().ok()
    }

    #[test]
    fn slots_then_queue_then_refusal_in_order() {
        let admission = Admission::new(1, 2);
        let mut first = admission.enter().unwrap();
        let mut second = admission.enter().unwrap();
        let mut third = admission.enter().unwrap();
        assert_eq!(
            admission.enter().unwrap_err(),
            Refusal::Full {
                slots: 1,
                queue_length: 2
            }
        );
        let slot = now(&mut first).expect("a slot was free");
        assert!(now(&mut second).is_none());
        drop(slot);
        assert!(now(&mut third).is_none());
        let slot = now(&mut second).expect("the first in the queue");
        drop(slot);
        assert!(now(&mut third).is_some());
    }

    #[test]
    fn who_leaves_the_queue_leaves_no_trace() {
        let admission = Admission::new(1, 1);
        let mut first = admission.enter().unwrap();
        let slot = now(&mut first).unwrap();
        drop(admission.enter().unwrap());
        let mut second = admission.enter().expect("the place is free again");
        drop(slot);
        assert!(now(&mut second).is_some());
        assert_eq!(admission.desk.books().free, 1);
    }

    #[test]
    fn a_slot_granted_to_nobody_goes_on() {
        let admission = Admission::new(1, 2);
        let mut first = admission.enter().unwrap();
        let second = admission.enter().unwrap();
        let mut third = admission.enter().unwrap();
        drop(now(&mut first).unwrap());
        // Granted to the second, which never took it.
        drop(second);
        assert!(now(&mut third).is_some());
        drop(third);
        assert_eq!(admission.desk.books().free, 1);
        assert!(admission.desk.books().queue.is_empty());
    }

    #[test]
    fn closed_lets_nobody_in() {
        let admission = Admission::new(1, 1);
        admission.close();
        assert_eq!(admission.enter().unwrap_err(), Refusal::Closed);
    }

    #[test]
    fn a_promised_slot_can_be_waited_for_beyond_the_queue_and_is_not_given_before_it_is_free() {
        let admission = Admission::new(1, 0);
        let mut slot = now(&mut admission.enter().unwrap()).unwrap();
        assert!(admission.enter().is_err());
        slot.promise();
        slot.promise();
        let mut next = admission.enter().expect("it will be free in a moment");
        assert!(admission.enter().is_err());
        assert!(now(&mut next).is_none());
        drop(slot);
        let held = now(&mut next);
        assert!(held.is_some());
        assert!(admission.enter().is_err());
        assert_eq!(admission.desk.books().promised, 0);
    }

    #[test]
    fn no_queue_is_possible() {
        let admission = Admission::new(1, 0);
        let _held = admission.enter().unwrap();
        assert!(admission.enter().is_err());
    }
}
