//! The jail on machines and in containers that do not give everything, or lie about it: a program runs
//! with what is named taken away (`support/deprive.rs`), here the check of the jail.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::path::PathBuf;
use std::process::Command;

/// Both ways in which a worker is started.
const WAYS: [&str; 2] = ["exec", "zygote"];

/// The program that takes things away, of the build that the running test belongs to.
fn deprived() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(std::path::Path::parent).unwrap();
    let program = profile.join("examples/deprived");
    assert!(
        program.exists(),
        "build it first: cargo build -p mcp-v8-worker --example deprived"
    );
    program
}

/// What the check says, and with which code it exits.
struct Checked {
    text: String,
    code: Option<i32>,
}

impl Checked {
    fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8(output.stderr).unwrap();
        Self {
            text: said + &complained,
            code: output.status.code(),
        }
    }

    fn without(what: &[&str], arguments: &[&str]) -> Self {
        let mut command = Command::new(deprived());
        command.args(what).arg("--").args(check()).args(arguments);
        Self::of(command)
    }

    fn is_on(&self, layer: &str) -> bool {
        let line = self.line(layer);
        line.split_whitespace().any(|word| word == "on")
    }

    fn line(&self, layer: &str) -> &str {
        let mut lines = self.text.lines();
        let line = lines.find(|line| line.starts_with(layer));
        let line = line.unwrap_or_else(|| panic!("{layer} is not in:\n{}", self.text));
        &line[layer.len()..]
    }

    fn runs(&self) -> bool {
        assert_eq!(
            self.code == Some(0),
            self.text.ends_with("a worker runs here\n"),
            "{}",
            self.text
        );
        self.code == Some(0)
    }
}

fn check() -> [&'static str; 2] {
    [env!("CARGO_BIN_EXE_mcp-v8-worker"), "check-sandbox"]
}

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: only root can lose what is taken here");
    }
    is_root
}

/// Whether this machine gives a wall at all, and has namespaces.
fn has(layer: &str) -> bool {
    let has = Checked::without(&[], &["--sandbox", "best-effort"]).is_on(layer);
    if !has {
        eprintln!("SKIPPED: this machine has no {layer}");
    }
    has
}

#[test]
fn root_without_another_user_to_take_says_so_and_runs() {
    if !is_root() || !has("user namespace") {
        return;
    }
    for way in WAYS {
        let mut one_user = Command::new("unshare");
        one_user.arg("--map-root-user").args(check());
        one_user.args(["--worker-start", way]);
        for checked in [
            Checked::of(one_user),
            Checked::without(&["groups"], &["--worker-start", way]),
        ] {
            assert!(checked.runs(), "{way}: {}", checked.text);
            assert!(!checked.is_on("user"), "{way}: {}", checked.text);
            let why = checked.line("user");
            assert!(why.contains("no other user"), "{why}");
            assert!(checked.is_on("user namespace"), "{way}: {}", checked.text);
        }
    }
}

#[test]
fn a_user_namespace_that_cannot_be_mapped_is_not_entered() {
    if !has("landlock") {
        return;
    }
    for way in WAYS {
        let checked = Checked::without(&["maps"], &["--worker-start", way]);
        assert!(checked.runs(), "{way}: {}", checked.text);
        assert!(!checked.is_on("user namespace"), "{}", checked.text);
        if is_root() {
            // It goes back to being root for the others, and is another user in the end.
            assert!(checked.is_on("network namespace"), "{}", checked.text);
            assert!(checked.is_on("user"), "{}", checked.text);
            let checked = Checked::without(&["root", "maps"], &["--worker-start", way]);
            assert!(checked.runs(), "{way}: {}", checked.text);
            assert!(!checked.is_on("network namespace"), "{}", checked.text);
        }
    }
}

