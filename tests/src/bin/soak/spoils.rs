//! Names of what honest tenants have at a server: what a hostile one would like to get at.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// So many are remembered of each kind.
const REMEMBERED_MAX: usize = 32;

/// The newest of each kind.
#[derive(Debug, Default)]
pub(crate) struct Spoils {
    executions: Ring,
    sessions: Ring,
    heaps: Ring,
    conversations: Ring,
}

#[derive(Debug, Default)]
struct Ring(Mutex<VecDeque<String>>);

impl Ring {
    fn push(&self, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() == REMEMBERED_MAX {
            names.pop_front();
        }
        names.push_back(name.to_owned());
    }

    fn get(&self, number: usize) -> Option<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = number.checked_rem(names.len())?;
        names.get(at).cloned()
    }
}

/// One of each kind, where there is one.
#[derive(Debug)]
pub(crate) struct Loot {
    pub(crate) execution: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) heap: Option<String>,
    pub(crate) conversation: Option<String>,
}

impl Spoils {
    pub(crate) fn execution(&self, id: &str) {
        self.executions.push(id);
    }

    pub(crate) fn session(&self, name: &str) {
        self.sessions.push(name);
    }

    pub(crate) fn heap(&self, id: &str) {
        self.heaps.push(id);
    }

    pub(crate) fn conversation(&self, id: &str) {
        self.conversations.push(id);
    }

    /// One of each kind.
    pub(crate) fn take(&self, number: usize) -> Loot {
        Loot {
            execution: self.executions.get(number),
            session: self.sessions.get(number),
            heap: self.heaps.get(number),
            conversation: self.conversations.get(number),
        }
    }
}
