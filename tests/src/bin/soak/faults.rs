//! What is wrong, from wherever it is seen.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::Clock;

/// So many are told in full; of the others there is a number.
const TOLD_MAX: usize = 40;
/// And so much of each.
const CHARS_MAX: usize = 1500;

/// Everything that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    told: Vec<String>,
    count: usize,
    excused: usize,
}

impl Faults {
    /// One more.
    pub(crate) fn note(&self, fault: &str) {
        let mut noted = self.lock();
        noted.count += 1;
        if noted.told.len() < TOLD_MAX {
            noted.told.push(fault.chars().take(CHARS_MAX).collect());
        }
    }

    /// One more, of something that began then. It is excused when nothing ran meanwhile: deadlines of both
    /// sides pass in a standstill.
    pub(crate) fn note_since(&self, from: Instant, clock: &Clock, fault: &str) {
        if clock.stood_still_since(from) {
            self.lock().excused += 1;
        } else {
            self.note(fault);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    /// How many were excused.
    pub(crate) fn excused(&self) -> usize {
        self.lock().excused
    }

    /// Those that are told in full.
    pub(crate) fn told(&self) -> Vec<String> {
        self.lock().told.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
