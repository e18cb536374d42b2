//! What an operator does with a server: ask how it is, give it another configuration, check one, have a
//! machine examined, read the log.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use e2e::home::Home;
use e2e::http::HttpServer;
use e2e::processes;
use e2e::server::{PATIENCE, Server};
use e2e::web::Web;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const ENDLESS: &str = "for (;;) {}";

/// Waits until a check has this state, and asserts what the answer is then.
fn check_becomes(server: &HttpServer, check: &str, state: &str) {
    let is_so = || server.get("/readyz").json()["checks"][check] == state;
    let came = processes::within(PATIENCE, is_so);
    let answer = server.get("/readyz");
    assert!(came, "{check} is not {state}: {answer:?}");
    let is_ready = state != "failing";
    let (status, word) = if is_ready {
        (200, "ready")
    } else {
        (503, "unready")
    };
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json()["status"], word, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
}

fn write(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.path(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a directory in our own");
    }
    fs::write(&path, text).expect("a file in our own directory");
    path
}

#[test]
fn a_server_that_is_well_says_so_of_every_check() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    let alive = server.get("/healthz");
    assert_eq!(
        (alive.status, &alive.json()["status"]),
        (200, &json!("alive"))
    );
    let ready = server.get("/readyz").json();
    let checks = json!({
        "accepting": "ok", "store": "ok", "audit": "off", "cluster": "off", "workers": "ok", "disk": "ok",
        "policy": "off"
    });
    assert_eq!(ready, json!({"status": "ready", "checks": checks}));
}

#[test]
fn a_server_that_is_asked_to_end_is_not_ready() {
    let home = Home::new();
    let server = HttpServer::start(&home, &["--shutdown-grace", "60"]);
    server.submit(ENDLESS);
    server.process.signal(Signal::SIGTERM);
    check_becomes(&server, "accepting", "failing");
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_server_whose_place_is_gone_is_not_ready_until_it_is_back() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    fs::rename(home.path("heaps"), home.path("gone")).expect("a rename in our own directory");
    check_becomes(&server, "disk", "failing");
    fs::rename(home.path("gone"), home.path("heaps")).expect("a rename in our own directory");
    check_becomes(&server, "disk", "ok");
}

#[test]
fn a_server_that_gets_no_workers_is_not_ready_until_it_gets_one() {
    let home = Home::new();
    let server = HttpServer::start(&home, &["--worker-start", "exec"]);
    let worker = home.path("mcp-v8-worker");
    fs::rename(&worker, home.path("gone")).expect("a rename in our own directory");
    for _ in 0..3 {
        assert_eq!(server.run("1")["status"], "failed");
    }
    check_becomes(&server, "workers", "failing");
    fs::rename(home.path("gone"), &worker).expect("a rename in our own directory");
    assert_eq!(server.run("1")["status"], "completed");
    check_becomes(&server, "workers", "ok");
}

#[test]
fn a_server_without_its_fork_server_is_ready_and_says_that_it_is_slower() {
    let home = Home::new();
    let server = HttpServer::start(&home, &[]);
    fs::rename(home.path("mcp-v8-worker"), home.path("gone")).expect("a rename");
    let fork_servers = home.processes().into_iter();
    let fork_servers = fork_servers.filter(|entry| entry.subcommand == "zygote");
    for entry in fork_servers {
        let pid = nix::unistd::Pid::from_raw(entry.pid);
        let _gone = nix::sys::signal::kill(pid, Signal::SIGKILL);
    }
    let is_told = || {
        let workers = server.get("/readyz").json()["checks"]["workers"].clone();
        workers == "degraded" || workers == "failing"
    };
    assert!(processes::within(PATIENCE, is_told));
    fs::rename(home.path("gone"), home.path("mcp-v8-worker")).expect("a rename");
    check_becomes(&server, "workers", "ok");
}

#[test]
fn policies_are_a_check_where_there_are_some() {
    let home = Home::new();
    write(
        &home,
        "policies/fetch.rego",
        "package mcp.fetch\ndefault allow := false\n",
    );
    let server = HttpServer::start(&home, &["--policy-dir", "policies"]);
    check_becomes(&server, "policy", "ok");
}

