//! A tenant that does what clients do, a step after another at a constant rate, and looks at each answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::http::Client;
use serde_json::{Value, json};

use crate::client::{Wrong, ask, ask_for, ensure};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::mcp::{self, Session};
use crate::spoils::Spoils;

/// From the begin of a step to that of the next.
const PACE: Duration = Duration::from_secs(4);
/// The same where there is not much time.
const PACE_OF_A_SHORT_SOAK: Duration = Duration::from_millis(700);
/// What is a short one.
const SHORT: Duration = Duration::from_secs(90);
/// How long an execution is waited for, in milliseconds.
const WAIT_MS: u64 = 30_000;
/// Steps differ by a number below this: so the heaps that they leave are the same ones again and again, and
/// are stored once.
const VARIANTS: u64 = 4;
/// Sessions of a tenant that keeps heaps.
const SESSIONS: u64 = 4;
/// Calls that a session of MCP has before another is opened.
const CALLS_MAX: u64 = 8;

/// Something that a client does.
type Step = fn(&mut Honest) -> Result<(), Wrong>;

/// What is done everywhere.
const STEPS: [(&str, Step); 9] = [
    ("a run", Honest::computes),
    ("a run over MCP", Honest::calls_a_tool),
    ("a run that is asked for later", Honest::polls),
    ("a run that fails", Honest::fails),
    ("a request of a script", Honest::fetches),
    ("an output that is followed", Honest::follows),
    ("a run that is cancelled", Honest::cancels),
    (
        "a run over MCP without a session",
        Honest::calls_without_a_session,
    ),
    ("a list", Honest::lists),
];
/// And where heaps are kept.
const STEPS_WITH_HEAPS: [(&str, Step); 2] = [
    ("a session", Honest::works_in_a_session),
    ("tags", Honest::tags),
];

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Steps that came to what they should.
    pub(crate) steps: u64,
    /// Steps that a quota of its own has ended.
    pub(crate) over_quota: u64,
    /// How long each run over REST took, from the request to its result.
    pub(crate) runs: Vec<Duration>,
}

/// An honest tenant at a server.
pub(crate) struct Honest {
    pub(crate) name: String,
    pub(crate) client: Client,
    pub(crate) keeps_heaps: bool,
    /// What its scripts ask for.
    pub(crate) url: String,
    pub(crate) spoils: Arc<Spoils>,
    pub(crate) session: Option<Session>,
    /// Which step it is.
    pub(crate) turn: u64,
    pub(crate) book: Book,
}

impl Honest {
    /// Goes on until the end.
    pub(crate) fn work(mut self, clock: &Clock, faults: &Faults) -> Book {
        let steps: Vec<(&str, Step)> = match self.keeps_heaps {
            true => STEPS.into_iter().chain(STEPS_WITH_HEAPS).collect(),
            false => STEPS.to_vec(),
        };
        let pace = match clock.length() < SHORT {
            true => PACE_OF_A_SHORT_SOAK,
            false => PACE,
        };
        for (name, step) in steps.iter().cycle().skip(to_index(self.turn)) {
            if !clock.goes_on() {
                break;
            }
            let begun = Instant::now();
            match step(&mut self) {
                Ok(()) => self.book.steps += 1,
                Err(Wrong::OwnQuota) => self.book.over_quota += 1,
                Err(wrong) => {
                    let at = clock.passed().as_secs();
                    let fault = format!("{} after {at} s, {name}: {wrong}", self.name);
                    faults.note_since(begun, clock, &fault);
                    self.session = None;
                }
            }
            self.turn += 1;
            clock.pause(pace.saturating_sub(begun.elapsed()));
        }
        if let Some(session) = self.session.take()
            && let Err(wrong) = session.close(&self.client)
        {
            faults.note(&format!("{}, at the end: {wrong}", self.name));
        }
        self.book
    }

    fn variant(&self) -> u64 {
        self.turn % VARIANTS
    }

    /// Runs something to its end over REST.
    fn run(&mut self, mut arguments: Value) -> Result<Value, Wrong> {
        arguments["wait_ms"] = WAIT_MS.into();
        let begun = Instant::now();
        let view = ask_for(&self.client, 200, "POST", "/api/exec", &arguments)?;
        self.book.runs.push(begun.elapsed());
        if let Some(id) = view["execution_id"].as_str() {
            self.spoils.execution(id);
        }
        Ok(view)
    }

