//! Who may run now, who waits, and who is turned away.
//!
//! A fixed number of slots, and a queue of bounded length before them. Both are shared out among
//! tenants, by `fair`: a pure machine. Here are the lock, the clock, and the handles that give back
//! what they hold when they are dropped.

mod fair;
mod pace;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::fair::{Fair, Number};
pub use self::pace::{Pace, Turn};
use crate::quota::Sharing;
use crate::tenant::Tenant;

/// The slots and the queue. Clones share them.
#[derive(Debug, Clone)]
pub struct Admission {
    desk: Arc<Desk>,
}

/// What a tenant may have of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Twice the weight, twice the time, where others want slots too.
    pub weight: NonZeroU32,
    /// Executions that run at once: 1 at least.
    pub concurrent: usize,
    /// Executions that wait.
    pub queued: usize,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            weight: NonZeroU32::MIN,
            concurrent: usize::MAX,
            queued: usize::MAX,
        }
    }
}

#[derive(Debug)]
struct Desk {
    began: Instant,
    pace: Pace,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    fair: Fair,
    /// Where those who wait are told.
    grants: HashMap<Number, oneshot::Sender<Slot>>,
    is_closed: bool,
}

/// The right to run. Dropping it hands it to the next whose turn it is.
#[derive(Debug)]
pub struct Slot {
    desk: Arc<Desk>,
    tenant: Tenant,
    since: Duration,
    is_promised: bool,
}

/// What an accepted execution holds: a slot, or a place in the queue. Dropping it gives both up.
#[derive(Debug)]
pub struct Ticket {
    desk: Arc<Desk>,
    tenant: Tenant,
    number: Number,
    turn: Turn,
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
    /// The tenant has as many as it may.
    #[error("{running} executions of this tenant run and {queue_length} wait")]
    OwnFull {
        /// How many it may have of the one.
        running: usize,
        /// And of the other.
        queue_length: usize,
    },
    /// What is left of the queue is for others.
    #[error("{waiting} executions of this tenant wait, and what is left is for others")]
    QueueShared {
        /// How many of the tenant wait.
        waiting: usize,
    },
    /// The server is going away.
    #[error("the server is shutting down")]
    Closed,
}

impl Admission {
    /// `slots` executions run at once, and `queue_length_max` wait.
    pub fn new(slots: usize, queue_length_max: usize, sharing: Sharing) -> Self {
        Self {
            desk: Arc::new(Desk {
                began: Instant::now(),
                pace: Pace::new(slots),
                books: Mutex::new(Books {
                    fair: Fair::new(slots, queue_length_max, sharing),
                    grants: HashMap::new(),
                    is_closed: false,
                }),
            }),
        }
    }

    /// Whether anybody of this tenant would be let in now. Takes nothing: who asks may still be
    /// refused.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn look(&self, tenant: &Tenant, share: Share) -> Result<(), Refusal> {
        let books = self.desk.books();
        if books.is_closed {
            return Err(Refusal::Closed);
        }
        books.fair.look(tenant, share)
    }

    /// Takes a slot or a place in the queue.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was taken.
    pub fn enter(&self, tenant: &Tenant, share: Share) -> Result<Ticket, Refusal> {
        let (grant, granted) = oneshot::channel();
        let mut books = self.desk.books();
        if books.is_closed {
            return Err(Refusal::Closed);
        }
        let turn = self.desk.pace.turn(books.fair.before(tenant, share));
        let number = books.fair.enter(tenant, share)?;
        books.grants.insert(number, grant);
        drop(books);
        self.desk.hand_out();
        Ok(Ticket {
            desk: Arc::clone(&self.desk),
            tenant: tenant.clone(),
            number,
            turn,
            granted,
        })
    }

    /// How fast those pass who were let in.
    pub fn pace(&self) -> &Pace {
        &self.desk.pace
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
            self.desk.books().fair.promise(&self.tenant);
        }
    }
}

impl Ticket {
    /// When its turn will come, about.
    pub const fn turn(&self) -> Turn {
        self.turn
    }

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
            if books.fair.leave(&self.tenant, self.number) {
                self.desk.pace.pass();
            }
            books.grants.remove(&self.number)
        };
        // A slot that was granted and not taken goes to the next when the channel drops it.
        drop(abandoned);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let now = self.desk.now();
        self.desk.pace.took(now.saturating_sub(self.since));
        self.desk
            .books()
            .fair
            .release(&self.tenant, self.since, self.is_promised, now);
        self.desk.hand_out();
    }
}

impl Desk {
    /// Gives the slots that are free to those whose turn it is.
    fn hand_out(self: &Arc<Self>) {
        let now = self.now();
        loop {
            let mut books = self.books();
            let Some((tenant, number)) = books.fair.grant(now) else {
                return;
            };
            let grant = books.grants.remove(&number);
            drop(books);
            self.pace.pass();
            let slot = Slot {
                desk: Arc::clone(self),
                tenant,
                since: now,
                is_promised: false,
            };
            // Who has gone meanwhile drops the slot, and so it goes to the next.
            if let Some(grant) = grant {
                let _ = grant.send(slot);
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
