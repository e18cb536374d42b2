//! What is said to the service manager that has started this program, if one has (systemd:
//! `Type=notify`, `WatchdogSec=`).
//!
//! Workers and fork servers cannot speak to it: their environment holds nothing of this program's.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// How often a sign of life is given within the time after which the manager takes this program for dead:
/// often enough that one may be late.
const SIGNS_PER_TIMEOUT: u32 = 3;

/// Requests are accepted from here on; and, where it wants to hear that, this program lives.
///
/// The signs of life come from the runtime that serves: where its threads hang, they stop. Must be
/// called within it.
pub fn accepting() {
    say(NotifyState::Ready);
    if let Some(timeout) = sd_notify::watchdog_enabled() {
        tokio::spawn(live(timeout));
    }
}

/// This program ends, and has begun to do so.
pub fn ending() {
    say(NotifyState::Stopping);
}

/// Gives signs of life as long as the runtime runs.
async fn live(timeout: Duration) {
    // None at all in a time of 0.
    let mut ticks = interval((timeout / SIGNS_PER_TIMEOUT).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        say(NotifyState::Watchdog);
    }
}

fn say(state: NotifyState<'_>) {
    // Without a manager nothing is said, and that is no error.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
