//! What machine code in a worker's jail can do: a program takes the production jail, then tries one
//! thing. A table (`tests/abuse.toml`) says what must come of it, in every environment.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

mod support {
    #[allow(dead_code, reason = "each test program uses a part of this")]
    pub(crate) mod abuse;
    pub(crate) mod probe;
}
use support::abuse::{Table, Target, is_right, outcome};
use support::probe::attempt;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this machine allows user namespaces.
fn has_namespaces() -> bool {
    let (report, _) = attempt(&["--best-effort"], "report");
    is_on(&report, "user namespace")
}

/// Environments that can be made here: their names, and the arguments that make them.
fn environments(table: &Table) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let has_namespaces = has_namespaces();
    let places = table.environment.iter().map(|place| {
        let arguments = place.arguments.iter().map(String::as_str);
        (place.name.as_str(), arguments.collect::<Vec<_>>())
    });
    places.filter(move |(name, arguments)| {
        let takes = ["--nobody", "--without"];
        if !is_root() && arguments.iter().any(|it| takes.contains(it)) {
            eprintln!("SKIPPED: {name}: only root can become another user, or lose what is taken");
            return false;
        }
        let is_one_wall =
            arguments.contains(&"--no-landlock") && !arguments.contains(&"--best-effort");
        if is_one_wall && !has_namespaces {
            eprintln!("SKIPPED: {name}: this machine allows no user namespaces");
            return false;
        }
        true
    })
}

/// How many acts were tried in an environment, and those that did not come out as the table says.
fn try_all(table: &Table, name: &str, environment: &[&str]) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let mut done = 0;
    for (about, act) in table.acts() {
        let Some(wanted) = &act.jail else { continue };
        assert_eq!(act.target, Target::None, "{}", act.act);
        let (said, signal) = attempt(environment, &act.act);
        let found = outcome(&said, signal);
        if !is_right(wanted, &found) {
            let act = &act.act;
            wrong.push(format!("{name}: {about}: {act}: {found}, not {wanted}"));
        }
        done += 1;
    }
    (done, wrong)
}

#[test]
fn machine_code_in_the_jail_can_do_what_the_table_says_and_no_more() {
    const TRIED_MIN: usize = 140;
    let table = &Table::load();
    let tried: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let start = |(name, environment): (_, Vec<_>)| {
            scope.spawn(move || try_all(table, name, &environment))
        };
        let threads: Vec<_> = environments(table).map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for (done, _) in &tried {
        assert!(*done >= TRIED_MIN, "{done}");
    }
    let wrong: Vec<String> = tried.into_iter().flat_map(|(_, wrong)| wrong).collect();
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn executable_memory_is_for_engines_that_make_code() {
    for act in ["can-map-executable", "can-make-executable"] {
        assert_eq!(attempt(&["--jitless"], act).1, Some(libc::SIGSYS), "{act}");
        assert_eq!(attempt(&[], act).0, "ok 0", "{act}");
    }
    assert_eq!(attempt(&["--jitless"], "can-map").0, "ok 0");
    let (report, _) = attempt(&["--jitless"], "report");
    assert!(report.contains("no executable memory"), "{report}");
}

/// Whether a layer is on, in a report.
fn is_on(report: &str, layer: &str) -> bool {
    let line = report.lines().find(|line| line.starts_with(layer));
    let line = line.unwrap_or_else(|| panic!("{layer} is not in:\n{report}"));
    line[layer.len()..]
        .split_whitespace()
        .any(|word| word == "on")
}

#[test]
fn every_environment_has_the_layers_that_it_can_have() {
    let (here, _) = attempt(&[], "report");
    let has_landlock = is_on(&here, "landlock");
    let has_namespaces = has_namespaces();
    if !has_landlock {
        eprintln!("SKIPPED: this kernel has no Landlock");
    }
    if !has_namespaces {
        eprintln!("SKIPPED: this machine allows no user namespaces");
    }
    let table = Table::load();
    for (name, environment) in environments(&table) {
        let (report, signal) = attempt(&environment, "report");
        assert_eq!(signal, None, "{name}");
        assert!(!report.starts_with("refused"), "{name}: {report}");
        for layer in [
            "descriptors",
            "capabilities",
            "no new privileges",
            "not dumpable",
            "dies with parent",
            "limits",
            "seccomp",
            "self-check",
        ] {
            assert!(is_on(&report, layer), "{name}: {layer}:\n{report}");
        }
        let has = |argument| environment.contains(&argument);
        let landlock = has_landlock && !has("--no-landlock");
        assert_eq!(is_on(&report, "landlock"), landlock, "{name}:\n{report}");
        let users = has_namespaces
            && !["--container", "docker", "user-namespace"]
                .iter()
                .any(|it| has(it));
        assert_eq!(is_on(&report, "user namespace"), users, "{name}:\n{report}");
        let own_processes = users && has("--zygote");
        assert_eq!(
            is_on(&report, "pid namespace"),
            own_processes,
            "{name}:\n{report}"
        );
        // Root makes these by itself, where only users' are refused.
        let others = users || has("user-namespace");
        for layer in ["mount namespace", "network namespace"] {
            assert_eq!(is_on(&report, layer), others, "{name}: {layer}:\n{report}");
        }
        let own_user = is_root() && !has("--nobody");
        assert_eq!(is_on(&report, "user"), own_user, "{name}:\n{report}");
    }
}

#[test]
fn without_a_wall_a_worker_refuses_to_run_unless_best_effort_is_asked() {
    for environment in [
        &["--no-landlock"][..],
        &["--no-landlock", "--container"],
        &["--no-landlock", "--container", "--zygote"],
    ] {
        let (text, signal) = attempt(environment, "can-map");
        assert_eq!(signal, None);
        assert!(text.starts_with("refused"), "{text}");
        assert!(text.contains("landlock"), "{text}");
        assert!(text.contains("--sandbox best-effort"), "{text}");
    }
}

struct Parked(Child);

impl Drop for Parked {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A worker of the real program, after its Hello. A shell puts its pipes into their places.
fn parked() -> Parked {
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" serve 3<&0 4>&1 </dev/null >/dev/null"])
        .arg(env!("CARGO_BIN_EXE_mcp-v8-worker"))
        .env("MCP_V8_CANARY_SECRET", "in-the-environment")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut length = [0; 4];
    let hello = child.stdout.as_mut().unwrap().read_exact(&mut length);
    let mut parked = Parked(child);
    if hello.is_err() {
        let mut last_words = String::new();
        let stderr = parked.0.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut last_words).unwrap();
        panic!("it said no Hello: {last_words}");
    }
    parked
}

