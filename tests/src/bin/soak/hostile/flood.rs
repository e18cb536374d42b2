//! Submits as much as it can.

use std::time::Duration;

use serde_json::json;

use super::Hostile;

/// So many at once, without a pause.
const BURST: usize = 10;
/// The pause between two bursts.
const PAUSE: Duration = Duration::from_millis(500);
/// A script that is large, in bytes, and one of so many.
const LARGE_BYTES: usize = 512 << 10;
const LARGE_EVERY: usize = 40;

impl Hostile<'_> {
    pub(super) fn flood(&mut self, at: usize, round: usize) {
        for _ in 0..BURST {
            self.ask(
                at,
                "POST",
                "/api/exec",
                &json!({"code": "1"}),
                &[202, 429, 503],
            );
        }
        if round.is_multiple_of(LARGE_EVERY) {
            let large = json!({"code": format!("'{}'; 1", "x".repeat(LARGE_BYTES))});
            self.ask(at, "POST", "/api/exec", &large, &[202, 429, 503]);
        }
        self.pause(PAUSE);
    }
}
