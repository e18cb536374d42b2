//! The timers of one isolate: when to call which id. The callbacks themselves stay in JavaScript.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

/// A timer's number, given by the script side.
pub(crate) type TimerId = u32;

/// The shortest interval, so that `setInterval(f, 0)` leaves room for other timers.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// The longest delay, in milliseconds (the web's: a signed 32-bit number).
const DELAY_MS_MAX: f64 = 2_147_483_647.0;

/// Entries of cancelled timers that may stay in the queue beyond the number of live timers.
const STALE_ENTRIES_MAX: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Timer {
    interval: Option<Duration>,
    /// Does not keep the script alive.
    unref: bool,
    /// Which entry of the queue is the live one.
    turn: u64,
}

/// Timers by due time; equal times in the order of their start.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    live: HashMap<TimerId, Timer>,
    /// How many of the live ones keep the script alive.
    holding: usize,
    queue: BinaryHeap<Reverse<(Instant, u64, TimerId)>>,
    turns: u64,
}

impl Timers {
    /// Starts a timer; a delay that is not a number counts as zero.
    pub(crate) fn start(&mut self, id: TimerId, delay_ms: f64, repeats: bool, now: Instant) {
        let delay_ms = if delay_ms >= 0.0 {
            delay_ms.min(DELAY_MS_MAX)
        } else {
            0.0
        };
        let delay = Duration::from_secs_f64(delay_ms / 1000.0);
        let interval = repeats.then(|| delay.max(INTERVAL_MIN));
        self.cancel(id);
        self.turns += 1;
        self.live.insert(
            id,
            Timer {
                interval,
                unref: false,
                turn: self.turns,
            },
        );
        self.holding += 1;
        self.queue.push(Reverse((now + delay, self.turns, id)));
    }

    /// Stops a timer; unknown ones are fine.
    pub(crate) fn cancel(&mut self, id: TimerId) {
        if let Some(timer) = self.live.remove(&id) {
            self.holding -= usize::from(!timer.unref);
            self.drop_stale_entries();
        }
    }

    /// A cancelled timer's entry stays in the queue until its time; so that starting and cancelling
    /// in a loop does not fill the memory, the queue is made anew when most of it is stale.
    fn drop_stale_entries(&mut self) {
        if self.queue.len() > 2 * self.live.len() + STALE_ENTRIES_MAX {
            let live = &self.live;
            self.queue
                .retain(|Reverse((_, turn, id))| live.get(id).is_some_and(|t| t.turn == *turn));
        }
    }

    /// Sets whether a timer keeps the script alive.
    pub(crate) fn set_unref(&mut self, id: TimerId, unref: bool) {
        if let Some(timer) = self.live.get_mut(&id) {
            self.holding += usize::from(timer.unref);
            timer.unref = unref;
            self.holding -= usize::from(unref);
        }
    }

    /// Whether a timer is left that keeps the script alive.
    pub(crate) fn keep_alive(&self) -> bool {
        self.holding > 0
    }

    /// When the next timer is due.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        while let Some(Reverse((due, turn, id))) = self.queue.peek() {
            if self.live.get(id).is_some_and(|timer| timer.turn == *turn) {
                return Some(*due);
            }
            self.queue.pop();
        }
        None
    }

    /// Takes one timer that is due; a repeating one is started again.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<TimerId> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((_, _, id)) = self.queue.pop()?;
        let timer = self.live.get_mut(&id)?;
        match timer.interval {
            None => self.cancel(id),
            Some(interval) => {
                self.turns += 1;
                timer.turn = self.turns;
                self.queue.push(Reverse((now + interval, self.turns, id)));
            }
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_delays_fire_in_the_order_of_their_start() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        for id in [3, 1, 2] {
            timers.start(id, 5.0, false, now);
        }
        let later = now + Duration::from_millis(5);
        assert_eq!(timers.take_due(now), None);
        let fired: Vec<_> = std::iter::from_fn(|| timers.take_due(later)).collect();
        assert_eq!(fired, [3, 1, 2]);
        assert!(!timers.keep_alive());
    }

    #[test]
    fn a_cancelled_timer_never_fires() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        timers.start(1, 0.0, false, now);
        timers.cancel(1);
        assert_eq!(timers.next_due(), None);
        assert_eq!(timers.take_due(now), None);
    }

    #[test]
    fn an_interval_starts_again_until_it_is_cancelled() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        timers.start(1, 0.0, true, now);
        assert_eq!(timers.take_due(now), Some(1));
        assert_eq!(timers.take_due(now), None);
        assert_eq!(timers.take_due(now + INTERVAL_MIN), Some(1));
        timers.cancel(1);
        assert_eq!(timers.take_due(now + Duration::from_secs(1)), None);
    }

    #[test]
    fn an_unref_timer_does_not_keep_the_script_alive() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        timers.start(1, 10.0, false, now);
        timers.set_unref(1, true);
        assert!(!timers.keep_alive());
        timers.set_unref(1, false);
        assert!(timers.keep_alive());
    }

    #[test]
    fn starting_and_cancelling_does_not_grow() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        for id in 0..10_000 {
            timers.start(id, 1e9, false, now);
            timers.cancel(id);
        }
        assert!(
            timers.queue.len() <= 2 * STALE_ENTRIES_MAX,
            "{}",
            timers.queue.len()
        );
        assert!(!timers.keep_alive());
    }

    #[test]
    fn delays_that_are_not_numbers_count_as_zero() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        for (id, delay) in [(1, f64::NAN), (2, -5.0), (3, f64::NEG_INFINITY)] {
            timers.start(id, delay, false, now);
            assert_eq!(timers.take_due(now), Some(id));
        }
        timers.start(4, f64::INFINITY, false, now);
        assert!(timers.next_due().is_some());
    }
}