#[test]
fn a_parked_worker_seen_from_outside_is_shut_in() {
    let worker = parked();
    let proc = PathBuf::from(format!("/proc/{}", worker.0.id()));
    let status = std::fs::read_to_string(proc.join("status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}"))
            .split_whitespace()
            .nth(1)
            .unwrap()
    };
    assert_eq!(
        (field("NoNewPrivs:"), field("Seccomp:")),
        ("1", "2"),
        "{status}"
    );
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("Threads:"), "1");
    if !is_root() {
        eprintln!("SKIPPED: only root sees the descriptors of a process that is not dumpable");
        return;
    }
    assert_ne!(field("Uid:"), "0");
    let mut found: Vec<(i32, String)> = std::fs::read_dir(proc.join("fd"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let target = std::fs::read_link(path).unwrap();
            (
                number,
                target
                    .to_str()
                    .unwrap()
                    .split(':')
                    .next()
                    .unwrap()
                    .to_owned(),
            )
        })
        .collect();
    found.sort();
    let expected = [
        (0, "/dev/null"),
        (1, "/dev/null"),
        (2, "pipe"),
        (3, "pipe"),
        (4, "pipe"),
    ];
    assert_eq!(
        found,
        expected.map(|(number, target)| (number, target.to_owned()))
    );
    let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
    for limit in [
        "Max open files",
        "Max processes",
        "Max file size",
        "Max core file size",
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert_eq!(
            line[limit.len()..].split_whitespace().next(),
            Some("0"),
            "{line}"
        );
    }
}

#[test]
fn others_of_its_user_cannot_look_into_a_worker() {
    if !is_root() {
        eprintln!("SKIPPED: only root can become the worker's user");
        return;
    }
    let worker = parked();
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.0.id())).unwrap();
    let user = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .unwrap();
    let user = user.split_whitespace().nth(1).unwrap();
    for file in ["mem", "environ", "maps"] {
        let read = Command::new("setpriv")
            .args([
                "--reuid",
                user,
                "--regid",
                user,
                "--clear-groups",
                "head",
                "-c1",
            ])
            .arg(format!("/proc/{}/{file}", worker.0.id()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(!read.status.success(), "{file}");
        assert!(said.contains("ermission denied"), "{file}: {said}");
    }
}

#[test]
fn a_worker_dies_when_its_input_ends_and_says_why_it_cannot_start() {
    let mut worker = parked();
    drop(worker.0.stdin.take());
    assert!(worker.0.wait().unwrap().success());
    let refused = Command::new(env!("CARGO_BIN_EXE_mcp-v8-worker"))
        .arg("serve")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(70));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("cannot put the supervisor's pipes"), "{said}");
}

#[test]
fn the_check_shows_every_layer_and_its_verdict() {
    let check = |mode: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-v8-worker"));
        command.args(["check-sandbox", "--sandbox", mode]);
        command.output().unwrap()
    };
    let best = check("best-effort");
    let text = String::from_utf8(best.stdout).unwrap();
    assert_eq!(best.status.code(), Some(0), "{text}");
    assert!(text.ends_with("a worker runs here\n"), "{text}");
    let (report, _) = attempt(&[], "report");
    let layers = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.len() > 18);
        lines.map(|line| line[..18].trim().to_owned()).collect()
    };
    assert_eq!(layers(&text)[..21], layers(&report)[..]);
    let required = check("required");
    let has_wall = is_on(&text, "landlock");
    assert_eq!(required.status.code(), Some(if has_wall { 0 } else { 70 }));
    let _flushed = std::io::stderr().flush();
}
