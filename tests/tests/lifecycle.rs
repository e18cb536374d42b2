//! The ends of a server: its input, signals, kills; and what another one finds.

use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::processes;
use e2e::server::{PATIENCE, Server, id_of, structured};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A script that never ends by itself, and says that it runs.
const ENDLESS: &str = "console.log('runs'); for (;;) {}";
/// How long a server waits for the Hello of a worker.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// How long a clean end may take with nothing to wait for.
const CLEAN_END: Duration = Duration::from_secs(10);

#[test]
fn at_the_end_of_input_every_request_is_answered_and_the_rest_is_cancelled() {
    let home = Home::new();
    let mut server = home.start_with(&["--max-concurrent-executions", "2"]);
    let finished = id_of(&server.run("'kept'"));
    let endless = server.submit(ENDLESS);
    server.until_output(&endless, 5);
    let slow = json!({
        "code": "console.log('out'); await new Promise(r => setTimeout(r, 1500)); 'slow'",
        "wait_ms": 40_000,
    });
    let waiting = server.send_call("run_js", slow);
    let queued = server.send_call("run_js", json!({"code": "'queued'"}));
    server.close_input();
    let begin = Instant::now();
    let answers = server.last_answers();
    let answer = |id: i64| -> Value {
        let found = answers.iter().find(|answer| answer["id"] == id);
        structured(found.unwrap_or_else(|| panic!("no answer to {id}: {answers:?}")))
    };
    assert_eq!(answer(waiting)["result"], "slow");
    assert_eq!(answer(waiting)["output"]["data"], "out");
    let queued = id_of(&answer(queued));
    assert!(server.wait_exit(CLEAN_END).success(), "{}", server.log());
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    home.assert_empty();

    let mut server = home.start();
    assert_eq!(server.get(&finished)["result"], "kept");
    let seen = server.get(&endless);
    assert_eq!(seen["status"], "cancelled", "{seen}");
    assert!(
        seen["error"]
            .as_str()
            .is_some_and(|text| text.contains("shut")),
        "{seen}"
    );
    assert!(e2e::server::is_final(&server.get(&queued)));
    server.finish();
}

#[test]
fn signals_end_it_cleanly_with_work_running() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let home = Home::new();
        let mut server = home.start_with(&["--max-concurrent-executions", "1"]);
        let finished = id_of(&server.run("'kept'"));
        let waiting = server.send_call("run_js", json!({"code": ENDLESS, "wait_ms": 50_000}));
        // Requests are answered side by side: only when it runs does the next one have to wait.
        let running = json!({"status": "running"});
        let runs = || server.call("list_executions", running.clone())["executions"][0].is_object();
        assert!(processes::within(PATIENCE, runs));
        let queued = server.submit("1");
        server.signal(signal);
        let begin = Instant::now();
        // The input stays open: the server must not wait for it.
        let answers = server.last_answers();
        assert!(
            server.wait_exit(CLEAN_END).success(),
            "{signal}: {}",
            server.log()
        );
        assert!(begin.elapsed() < CLEAN_END);
        let waited = answers.iter().find(|answer| answer["id"] == waiting);
        let waited = waited.unwrap_or_else(|| panic!("{signal}: no answer: {answers:?}"));
        assert_eq!(
            structured(waited)["status"],
            "cancelled",
            "{signal}: {waited}"
        );
        home.assert_empty();

        let mut server = home.start();
        assert_eq!(server.get(&finished)["result"], "kept");
        assert_eq!(server.get(&queued)["status"], "cancelled");
        server.finish();
    }
}

#[test]
fn a_client_that_closes_everything_leaves_nothing_behind() {
    let home = Home::new();
    let mut command = home.server("mcp-v8-worker");
    let mut child = command.spawn().expect("the server can be executed");
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "run_js", "arguments": {"code": ENDLESS}}});
    let open = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": e2e::server::initialize_params()});
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, format!("{open}\n{call}\n").as_bytes()).expect("taken");
    assert!(processes::within(PATIENCE, || !home.processes().is_empty()));
    drop(child.stdout.take());
    drop(child.stderr.take());
    drop(input);
    let ended = processes::within(CLEAN_END, || matches!(child.try_wait(), Ok(Some(_))));
    let _already_gone = child.kill();
    let _status = child.wait();
    assert!(ended, "it has to end without anybody to talk to");
    home.assert_empty();
}

