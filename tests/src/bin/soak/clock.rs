//! How long it goes on, and whether the machine went on with it.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two beats.
const BEAT: Duration = Duration::from_millis(250);
/// A beat that is later than this did not come late because others compute: nothing ran meanwhile.
const STANDSTILL: Duration = Duration::from_secs(5);
/// How long after a standstill what was under way may still end badly for its sake: as long as anything is
/// waited for.
const AFTERMATH: Duration = Duration::from_secs(60);

/// The time of a soak.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    length: Duration,
    standstills: Mutex<Vec<Standstill>>,
}

/// A time in which nothing ran: somebody had stopped all of it.
#[derive(Debug, Clone, Copy)]
struct Standstill {
    from: Instant,
    to: Instant,
}

impl Clock {
    /// Of a soak that begins now and takes so long.
    pub(crate) fn start(length: Duration) -> Self {
        Self {
            began: Instant::now(),
            length,
            standstills: Mutex::default(),
        }
    }

    /// All of its time.
    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// How much of it has passed.
    pub(crate) fn passed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether there is time left.
    pub(crate) fn goes_on(&self) -> bool {
        self.passed() < self.length
    }

    /// Waits, and no longer than there is time left.
    pub(crate) fn pause(&self, time: Duration) {
        thread::sleep(time.min(self.length.saturating_sub(self.passed())));
    }

    /// Watches over itself until the end.
    pub(crate) fn beat(&self) {
        while self.goes_on() {
            let from = Instant::now();
            self.pause(BEAT);
            let to = Instant::now();
            if to.duration_since(from) > STANDSTILL {
                let mut known = self
                    .standstills
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                known.push(Standstill { from, to });
            }
        }
    }

    /// The times of all standstills.
    pub(crate) fn standstills(&self) -> Vec<Duration> {
        let known = self
            .standstills
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .map(|stop| stop.to.duration_since(stop.from))
            .collect()
    }

    /// Whether there was a standstill, or what comes of one, since then.
    pub(crate) fn stood_still_since(&self, from: Instant) -> bool {
        let known = self
            .standstills
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|stop| stop.to + AFTERMATH > from)
    }
}
