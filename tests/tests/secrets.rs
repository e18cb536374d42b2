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
/// and the output of another execution.
fn server_with_secrets(home: &Home, way: &str) -> Server {
    let mut command = home.server("mcp-v8-worker");
    command
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
        let rest = "\0zygote\0--sandbox\0required\0--engine-tier\0jit\0";
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
        .expect("root may read it")
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
        let mut found = descriptors(&process);
        if process.parent == server.pid().as_raw() {
            // The map of its own memory, opened before the file system was gone.
            found.retain(|kind| !kind.ends_with("/smaps"));
            assert_eq!(found, FORK_SERVER, "{process:?}");
        } else {
            assert_eq!(found, WORKER, "{process:?}");
        }
    }
    server.finish();
}

/// Whether a text is anywhere in the memory of a process that can be read.
fn has_in_memory(pid: i32, text: &str) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("root may read it");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("root may read it");
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
    found
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
    let first = text[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(text) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
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
        assert!(has_in_memory(server.pid().as_raw(), secret), "{secret}");
    }
    for process in beneath(&server) {
        for secret in &secrets {
            let found = has_in_memory(process.pid, secret);
            assert!(!found, "{secret} is in {process:?}");
        }
    }
    // A worker that runs has its own script, and no other's.
    let own = secret("own");
    let id = server.submit(&format!(
        "globalThis.own = '{own}'; console.log(1); await new Promise(r => setTimeout(r, 20000))"
    ));
    server.until_output(&id, 1);
    let running: Vec<Entry> = beneath(&server)
        .into_iter()
        .filter(|process| has_in_memory(process.pid, &own))
        .collect();
    assert_eq!(running.len(), 1, "{running:?}");
    for secret in &secrets {
        assert!(!has_in_memory(running[0].pid, secret), "{secret}");
    }
    server.call("cancel_execution", serde_json::json!({"execution_id": id}));
    server.finish();
}