#[test]
fn a_killed_server_takes_its_children_along_and_the_next_one_tidies_up() {
    let home = Home::new();
    let mut server = home.start_with(&["--max-concurrent-executions", "3"]);
    let finished = id_of(&server.run("console.log('said'); 'kept'"));
    let running: Vec<String> = (0..3).map(|_| server.submit(ENDLESS)).collect();
    for id in &running {
        server.until_output(id, 5);
    }
    let queued = server.submit("'never'");
    // Accepted executions survive after 50 ms at most.
    std::thread::sleep(Duration::from_millis(100));
    assert!(home.processes().len() > 3, "{:?}", home.processes());
    server.signal(Signal::SIGKILL);
    home.assert_empty();
    server.wait_exit(PATIENCE);

    let mut server = home.start();
    let seen = server.get(&finished);
    assert_eq!(seen["result"], "kept");
    let page = server.call("get_execution_output", json!({"execution_id": finished}));
    assert_eq!(page["data"], "said");
    for id in running.iter().chain([&queued]) {
        let seen = server.get(id);
        assert_eq!(seen["status"], "failed", "{seen}");
        let text = seen["error"].as_str().unwrap_or_default();
        assert!(text.contains("restart") || text.contains("ended"), "{text}");
        assert!(seen["completed_at"].is_string(), "{seen}");
        let text = server.refused("cancel_execution", json!({"execution_id": id}));
        assert!(text.contains("not running"), "{text}");
    }
    let page = server.call("get_execution_output", json!({"execution_id": running[0]}));
    assert_eq!(page["data"], "runs");
    assert_eq!(page["status"], "failed");
    assert_eq!(server.run("1")["result"], "1");
    server.finish();
    let is_locked = e2e::home::has_entry(&home.path("data"), "owner-");
    assert!(
        !is_locked,
        "a lock of a server that has gone is left behind"
    );
}

#[test]
fn a_server_killed_while_it_starts_workers_leaves_none() {
    let home = Home::new();
    for round in 0..10_u64 {
        let mut server = home.start_with(&["--max-concurrent-executions", "12"]);
        let ids: Vec<String> = (0..24).map(|_| server.submit(ENDLESS)).collect();
        std::thread::sleep(Duration::from_millis(60 + round * 15));
        server.signal(Signal::SIGKILL);
        // A worker that still starts finds its pipe closed when it is ready to read.
        let gone = processes::within(PATIENCE, || home.processes().is_empty());
        assert!(
            gone,
            "children outlive their server: {:?}",
            home.processes()
        );
        drop(server);
        let mut server = home.start();
        for id in ids {
            assert_eq!(server.get(&id)["status"], "failed");
        }
        server.finish();
    }
}

#[test]
fn a_signal_while_the_server_starts_ends_it() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let home = Home::new();
        home.hostile("worker", "sleep");
        let mut server = Server::spawn(home.server("worker"));
        assert!(processes::within(PATIENCE, || !home.processes().is_empty()));
        server.signal(signal);
        // Long before it would give up on its worker.
        server.wait_exit(HELLO_WAIT * 8 / 10);
        home.assert_empty();
    }
}

#[test]
fn a_client_that_does_not_read_cannot_keep_a_server_alive() {
    let home = Home::new();
    let mut child = home
        .server("mcp-v8-worker")
        .spawn()
        .expect("the server can be executed");
    let mut input = child.stdin.take().expect("piped");
    let mut errors = child.stderr.take().expect("piped");
    let drain = std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
    let open = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": e2e::server::initialize_params()});
    let mut lines = format!("{open}\n");
    for id in 1..=40 {
        let arguments = json!({"code": "'x'.repeat(1e6)", "wait_ms": 50_000});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "run_js", "arguments": arguments}});
        lines.push_str(&format!("{call}\n"));
    }
    std::io::Write::write_all(&mut input, lines.as_bytes()).expect("taken");
    std::thread::sleep(Duration::from_secs(2));
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let grown = processes::usage(pid).resident_bytes;
    assert!(
        grown < 256 << 20,
        "{grown} bytes for answers that nobody reads"
    );
    nix::sys::signal::kill(pid, Signal::SIGTERM).expect("the server is there");
    let ended = processes::within(Duration::from_secs(30), || {
        matches!(child.try_wait(), Ok(Some(_)))
    });
    let _already_gone = child.kill();
    let _status = child.wait();
    assert!(ended, "it waits for a client that does not read");
    let _bytes = drain.join();
    home.assert_empty();
}