/// What is taken, and what is on and off then.
type Environment = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn in_containers_landlock_is_the_wall_and_what_else_there_is_is_on() {
    const NAMESPACES: [&str; 4] = [
        "user namespace",
        "pid namespace",
        "mount namespace",
        "network namespace",
    ];
    const ENVIRONMENTS: &[Environment] = &[
        // Root in a container has no privilege to make namespaces.
        (&["docker"], &["user", "landlock"], &NAMESPACES),
        (&["root", "docker"], &["landlock"], &NAMESPACES),
        // One that is privileged makes them without a user namespace.
        (
            &["user-namespace"],
            &["user", "landlock", "mount namespace", "network namespace"],
            &["user namespace", "pid namespace"],
        ),
        // And these want nothing of what is taken.
        (&["clone3"], &["user", "landlock", "user namespace"], &[]),
        (&["root", "clone3"], &["landlock", "user namespace"], &[]),
    ];
    if !is_root() || !has("landlock") || !has("user namespace") {
        return;
    }
    for (what, on, off) in ENVIRONMENTS {
        for way in WAYS {
            let checked = Checked::without(what, &["--worker-start", way]);
            assert!(checked.runs(), "{what:?} {way}: {}", checked.text);
            for layer in *on {
                assert!(checked.is_on(layer), "{what:?} {layer}: {}", checked.text);
            }
            for layer in *off {
                assert!(!checked.is_on(layer), "{what:?} {layer}: {}", checked.text);
            }
        }
    }
}

#[test]
fn without_what_is_always_required_a_worker_refuses_to_run_and_says_why() {
    /// What is taken, and what is said about it.
    const REQUIRED: &[(&str, &str)] = &[
        (
            "descriptors",
            "put the supervisor's pipes into their places",
        ),
        ("limits", "set resource limits"),
        ("capability-sets", "give up capabilities"),
        ("privileges", "give up new privileges"),
        ("dumpable", "forbid others to look inside"),
        ("parent-death", "ask to die with the parent"),
        ("filters", "install the filter"),
    ];
    for (what, why) in REQUIRED {
        for way in WAYS {
            // Best effort is no way around it.
            for mode in ["required", "best-effort"] {
                let arguments = ["--worker-start", way, "--sandbox", mode];
                let checked = Checked::without(&[what], &arguments);
                assert!(!checked.runs(), "{what} {way}: {}", checked.text);
                assert_eq!(checked.code, Some(70), "{what} {way}");
                let said = checked.text.lines().last().unwrap();
                assert!(said.contains("refuses to run here"), "{what} {way}: {said}");
                assert!(said.contains(why), "{what} {way}: {said}");
            }
        }
    }
}

#[test]
fn what_is_only_said_to_be_there_is_found_out() {
    /// What lies, and what is found.
    const LIES: &[(&[&str], &str)] = &[
        (&["lying-limit"], "a socket can be made"),
        (&["lying-privileges"], "new privileges can be had"),
        // Who takes another user is not dumpable by that.
        (
            &["namespaces", "groups", "lying-dumpable"],
            "others can look inside",
        ),
        (&["lying-parent-death"], "it outlives its parent"),
        (&["lying-filters"], "the filter lets"),
    ];
    /// The same about what only root has.
    const CAPABILITIES: (&[&str], &str) = (&["lying-capability-sets"], "give up capabilities");
    /// And about namespaces.
    const NAMESPACES: &[(&[&str], &str)] = &[
        (&["lying-network"], "the network leads somewhere"),
        (&["lying-root"], "the root directory is not empty"),
    ];
    let mut lies = LIES.to_vec();
    if has("user namespace") {
        lies.extend(NAMESPACES);
    }
    if is_root() {
        lies.push(CAPABILITIES);
    }
    for (what, leak) in lies {
        for way in WAYS {
            let arguments = ["--worker-start", way, "--sandbox", "best-effort"];
            let checked = Checked::without(what, &arguments);
            assert!(!checked.runs(), "{what:?} {way}: {}", checked.text);
            let said = checked.text.lines().last().unwrap();
            assert!(said.contains(leak), "{what:?} {way}: {said}");
        }
    }
}

#[test]
fn landlock_that_enforces_nothing_is_no_wall() {
    if !has("landlock") {
        return;
    }
    // An empty root cannot be opened either, so namespaces are taken too.
    let lies = ["lying-landlock", "namespaces"];
    for way in WAYS {
        let checked = Checked::without(&lies, &["--worker-start", way]);
        assert!(!checked.runs(), "{way}: {}", checked.text);
        let why = checked.line("landlock");
        assert!(why.contains("the root directory can be opened"), "{why}");
        let best = ["--worker-start", way, "--sandbox", "best-effort"];
        let checked = Checked::without(&lies, &best);
        assert!(checked.runs(), "{way}: {}", checked.text);
    }
}
