//! Tries tokens that are not good and names of what others have, and asks what never answers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Hostile;
use crate::client::send;

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);

impl Hostile<'_> {
    pub(super) fn intrude(&mut self, at: usize, round: usize) {
        self.try_tokens(at);
        self.try_names(at, round);
        self.ask_what_never_answers(at);
        self.pause(PAUSE);
    }

    fn try_tokens(&mut self, at: usize) {
        let own = &self.tenant.token;
        let mut near = own.clone();
        let last = near.pop();
        near.push(if last == Some('A') { 'B' } else { 'A' });
        let bad = [
            near,
            "mcpv8_nobodys".to_owned(),
            "x".repeat(4000),
            own.to_uppercase(),
        ];
        for token in bad {
            let begun = Instant::now();
            let client = self.victims[at].client.with_token(&token);
            let answer = send(&client, "GET", "/api/executions", &[], &Value::Null);
            self.judge(begun, "a bad token", answer, &[401]);
        }
        self.ask(at, "GET", "/metrics", &Value::Null, &[403]);
    }

    fn try_names(&mut self, at: usize, round: usize) {
        let loot = self.victims[at].spoils.take(round);
        let gone = &[404][..];
        if let Some(id) = loot.execution {
            for path in ["", "/output", "/output/stream", "/source"] {
                let path = format!("/api/executions/{id}{path}");
                self.ask(at, "GET", &path, &Value::Null, gone);
            }
            let path = format!("/api/executions/{id}/cancel");
            self.ask(at, "POST", &path, &Value::Null, gone);
        }
        if let Some(name) = loot.session {
            let path = format!("/api/sessions/{name}/snapshots");
            self.ask(at, "GET", &path, &Value::Null, gone);
        }
        if let Some(heap) = loot.heap {
            let path = format!("/api/heaps/{heap}/tags");
            self.ask(at, "GET", &path, &Value::Null, gone);
            self.ask(at, "PUT", &path, &json!({"tags": {"stolen": "1"}}), gone);
            self.ask(at, "DELETE", &path, &Value::Null, gone);
            let script = json!({"code": "1", "heap": heap});
            self.ask(at, "POST", "/api/exec", &script, gone);
        }
        if let Some(id) = loot.conversation {
            let begun = Instant::now();
            let headers = [
                ("accept", "application/json, text/event-stream"),
                ("mcp-session-id", id.as_str()),
            ];
            let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
            let client = self.victims[at].client.clone();
            let answer = send(&client, "POST", "/mcp", &headers, &message);
            self.judge(begun, "another tenant's session of MCP", answer, gone);
        }
    }

    fn ask_what_never_answers(&mut self, at: usize) {
        let url = self.web.url("/never");
        let code = format!(
            "const asked = [1, 2, 3, 4].map(() => fetch('{url}').catch(String)); await Promise.all(asked)"
        );
        let script = json!({"code": code, "execution_timeout_secs": 1});
        self.ask(at, "POST", "/api/exec", &script, &[202, 429]);
    }
}
