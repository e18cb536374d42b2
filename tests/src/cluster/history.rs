//! What clients asked, when, and what they were told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Done,
    /// It was refused: it has not happened, and never will.
    Refused,
    /// Nobody knows: it has happened, or will at any time, or not.
    Unknown,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A run that is listed in a session; its value tells it from all others.
    Append {
        /// The session.
        session: String,
        /// The value.
        value: String,
    },
    /// The runs of a session, in their order.
    List {
        /// The session.
        session: String,
        /// Their values.
        values: Vec<String>,
    },
    /// A register has this value from now on, which it had never before.
    Set {
        /// The register.
        register: String,
        /// The value.
        value: String,
    },
    /// The value of a register; `None` when it never had one.
    Get {
        /// The register.
        register: String,
        /// The value.
        value: Option<String>,
    },
}

/// A question, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What was asked.
    pub asked: Asked,
    /// Which node was asked.
    pub node: String,
    /// What became of it. A read that was not answered is not in the history.
    pub outcome: Outcome,
    /// When it was asked, since the beginning.
    pub begin: Duration,
    /// When the answer came.
    pub end: Duration,
}

impl Operation {
    /// Whether it changes anything.
    pub fn is_change(&self) -> bool {
        matches!(self.asked, Asked::Append { .. } | Asked::Set { .. })
    }
}

/// All of them, from several clients.
#[derive(Debug)]
pub struct History {
    begin: Instant,
    operations: Mutex<Vec<Operation>>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            operations: Mutex::default(),
        }
    }
}

impl History {
    /// The time since the beginning.
    pub fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Takes note of an answer that came just now.
    pub fn note(&self, node: &str, begin: Duration, (asked, outcome): (Asked, Outcome)) {
        // Taken under the lock: they are in the order of their ends.
        let mut operations = self.lock();
        operations.push(Operation {
            asked,
            node: node.to_owned(),
            outcome,
            begin,
            end: self.now(),
        });
    }

    /// How many reads this node has answered, of those that were asked after `since`.
    pub fn read(&self, since: Duration, node: &str) -> usize {
        self.count(since, |one| one.node == node && !one.is_change())
    }

    /// How many changes came to this, of those that this node was asked for after `since`.
    pub fn changed(&self, since: Duration, node: &str, outcome: Outcome) -> usize {
        self.count(since, |one| {
            one.node == node && one.is_change() && one.outcome == outcome
        })
    }

    /// When the first change was acknowledged that any of the nodes was asked for after `since`.
    pub fn first_change(&self, since: Duration) -> Option<Duration> {
        let operations = self.lock();
        let is_first = |one: &&Operation| {
            one.begin >= since && one.is_change() && one.outcome == Outcome::Done
        };
        let recent = operations.iter().rev().take_while(|one| one.end >= since);
        recent.filter(is_first).last().map(|one| one.end)
    }

    fn count(&self, since: Duration, counts: impl Fn(&Operation) -> bool) -> usize {
        let operations = self.lock();
        // They are in the order of their ends: what ended before has begun before.
        let recent = operations.iter().rev().take_while(|one| one.end >= since);
        let counted = recent.filter(|one| one.begin >= since && counts(one));
        counted.count()
    }

    /// All of them.
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