    /// Runs something that completes; its result is to be this.
    fn completes(&mut self, arguments: Value, result: &str) -> Result<Value, Wrong> {
        let view = self.run(arguments)?;
        let is_right = view["status"] == "completed" && view["result"] == result;
        ensure(
            is_right,
            "another result was due",
            &format!("{result}: {view}"),
        )?;
        Ok(view)
    }

    /// Has something accepted; its id.
    fn submit(&self, code: &str) -> Result<String, Wrong> {
        let accepted = ask_for(
            &self.client,
            202,
            "POST",
            "/api/exec",
            &json!({"code": code}),
        )?;
        let id = accepted["execution_id"].as_str().unwrap_or_default();
        ensure(!id.is_empty(), "there is no id", &accepted)?;
        self.spoils.execution(id);
        Ok(id.to_owned())
    }

    fn get(&self, path: &str) -> Result<Value, Wrong> {
        ask_for(&self.client, 200, "GET", path, &Value::Null)
    }

    fn computes(&mut self) -> Result<(), Wrong> {
        let n = self.variant();
        let code = format!("let sum: number = 0; for (let i = 0; i <= {n}; i++) sum += i; sum");
        let result = (n * (n + 1) / 2).to_string();
        self.completes(json!({"code": code}), &result).map(drop)
    }

    fn polls(&mut self) -> Result<(), Wrong> {
        let code = "for (let i = 1; i <= 5; i++) console.log(`line ${i}`); 'told'";
        let id = self.submit(code)?;
        let view = self.get(&format!("/api/executions/{id}?wait_ms={WAIT_MS}"))?;
        ensure(view["result"] == "told", "another result was due", &view)?;
        let page = format!("/api/executions/{id}/output?line_offset=2&line_limit=2");
        let page = self.get(&page)?;
        let is_right = page["data"] == "line 2\nline 3" && page["total_lines"] == 5;
        ensure(is_right, "another output was due", &page)
    }

    fn fails(&mut self) -> Result<(), Wrong> {
        let view = self.run(json!({"code": "\n  throw new TypeError('mine')"}))?;
        let error = view["error"].as_str().unwrap_or_default();
        let is_right = view["status"] == "failed" && error.contains("TypeError: mine");
        ensure(is_right, "another failure was due", &view)
    }

    fn fetches(&mut self) -> Result<(), Wrong> {
        let url = &self.url;
        let code = format!(
            "const r = await fetch('{url}'); const j = await r.json();
             const denied = await fetch('{url}', {{method: 'DELETE'}}).then(() => 'no', () => 'yes');
             [r.status, j.answer, denied].join()"
        );
        self.completes(json!({"code": code}), "200,42,yes")
            .map(drop)
    }