#[test]
fn a_server_short_of_descriptors_says_so_and_recovers() {
    let home = Home::new();
    let plain = home.server("mcp-v8-worker");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "ulimit -n 48; exec \"$@\"", "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .args(["--max-concurrent-executions", "64"])
        .env("TMPDIR", home.path("tmp"))
        .current_dir(home.path(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut server = Server::spawn(command);
    server.initialize();
    // Those that have a worker keep it.
    let code = "console.log('runs'); await new Promise(r => setTimeout(r, 1e6))";
    let arguments = json!({"code": code, "execution_timeout_secs": 300});
    let ids: Vec<String> = (0..64)
        .map(|_| id_of(&server.call("run_js", arguments.clone())))
        .collect();
    let all_decided = processes::within(PATIENCE, || {
        ids.iter().all(|id| {
            let seen = server.get(id);
            e2e::server::is_final(&seen) || seen["status"] == "running"
        })
    });
    assert!(all_decided, "{}", server.log());
    let (mut ran, mut failed) = (0, 0);
    for id in &ids {
        let seen = server.get(id);
        if seen["status"] == "running" {
            server.call("cancel_execution", json!({"execution_id": id}));
            ran += 1;
            continue;
        }
        failed += 1;
        assert_eq!(seen["status"], "failed", "{seen}");
        let text = seen["error"].as_str().unwrap_or_default();
        assert!(text.contains("open files"), "{text}");
        assert!(text.contains("--max-concurrent-executions"), "{text}");
    }
    assert!(ran > 0, "48 descriptors are enough for no worker");
    assert!(failed > 0, "48 descriptors are enough for 64 workers");
    assert_eq!(server.run("'again'")["result"], "again");
    server.finish();
    home.assert_empty();
}

#[test]
fn two_servers_on_one_directory_leave_each_other_alone() {
    let home = Home::new();
    let mut first = home.start();
    let running = first.submit(ENDLESS);
    first.until_output(&running, 5);
    let mut second = home.start();
    // The start of the second has not touched what the first runs.
    assert_eq!(first.get(&running)["status"], "running");
    let seen = second.get(&running);
    assert_eq!(seen["status"], "running", "{seen}");
    let text = second.refused("cancel_execution", json!({"execution_id": running}));
    assert!(text.contains("another server"), "{text}");

    let mine: Vec<String> = (0..10).map(|n| first.submit(&n.to_string())).collect();
    let theirs: Vec<String> = (0..10).map(|n| second.submit(&format!("-{n}"))).collect();
    for (n, id) in mine.iter().enumerate() {
        assert_eq!(first.wait(id)["result"], n.to_string());
        assert_eq!(second.wait(id)["result"], n.to_string());
    }
    for (n, id) in theirs.iter().enumerate() {
        let wanted = if n == 0 {
            "0".to_owned()
        } else {
            format!("-{n}")
        };
        assert_eq!(second.wait(id)["result"], wanted);
    }
    second.finish();
    assert_eq!(first.get(&running)["status"], "running");
    first.call("cancel_execution", json!({"execution_id": running}));
    first.finish();
    home.assert_empty();
}

#[test]
fn a_server_sees_the_death_of_its_neighbour_and_goes_on() {
    let home = Home::new();
    let first = home.start();
    let mut second = home.start();
    let id = second.submit("await new Promise(r => setTimeout(r, 1500)); 'mine'");
    first.signal(Signal::SIGKILL);
    drop(first);
    assert_eq!(second.wait(&id)["result"], "mine");
    let third = home.start();
    assert_eq!(second.get(&id)["result"], "mine");
    third.finish();
    second.finish();
}

#[test]
fn a_full_queue_refuses_and_accepts_nothing() {
    let home = Home::new();
    let arguments = [
        "--max-concurrent-executions",
        "1",
        "--max-queued-executions",
        "2",
    ];
    let mut server = home.start_with(&arguments);
    let running = server.submit(ENDLESS);
    server.until_output(&running, 5);
    let queued = [server.submit("'a'"), server.submit("'b'")];
    for wait_ms in [0, 1000] {
        let text = server.refused("run_js", json!({"code": "'c'", "wait_ms": wait_ms}));
        for word in ["busy", "1 ", "2 ", "nothing was accepted", "again"] {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
    }
    let page = server.call("list_executions", json!({}));
    assert_eq!(
        page["executions"].as_array().map(Vec::len),
        Some(3),
        "{page}"
    );
    server.call("cancel_execution", json!({"execution_id": running}));
    for (id, value) in queued.iter().zip(["a", "b"]) {
        assert_eq!(server.wait(id)["result"], value);
    }
    assert_eq!(server.run("'c'")["result"], "c");
    server.finish();
}

#[test]
fn a_stateless_server_leaves_no_files() {
    let home = Home::new();
    let mut server = Server::spawn(home.stateless_server("mcp-v8-worker"));
    server.initialize();
    let id = id_of(&server.run("console.log('x'); 1"));
    assert_eq!(server.get(&id)["result"], "1");
    let tmp = home.path("tmp");
    assert!(
        e2e::home::has_entry(&tmp, ""),
        "it has a place for its data"
    );
    server.finish();
    assert!(!e2e::home::has_entry(&tmp, ""), "its data is still there");
    assert!(!home.path("data").exists());
}

#[test]
fn data_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let mut server = home.start();
    server.run("1");
    let mode = |path: &std::path::Path| {
        let about = std::fs::metadata(path).expect("it is there");
        about.permissions().mode() & 0o777
    };
    let data = home.path("data");
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data)
        .expect("our own directory")
        .flatten()
    {
        assert_eq!(mode(&entry.path()) & 0o077, 0, "{}", entry.path().display());
    }
    server.finish();
}
