//! What a worker has of the server: nothing. A secret is put wherever a server has secrets, and then
//! looked for in everything that waits for work, or runs it.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use e2e::home::Home;
use e2e::processes::{self, Entry};
use e2e::server::{PATIENCE, Server};
use nix::unistd::geteuid;

/// How much memory is looked at at once, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// A text that is nowhere else, not even whole in this program.
fn secret(name: &str) -> String {
    format!("canary-{name}-{}-in-the-mine", std::process::id())
}

/// The fork server, and what it has forked.
fn beneath(server: &Server) -> Vec<Entry> {
    let mut found = Vec::new();
    let there = processes::within(PATIENCE, || {
        found = processes::descendants(server.pid());
        found.len() >= 2
    });
    assert!(there, "nobody is parked:\n{}", server.log());
    found
}

fn of(process: &Entry, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{file}", process.pid))
}

/// A server that has secrets in its environment and on its command line, and in its memory the script
/// and the output of another execution. Its workers have a WebAssembly module.
fn server_with_secrets(home: &Home, way: &str) -> Server {
    let module = home.path("module.wasm");
    fs::write(&module, b"\0asm\x01\0\0\0").expect("a file in our own directory");
    let mut command = home.server("mcp-v8-worker");
    command
        .arg("--wasm-module")
        .arg(format!("nothing={}", module.display()))
        .env("CANARY_SECRET", secret("environment"))
        .args(["--worker-start", way]);
    let mut server = Server::spawn(command);
    server.initialize();
    let code = format!("console.log('{0}'); '{0}'", secret("script"));
    assert_eq!(server.run(&code)["status"], "completed");
    server
}

#[test]
fn environment_and_arguments_of_a_worker_hold_no_secret() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root sees into a process that is not dumpable");
        return;
    }
    let home = Home::new();
    let mut server = server_with_secrets(&home, "zygote");
    let everybody = beneath(&server);
    for process in &everybody {
        let environment = fs::read(of(process, "environ")).expect("root may read it");
        assert_eq!(
            String::from_utf8_lossy(&environment),
            "TZ=UTC\0LC_ALL=C\0",
            "{process:?}"
        );
        let arguments = fs::read(of(process, "cmdline")).expect("everybody may read it");
        let program = home.path("mcp-v8-worker").display().to_string();
        let rest =
            "\0zygote\0--sandbox\0required\0--engine-tier\0jit\0--mode\0stateful\0--wasm-modules\0";
        assert_eq!(
            String::from_utf8_lossy(&arguments),
            format!("{program}{rest}")
        );
    }
    assert_eq!(server.run("1")["result"], "1");
    server.finish();
}

/// What the descriptors of a process are, by number.
fn descriptors(process: &Entry) -> Vec<String> {
    let mut found: Vec<(i32, String)> = fs::read_dir(of(process, "fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            let target = target.to_string_lossy().into_owned();
            // Pipes and sockets have numbers.
            let kind = target.split(":[").next().unwrap_or_default();
            let is_numbered = ["pipe", "socket"].contains(&kind);
            let kind = if is_numbered { kind } else { &target };
            Some((number, kind.to_owned()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, kind)| kind).collect()
}

#[test]
fn a_worker_that_waits_has_five_descriptors_and_a_fork_server_its_own() {
    const WORKER: [&str; 5] = ["/dev/null", "/dev/null", "pipe", "pipe", "pipe"];
    const FORK_SERVER: [&str; 5] = [
        "/dev/null",
        "/dev/null",
        "pipe",
        "socket",
        "anon_inode:[signalfd]",
    ];
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root sees into a process that is not dumpable");
        return;
    }
    let home = Home::new();
    let server = server_with_secrets(&home, "zygote");
    for process in beneath(&server) {
        let is_fork_server = process.parent == server.pid().as_raw();
        let right = if is_fork_server { FORK_SERVER } else { WORKER };
        let mut found = Vec::new();
        // One that is just being made has not closed the others yet.
        let is_right = processes::within(PATIENCE, || {
            found = descriptors(&process);
            // The map of its own memory, opened before the file system was gone.
            found.retain(|kind| !is_fork_server || !kind.ends_with("/smaps"));
            found == right || !lives(process.pid)
        });
        assert!(is_right, "{process:?} has {found:?}");
    }
    server.finish();
}

/// Whether a text is anywhere in the memory of a process that can be read; `None` when it has ended.
fn has_in_memory(pid: i32, text: &str) -> Option<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = false;
    for (start, end) in maps.lines().filter_map(readable_range) {
        // Pieces overlap by the text's length.
        let step = PIECE_BYTES - text.len();
        let mut at = start;
        let mut piece = vec![0; PIECE_BYTES];
        while at < end && !found {
            let length =
                usize::try_from(end - at).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            if let Ok(read) = memory.read_at(&mut piece[..length], at) {
                found = has(&piece[..read], text.as_bytes());
            }
            at += step as u64;
        }
    }
    // A process that has ended has no memory to find anything in.
    (found || lives(pid)).then_some(found)
}

fn lives(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty())
}

fn readable_range(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_readable = words.next()?.starts_with('r');
    let is_special = line.ends_with("[vvar]") || line.ends_with("[vvar_vclock]");
    let number = |text| u64::from_str_radix(text, 16).ok();
    (is_readable && !is_special).then_some((number(start)?, number(end)?))
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    // SAFETY: both pointers are to as many bytes as are said.
    let found = unsafe {
        libc::memmem(
            bytes.as_ptr().cast(),
            bytes.len(),
            text.as_ptr().cast(),
            text.len(),
        )
    };
    !found.is_null()
}

#[test]
fn the_memory_of_a_worker_holds_no_secret_of_the_server_or_of_another_execution() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root sees into a process that is not dumpable");
        return;
    }
    let home = Home::new();
    let mut server = server_with_secrets(&home, "zygote");
    let secrets = [secret("environment"), secret("script")];
    // The search finds what is there: the server has both.
    for secret in &secrets {
        let found = has_in_memory(server.pid().as_raw(), secret);
        assert_eq!(found, Some(true), "{secret}");
    }
    let mut looked_at = 0;
    for process in beneath(&server) {
        for secret in &secrets {
            let found = has_in_memory(process.pid, secret);
            assert_ne!(found, Some(true), "{secret} is in {process:?}");
            looked_at += usize::from(found.is_some());
        }
    }
    // The fork server, and one that waits.
    assert!(looked_at >= 4, "{looked_at}");
    // A worker that runs has its own script, and no other's.
    let own = secret("own");
    let id = server.submit(&format!(
        "globalThis.own = '{own}'; console.log(1); await new Promise(r => setTimeout(r, 20000))"
    ));
    server.until_output(&id, 1);
    let mut running = beneath(&server);
    running.retain(|process| has_in_memory(process.pid, &own) == Some(true));
    assert_eq!(running.len(), 1, "{running:?}");
    for secret in &secrets {
        assert_eq!(has_in_memory(running[0].pid, secret), Some(false));
    }
    server.call("cancel_execution", serde_json::json!({"execution_id": id}));
    server.finish();
}
