//! Files with secrets, as the start, the check of a configuration and the doctor see them: alike.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::tenants_parts::token_file;
use e2e::home::Home;
use nix::unistd::{geteuid, getuid};
use serde_json::Value;

/// What is looked at.
const SUBJECTS: [&str; 3] = ["tokens", "heap key", "audit key"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the program over these files, as a server or as an errand.
fn outcome(home: &Home, files: &[String; 3], more: &[&str]) -> Output {
    let [tokens, heap_key, audit_key] = files;
    let mut command: Command = home.server("mcp-v8-worker");
    command
        .args(["--http-port", "0", "--auth-tokens", tokens])
        .args(["--heap-key-file", heap_key, "--audit-key-file", audit_key])
        .arg("--audit-log")
        .arg(home.path("audit.log"))
        .args(more)
        .stdin(Stdio::null());
    command.output().expect("it can be executed")
}

/// What the doctor says of these.
fn grades(home: &Home, files: &[String; 3]) -> [String; 3] {
    let output = outcome(home, files, &["doctor", "--json"]);
    let shown = text(&output.stdout);
    let report: Value = serde_json::from_str(&shown).expect("JSON");
    let findings = report["findings"].as_array().expect("findings").clone();
    SUBJECTS.map(|subject| {
        let of_it = findings.iter().find(|found| found["subject"] == subject);
        let found = of_it.unwrap_or_else(|| panic!("nothing of {subject}: {report:#}"));
        found["grade"].as_str().expect("a grade").to_owned()
    })
}

fn set_mode(path: &str, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

/// Good files, all private.
fn good(home: &Home) -> [String; 3] {
    let key = |name: &str, digit: &str| {
        let path = home.path(name).display().to_string();
        fs::write(&path, digit.repeat(64)).expect("a file in our own directory");
        set_mode(&path, 0o600);
        path
    };
    [
        token_file(home),
        key("heap.key", "a"),
        key("audit.key", "b"),
    ]
}

#[test]
fn good_files_are_told_without_what_is_in_them() {
    let home = Home::new();
    let files = good(&home);
    assert_eq!(grades(&home, &files), ["ok", "ok", "ok"].map(str::to_owned));
    let checked = outcome(&home, &files, &["--check-config"]);
    let told = text(&checked.stdout) + &text(&checked.stderr);
    assert!(checked.status.success(), "{told}");
    let examined = text(&outcome(&home, &files, &["doctor"]).stdout);
    assert!(examined.contains("3 are listed"), "{examined}");
    for secret in ["a".repeat(64), "b".repeat(64), "9396b755".to_owned()] {
        assert!(!told.contains(&secret) && !examined.contains(&secret));
    }
    // Keys that are not there are made by the start, and by nobody else.
    fs::remove_file(&files[1]).expect("it is ours");
    fs::remove_file(&files[2]).expect("it is ours");
    assert_eq!(grades(&home, &files), ["ok", "ok", "ok"].map(str::to_owned));
    assert!(outcome(&home, &files, &["--check-config"]).status.success());
    assert!(!Path::new(&files[1]).exists() && !Path::new(&files[2]).exists());
}

#[test]
fn who_may_read_a_secret_is_the_same_for_each_file_and_wherever_it_is_looked_at() {
    let home = Home::new();
    let files = good(&home);
    let is_root = geteuid().is_root();
    for (at, file) in files.iter().enumerate() {
        for (mode, is_refused) in [
            (0o604, true),
            (0o620, true),
            // Root has said who is in its group.
            (0o640, !is_root),
        ] {
            set_mode(file, mode);
            let grades = grades(&home, &files);
            let expected = if is_refused { "fail" } else { "ok" };
            assert_eq!(grades[at], expected, "{file} {mode:o}");
            let checked = outcome(&home, &files, &["--check-config"]);
            let told = text(&checked.stderr);
            assert_eq!(
                checked.status.success(),
                !is_refused,
                "{file} {mode:o}: {told}"
            );
            if is_refused {
                assert!(told.contains("open to others"), "{told}");
                assert!(told.contains(&format!("{mode:03o}")), "{told}");
                let started = outcome(&home, &files, &[]);
                assert_eq!(started.status.code(), Some(1), "{file} {mode:o}");
                let told = text(&started.stderr);
                assert!(told.contains("open to others"), "{told}");
            }
            set_mode(file, 0o600);
        }
        // Only root can give something away.
        if is_root {
            chown(file, Some(12_345), None).expect("root may");
            assert_eq!(grades(&home, &files)[at], "fail", "{file}");
            let checked = outcome(&home, &files, &["--check-config"]);
            let told = text(&checked.stderr);
            assert!(told.contains("belongs to another user"), "{told}");
            chown(file, Some(getuid().as_raw()), None).expect("root may");
        }
    }
}

#[test]
fn what_is_wrong_in_them_is_told_by_the_check_and_by_the_doctor() {
    let home = Home::new();
    let files = good(&home);
    let secret = "no key, and yet a secret";
    for file in &files {
        fs::write(file, secret).expect("it is ours");
    }
    assert_eq!(
        grades(&home, &files),
        ["fail", "fail", "fail"].map(str::to_owned)
    );
    let keys = home.path("keys.json").display().to_string();
    fs::write(&keys, "{\"keys\": []}").expect("a file in our own directory");
    let signed = [
        "--jwks-file",
        &keys,
        "--jwt-issuer",
        "https://id.example.com",
        "--jwt-audience",
        "https://mcp.example.com/mcp",
    ];
    let checked = outcome(&home, &files, &[&signed[..], &["--check-config"]].concat());
    let told = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{told}");
    for word in [
        "tokens.toml is malformed: line 1",
        "the heap key",
        "the audit key",
        "none of its keys can check a signature here",
    ] {
        assert!(told.contains(word), "{word} is not in:\n{told}");
    }
    assert!(!told.contains(secret), "{told}");
    let examined = outcome(&home, &files, &[&signed[..], &["doctor"]].concat());
    let told = text(&examined.stdout);
    assert!(told.contains("fail issuer"), "{told}");
    assert!(!told.contains(secret), "{told}");
}
