//! Prints without end, and leaves heaps that are as large as they may be.

use std::time::Duration;

use serde_json::json;

use super::Hostile;

/// The pause between two.
const PAUSE: Duration = Duration::from_secs(4);

/// Prints half a MiB, and goes on at leisure until its end.
const TALK: &str = "const line = 'x'.repeat(1023);
    for (let i = 0; i < 512; i++) console.log(line);
    for (;;) { console.log(line); await new Promise((over) => setTimeout(over, 1)); }";

/// Random text does not compress.
const FILL: &str =
    "var all = []; for (let i = 0; i < 30000; i++) all.push(Math.random()); all.length";

impl Hostile<'_> {
    pub(super) fn talk(&mut self, at: usize, round: usize) {
        let is_heap = self.victims[at].keeps_heaps && round % 2 == 1;
        let code = if is_heap { FILL } else { TALK };
        let script = json!({"code": code, "execution_timeout_secs": 1, "wait_ms": 20_000});
        let answer = self.ask(at, "POST", "/api/exec", &script, &[200, 202, 429]);
        if let Some(answer) = answer {
            let view = answer.json();
            if view["heap"].is_string() {
                self.count("a heap was kept");
            }
            if view["heap_error"]
                .as_str()
                .is_some_and(|why| why.contains("stored_heap_mb"))
            {
                self.count("a heap was over the quota");
            }
            if view["output_truncated"] == true {
                self.count("output was dropped");
            }
        }
        self.pause(PAUSE);
    }
}
