//! How a node keeps time.

use std::time::{Duration, Instant};

use crate::limits::{TICK_MAX, TICK_MIN};
use crate::raft::core::Settings;

/// How often a leader gives a sign of life, and how long others wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From one sign of life to the next.
    pub heartbeat: Duration,
    /// Without one, somebody stands for election after this time at the earliest.
    pub election_min: Duration,
    /// The same, at the latest.
    pub election_max: Duration,
}

impl Times {
    /// The time that a node counts in.
    pub fn tick(&self) -> Duration {
        let span = self.election_max.saturating_sub(self.election_min);
        let fine = (self.heartbeat / 5).min(span / 20);
        fine.clamp(TICK_MIN, TICK_MAX)
    }

    /// Ticks that a time takes; one at least.
    pub fn ticks(&self, time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(self.tick().as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    }

    /// The settings of a node's start. What cannot be, as that elections come before signs of life, is made
    /// the nearest that can.
    pub(super) fn settings(&self, start: [u8; 16]) -> Settings {
        let ticks = |time| usize::try_from(self.ticks(time)).unwrap_or(usize::MAX / 4);
        let heartbeat = ticks(self.heartbeat);
        let min = ticks(self.election_min).max(2 * heartbeat);
        let max = ticks(self.election_max).max(min + 1);
        Settings::new(heartbeat, (min, max), start)
    }
}

/// When the next tick is due.
#[derive(Debug)]
pub(super) struct Clock {
    tick: Duration,
    next: Instant,
    /// So many ticks are told at once. What is beyond them is forgotten: a node that was stopped must hear
    /// what has come meanwhile before it takes its leader for dead.
    at_once_max: u32,
}

impl Clock {
    pub(super) fn new(tick: Duration, at_once_max: u32, now: Instant) -> Self {
        Self {
            tick,
            next: now + tick,
            at_once_max,
        }
    }

    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// The ticks that are due, and how many were forgotten.
    pub(super) fn due(&mut self, now: Instant) -> (u32, u64) {
        let Some(late) = now.checked_duration_since(self.next) else {
            return (0, 0);
        };
        let due = 1 + late.as_nanos() / self.tick.as_nanos().max(1);
        let told = u32::try_from(due).unwrap_or(u32::MAX).min(self.at_once_max);
        let forgotten = u64::try_from(due).unwrap_or(u64::MAX) - u64::from(told);
        if forgotten > 0 {
            self.next = now + self.tick;
        } else {
            self.next += self.tick * told;
        }
        (told, forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn times(heartbeat: u64, min: u64, max: u64) -> Times {
        Times {
            heartbeat: ms(heartbeat),
            election_min: ms(min),
            election_max: ms(max),
        }
    }

    #[test]
    fn a_tick_leaves_room_to_differ() {
        assert_eq!(times(100, 300, 500).tick(), ms(10));
        assert_eq!(times(200, 1000, 2000).tick(), ms(40));
        assert_eq!(times(1, 2, 3).tick(), TICK_MIN);
        let settings = times(100, 300, 500).settings([0; 16]);
        assert_eq!(
            (
                settings.heartbeat_ticks,
                settings.election_ticks_min,
                settings.election_ticks_max
            ),
            (10, 30, 50)
        );
        let wrong = times(100, 100, 100).settings([0; 16]);
        assert!(wrong.election_ticks_min >= 2 * wrong.heartbeat_ticks);
        assert!(wrong.election_ticks_max > wrong.election_ticks_min);
    }

    #[test]
    fn after_a_long_stop_little_time_has_passed() {
        let start = Instant::now();
        let mut clock = Clock::new(ms(10), 5, start);
        assert_eq!(clock.due(start), (0, 0));
        assert_eq!(clock.due(start + ms(10)), (1, 0));
        assert_eq!(clock.due(start + ms(35)), (2, 0));
        assert_eq!(clock.due(start + ms(39)), (0, 0));
        assert_eq!(clock.due(start + ms(1000)), (5, 92));
        assert_eq!(clock.next(), start + ms(1010));
    }
}
