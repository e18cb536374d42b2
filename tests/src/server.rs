//! The real server on standard input and output, spoken to in raw JSON-RPC.
//!
//! Every read has a deadline, every line is checked to be JSON-RPC, and nothing of a server outlives
//! its test. Panics are failed tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::processes;

/// Long enough for anything that is going to happen at all.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What a client asks for at most in one wait, in milliseconds.
pub const WAIT_MS: u64 = 50_000;
/// The last protocol of the era with a handshake.
pub const LEGACY_PROTOCOL: &str = "2025-11-25";
/// The first protocol of the era without.
pub const MODERN_PROTOCOL: &str = "2026-07-28";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<(SystemTime, String)>,
    log: Arc<Mutex<String>>,
    next_id: i64,
    answers: Vec<(SystemTime, Value)>,
    /// When the answer came that was taken last.
    answered_at: SystemTime,
    /// Notifications of the server, in the order of their arrival.
    pub notifications: Vec<Value>,
    ended: Option<ExitStatus>,
}

impl Server {
    /// Starts a command with piped standard streams. Nothing is said yet.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the server can be executed");
        let input = child.stdin.take();
        let output = child.stdout.take().expect("standard output is piped");
        let errors = child.stderr.take().expect("standard error is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send((SystemTime::now(), line)).is_err() {
                    break;
                }
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        let writer = Arc::clone(&log);
        thread::spawn(move || collect(errors, &writer));
        Self {
            child,
            input,
            lines,
            log,
            next_id: 1,
            answers: Vec::new(),
            answered_at: SystemTime::UNIX_EPOCH,
            notifications: Vec::new(),
            ended: None,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// What it takes now.
    pub fn usage(&self) -> processes::Usage {
        processes::usage(self.pid())
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        lock(&self.log).clone()
    }

    /// Opens the conversation of the era with a handshake.
    pub fn initialize(&mut self) -> Value {
        let result = self.ask("initialize", initialize_params());
        self.notify("notifications/initialized", json!({}));
        result
    }

    /// Writes bytes as they are.
    ///
    /// # Panics
    /// When the server does not take them.
    pub fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        let written = input.write_all(bytes).and_then(|()| input.flush());
        if let Err(error) = written {
            panic!(
                "the server takes no input: {error}; its log:\n{}",
                self.log()
            );
        }
    }

    /// Sends a message on a line.
    pub fn say(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str, params: Value) {
        self.say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request; its id.
    pub fn send(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Sends a request and waits for its result.
    ///
    /// # Panics
    /// When the answer is an error.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let mut answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{method} failed: {answer}");
        answer["result"].take()
    }

    /// Sends a call of a tool; the id of the request.
    pub fn send_call(&mut self, tool: &str, arguments: Value) -> i64 {
        self.send("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool that succeeds; its structured result.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send_call(tool, arguments);
        self.called(id)
    }

    /// The structured result of a call that was sent.
    pub fn called(&mut self, id: i64) -> Value {
        structured(&self.answer(id))
    }

    /// Calls a tool that fails; the text of its failure.
    pub fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let id = self.send_call(tool, arguments);
        failure(&self.answer(id))
    }

    /// Runs a script and waits for its end: the execution and its first output.
    pub fn run(&mut self, code: &str) -> Value {
        self.run_with(code, json!({}))
    }

    /// Runs a script with further arguments and waits for its end.
    pub fn run_with(&mut self, code: &str, mut arguments: Value) -> Value {
        arguments["code"] = code.into();
        arguments["wait_ms"] = WAIT_MS.into();
        let seen = self.call("run_js", arguments);
        assert!(is_final(&seen), "it has not ended: {seen}");
        seen
    }

    /// Submits a script without waiting; its execution's id.
    pub fn submit(&mut self, code: &str) -> String {
        let accepted = self.call("run_js", json!({"code": code}));
        id_of(&accepted)
    }

    /// The execution at its end.
    pub fn wait(&mut self, id: &str) -> Value {
        let arguments = json!({"execution_id": id, "wait_ms": WAIT_MS});
        let seen = self.call("get_execution", arguments);
        assert!(is_final(&seen), "it has not ended: {seen}");
        seen
    }

    /// The execution as it stands.
    pub fn get(&mut self, id: &str) -> Value {
        self.call("get_execution", json!({"execution_id": id}))
    }

    /// Waits until an execution has this status.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn until(&mut self, id: &str, status: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = self.get(id);
            if seen["status"] == status {
                return seen;
            }
            assert!(Instant::now() < until, "not {status}: {seen}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until an execution has written at least this many bytes.
    ///
    /// # Panics
    /// When it does not come to that.
    pub fn until_output(&mut self, id: &str, bytes: u64) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let page = self.call("get_execution_output", json!({"execution_id": id}));
            if page["total_bytes"].as_u64() >= Some(bytes) {
                return page;
            }
            assert!(Instant::now() < until, "no {bytes} bytes of output: {page}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The answer to a request, whenever it came.
    pub fn answer(&mut self, id: i64) -> Value {
        self.find(|answer| answer["id"] == id)
    }

    /// The next answer that has no id.
    pub fn answer_without_id(&mut self) -> Value {
        self.find(|answer| answer["id"].is_null())
    }

    /// When the answer came that was taken last, whenever it was taken.
    pub fn answered_at(&self) -> SystemTime {
        self.answered_at
    }

    fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut answers = self.answers.iter();
            if let Some(at) = answers.position(|(_, answer)| wanted(answer)) {
                let (came, answer) = self.answers.remove(at);
                self.answered_at = came;
                return answer;
            }
            match self.read(until.saturating_duration_since(Instant::now())) {
                Some((_, message)) if message.get("method").is_some() => {
                    self.notifications.push(message);
                }
                Some(answer) => self.answers.push(answer),
                None => panic!(
                    "the answer did not come; others: {:?}; the log:\n{}",
                    self.answers,
                    self.log()
                ),
            }
        }
    }

    /// Every answer that still comes until the server closes its output.
    pub fn last_answers(&mut self) -> Vec<Value> {
        while let Some((came, message)) = self.read(PATIENCE) {
            if message.get("method").is_some() {
                self.notifications.push(message);
            } else {
                self.answers.push((came, message));
            }
        }
        let answers = std::mem::take(&mut self.answers).into_iter();
        answers.map(|(_, answer)| answer).collect()
    }

    /// The next message; `None` at the end of the output, or when the time is over.
    fn read(&mut self, patience: Duration) -> Option<(SystemTime, Value)> {
        match self.lines.recv_timeout(patience) {
            Ok((came, line)) => Some((came, message(&line))),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Closes the input, as a client that goes away does.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process does not exist.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the server is there");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                self.ended = Some(status);
                return status;
            }
            assert!(
                Instant::now() < until,
                "the server has not ended within {patience:?}; its log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as a client does, and asserts that it ends well.
    pub fn finish(mut self) {
        self.close_input();
        let status = self.wait_exit(PATIENCE);
        assert!(status.success(), "{status}; its log:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // The group is its own: nothing of ours is in it. It is not reaped, so the id is its.
            let _already_gone = killpg(self.pid(), Signal::SIGKILL);
            let _status = self.child.wait();
        }
    }
}

fn collect(mut errors: impl Read, log: &Mutex<String>) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = errors.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..read]);
        lock(log).push_str(&text);
    }
}