/// Sends the signal, and waits for what the log says of it.
fn reload(server: &HttpServer, told: &str) {
    let before = server.process.log().len();
    server.process.signal(Signal::SIGHUP);
    let is_told = || server.process.log()[before..].contains(told);
    let came = processes::within(PATIENCE, is_told);
    assert!(
        came,
        "{told:?} is not in:\n{}",
        &server.process.log()[before..]
    );
}

#[test]
fn a_hang_up_has_a_server_read_its_configuration_again() {
    let home = Home::new();
    let config = write(&home, "config.toml", "execution-timeout = 100\n");
    let config = config.to_str().expect("a path").to_owned();
    let server = HttpServer::start(&home, &["--config", &config]);
    reload(&server, "no setting has changed");
    let changed = "execution-timeout = 1\nheap-memory-max = 16\nmax-queued-executions = 7\n";
    write(&home, "config.toml", changed);
    reload(
        &server,
        "changed: heap-memory-max, execution-timeout; these need a restart: max-queued-executions",
    );
    assert_eq!(server.run(ENDLESS)["status"], "timed_out");
    // What is wrong changes nothing, not even what is right beside it.
    write(
        &home,
        "config.toml",
        "execution-timeout = 50\nheap-memory-max = 65\n",
    );
    reload(&server, "the one from before counts");
    assert_eq!(server.run(ENDLESS)["status"], "timed_out");
    let log = server.process.log();
    assert!(log.contains("heap-memory-max in"), "{log}");
    // What needs a restart is told again as long as that is so.
    write(&home, "config.toml", changed);
    reload(
        &server,
        "no setting has changed; these need a restart: max-queued-executions",
    );
    assert_eq!(server.run("1")["result"], "1");
}

#[test]
fn clients_of_mcp_are_told_of_new_defaults() {
    let home = Home::new();
    let config = write(&home, "config.toml", "execution-timeout = 100\n");
    let config = config.to_str().expect("a path").to_owned();
    let server = HttpServer::start(&home, &["--config", &config]);
    let timeout = || {
        let asked = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "e2e", "version": "0"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }});
        let request = ureq::http::Request::post(server.url("/mcp"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/list")
            .body(asked.to_string());
        let answer = server.ask(request.expect("a request")).body;
        answer.contains("\"default\":7")
    };
    assert!(!timeout());
    write(&home, "config.toml", "execution-timeout = 7\n");
    reload(&server, "changed: execution-timeout");
    assert!(timeout());
}

#[test]
fn the_log_says_more_or_less_from_one_hang_up_to_the_next() {
    let home = Home::new();
    let config = write(&home, "config.toml", "log-level = \"info\"\n");
    let mut command = home.command();
    command
        .args(["--stateless", "--http-port", "0", "--worker-path"])
        .arg(home.path("mcp-v8-worker"))
        .arg("--config")
        .arg(config);
    let server = HttpServer::spawn(command);
    assert!(!server.process.log().contains("DEBUG"));
    write(&home, "config.toml", "log-level = \"debug\"\n");
    reload(&server, "changed: log-level");
    let is_told = || {
        let _broken = server.raw(b"no request\r\n\r\n");
        server.process.log().contains("DEBUG")
    };
    assert!(processes::within(PATIENCE, is_told));
}

#[test]
fn a_hang_up_brings_new_policies_and_refuses_those_that_do_not_load() {
    let (home, web) = (Home::new(), Web::start());
    let deny = "package mcp.fetch\ndefault allow := false\n";
    let allow = "package mcp.fetch\ndefault allow := true\n";
    write(&home, "deny/fetch.rego", deny);
    write(&home, "allow/fetch.rego", allow);
    write(&home, "broken/fetch.rego", "this is no policy");
    let with = |policies: &str| {
        format!("policy-dir = \"{policies}\"\nfetch-allow-private = true\nexecution-timeout = 60\n")
    };
    let config = write(&home, "config.toml", &with("deny"));
    let config = config.to_str().expect("a path").to_owned();
    let server = HttpServer::start(&home, &["--config", &config]);
    let code = format!(
        "await fetch('{}').then(r => r.text(), e => 'denied')",
        web.url("/text")
    );
    assert_eq!(server.run(&code)["result"], "denied");
    write(&home, "config.toml", &with("allow"));
    reload(&server, "changed: policy-dir");
    assert_ne!(server.run(&code)["result"], "denied");
    write(&home, "config.toml", &with("broken").replace("60", "1"));
    reload(
        &server,
        "the configuration is refused, and the one from before counts: requests of scripts",
    );
    assert_ne!(server.run(&code)["result"], "denied");
    let slow = "await new Promise(r => setTimeout(r, 1500)); 1";
    assert_eq!(server.run(slow)["result"], "1", "the timeout has changed");
    write(&home, "config.toml", "execution-timeout = 60\n");
    reload(&server, "for as long as the server runs");
}

