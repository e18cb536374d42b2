//! Events that a caller can bring about as often as it likes: the first is told at once, those that come
//! in the next moment as one line with their number. So nobody can wash the log away. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::limits::{AUDIT_FOLD_INTERVAL, AUDIT_FOLDS_MAX};

/// Those that were told lately, by what makes them alike.
#[derive(Debug)]
pub(super) struct Folds<K, E> {
    folds: HashMap<K, Fold<E>>,
}

#[derive(Debug)]
struct Fold<E> {
    until: Duration,
    /// The last that came since, and how many.
    held: Option<(E, u64)>,
}

impl<K: Clone + Eq + Hash, E> Folds<K, E> {
    pub(super) fn new() -> Self {
        Self {
            folds: HashMap::new(),
        }
    }

    /// Takes an event; gives it back where it is to be told at once.
    pub(super) fn add(&mut self, key: K, event: E, now: Duration) -> Option<E> {
        if let Some(fold) = self.folds.get_mut(&key) {
            let number = fold.held.as_ref().map_or(0, |(_, number)| *number);
            fold.held = Some((event, number + 1));
            return None;
        }
        if self.folds.len() < AUDIT_FOLDS_MAX {
            let until = now + AUDIT_FOLD_INTERVAL;
            self.folds.insert(key, Fold { until, held: None });
        }
        Some(event)
    }

    /// Those whose time is over: each with how many it stands for.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(E, u64)> {
        let mut due = Vec::new();
        self.folds.retain(|_, fold| {
            if fold.until > now {
                return true;
            }
            match fold.held.take() {
                // More may come: they are held for as long again.
                Some(held) => {
                    due.push(held);
                    fold.until = now + AUDIT_FOLD_INTERVAL;
                    true
                }
                None => false,
            }
        });
        due
    }

    /// All that are held, whatever the time.
    pub(super) fn all(&mut self) -> Vec<(E, u64)> {
        let folds = std::mem::take(&mut self.folds);
        folds.into_values().filter_map(|fold| fold.held).collect()
    }

    /// When the next may be due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.folds.values().map(|fold| fold.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_is_told_and_the_rest_is_counted() {
        let mut folds = Folds::new();
        assert_eq!(folds.add("a", 1, ms(0)), Some(1));
        assert_eq!(folds.add("b", 2, ms(0)), Some(2));
        for event in 3..8 {
            assert_eq!(folds.add("a", event, ms(10)), None);
        }
        assert_eq!(folds.due(ms(999)), []);
        assert_eq!(folds.next_due(), Some(ms(1000)));
        assert_eq!(folds.due(ms(1000)), [(7, 5)]);
        // It goes on: what comes now is held again, until a moment without any.
        assert_eq!(folds.add("a", 8, ms(1500)), None);
        assert_eq!(folds.due(ms(2000)), [(8, 1)]);
        assert_eq!(folds.due(ms(3000)), []);
        assert_eq!(folds.next_due(), None);
        assert_eq!(folds.add("a", 9, ms(3001)), Some(9));
    }

    #[test]
    fn nothing_is_lost_at_the_end_or_when_there_are_many() {
        let mut folds = Folds::new();
        for key in 0..2 * AUDIT_FOLDS_MAX {
            assert_eq!(folds.add(key, key, ms(0)), Some(key));
        }
        assert_eq!(folds.folds.len(), AUDIT_FOLDS_MAX);
        assert_eq!(folds.add(0, 5, ms(1)), None);
        assert_eq!(folds.all(), [(5, 1)]);
    }
}