fn lock(log: &Mutex<String>) -> MutexGuard<'_, String> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a client of the era with a handshake says first.
pub fn initialize_params() -> Value {
    json!({
        "protocolVersion": LEGACY_PROTOCOL,
        "capabilities": {},
        "clientInfo": {"name": "e2e", "version": "0"},
    })
}

/// A line of the server's output, which must be JSON-RPC and nothing else.
fn message(line: &str) -> Value {
    let message: Value = serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("not JSON on standard output ({error}): {line}"));
    assert_eq!(message["jsonrpc"], "2.0", "not JSON-RPC: {line}");
    let is_answer = message.get("result").is_some() != message.get("error").is_some();
    let is_one_kind = is_answer != message.get("method").is_some();
    assert!(is_one_kind, "not JSON-RPC: {line}");
    message
}

/// The structured result of a call that succeeded, which its text repeats.
///
/// # Panics
/// When the call failed.
pub fn structured(answer: &Value) -> Value {
    let result = &answer["result"];
    assert_ne!(result["isError"], true, "the call failed: {answer}");
    let value = &result["structuredContent"];
    assert!(value.is_object(), "no structured content: {answer}");
    let blocks = result["content"].as_array().expect("content");
    assert_eq!(blocks.len(), 1, "{answer}");
    let text = blocks[0]["text"].as_str().expect("a text block");
    let repeated: Value = serde_json::from_str(text).expect("the text is JSON");
    assert_eq!(&repeated, value, "the text says something else");
    value.clone()
}

/// The text of a call that failed.
///
/// # Panics
/// When the call did not fail as a tool fails.
pub fn failure(answer: &Value) -> String {
    let result = &answer["result"];
    assert_eq!(result["isError"], true, "the call did not fail: {answer}");
    let text = result["content"][0]["text"].as_str();
    text.expect("a text block").to_owned()
}

/// The id in a result.
///
/// # Panics
/// When there is none.
pub fn id_of(value: &Value) -> String {
    let id = value["execution_id"].as_str();
    id.unwrap_or_else(|| panic!("no id: {value}")).to_owned()
}

/// Whether an execution has ended.
pub fn is_final(execution: &Value) -> bool {
    let status = execution["status"].as_str().unwrap_or_default();
    ["completed", "failed", "cancelled", "timed_out"].contains(&status)
}
