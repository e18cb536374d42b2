//! Policies in a directory: loading, changing, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method};
use mcp_v8::policy::{Asked, Denied, Policy, PolicyOptions};
use mcp_v8::tenant::Tenant;
use tempfile::TempDir;

const HEAD: &str = "package mcp.fetch\n\ndefault allow := false\n\n";

fn asked(host: &str) -> Asked {
    Asked {
        tenant: Tenant::local(),
        session: None,
        method: Method::GET,
        url: format!("https://{host}/").parse().unwrap(),
        headers: HeaderMap::new(),
    }
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

async fn open(directory: &Path) -> Result<Policy, String> {
    let options = PolicyOptions::Directory(directory.to_owned());
    Policy::open(options)
        .await
        .map_err(|error| error.to_string())
}

async fn refusal(files: &[(&str, &str)]) -> String {
    let directory = directory(files);
    match open(directory.path()).await {
        Ok(_) => panic!("accepted: {files:?}"),
        Err(text) => text,
    }
}

fn host_is(name: &str) -> String {
    format!("{HEAD}allow if input.url_parsed.host == \"{name}\"\n")
}

/// Until a decision is as expected; policies are looked at every two seconds.
async fn eventually(policy: &Policy, host: &str, expected: bool) {
    let began = Instant::now();
    while policy.decide(&asked(host)).await.is_ok() != expected {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{host} is still not {expected}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_rule_allows_and_everything_else_is_denied_by_name() {
    let place = directory(&[("fetch.rego", &host_is("a.example"))]);
    let policy = open(place.path()).await.unwrap();
    let permit = policy.decide(&asked("a.example")).await.unwrap();
    assert!(!permit.private_addresses);
    let denied = policy.decide(&asked("b.example")).await.unwrap_err();
    assert_eq!(
        denied.to_string(),
        "GET b.example is denied by the policy: data.mcp.fetch.allow is not true"
    );
    assert!(matches!(denied, Denied::ByRule { .. }));
}

#[tokio::test]
async fn only_true_is_a_yes() {
    for value in [
        "\"true\"",
        "1",
        "[true]",
        "{\"allow\": true}",
        "null",
        "false",
    ] {
        let text = format!("package mcp.fetch\nallow := {value}\nallow_private := true\n");
        let place = directory(&[("fetch.rego", &text)]);
        let policy = open(place.path()).await.unwrap();
        let denied = policy.decide(&asked("a.example")).await;
        assert!(
            matches!(denied, Err(Denied::ByRule { .. })),
            "{value}: {denied:?}"
        );
    }
}

#[tokio::test]
async fn private_addresses_are_opened_by_a_rule_of_their_own() {
    let text =
        format!("{HEAD}allow if true\nallow_private if input.url_parsed.host == \"10.0.0.1\"\n");
    let place = directory(&[("fetch.rego", &text)]);
    let policy = open(place.path()).await.unwrap();
    assert!(
        policy
            .decide(&asked("10.0.0.1"))
            .await
            .unwrap()
            .private_addresses
    );
    assert!(
        !policy
            .decide(&asked("10.0.0.2"))
            .await
            .unwrap()
            .private_addresses
    );
}

#[tokio::test]
async fn all_files_of_the_directory_and_its_data_count_but_no_tests_nor_hidden_ones() {
    let broken = "package mcp.fetch\nallow if {";
    let place = directory(&[
        ("a.rego", &host_is("a.example")),
        (
            "b.rego",
            "package mcp.fetch\nallow if input.url_parsed.host in data.more\n",
        ),
        ("data.json", r#"{"more": ["b.example"]}"#),
        ("a_test.rego", broken),
        (".a.rego", broken),
        ("a.rego~", broken),
        ("other.json", "{"),
    ]);
    fs::create_dir(place.path().join("examples")).unwrap();
    fs::write(place.path().join("examples/c.rego"), host_is("c.example")).unwrap();
    let policy = open(place.path()).await.unwrap();
    for (host, is_allowed) in [
        ("a.example", true),
        ("b.example", true),
        ("c.example", false),
    ] {
        assert_eq!(
            policy.decide(&asked(host)).await.is_ok(),
            is_allowed,
            "{host}"
        );
    }
}

#[tokio::test]
async fn what_does_not_load_refuses_the_start_and_says_where() {
    for (text, at) in [
        ("package mcp.fetch\n\nallow if {\n", "fetch.rego:"),
        ("package mcp.fetch\nallow if x == 1\n", "fetch.rego:2"),
        (
            "package mcp.fetch\nallow if no_such_function(1)\n",
            "fetch.rego:2",
        ),
        (
            "package mcp.fetch\ndefault allow := false\ndefault allow := true\n",
            "fetch.rego:",
        ),
        ("allow if true\n", "fetch.rego:1"),
        ("package mcp.fetch\nallow { true }\n", "fetch.rego:2"),
        (
            "package mcp.fetch\nallow := true\nallow := false if input\n",
            "fetch.rego:",
        ),
    ] {
        let refused = refusal(&[("fetch.rego", text)]).await;
        assert!(refused.contains(at), "{text:?}: {refused}");
    }
    let two = refusal(&[
        ("a.rego", "package mcp.fetch\ndefault allow := false\n"),
        ("b.rego", "package mcp.fetch\n\ndefault allow:=true\n"),
    ])
    .await;
    assert!(two.contains("b.rego:3: allow has two defaults"), "{two}");
    let none = refusal(&[("x.txt", "")]).await;
    assert!(
        none.contains("has the rule allow in the package mcp.fetch"),
        "{none}"
    );
    let other = refusal(&[("fetch.rego", "package other\nallow := true\n")]).await;
    assert!(
        other.contains("has the rule allow in the package mcp.fetch"),
        "{other}"
    );
    let data = refusal(&[("fetch.rego", &host_is("a")), ("data.json", "[1]")]).await;
    assert!(data.contains("data.json is not a JSON object"), "{data}");
    let text = refusal(&[("fetch.rego", &"#".repeat(1 << 21))]).await;
    assert!(text.contains("larger than"), "{text}");
    let missing = open(Path::new("/does/not/exist")).await.unwrap_err();
    assert!(
        missing.contains("/does/not/exist cannot be read"),
        "{missing}"
    );
}

#[tokio::test]
async fn policies_that_change_are_read_again_and_broken_ones_leave_the_old_ones() {
    let place = directory(&[("fetch.rego", &host_is("a.example"))]);
    let file = place.path().join("fetch.rego");
    let policy = open(place.path()).await.unwrap();
    let clone = policy.clone();
    eventually(&policy, "a.example", true).await;
    fs::write(&file, host_is("b.example")).unwrap();
    eventually(&clone, "b.example", true).await;
    eventually(&policy, "a.example", false).await;
    fs::write(&file, "package mcp.fetch\nallow if {\n").unwrap();
    fs::write(place.path().join("more.rego"), host_is("c.example")).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    eventually(&policy, "b.example", true).await;
    eventually(&policy, "c.example", false).await;
    fs::remove_file(&file).unwrap();
    eventually(&policy, "c.example", true).await;
    eventually(&policy, "b.example", false).await;
    drop(place);
    tokio::time::sleep(Duration::from_secs(5)).await;
    eventually(&policy, "c.example", true).await;
}

#[tokio::test]
async fn a_slow_policy_ends_in_time_is_a_no_and_blocks_nobody() {
    let slow = format!(
        "{HEAD}allow if {{\n\tinput.url_parsed.host == \"slow.example\"\n\tsome a in numbers.range(1, 3000)\n\
         \tsome b in numbers.range(1, 3000)\n\tsome c in numbers.range(1, 3000)\n\ta + b + c == 0\n}}\n\n\
         allow if input.url_parsed.host == \"fast.example\"\n"
    );
    let place = directory(&[("fetch.rego", &slow)]);
    let policy = open(place.path()).await.unwrap();
    let began = Instant::now();
    let (slow_asked, fast_asked) = (asked("slow.example"), asked("fast.example"));
    let fast = async {
        let permit = policy.decide(&fast_asked).await;
        (permit.is_ok(), began.elapsed())
    };
    // One thread runs this: a blocked one would make the fast one late.
    let (denied, (is_allowed, took)) = tokio::join!(policy.decide(&slow_asked), fast);
    assert!(
        matches!(denied, Err(Denied::Unanswered { .. })),
        "{denied:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(is_allowed && took < Duration::from_millis(400), "{took:?}");
}

#[tokio::test]
async fn what_a_function_cannot_do_is_undefined_as_in_opa() {
    let text = format!(
        "{HEAD}allow if net.cidr_contains(\"10.0.0.0/8\", input.url_parsed.host)\n\n\
         allow if to_number(input.method) == 1\n\nallow if input.url_parsed.host == \"a.example\"\n"
    );
    let place = directory(&[("fetch.rego", &text)]);
    let policy = open(place.path()).await.unwrap();
    assert!(policy.decide(&asked("a.example")).await.is_ok());
    let denied = policy.decide(&asked("b.example")).await;
    assert!(matches!(denied, Err(Denied::ByRule { .. })), "{denied:?}");
}

#[tokio::test]
async fn rules_that_contradict_each_other_are_a_no() {
    let text = "package mcp.fetch\nallow := true if input.method == \"GET\"\n\
                allow := false if input.url_parsed.host == \"both.example\"\n";
    let place = directory(&[("fetch.rego", text)]);
    let policy = open(place.path()).await.unwrap();
    assert!(policy.decide(&asked("a.example")).await.is_ok());
    let mut both = asked("both.example");
    let canary = HeaderValue::from_static("CANARY");
    both.headers.insert("x-canary", canary);
    let denied = policy.decide(&both).await.unwrap_err();
    assert!(matches!(denied, Denied::Unanswered { .. }), "{denied:?}");
    assert!(!format!("{denied} {denied:?}").contains("CANARY"));
}
