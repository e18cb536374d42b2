//! How long it will probably take until somebody has run, by how long others took. It is read without a
//! lock, and what it says is a guess: nothing rests on it but when a client looks again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How much of the mean is the last one's: one part in so many.
const SHARE_OF_LAST: u64 = 8;

/// How fast executions pass.
#[derive(Debug)]
pub struct Pace {
    slots: u64,
    /// Those that have got a slot, or have gone without one.
    passed: AtomicU64,
    /// For how long slots are held, in microseconds: so fast does a queue move.
    mean_us: AtomicU64,
    /// The same without regard to the few that take very long: what one may expect of a script.
    usual_us: AtomicU64,
}

/// A turn: how many will have passed when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

impl Pace {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: (slots as u64).max(1),
            passed: AtomicU64::new(0),
            mean_us: AtomicU64::new(0),
            usual_us: AtomicU64::new(0),
        }
    }

    /// The turn of somebody who comes now, with so many before it.
    pub(super) fn turn(&self, before: usize) -> Turn {
        let passed = self.passed.load(Ordering::Relaxed);
        Turn(passed.saturating_add(before as u64))
    }

    /// Somebody has got a slot, or goes without one.
    pub(super) fn pass(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    /// A slot was held for so long. Of two at once one may be missed, which changes little.
    pub(super) fn took(&self, held: Duration) {
        let held = u64::try_from(held.as_micros()).unwrap_or(u64::MAX).max(1);
        let mean = self.mean_us.load(Ordering::Relaxed);
        let usual = self.usual_us.load(Ordering::Relaxed);
        if mean == 0 {
            self.mean_us.store(held, Ordering::Relaxed);
            self.usual_us.store(held, Ordering::Relaxed);
            return;
        }
        let mean = mean - mean / SHARE_OF_LAST + held / SHARE_OF_LAST;
        self.mean_us.store(mean.max(1), Ordering::Relaxed);
        // A step up for one that took longer, a step down for one that did not: half take longer than
        // where that comes to rest, however much longer they take.
        let step = (usual / SHARE_OF_LAST).max(1);
        let usual = if held > usual {
            usual.saturating_add(step)
        } else {
            usual - step
        };
        self.usual_us.store(usual.max(1), Ordering::Relaxed);
    }

    /// Until this turn has come, and its script has run.
    pub fn until_end_of(&self, turn: Turn) -> Duration {
        let before = turn.0.saturating_sub(self.passed.load(Ordering::Relaxed));
        let mean = self.mean_us.load(Ordering::Relaxed);
        Duration::from_micros(before.saturating_mul(mean) / self.slots) + self.usual()
    }

    /// Until a script ends that has run for so long: what scripts usually take, and beyond that it is as
    /// likely as not that it takes half as long again.
    pub fn until_end_after(&self, elapsed: Duration) -> Duration {
        let left = self.usual().saturating_sub(elapsed);
        if left.is_zero() { elapsed / 2 } else { left }
    }

    fn usual(&self) -> Duration {
        Duration::from_micros(self.usual_us.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn a_queue_takes_what_those_before_take_on_all_slots() {
        let pace = Pace::new(2);
        let turn = pace.turn(10);
        assert_eq!(pace.until_end_of(turn), Duration::ZERO, "nothing is known");
        pace.took(ms(8));
        assert_eq!(pace.until_end_of(turn), ms(10 * 8 / 2 + 8));
        for _ in 0..4 {
            pace.pass();
        }
        assert_eq!(pace.until_end_of(turn), ms(6 * 8 / 2 + 8));
        for _ in 0..40 {
            pace.pass();
        }
        assert_eq!(pace.until_end_of(turn), ms(8));
    }

    #[test]
    fn one_that_takes_long_says_little_of_others() {
        let pace = Pace::new(1);
        for _ in 0..50 {
            pace.took(ms(4));
        }
        pace.took(Duration::from_secs(300));
        let usual = pace.until_end_after(Duration::ZERO);
        assert!(usual < ms(6), "{usual:?}");
        // A queue behind such ones moves slowly, until there are others.
        let turn = pace.turn(1);
        assert!(pace.until_end_of(turn) > Duration::from_secs(30));
        for _ in 0..100 {
            pace.took(ms(4));
        }
        assert!(pace.until_end_of(turn) < ms(20));
    }

    #[test]
    fn scripts_that_take_longer_from_now_on_are_expected_to() {
        let pace = Pace::new(1);
        pace.took(ms(4));
        for _ in 0..60 {
            pace.took(ms(400));
        }
        let usual = pace.until_end_after(Duration::ZERO);
        assert!((ms(340)..ms(460)).contains(&usual), "{usual:?}");
        for _ in 0..60 {
            pace.took(ms(4));
        }
        let usual = pace.until_end_after(Duration::ZERO);
        assert!((ms(3)..ms(5)).contains(&usual), "{usual:?}");
    }

    #[test]
    fn whoever_runs_longer_than_usual_is_looked_at_ever_more_seldom() {
        let pace = Pace::new(1);
        pace.took(ms(10));
        assert_eq!(pace.until_end_after(ms(4)), ms(6));
        assert_eq!(pace.until_end_after(ms(10)), ms(5));
        assert_eq!(pace.until_end_after(ms(1000)), ms(500));
    }

    #[test]
    fn no_time_is_too_long_to_be_reckoned_with() {
        let pace = Pace::new(1);
        for _ in 0..3 {
            pace.took(Duration::MAX);
        }
        let turn = pace.turn(usize::MAX);
        assert!(pace.until_end_of(turn) > Duration::from_secs(1));
    }
}
