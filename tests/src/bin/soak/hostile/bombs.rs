//! Computes without end, and takes memory without end.

use std::time::Duration;

use serde_json::json;

use super::Hostile;

/// The pause between two.
const PAUSE: Duration = Duration::from_secs(3);

/// Scripts that never end by themselves, or never get what they want.
const BOMBS: [&str; 8] = [
    "for (;;) {}",
    "new Array(1e9).fill(0)",
    "const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1))",
    "let s = 'x'; for (;;) s += s",
    "const loop = () => Promise.resolve().then(loop); await loop()",
    "const m = new WebAssembly.Memory({initial: 1}); for (;;) m.grow(256)",
    "const f = () => f() + f(); f()",
    "JSON.parse('['.repeat(5e6))",
];

impl Hostile<'_> {
    pub(super) fn drop_bombs(&mut self, at: usize, round: usize) {
        let bomb = BOMBS[round % BOMBS.len()];
        let script = json!({"code": bomb, "execution_timeout_secs": 1, "wait_ms": 20_000});
        let answer = self.ask(at, "POST", "/api/exec", &script, &[200, 202, 429]);
        if let Some(answer) = answer
            && answer.status == 200
        {
            let view = answer.json();
            let kind = view["error_kind"].as_str().unwrap_or_default();
            let status = view["status"].as_str().unwrap_or_default();
            self.count(format!("{status} {kind}").trim_end());
            if status == "completed" {
                let fault = format!("a bomb has completed: {bomb}: {view}");
                self.faults.note(&fault);
            }
        }
        self.pause(PAUSE);
    }
}
