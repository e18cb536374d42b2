//! What was used in the last minute or hour, in a fixed amount of memory.

use std::time::Duration;

use crate::limits::WINDOW_PIECES;

/// Pieces that count: those of the window, and the one that is not over yet.
const KEPT: usize = WINDOW_PIECES as usize + 1;

/// A rolling sum. Time is cut into pieces, and an amount counts until the window has passed since the
/// end of its piece: so never too short, and too long by one piece at most. Times never go back; one
/// that does counts as the newest that was seen.
#[derive(Debug, Clone)]
pub(super) struct Window {
    piece: Duration,
    /// The number of the newest piece, from the beginning of time.
    newest: u64,
    /// Piece `n` is at `n % KEPT`.
    amounts: [u64; KEPT],
    sum: u64,
}

impl Window {
    pub(super) fn of(length: Duration) -> Self {
        Self {
            piece: length / WINDOW_PIECES,
            newest: 0,
            amounts: [0; KEPT],
            sum: 0,
        }
    }

    /// What was used by now, and still counts.
    pub(super) fn sum(&mut self, now: Duration) -> u64 {
        self.turn(now);
        self.sum
    }

    pub(super) fn add(&mut self, now: Duration, amount: u64) {
        self.turn(now);
        self.put(self.newest, amount);
    }

    /// Adds what was used earlier than now.
    pub(super) fn add_earlier(&mut self, now: Duration, ago: Duration, amount: u64) {
        self.turn(now);
        let piece = self.number(now.saturating_sub(ago)).min(self.newest);
        if self.newest - piece < KEPT as u64 {
            self.put(piece, amount);
        }
    }

    /// How long until `amount` more fits below `limit`; nothing where it does now. `None` where it never
    /// will.
    pub(super) fn wait(&mut self, now: Duration, amount: u64, limit: u64) -> Option<Duration> {
        self.turn(now);
        let room = limit.checked_sub(amount)?;
        let mut left = self.sum;
        if left <= room {
            return Some(Duration::ZERO);
        }
        let oldest = (self.newest + 1).saturating_sub(KEPT as u64);
        for piece in oldest..=self.newest {
            left -= self.amounts[Self::place(piece)];
            if left <= room {
                let gone_at = self.begin(piece + KEPT as u64);
                return Some(gone_at.saturating_sub(now));
            }
        }
        None
    }

    fn put(&mut self, piece: u64, amount: u64) {
        // A sum that is too large for its type stays the largest: it is above every limit.
        let room = u64::MAX - self.sum;
        let amount = amount.min(room);
        self.amounts[Self::place(piece)] += amount;
        self.sum += amount;
    }

    /// Forgets what does not count any more.
    fn turn(&mut self, now: Duration) {
        let newest = self.number(now);
        if newest <= self.newest {
            return;
        }
        let new = (newest - self.newest).min(KEPT as u64);
        for piece in newest + 1 - new..=newest {
            let amount = &mut self.amounts[Self::place(piece)];
            self.sum -= *amount;
            *amount = 0;
        }
        self.newest = newest;
    }

    fn number(&self, time: Duration) -> u64 {
        u64::try_from(time.as_nanos() / self.piece.as_nanos()).unwrap_or(u64::MAX)
    }

    fn begin(&self, piece: u64) -> Duration {
        let piece = u32::try_from(piece).unwrap_or(u32::MAX);
        self.piece.saturating_mul(piece)
    }

    fn place(piece: u64) -> usize {
        usize::try_from(piece % KEPT as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn an_amount_counts_for_the_window_and_the_rest_of_its_piece() {
        let mut window = Window::of(MINUTE);
        let begin = secs(1000);
        window.add(begin + Duration::from_millis(300), 5);
        window.add(begin + secs(30), 7);
        assert_eq!(window.sum(begin + secs(60)), 12);
        assert_eq!(window.sum(begin + secs(61)), 7);
        assert_eq!(window.sum(begin + secs(91)), 0);
    }

    #[test]
    fn the_wait_is_until_enough_has_left() {
        let mut window = Window::of(MINUTE);
        for second in 0..10 {
            window.add(secs(100 + second), 1);
        }
        let now = secs(110);
        assert_eq!(window.wait(now, 1, 11), Some(Duration::ZERO));
        assert_eq!(window.wait(now, 1, 10), Some(secs(51)));
        assert_eq!(window.wait(now, 3, 10), Some(secs(53)));
        assert_eq!(window.wait(now, 11, 10), None);
        assert_eq!(window.wait(secs(161), 1, 10), Some(Duration::ZERO));
    }

    #[test]
    fn what_was_used_earlier_leaves_earlier() {
        let mut window = Window::of(MINUTE);
        let now = secs(10_000);
        window.add_earlier(now, secs(40), 3);
        window.add_earlier(now, secs(400), 100);
        assert_eq!(window.sum(now), 3);
        assert_eq!(window.sum(now + secs(20)), 3);
        assert_eq!(window.sum(now + secs(21)), 0);
    }

    proptest! {
        #[test]
        fn it_is_never_below_the_true_sum_nor_above_that_of_a_piece_more(
            steps in vec((0..40_000_u64, 0..100_u64), 1..200),
        ) {
            let mut window = Window::of(MINUTE);
            let mut now = Duration::ZERO;
            let mut all: Vec<(Duration, u64)> = Vec::new();
            for (passed, amount) in steps {
                now += Duration::from_millis(passed);
                window.add(now, amount);
                all.push((now, amount));
                let within = |length: Duration| -> u64 {
                    all.iter().filter(|(at, _)| *at + length > now).map(|(_, amount)| amount).sum()
                };
                let sum = window.sum(now);
                prop_assert!(sum >= within(MINUTE));
                prop_assert!(sum <= within(MINUTE + MINUTE / WINDOW_PIECES));
                // Who waits as long as it is told finds room, and not a moment earlier.
                if let Some(wait) = window.clone().wait(now, 1, 150) && !wait.is_zero() {
                    let mut later = window.clone();
                    let early = now + wait - Duration::from_millis(1);
                    prop_assert!(later.sum(early) + 1 > 150);
                    prop_assert!(later.sum(now + wait) < 150);
                }
            }
        }
    }
}
