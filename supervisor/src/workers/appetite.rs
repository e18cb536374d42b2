//! How many workers are kept ready: pure decisions, without a clock of their own.

use std::time::Duration;

use crate::limits;

/// The fewest and the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    least: usize,
    most: usize,
}

impl Bounds {
    /// For so many executions at once.
    pub(super) fn for_concurrency(max_concurrent: usize) -> Self {
        let most = max_concurrent.saturating_add(limits::PARKED_WORKERS_BEYOND_CONCURRENT);
        Self {
            least: limits::PARKED_WORKERS_MIN,
            most: most.clamp(limits::PARKED_WORKERS_MIN, limits::PARKED_WORKERS_MAX),
        }
    }
}

/// How many workers are wanted ahead of need. It doubles when somebody had to wait, and shrinks by
/// half of what lay idle for a whole window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Appetite {
    bounds: Bounds,
    target: usize,
    /// Since the window began.
    window: Duration,
    /// The fewest that were left at any time in the window.
    fewest_left: usize,
}

/// Who is there, and who is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stock {
    /// Workers that are ready, of the fork server that serves.
    pub(super) parked: usize,
    /// Workers that are being made.
    pub(super) coming: usize,
    /// Executions that wait for one.
    pub(super) waiting: usize,
}

impl Appetite {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            target: bounds.least,
            window: Duration::ZERO,
            fewest_left: usize::MAX,
        }
    }

    /// One was taken, and so many are left.
    pub(super) fn on_taken(&mut self, left: usize) {
        self.fewest_left = self.fewest_left.min(left);
    }

    /// Somebody found none.
    pub(super) fn on_missed(&mut self) {
        self.fewest_left = 0;
        self.target = (2 * self.target).min(self.bounds.most);
    }

    /// Time has passed; so many are parked.
    pub(super) fn on_time(&mut self, passed: Duration, parked: usize) {
        self.window += passed;
        if self.window < limits::PARKED_WORKERS_WINDOW {
            return;
        }
        // Where nobody took any, all of them lay idle.
        let idle = self.fewest_left.min(parked);
        self.target = self
            .target
            .saturating_sub(idle.div_ceil(2))
            .max(self.bounds.least);
        self.window = Duration::ZERO;
        self.fewest_left = usize::MAX;
    }

    /// How many more have to be made.
    pub(super) fn missing(&self, stock: Stock) -> usize {
        let wanted = self.target + stock.waiting;
        wanted.saturating_sub(stock.parked + stock.coming)
    }

    /// How many lie there beyond what is wanted.
    pub(super) fn spare(&self, parked: usize) -> usize {
        parked.saturating_sub(self.target)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = limits::PARKED_WORKERS_WINDOW;

    fn appetite(max_concurrent: usize) -> Appetite {
        Appetite::new(Bounds::for_concurrency(max_concurrent))
    }

    #[test]
    fn the_bounds_follow_the_concurrency_up_to_a_point() {
        let most = |max_concurrent| Bounds::for_concurrency(max_concurrent).most;
        assert_eq!(most(1), 3);
        assert_eq!(most(8), 10);
        assert_eq!(most(1024), limits::PARKED_WORKERS_MAX);
    }

    #[test]
    fn it_doubles_with_each_who_waits_and_halves_when_idle() {
        let mut appetite = appetite(8);
        assert_eq!(appetite.target, 1);
        let mut seen = Vec::new();
        for _ in 0..5 {
            appetite.on_missed();
            seen.push(appetite.target);
        }
        assert_eq!(seen, [2, 4, 8, 10, 10]);
        // The window in which somebody waited leaves it as it is.
        appetite.on_time(WINDOW, 10);
        assert_eq!(appetite.target, 10);
        seen.clear();
        for _ in 0..5 {
            let parked = appetite.target;
            appetite.on_time(WINDOW, parked);
            seen.push(appetite.target);
        }
        assert_eq!(seen, [5, 2, 1, 1, 1]);
    }

    #[test]
    fn what_was_needed_once_in_a_window_is_kept() {
        let mut appetite = appetite(8);
        for _ in 0..3 {
            appetite.on_missed();
        }
        appetite.on_time(WINDOW, 8);
        for left in [7, 3, 6] {
            appetite.on_taken(left);
        }
        appetite.on_time(WINDOW / 2, 8);
        assert_eq!(appetite.target, 8, "the window is not over");
        appetite.on_time(WINDOW, 8);
        // Three were never needed: two of them go.
        assert_eq!(appetite.target, 6);
    }

    #[test]
    fn who_waits_is_counted_beside_the_target() {
        let appetite = appetite(8);
        let stock = Stock {
            parked: 0,
            coming: 2,
            waiting: 5,
        };
        assert_eq!(appetite.missing(stock), 4);
        let full = Stock {
            parked: 1,
            coming: 0,
            waiting: 0,
        };
        assert_eq!(appetite.missing(full), 0);
        assert_eq!(appetite.spare(3), 2);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Taken(usize),
        Missed,
        Time(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..100_usize).prop_map(Step::Taken),
            Just(Step::Missed),
            (0..20_000_u64, 0..100_usize).prop_map(|(ms, parked)| Step::Time(ms, parked)),
        ]
    }

    proptest! {
        #[test]
        fn it_stays_within_bounds_and_comes_to_rest(
            max_concurrent in 1..2000_usize,
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let mut appetite = appetite(max_concurrent);
            let Bounds { least, most } = appetite.bounds;
            for step in steps {
                match step {
                    Step::Taken(left) => appetite.on_taken(left),
                    Step::Missed => appetite.on_missed(),
                    Step::Time(ms, parked) => appetite.on_time(Duration::from_millis(ms), parked),
                }
                prop_assert!((least..=most).contains(&appetite.target));
            }
            for _ in 0..20 {
                let parked = appetite.target;
                appetite.on_time(WINDOW, parked);
            }
            prop_assert_eq!(appetite.target, least);
        }
    }
}