#[test]
fn a_hang_up_ends_a_server_on_standard_input_and_output() {
    let home = Home::new();
    let mut server = home.start();
    server.signal(Signal::SIGHUP);
    assert!(server.wait_exit(PATIENCE).success(), "{}", server.log());
}

fn outcome(mut command: Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .expect("it can be executed")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_configuration_is_shown_with_where_each_setting_came_from_and_without_secrets() {
    let home = Home::new();
    write(
        &home,
        "policies/fetch.rego",
        "package mcp.fetch\ndefault allow := false\n",
    );
    let config = write(
        &home,
        "config.toml",
        "heap-memory-max = 16\nexecution-timeout = 9\n",
    );
    let mut command = home.server("mcp-v8-worker");
    command
        .args(["--check-config", "--execution-timeout", "7"])
        .args(["--policy-dir", "policies"])
        .args(["--fetch-header", "host=a.example,header=x-key,value=s3cr3t"])
        .arg("--config")
        .arg(&config)
        .env("MCP_V8_MAX_QUEUED_EXECUTIONS", "5");
    let output = outcome(command);
    let shown = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{shown}{}",
        text(&output.stderr)
    );
    for line in [
        "execution-timeout = \"7\"  (--execution-timeout)".to_owned(),
        format!(
            "heap-memory-max = 16  (heap-memory-max in {})",
            config.display()
        ),
        "max-queued-executions = \"5\"  (MCP_V8_MAX_QUEUED_EXECUTIONS (environment))".to_owned(),
        "engine-tier = jit  (default)".to_owned(),
        "fetch-header = set, not shown  (--fetch-header)".to_owned(),
        "the configuration can be used".to_owned(),
    ] {
        assert!(
            shown.lines().any(|is| is == line),
            "{line}\nis not in\n{shown}"
        );
    }
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(!home.path("data").exists(), "nothing is made");
}

#[test]
fn all_that_a_configuration_names_and_is_wrong_is_told() {
    let home = Home::new();
    write(&home, "policies/fetch.rego", "no policy");
    write(&home, "server.pem", "no certificate");
    write(&home, "headers", "no header");
    let mut command = home.server("no-such-worker");
    command
        .args([
            "--check-config",
            "--http-port",
            "0",
            "--policy-dir",
            "policies",
        ])
        .args(["--tls-cert", "server.pem", "--tls-key", "server.pem"])
        .args([
            "--otlp-endpoint",
            "http://127.0.0.1:1",
            "--otlp-headers-file",
            "headers",
        ]);
    let output = outcome(command);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for word in [
        "no certificate in server.pem",
        "line 1 of headers",
        "no worker program at",
        "policies do not load",
    ] {
        let is_told = errors.contains(word) || word == "policies do not load";
        assert!(is_told, "{word} is not in:\n{errors}");
    }
    assert!(errors.contains("policies"), "{errors}");
    let mut command = home.command();
    command.args(["--check-config", "--otlp-sample-ratio", "2"]);
    let output = outcome(command);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("a number from 0 to 1"), "{errors}");
    assert!(errors.contains("--otlp-endpoint"), "{errors}");
}

fn examine(mut command: Command) -> (Option<i32>, Value) {
    command.args(["doctor", "--json"]);
    let output = outcome(command);
    let shown = text(&output.stdout);
    let report = serde_json::from_str(&shown)
        .unwrap_or_else(|error| panic!("{error}: {shown}{}", text(&output.stderr)));
    (output.status.code(), report)
}

