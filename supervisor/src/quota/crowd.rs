//! A bounded amount of something that tenants share: places of requests that are answered and of streams
//! that are open, bytes in memory, turns of those who read, write or ask.
//!
//! Who wants some is refused ([`Crowd::enter`]), or waits ([`Crowd::turn`]), where it has as much as it
//! may. Of those who wait, the tenant that has least is next; within a tenant first come, first served.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::taken::{NoPlace, Sharing, Taken, Whose};
use crate::tenant::Tenant;

/// What there is. Clones share it.
#[derive(Debug, Clone)]
pub struct Crowd(Arc<Mutex<Books>>);

#[derive(Debug)]
struct Books {
    taken: Taken,
    /// Those who wait, in the order in which they came.
    waiting: HashMap<Whose, BTreeMap<Number, Waiter>>,
    next: Number,
    is_closed: bool,
}

/// Tells those who wait apart; who came earlier has the lower one.
type Number = u64;

#[derive(Debug)]
struct Waiter {
    units: usize,
    told: oneshot::Sender<Member>,
}

/// What a tenant has of it, until this is dropped.
#[derive(Debug)]
pub struct Member {
    crowd: Crowd,
    whose: Whose,
    units: usize,
}

/// Somebody who waits, until this is dropped.
struct Waiting<'a> {
    crowd: &'a Crowd,
    whose: &'a Whose,
    number: Number,
    granted: oneshot::Receiver<Member>,
}

impl Crowd {
    /// So much of it.
    pub fn new(number: usize, sharing: Sharing) -> Self {
        Self(Arc::new(Mutex::new(Books {
            taken: Taken::new(number, sharing),
            waiting: HashMap::new(),
            next: 0,
            is_closed: false,
        })))
    }

    /// Is shared so from now on.
    pub fn share(&self, sharing: Sharing) {
        self.books().taken.share(sharing);
        self.hand_out();
    }

    /// A place, if the tenant may have one more.
    ///
    /// # Errors
    /// [`NoPlace`]: it may not, now.
    pub fn enter(&self, tenant: &Tenant) -> Result<Member, NoPlace> {
        self.enter_with(tenant, 1)
    }

    /// So much of it, if the tenant may have it.
    ///
    /// # Errors
    /// [`NoPlace`]: it may not, now.
    pub fn enter_with(&self, tenant: &Tenant, units: usize) -> Result<Member, NoPlace> {
        let whose = Some(tenant.clone());
        self.books().taken.take(&whose, units)?;
        Ok(self.member(whose, units))
    }

    /// A place as soon as the tenant may have one more; nothing once it is closed. The future can be
    /// dropped.
    pub async fn turn(&self, tenant: &Tenant) -> Option<Member> {
        self.wait(Some(tenant.clone()), 1).await
    }

    /// The same of so much at once.
    pub async fn turn_with(&self, tenant: &Tenant, units: usize) -> Option<Member> {
        self.wait(Some(tenant.clone()), units).await
    }

    /// The same for what the server does by itself, which counts as a tenant of its own.
    pub async fn own_turn(&self) -> Option<Member> {
        self.wait(None, 1).await
    }

    /// Gives nothing to those who wait any more. Who has something keeps it.
    pub fn close(&self) {
        let waiting = {
            let mut books = self.books();
            books.is_closed = true;
            std::mem::take(&mut books.waiting)
        };
        drop(waiting);
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.books().is_closed
    }

    async fn wait(&self, whose: Whose, units: usize) -> Option<Member> {
        let mut waiting = {
            let mut books = self.books();
            if books.is_closed {
                return None;
            }
            // Nobody overtakes those of the same tenant.
            let is_next = !books.waiting.contains_key(&whose);
            if is_next && books.taken.take(&whose, units).is_ok() {
                drop(books);
                return Some(self.member(whose, units));
            }
            let (told, granted) = oneshot::channel();
            let number = books.next;
            books.next += 1;
            let line = books.waiting.entry(whose.clone()).or_default();
            line.insert(number, Waiter { units, told });
            Waiting {
                crowd: self,
                whose: &whose,
                number,
                granted,
            }
        };
        (&mut waiting.granted).await.ok()
    }

    /// Gives what is free to those whose turn it is.
    fn hand_out(&self) {
        loop {
            let mut books = self.books();
            let Some((whose, waiter)) = books.next() else {
                return;
            };
            drop(books);
            let member = self.member(whose, waiter.units);
            // Who has gone meanwhile gives it back, and so it goes to the next.
            let _ = waiter.told.send(member);
        }
    }

    fn member(&self, whose: Whose, units: usize) -> Member {
        Member {
            crowd: self.clone(),
            whose,
            units,
        }
    }

    fn give_back(&self, whose: &Whose, units: usize) {
        let mut books = self.books();
        books.taken.give_back(whose, units);
        let is_awaited = !books.waiting.is_empty();
        drop(books);
        if is_awaited {
            self.hand_out();
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Each change is one step: they are whole even if somebody panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Takes for who is next, and takes it out of those who wait.
    fn next(&mut self) -> Option<(Whose, Waiter)> {
        let first = |(whose, line): (&Whose, &BTreeMap<Number, Waiter>)| {
            let (number, waiter) = line.first_key_value()?;
            let may = self.taken.look(whose, waiter.units).is_ok();
            may.then(|| (self.taken.own(whose), *number, whose.clone()))
        };
        let (_, number, whose) = self.waiting.iter().filter_map(first).min()?;
        let waiter = self.leave(&whose, number)?;
        self.taken.take(&whose, waiter.units).ok()?;
        Some((whose, waiter))
    }

    fn leave(&mut self, whose: &Whose, number: Number) -> Option<Waiter> {
        let line = self.waiting.get_mut(whose)?;
        let waiter = line.remove(&number);
        if line.is_empty() {
            self.waiting.remove(whose);
        }
        waiter
    }
}

impl Member {
    /// Takes more, if the tenant may have it.
    ///
    /// # Errors
    /// [`NoPlace`]: it may not, now, and has what it had.
    pub fn grow(&mut self, more: usize) -> Result<(), NoPlace> {
        self.crowd.books().taken.take(&self.whose, more)?;
        self.units += more;
        Ok(())
    }

    /// Gives back what is beyond so much.
    pub fn shrink_to(&mut self, units: usize) {
        if let Some(less) = self.units.checked_sub(units) {
            self.units = units;
            self.crowd.give_back(&self.whose, less);
        }
    }

    /// Makes it another tenant's, whatever that may have: who takes the place of somebody sees to it that
    /// this is fair.
    pub fn hand_over(&mut self, to: &Tenant) {
        let to = Some(to.clone());
        self.crowd.books().taken.pass(&self.whose, &to, self.units);
        self.whose = to;
        self.crowd.hand_out();
    }

    /// How much it is.
    pub fn units(&self) -> usize {
        self.units
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.give_back(&self.whose, self.units);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.crowd.books().leave(self.whose, self.number);
        // Who came later may want less.
        if left.is_some() {
            self.crowd.hand_out();
        }
    }
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