    fn follows(&mut self) -> Result<(), Wrong> {
        let code = "for (let i = 0; i < 5; i++) {
                        console.log(`piece ${i}`);
                        await new Promise((over) => setTimeout(over, 50));
                    }
                    'over'";
        let id = self.submit(code)?;
        let path = format!("/api/executions/{id}/output/stream");
        let answer = ask(&self.client, "GET", &path, &Value::Null)?;
        let lines = answer.body.lines();
        let events: Vec<Value> = lines
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok())
            .collect();
        let told: String = events
            .iter()
            .filter_map(|event| event["data"].as_str())
            .collect();
        let expected: String = (0..5).map(|n| format!("piece {n}\n")).collect();
        let ended = events.last().is_some_and(|event| event["result"] == "over");
        ensure(
            told == expected && ended,
            "another stream was due",
            &answer.body,
        )
    }

    fn cancels(&mut self) -> Result<(), Wrong> {
        let id = self.submit("await new Promise((over) => setTimeout(over, 50000))")?;
        let path = format!("/api/executions/{id}/cancel");
        ask_for(&self.client, 200, "POST", &path, &Value::Null)?;
        let view = self.get(&format!("/api/executions/{id}?wait_ms={WAIT_MS}"))?;
        ensure(view["status"] == "cancelled", "it was cancelled", &view)
    }

    fn lists(&mut self) -> Result<(), Wrong> {
        let list = self.get("/api/executions?limit=5")?;
        let found = list["executions"].as_array().map(Vec::len);
        ensure(
            found.is_some_and(|found| found <= 5),
            "a list of five was due",
            &list,
        )
    }

    fn calls_a_tool(&mut self) -> Result<(), Wrong> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.client)?,
        };
        self.spoils.conversation(session.id());
        let n = self.variant();
        let arguments = json!({"code": format!("{n} * 3"), "wait_ms": WAIT_MS});
        let view = session.call(&self.client, "run_js", &arguments)?;
        let due = (n * 3).to_string();
        let is_right = view["result"] == due.as_str();
        ensure(is_right, "another result was due over MCP", &view)?;
        let id = &view["execution_id"];
        let arguments = json!({"execution_id": id});
        let again = session.call(&self.client, "get_execution", &arguments)?;
        ensure(
            again["result"] == view["result"],
            "it is another one",
            &again,
        )?;
        if session.calls() >= CALLS_MAX {
            return session.close(&self.client);
        }
        self.session = Some(session);
        Ok(())
    }

    fn calls_without_a_session(&mut self) -> Result<(), Wrong> {
        let n = self.variant();
        let arguments = json!({"code": format!("{n} + 0.5"), "wait_ms": WAIT_MS});
        let view = mcp::modern(&self.client, "run_js", &arguments)?;
        let is_right = view["result"] == format!("{n}.5");
        ensure(is_right, "another result was due over MCP", &view)
    }

    /// Goes on from a heap, and from what that left behind.
    fn works_in_a_session(&mut self) -> Result<(), Wrong> {
        let name = format!("work-{}", self.turn % SESSIONS);
        let begun = self.completes(json!({"code": "var n = 1; n", "session": name}), "1")?;
        let k = self.variant();
        let more = json!({"code": format!("n += {k}; n"), "heap": begun["heap"], "session": name});
        let more = self.completes(more, &(1 + k).to_string())?;
        let last = json!({"code": "n * 10", "heap": "latest", "session": name});
        let last = self.completes(last, &(10 * (1 + k)).to_string())?;
        ensure(
            last["input_heap"] == more["heap"] && more["heap"].is_string(),
            "the session goes on from its last heap",
            &last,
        )?;
        self.spoils.session(&name);
        let sessions = self.get("/api/sessions?limit=1000")?;
        let is_listed = sessions["sessions"]
            .as_array()
            .is_some_and(|names| names.contains(&json!(name)));
        ensure(is_listed, "the session is listed", &sessions)
    }

    /// Gives a heap tags, finds it by them, and takes them away.
    fn tags(&mut self) -> Result<(), Wrong> {
        let k = self.variant().to_string();
        let tagged = json!({"code": format!("var tagged = {k}; tagged"), "tags": {"kind": k}});
        let view = self.completes(tagged, &k)?;
        let heap = view["heap"].as_str().unwrap_or_default();
        ensure(!heap.is_empty(), "its heap is kept", &view)?;
        self.spoils.heap(heap);
        let path = format!("/api/heaps/{heap}/tags");
        let tags = self.get(&path)?;
        ensure(
            tags["tags"] == json!({"kind": k}),
            "these are its tags",
            &tags,
        )?;
        let more = json!({"tags": {"kind": k, "seen": "yes"}});
        ask_for(&self.client, 200, "PUT", &path, &more)?;
        let wanted = json!({"tags": {"kind": k, "seen": "yes"}});
        let found = ask_for(&self.client, 200, "POST", "/api/heaps/query", &wanted)?;
        let is_found = found["results"]
            .as_array()
            .is_some_and(|results| results.iter().any(|result| result["heap"] == heap));
        ensure(is_found, "it is found by its tags", &found)?;
        ask_for(&self.client, 200, "DELETE", &path, &Value::Null)?;
        let tags = self.get(&path)?;
        ensure(tags["tags"] == json!({}), "it has no tags", &tags)
    }
}

fn to_index(turn: u64) -> usize {
    usize::try_from(turn).unwrap_or_default()
}
