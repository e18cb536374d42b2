//! `mcp-v8 policy check`: what it says and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// What is said, on both streams, and the exit code.
fn check(arguments: &[&str], input: &str) -> (String, String, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-v8"))
        .args(["policy", "check"])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(ended.stdout), text(ended.stderr), ended.status.code())
}

#[test]
fn an_allowed_request_is_explained_and_ends_with_0() {
    let directory = policies().join("examples/hosts").display().to_string();
    let input = r#"{"url": "https://API.example.com/v1?q=1", "headers": {"X-One": "CANARY", "accept": "a"}}"#;
    let (said, complaints, code) = check(&["--policy-dir", &directory, "--input", "-"], input);
    let expected = format!(
        "GET https://api.example.com/v1?q=1\n  tenant local, no session, headers accept, x-one\n  \
         the policies in {directory}: data.mcp.fetch.allow is true\nallowed, but not to private addresses\n"
    );
    assert_eq!((said, complaints.as_str(), code), (expected, "", Some(0)));
}

#[test]
fn a_denied_request_is_explained_and_ends_with_1() {
    let directory = policies().display().to_string();
    let input =
        r#"{"url": "https://a.example/", "method": "PUT", "tenant": "acme", "session": "plan"}"#;
    let (said, _, code) = check(&["--policy-dir", &directory, "--input", "-"], input);
    let expected = format!(
        "PUT https://a.example/\n  tenant acme, session plan, no headers\n  \
         the policies in {directory}: data.mcp.fetch.allow is not true\n\
         denied: PUT a.example is denied by the policy: data.mcp.fetch.allow is not true\n"
    );
    assert_eq!((said, code), (expected, Some(1)));
}

#[test]
fn both_policies_are_shown_and_one_without_an_answer_is_a_no() {
    let directory = policies().join("examples/tenants").display().to_string();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("request.json");
    fs::write(&file, r#"{"url": "http://10.20.1.1/", "tenant": "acme"}"#).unwrap();
    let arguments = [
        "--policy-dir",
        &directory,
        "--input",
        file.to_str().unwrap(),
    ];
    let (said, _, code) = check(&arguments, "");
    assert!(
        said.ends_with("allowed, also to private addresses (allow_private is true)\n"),
        "{said}"
    );
    assert_eq!(code, Some(0));
    let with_opa = [&arguments[..], &["--opa-url=http://127.0.0.1:1"]].concat();
    let (said, _, code) = check(&with_opa, "");
    assert!(said.contains("data.mcp.fetch.allow is true\n  OPA at http://127.0.0.1:1/: data.mcp.fetch.allow has no answer: it cannot be reached"), "{said}");
    let end = "denied: GET 10.20.1.1 is denied: the policy data.mcp.fetch.allow gave no answer\n";
    assert!(said.ends_with(end), "{said}");
    assert_eq!(code, Some(1));
}

#[test]
fn what_cannot_be_checked_ends_with_2_and_says_why() {
    let good = policies().display().to_string();
    let broken = tempfile::tempdir().unwrap();
    fs::write(
        broken.path().join("a.rego"),
        "package mcp.fetch\nallow if {",
    )
    .unwrap();
    let broken = broken.path().display().to_string();
    let request = r#"{"url": "https://a.example/"}"#;
    for (arguments, input, complaint) in [
        (
            vec!["--input", "-"],
            request,
            "policy check needs --policy-dir or --opa-url",
        ),
        (vec!["--policy-dir", &good], request, "--input"),
        (
            vec!["--policy-dir", &broken, "--input", "-"],
            request,
            "a.rego:2",
        ),
        (
            vec!["--policy-dir", &good, "--input", "/does/not/exist"],
            "",
            "/does/not/exist cannot be read",
        ),
        (
            vec!["--policy-dir", &good, "--input", "-"],
            "",
            "it is not a JSON object",
        ),
        (
            vec!["--policy-dir", &good, "--input", "-"],
            "[]",
            "it is not a JSON object",
        ),
        (
            vec!["--policy-dir", &good, "--input", "-"],
            "{}",
            "url is not a whole URL",
        ),
        (
            vec!["--policy-dir", &good, "--input", "-"],
            r#"{"url": "/x"}"#,
            "url is not a whole URL",
        ),
        (
            vec!["--policy-dir", &good, "--input", "-"],
            r#"{"uri": "x"}"#,
            "unknown key \"uri\"",
        ),
        (
            vec!["--policy-dir", &good, "--input", "-"],
            r#"{"url": "https://a.example/", "url_parsed": {"host": "b.example"}}"#,
            "url_parsed is not that of url",
        ),
    ] {
        let (said, complaints, code) = check(&arguments, input);
        assert!(
            complaints.contains(complaint),
            "{arguments:?} {input}: {complaints}"
        );
        assert_eq!(
            (said.as_str(), code),
            ("", Some(2)),
            "{arguments:?} {input}"
        );
    }
}
