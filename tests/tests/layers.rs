//! Layers of the jail that a machine does not give: the server does not start without those that are
//! required, and says what there is.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::process::{Command, Output, Stdio};

use e2e::home::Home;
use e2e::server::Server;

/// Both ways in which workers are started.
const WAYS: [&str; 2] = ["exec", "zygote"];
/// What makes both walls impossible.
const NO_WALL: &[&str] = &["landlock", "namespaces"];

/// Layers that are always required: what is taken so that one is missing, and what is said then.
const REQUIRED: &[(&str, &str)] = &[
    // The server itself wants this of its kernel.
    ("descriptors", "Linux 5.11 or newer is needed"),
    ("limits", "cannot set resource limits"),
    ("capability-sets", "cannot give up capabilities"),
    ("privileges", "cannot give up new privileges"),
    ("dumpable", "cannot forbid others to look inside"),
    ("parent-death", "cannot ask to die with the parent"),
    ("filters", "cannot install the filter"),
    ("lying-privileges", "the jail leaks"),
    ("lying-filters", "the jail leaks"),
];

/// The end of a server, or of its check, on a machine without something.
fn end(what: &[&str], arguments: &[&str]) -> (Output, String) {
    let home = Home::new();
    let mut command = home.server("mcp-v8-worker");
    command.args(arguments);
    let mut command = home.without(what, &command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.expect("it can be executed");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    home.assert_empty();
    let said = said.into_owned();
    (output, said)
}

/// What this machine has, in the words of the check.
fn has(layer: &str) -> bool {
    let (_, said) = end(&[], &["--check-sandbox", "--sandbox", "best-effort"]);
    let mut lines = said.lines().filter_map(|line| line.strip_prefix(layer));
    let is_on = lines.any(|rest| rest.split_whitespace().any(|word| word == "on"));
    if !is_on {
        eprintln!("SKIPPED: this machine has no {layer}");
    }
    is_on
}

#[test]
fn without_a_wall_the_server_refuses_to_start_and_the_check_says_why() {
    for way in WAYS {
        let (refused, said) = end(NO_WALL, &["--worker-start", way]);
        assert_eq!(refused.status.code(), Some(1), "{way}: {said}");
        assert!(refused.stdout.is_empty(), "{way}");
        let (check, layers) = end(NO_WALL, &["--check-sandbox", "--worker-start", way]);
        assert_eq!(check.status.code(), Some(1), "{way}: {layers}");
        for text in [&said, &layers] {
            for word in ["landlock", "user namespace", "--sandbox best-effort"] {
                assert!(text.contains(word), "{way}: {word} is not in:\n{text}");
            }
        }
        assert!(layers.contains("a worker refuses to run here"), "{layers}");
        let line = layers.lines().find(|line| line.starts_with("landlock"));
        assert!(line.is_some_and(|line| line.contains(" off ")), "{layers}");
    }
}

#[test]
fn one_wall_is_enough() {
    if !has("landlock") || !has("user namespace") {
        return;
    }
    // Namespaces are a wall for forked workers only: executed ones see other processes.
    for (what, way, starts) in [
        ("namespaces", "exec", true),
        ("namespaces", "zygote", true),
        ("landlock", "exec", false),
        ("landlock", "zygote", true),
    ] {
        let (ended, said) = end(&[what], &["--worker-start", way]);
        assert_eq!(ended.status.success(), starts, "{what} {way}: {said}");
        let (check, said) = end(&[what], &["--check-sandbox", "--worker-start", way]);
        assert_eq!(check.status.success(), starts, "{what} {way}: {said}");
    }
}

#[test]
fn without_what_is_always_required_the_server_refuses_to_start() {
    for (what, why) in REQUIRED {
        for way in WAYS {
            // Best effort is no way around it.
            let arguments = ["--worker-start", way, "--sandbox", "best-effort"];
            let (refused, said) = end(&[what], &arguments);
            assert_eq!(refused.status.code(), Some(1), "{what} {way}: {said}");
            assert!(refused.stdout.is_empty(), "{what} {way}");
            assert!(said.contains("cannot start"), "{what} {way}: {said}");
            assert!(said.contains(why), "{what} {way}: {said}");
        }
    }
}

/// The words that a server logs at its start, of what confines its workers: what is on, and what off.
fn confinement(what: &[&str], arguments: &[&str]) -> (String, String, String) {
    let home = Home::new();
    let mut command: Command = home.server("mcp-v8-worker");
    command.args(arguments);
    let mut server = Server::spawn(home.without(what, &command));
    server.initialize();
    assert_eq!(server.run("6 * 7")["result"], "42", "{}", server.log());
    let log = server.log();
    server.finish();
    let line = log
        .lines()
        .find_map(|line| line.split_once("confined by: "));
    let words = line.and_then(|(_, words)| words.split_once("; off: "));
    let (on, off) = words.unwrap_or_else(|| panic!("nothing says it in:\n{log}"));
    let off = off.split(" (").next().unwrap_or_default();
    (on.to_owned(), off.to_owned(), log)
}

#[test]
fn best_effort_starts_without_a_wall_and_warns() {
    for way in WAYS {
        let arguments = ["--worker-start", way, "--sandbox", "best-effort"];
        let (on, off, log) = confinement(NO_WALL, &arguments);
        assert!(on.starts_with("seccomp"), "{way}: {on}");
        assert!(on.contains("self-check"), "{way}: {on}");
        assert!(off.starts_with("landlock, user namespace"), "{way}: {off}");
        let warning = log
            .lines()
            .find(|line| line.contains("only the system call filter"));
        assert!(warning.is_some_and(|line| line.contains("WARN")), "{log}");
    }
}

#[test]
fn the_log_says_at_the_start_what_confines_workers() {
    if !has("landlock") || !has("user namespace") || !has("user ") {
        return;
    }
    const ALL: &str = "seccomp, landlock, user namespace, pid namespace, mount namespace, network \
                       namespace, own user, self-check";
    const NO_USER: &str = "seccomp, landlock, user namespace, pid namespace, mount namespace, \
                           network namespace, self-check";
    const CONTAINER: &str = "seccomp, landlock, own user, self-check";
    const NAMESPACES: &str = "user namespace, pid namespace, mount namespace, network namespace";
    for (what, way, on, off) in [
        (&[][..], "zygote", ALL, "nothing"),
        (&["groups"], "zygote", NO_USER, "own user"),
        (&["docker"], "zygote", CONTAINER, NAMESPACES),
        (&["docker"], "exec", CONTAINER, NAMESPACES),
        (
            &["user-namespace"],
            "zygote",
            "seccomp, landlock, mount namespace, network namespace, own user, self-check",
            "user namespace, pid namespace",
        ),
        (
            &["landlock"],
            "zygote",
            "seccomp, user namespace, pid namespace, mount namespace, network namespace, own user, \
             self-check",
            "landlock",
        ),
    ] {
        let said = confinement(what, &["--worker-start", way]);
        let (said_on, said_off, log) = said;
        assert_eq!(
            (said_on.as_str(), said_off.as_str()),
            (on, off),
            "{what:?} {way}"
        );
        assert!(
            !log.contains("only the system call filter"),
            "{what:?}: {log}"
        );
    }
}
