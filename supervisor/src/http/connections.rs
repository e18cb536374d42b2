//! The connections that are open: how many, and which of them makes room for a new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All connections. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    most: usize,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    open: usize,
    /// By the time at which they became idle, counted in events.
    idle: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// One connection. It is idle at first; dropping it closes the place.
#[derive(Debug)]
pub(super) struct Seat(Arc<Line>);

/// A request of a connection, until it is answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Line>);

/// What a connection and its requests share.
#[derive(Debug)]
struct Line {
    desk: Arc<Desk>,
    standing: Mutex<Standing>,
    leave: CancellationToken,
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing, since this event.
    Idle(u64),
    /// A request of it is answered.
    Busy,
    /// It is closed.
    Gone,
}

impl Connections {
    /// At most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            desk: Arc::new(Desk {
                most,
                books: Mutex::default(),
            }),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.desk.books().open
    }

    /// A place for a new one. Where all are taken, the one that has been idle longest is told to
    /// leave; `None` when none is idle.
    pub(super) fn enter(&self) -> Option<Seat> {
        let mut books = self.desk.books();
        if books.open >= self.desk.most {
            let (_, oldest) = books.idle.pop_first()?;
            oldest.cancel();
        }
        books.open += 1;
        let leave = CancellationToken::new();
        let since = books.rest(leave.clone());
        drop(books);
        Some(Seat(Arc::new(Line {
            desk: Arc::clone(&self.desk),
            standing: Mutex::new(Standing::Idle(since)),
            leave,
        })))
    }

    /// Tells the one that has been idle longest to leave, so that what it holds becomes free.
    pub(super) fn make_room(&self) {
        let oldest = self.desk.books().idle.pop_first();
        if let Some((_, oldest)) = oldest {
            oldest.cancel();
        }
    }
}

impl Seat {
    /// Waits until this one has to leave.
    pub(super) async fn asked_to_leave(&self) {
        self.0.leave.cancelled().await;
    }

    /// A request has come.
    pub(super) fn begin(&self) -> Busy {
        let line = Arc::clone(&self.0);
        line.desk.books().turn(&line.standing, Standing::Busy);
        Busy(line)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let line = &self.0;
        let mut books = line.desk.books();
        let mut standing = locked(&line.standing);
        if *standing == Standing::Busy {
            *standing = Standing::Idle(books.rest(line.leave.clone()));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut books = self.0.desk.books();
        books.open -= 1;
        books.turn(&self.0.standing, Standing::Gone);
    }
}

impl Books {
    fn turn(&mut self, standing: &Mutex<Standing>, to: Standing) {
        let before = std::mem::replace(&mut *locked(standing), to);
        if let Standing::Idle(since) = before {
            self.idle.remove(&since);
        }
    }

    fn rest(&mut self, leave: CancellationToken) -> u64 {
        let since = self.next;
        self.next += 1;
        self.idle.insert(since, leave);
        since
    }
}

impl Desk {
    fn books(&self) -> MutexGuard<'_, Books> {
        locked(&self.books)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_takes_the_place_of_the_longest_idle() {
        let connections = Connections::new(2);
        let first = connections.enter().unwrap();
        let second = connections.enter().unwrap();
        drop(first.begin());
        let third = connections.enter().unwrap();
        assert!(second.0.leave.is_cancelled() && !first.0.leave.is_cancelled());
        drop(second);
        assert_eq!(connections.count(), 2);
        drop((first, third));
        assert_eq!(connections.count(), 0);
        assert!(connections.desk.books().idle.is_empty());
    }

    #[test]
    fn none_that_is_answered_has_to_leave() {
        let connections = Connections::new(1);
        let only = connections.enter().unwrap();
        let busy = only.begin();
        assert!(connections.enter().is_none());
        connections.make_room();
        assert!(!only.0.leave.is_cancelled());
        drop(busy);
        assert!(connections.enter().is_some());
        assert!(only.0.leave.is_cancelled());
    }

    #[test]
    fn an_answer_that_outlives_its_connection_leaves_nothing_behind() {
        let connections = Connections::new(1);
        let seat = connections.enter().unwrap();
        let busy = seat.begin();
        drop(seat);
        drop(busy);
        assert_eq!(connections.count(), 0);
        assert!(connections.desk.books().idle.is_empty());
    }
}
