//! What an operator says to the server, and what it says to the operator.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use e2e::home::{Home, program};
use e2e::processes;
use e2e::server::{PATIENCE, Server};
use serde_json::json;

/// How long a start that fails may take.
const REFUSAL_MAX: Duration = Duration::from_secs(20);

/// Runs a command to its end, with an empty input.
fn outcome(mut command: Command) -> Output {
    let begin = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("it can be executed");
    assert!(
        begin.elapsed() < REFUSAL_MAX,
        "it took {:?}",
        begin.elapsed()
    );
    output
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A start that fails: nothing on standard output, one clear text on standard error.
fn refusal(command: Command, code: i32, words: &[&str]) {
    let output = outcome(command);
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty(), "standard output is not for this");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn help_and_version_are_for_people() {
    let home = Home::new();
    let mut help = home.command();
    help.arg("--help");
    let output = outcome(help);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    for word in [
        "--stateless",
        "--session-db-path",
        "--heap-memory-max",
        "--execution-timeout",
        "--max-concurrent-executions",
        "--worker-path",
        "--config",
        "MCP_V8_HEAP_MEMORY_MAX",
        "1 to 64",
        "1 to 300",
        "Examples:",
    ] {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(120), "lines of {longest:?} characters");
    assert!(output.stderr.is_empty());

    for name in ["mcp-v8", "mcp-v8-worker"] {
        let output = Command::new(program(name)).arg("--version").output();
        let output = output.expect("it can be executed");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            text.trim_end(),
            format!("{name} {}", env!("CARGO_PKG_VERSION"))
        );
        assert!(output.status.success());
    }
}

