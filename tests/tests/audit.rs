//! The audit log over the real programs.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use e2e::home::{Home, program};
use e2e::http::HttpServer;
use e2e::server::PATIENCE;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const SECRET_CODE: &str = "console.log('secret output'); const secretName = 1; secretName + 1";

struct Log(PathBuf);

impl Log {
    fn of(home: &Home) -> Self {
        Self(home.path("audit/audit.log"))
    }

    fn flags(&self) -> [String; 2] {
        ["--audit-log".to_owned(), self.0.display().to_string()]
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).expect("a log")
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    fn events(&self, name: &str) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["event"] == name);
        lines
    }

    fn verify(&self) -> Output {
        let flags = self.flags();
        let mut command = std::process::Command::new(program("mcp-v8"));
        command.args(["audit", "verify"]).args(flags).env_clear();
        command.output().expect("it can be executed")
    }
}

fn server(home: &Home, log: &Log, more: &[&str]) -> HttpServer {
    let flags = log.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    HttpServer::start(home, &[&flags, more].concat())
}

#[test]
fn what_happens_is_noted_without_what_is_nobodys_business() {
    let home = Home::new();
    let log = Log::of(&home);
    let mut server = server(&home, &log, &["--tenant-executions-per-minute", "3"]);
    let view = server.run(SECRET_CODE);
    let id = view["execution_id"].as_str().expect("an id");
    let endless = server.submit("for (;;) {}");
    assert_eq!(
        server
            .post(&format!("/api/executions/{endless}/cancel"), &json!({}))
            .status,
        200
    );
    let heap = view["heap"].as_str().expect("a heap");
    let tags = format!("/api/heaps/{heap}/tags");
    assert_eq!(
        server
            .send("PUT", &tags, &json!({"tags": {"secretkey": "secretvalue"}}))
            .status,
        200
    );
    server.run("1");
    for _ in 0..5 {
        assert_eq!(server.post("/api/exec", &json!({"code": "1"})).status, 429);
    }
    server.process.signal(Signal::SIGTERM);
    assert!(server.process.wait_exit(PATIENCE).success());
    let lines = log.lines();
    assert_eq!(lines[0]["event"], "server_started");
    assert_eq!(lines[lines.len() - 1]["event"], "server_stopped");
    let accepted = &log.events("execution_accepted")[0];
    assert_eq!(
        (&accepted["execution"], &accepted["tenant"]),
        (&json!(id), &json!("local"))
    );
    assert_eq!(accepted["code_sha256"].as_str().map(str::len), Some(64));
    let ended = log.events("execution_ended");
    let end = |id: &str| {
        ended
            .iter()
            .find(|line| line["execution"] == id)
            .expect("its end")
    };
    assert_eq!(end(id)["status"], "completed");
    assert_eq!(end(id)["output_heap"], json!(heap));
    assert!(end(id)["peak_memory_bytes"].is_u64() && end(id)["cpu_ms"].is_u64());
    assert_eq!(end(&endless)["status"], "cancelled");
    assert_eq!(log.events("cancel_asked")[0]["is_cancelled"], true);
    assert_eq!(log.events("tags_changed")[0]["heap"], json!(heap));
    let refused = log.events("execution_refused");
    let times: u64 = refused
        .iter()
        .map(|line| line["times"].as_u64().unwrap_or(1))
        .sum();
    assert_eq!(
        (times, &refused[0]["reason"]),
        (5, &json!("executions_per_minute"))
    );
    assert!(!log.text().contains("secret"), "{}", log.text());
    let verified = log.verify();
    assert!(verified.status.success(), "{verified:?}");
    let told = String::from_utf8_lossy(&verified.stdout);
    assert!(told.contains("the chain is whole"), "{told}");
}

#[test]
fn a_log_goes_on_after_a_kill_and_tells_of_every_change() {
    let home = Home::new();
    let log = Log::of(&home);
    let mut first = server(&home, &log, &[]);
    first.run("1");
    first.process.signal(Signal::SIGKILL);
    first.process.wait_exit(PATIENCE);
    drop(first);
    let mut second = server(&home, &log, &[]);
    second.run("2");
    assert!(log.verify().status.success(), "while the server writes");
    second.process.signal(Signal::SIGTERM);
    second.process.wait_exit(PATIENCE);
    assert_eq!(log.events("server_started").len(), 2);
    let whole = log.text();
    assert!(log.verify().status.success());
    let broken = |text: &str| {
        fs::write(&log.0, text).expect("a file");
        let verified = log.verify();
        assert_eq!(verified.status.code(), Some(1), "{verified:?}");
        String::from_utf8_lossy(&verified.stderr).into_owned()
    };
    let told = broken(&whole.replacen("completed", "cancelled", 1));
    assert!(told.contains("this line was changed"), "{told}");
    let lines: Vec<&str> = whole.lines().collect();
    let without = |gone: usize| -> String {
        let kept = lines.iter().enumerate().filter(|(index, _)| *index != gone);
        kept.map(|(_, line)| format!("{line}\n")).collect()
    };
    let told = broken(&without(1));
    assert!(
        told.contains("line 2: line 2 of the log is to stand here, but it is line 3"),
        "{told}"
    );
    let told = broken(&without(lines.len() - 1));
    assert!(told.contains("the log ends after line"), "{told}");
    // It does not go on with it either.
    let flags = log.flags();
    let refused = home
        .server("mcp-v8-worker")
        .args(["--http-port", "0"])
        .args(flags)
        .output();
    let refused = refused.expect("it can be executed");
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("the audit log is not what was written"),
        "{told}"
    );
    fs::write(&log.0, &whole).expect("a file");
    assert!(log.verify().status.success());
}

#[test]
fn a_log_that_is_not_there_or_not_named_is_told() {
    let home = Home::new();
    let unnamed = std::process::Command::new(program("mcp-v8"))
        .args(["audit", "verify"])
        .env_clear()
        .output()
        .expect("it can be executed");
    assert_eq!(unnamed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unnamed.stderr).contains("--audit-log"));
    assert_eq!(Log::of(&home).verify().status.code(), Some(1));
}

#[test]
fn who_could_not_say_who_it_is_is_noted_with_its_address_and_cannot_fill_the_log() {
    let home = Home::new();
    let log = Log::of(&home);
    let tokens = crate::tenants_parts::token_file(&home);
    let mut server = server(&home, &log, &["--auth-tokens", &tokens]);
    let stranger = server.with_token("mcpv8_nobodys");
    for _ in 0..200 {
        assert_eq!(stranger.get("/api/executions").status, 401);
    }
    server.process.signal(Signal::SIGTERM);
    assert!(server.process.wait_exit(PATIENCE).success());
    let failed = log.events("authentication_failed");
    let times = |line: &Value| line["times"].as_u64().unwrap_or(1);
    assert_eq!(failed.iter().map(times).sum::<u64>(), 200);
    // One at once, and one for all of each second.
    assert!(failed.len() < 60, "{}", failed.len());
    for line in &failed {
        assert_eq!(
            (&line["peer"], &line["reason"]),
            (&json!("127.0.0.1"), &json!("bad_token"))
        );
    }
    assert!(!log.text().contains("mcpv8_"));
}