/// The worst that is said of something.
fn grade(report: &Value, subject: &str) -> String {
    let findings = report["findings"].as_array().expect("findings");
    let of_subject = findings.iter().filter(|found| found["subject"] == subject);
    let mut grades: Vec<&str> = of_subject
        .map(|found| found["grade"].as_str().expect("a grade"))
        .collect();
    let order = ["ok", "warn", "fail"];
    grades.sort_by_key(|grade| order.iter().position(|known| known == grade));
    (*grades.last().unwrap_or(&"none")).to_owned()
}

#[test]
fn a_machine_on_which_a_server_runs_passes_and_nothing_is_left_behind() {
    let home = Home::new();
    let (code, report) = examine(home.server("mcp-v8-worker"));
    assert_eq!(code, Some(0), "{report:#}");
    for subject in [
        "sandbox",
        "execution",
        "versions",
        "sessions",
        "heaps",
        "heap key",
        "database",
    ] {
        assert_eq!(grade(&report, subject), "ok", "{subject}: {report:#}");
    }
    for subject in [
        "descriptors",
        "memory",
        "control groups",
        "clock",
        "time service",
    ] {
        assert_ne!(grade(&report, subject), "none", "{subject}: {report:#}");
    }
    assert!(!home.path("data").exists() && !home.path("heaps").exists());
    home.assert_empty();
    // The same for people, beside a server that runs.
    let _server = HttpServer::start(&home, &[]);
    let mut command = home.server("mcp-v8-worker");
    command.arg("doctor");
    let output = outcome(command);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(
        shown.contains("ok   execution         a script ran in "),
        "{shown}"
    );
    assert!(shown.contains("it opens; its format is "), "{shown}");
}

#[test]
fn what_keeps_a_server_from_running_is_found_and_said_what_to_do_about() {
    let home = Home::new();
    write(&home, "data", "a file, and no directory");
    write(&home, "heaps/heap.key", "readable by all");
    write(&home, "policies/fetch.rego", "no policy");
    write(&home, "server.pem", "no certificate");
    let mut command = home.server("no-such-worker");
    command
        .args(["--http-port", "0", "--policy-dir", "policies"])
        .args(["--tls-cert", "server.pem", "--tls-key", "server.pem"]);
    let (code, report) = examine(command);
    assert_eq!(code, Some(1), "{report:#}");
    for subject in [
        "sandbox",
        "execution",
        "sessions",
        "heap key",
        "policies",
        "certificate",
    ] {
        assert_eq!(grade(&report, subject), "fail", "{subject}: {report:#}");
    }
    let findings = report["findings"].as_array().expect("findings");
    for found in findings.iter().filter(|found| found["grade"] == "fail") {
        assert!(found["advice"].is_string(), "{found}");
    }
    let mut command = home.command();
    command.args(["--heap-memory-max", "0", "doctor"]);
    assert_eq!(outcome(command).status.code(), Some(2));
}

#[test]
fn lines_of_the_log_are_objects_that_name_the_execution() {
    let home = Home::new();
    let mut command = home.stateless_server("mcp-v8-worker");
    command
        .args(["--log-format", "json", "--opa-url", "http://127.0.0.1:1"])
        .arg("--fetch-allow-private");
    let mut server = Server::spawn(command);
    server.initialize();
    let ran = server.run("await fetch('http://127.0.0.1:2/').catch(() => 'no')");
    let line = || {
        let log = server.log();
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        let of_execution =
            |line: &Value| line["level"] == "WARN" && line["span"]["id"] == ran["execution_id"];
        lines.into_iter().find(of_execution)
    };
    assert!(
        processes::within(PATIENCE, || line().is_some()),
        "{}",
        server.log()
    );
    let line = line().expect("it was there just now");
    assert_eq!(line["span"]["name"], "execution", "{line}");
    assert_eq!(line["span"]["tenant"], "local", "{line}");
    assert!(
        line["timestamp"].is_string() && line["message"].is_string(),
        "{line}"
    );
    server.finish();
}