#[test]
fn all_faults_of_a_configuration_are_told_at_once() {
    let home = Home::new();
    let file = home.path("config.toml");
    let written = fs::write(&file, "execution-timeout = \"soon\"\nno-such-key = 1\n");
    written.expect("a file in our own directory");
    let mut command = home.command();
    command
        .args(["--heap-memory-max", "65", "--frobnicate", "--stateless"])
        .args(["--session-db-path", "/tmp/x"])
        .arg("--config")
        .arg(&file)
        .env("MCP_V8_MAX_CONCURRENT_EXECUTIONS", "many");
    refusal(
        command,
        2,
        &[
            "--heap-memory-max: 65",
            "1 to 64",
            "--frobnicate",
            "MCP_V8_MAX_CONCURRENT_EXECUTIONS",
            "many",
            "execution-timeout in",
            "config.toml",
            "soon",
            "no-such-key",
            "--stateless and --session-db-path exclude each other",
        ],
    );
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_a_fault() {
    let home = Home::new();
    let mut command = home.command();
    command.args(["--config", "nowhere.toml", "--execution-timeout", "0"]);
    refusal(
        command,
        2,
        &["nowhere.toml", "--execution-timeout", "1 to 300"],
    );

    fs::write(home.path("broken.toml"), "heap-memory-max = = 8").expect("our own directory");
    let mut command = home.command();
    command.args(["--config", "broken.toml"]);
    refusal(command, 2, &["broken.toml", "not TOML", "line 1"]);
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let home = Home::new();
    let file = "heap-memory-max = 16\nexecution-timeout = 16\nmax-concurrent-executions = 3\n";
    fs::write(home.path("config.toml"), file).expect("our own directory");
    let mut command = home.server("mcp-v8-worker");
    command
        .args(["--heap-memory-max", "32", "--config", "config.toml"])
        .env("MCP_V8_HEAP_MEMORY_MAX", "24")
        .env("MCP_V8_EXECUTION_TIMEOUT", "24")
        .env("MCP_V8_NO_SUCH_SETTING", "1");
    let mut server = Server::spawn(command);
    server.initialize();
    let seen = server.run("1");
    assert_eq!(seen["heap_memory_max_mb"], 32);
    assert_eq!(seen["execution_timeout_secs"], 24);
    let log = server.log();
    assert!(log.contains("3 at once"), "{log}");
    assert!(log.contains("MCP_V8_NO_SUCH_SETTING"), "{log}");
    // The schema shows what counts here.
    let tools = server.ask("tools/list", json!({}));
    let run_js = &tools["tools"][0]["inputSchema"]["properties"];
    assert_eq!(run_js["heap_memory_max_mb"]["default"], 32, "{run_js}");
    server.finish();
}

#[test]
fn everything_can_be_said_in_the_environment() {
    let home = Home::new();
    let mut command = home.command();
    command
        .env("MCP_V8_STATELESS", "true")
        .env("MCP_V8_WORKER_PATH", home.path("mcp-v8-worker"))
        .env("MCP_V8_LOG_LEVEL", "error")
        .env("MCP_V8_MAX_QUEUED_EXECUTIONS", "0")
        .env("MCP_V8_MAX_CONCURRENT_EXECUTIONS", "1");
    let mut server = Server::spawn(command);
    server.initialize();
    let id = server.submit("for (;;) {}");
    let text = server.refused("run_js", json!({"code": "1"}));
    assert!(text.contains("busy"), "{text}");
    server.call("cancel_execution", json!({"execution_id": id}));
    assert_eq!(server.log(), "");
    server.finish();
}

#[test]
fn the_worker_is_found_beside_the_server() {
    let home = Home::new();
    let mut command = home.command();
    command.arg("--stateless");
    let mut server = Server::spawn(command);
    server.initialize();
    assert_eq!(server.run("'beside'")["result"], "beside");
    server.finish();

    // The same program elsewhere has no worker beside it.
    let lonely = home.path("lonely");
    fs::create_dir(&lonely).expect("our own directory");
    fs::copy(program("mcp-v8"), lonely.join("mcp-v8")).expect("a copy");
    let mut command = Command::new(lonely.join("mcp-v8"));
    command.arg("--stateless").env("TMPDIR", home.path("tmp"));
    let expected = lonely.join("mcp-v8-worker").display().to_string();
    refusal(
        command,
        1,
        &[&expected, "--worker-path", "build mcp-v8-worker"],
    );
}

#[test]
fn a_worker_that_cannot_be_used_refuses_the_start() {
    let home = Home::new();
    refusal(
        home.server("nowhere"),
        1,
        &["no worker program", "nowhere", "--worker-path"],
    );

    fs::write(home.path("text"), "not a program").expect("our own directory");
    refusal(home.server("text"), 1, &["cannot be executed", "chmod +x"]);

    fs::create_dir(home.path("directory")).expect("our own directory");
    refusal(home.server("directory"), 1, &["cannot be executed"]);

    // Another program that does not know what to do.
    std::os::unix::fs::symlink("/bin/true", home.path("true")).expect("our own directory");
    refusal(
        home.server("true"),
        1,
        &["ended before it was ready", "--worker-path"],
    );
    home.assert_empty();
}

#[test]
fn a_place_for_data_that_cannot_be_used_refuses_the_start() {
    let home = Home::new();
    fs::write(home.path("data"), "a file").expect("our own directory");
    let path = home.path("data").display().to_string();
    refusal(home.server("mcp-v8-worker"), 1, &[&path]);

    fs::remove_file(home.path("data")).expect("our own file");
    fs::create_dir(home.path("data")).expect("our own directory");
    fs::write(
        home.path("data/executions.db"),
        "not a database, but long enough to be looked at".repeat(99),
    )
    .expect("our own directory");
    refusal(home.server("mcp-v8-worker"), 1, &["database"]);
    home.assert_empty();
}

#[test]
fn neither_scripts_nor_their_output_nor_secrets_are_logged() {
    const SCRIPT: &str = "const marker_of_script = 'seen-in-script'; console.log('seen-in-output')";
    for level in ["error", "warn", "info", "debug"] {
        let home = Home::new();
        let mut command = home.command();
        command
            .arg("--worker-path")
            .arg(home.path("mcp-v8-worker"))
            .arg("--session-db-path")
            .arg(home.path("data"))
            .arg("--directory-path")
            .arg(home.path("heaps"))
            .args(["--log-level", level])
            .env("RUST_LOG", "trace")
            .env("SOME_TOKEN", "seen-in-environment");
        let mut server = Server::spawn(command);
        server.initialize();
        server.run(SCRIPT);
        server.run("throw new Error('seen-in-error')");
        server.run("'seen-in-result'");
        server.run("function seen_in_syntax(");
        server.refused("run_js", json!({"code": SCRIPT, "seen-in-name": 1}));
        server.refused(
            "run_js",
            json!({"code": SCRIPT, "wait_ms": "seen-in-value"}),
        );
        server.write(b"{\"seen-in-line\": 1\n");
        server.answer_without_id();
        server.close_input();
        server.last_answers();
        server.wait_exit(PATIENCE);
        let log = server.log();
        for secret in ["seen-in", "seen_in", "marker_of_script"] {
            assert!(
                !log.contains(secret),
                "{level}: {secret} is in the log:\n{log}"
            );
        }
        if level == "info" || level == "debug" {
            assert!(log.contains("serves MCP"), "{log}");
        }
    }
}

#[test]
fn a_worker_gets_nothing_of_the_server() {
    for worker_start in ["exec", "zygote"] {
        let home = Home::new();
        let mut command = home.server("mcp-v8-worker");
        command
            .env("SOME_TOKEN", "secret")
            .args(["--worker-start", worker_start]);
        let mut server = Server::spawn(command);
        server.initialize();
        let id = server.submit("console.log('runs'); for (;;) {}");
        server.until_output(&id, 5);
        let processes = home.processes();
        let is_executed = |entry: &&processes::Entry| entry.parent == server.pid().as_raw();
        let (executed, forked): (Vec<_>, Vec<_>) = processes.iter().partition(is_executed);
        let workers = if worker_start == "exec" {
            &executed
        } else {
            &forked
        };
        assert!(!workers.is_empty(), "{processes:?}");
        workers
            .iter()
            .for_each(|worker| assert_has_nothing(worker.pid));
        executed
            .iter()
            .for_each(|child| assert_knows_nothing(child.pid));
        server.call("cancel_execution", json!({"execution_id": id}));
        server.finish();
    }
}

/// Neither a variable of the environment nor an argument of the server.
fn assert_knows_nothing(pid: i32) {
    // Readable only for the superuser: none of them is dumpable.
    for name in ["environ", "cmdline"] {
        if let Ok(bytes) = fs::read(format!("/proc/{pid}/{name}")) {
            let text = String::from_utf8_lossy(&bytes);
            for word in ["secret", "PATH=", "session-db-path"] {
                assert!(!text.contains(word), "{word} in {name}: {text}");
            }
        }
    }
}

/// Soon: a worker that was just forked is not shut in yet.
fn assert_has_nothing(pid: i32) {
    assert_knows_nothing(pid);
    let shut_in = processes::within(PATIENCE, || {
        let listed = descriptors(pid).is_none_or(|numbers| numbers == [0, 1, 2, 3, 4]);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
        listed && status.lines().any(|line| line == "NoNewPrivs:\t1")
    });
    assert!(shut_in, "more than what is listed: {:?}", descriptors(pid));
}

/// The open descriptors of a process, for those who may look.
fn descriptors(pid: i32) -> Option<Vec<i32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut numbers: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Some(numbers)
}

#[test]
fn a_closed_standard_output_or_error_is_no_reason_to_panic() {
    let home = Home::new();
    let mut help = home.command();
    help.arg("--help").stdout(Stdio::piped());
    let mut child = help.spawn().expect("it can be executed");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("our own child");
    assert!(!errors(&output).contains("panicked"), "{}", errors(&output));

    let mut server = home
        .server("mcp-v8-worker")
        .spawn()
        .expect("it can be executed");
    drop(server.stderr.take());
    let mut input = server.stdin.take().expect("piped");
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": e2e::server::initialize_params()});
    writeln!(input, "{open}").expect("taken");
    drop(input);
    let output = server.wait_with_output().expect("our own child");
    assert!(output.status.success(), "{:?}", output.status);
    let lines = String::from_utf8_lossy(&output.stdout);
    assert_eq!(lines.lines().count(), 1, "{lines}");
}
