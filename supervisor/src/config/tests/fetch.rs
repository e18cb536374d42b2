//! Which requests scripts may make.

use std::time::Duration;

use super::*;
use crate::policy::{OpaOptions, PolicyOptions};

fn fetch(arguments: &[&str], variables: &[(&str, &str)]) -> FetchOptions {
    let config = config(arguments, variables);
    config.fetch.expect("scripts make requests")
}

fn opa(url: &str, policy: &str) -> OpaOptions {
    OpaOptions::new(url.parse().unwrap(), policy).unwrap()
}

#[test]
fn without_a_policy_scripts_make_no_requests() {
    assert!(config(&[], &[]).fetch.is_none());
    let text = faults(
        &[
            "--fetch-allow-private",
            "--fetch-header=host=a,header=b,value=c",
        ],
        &[("MCP_V8_FETCH_HEADER_CONFIG", "/x.json")],
    );
    for setting in [
        "--fetch-allow-private",
        "--fetch-header",
        "MCP_V8_FETCH_HEADER_CONFIG (environment)",
    ] {
        let needs = format!("{setting} needs --policy-dir: it is about requests of scripts");
        assert!(text.contains(&needs), "{needs} is not in {text}");
    }
}

#[test]
fn policies_are_in_a_directory_or_in_opa_or_in_both() {
    let directory = fetch(&["--policy-dir=/p"], &[]);
    assert_eq!(directory.policy, PolicyOptions::Directory("/p".into()));
    assert!(!directory.allow_private);
    let remote = fetch(&["--opa-url=http://h:8181"], &[]);
    assert_eq!(
        remote.policy,
        PolicyOptions::Opa(opa("http://h:8181", "mcp/fetch"))
    );
    let both = fetch(
        &["--policy-dir=/p", "--fetch-allow-private"],
        &[
            ("MCP_V8_OPA_URL", "https://h/opa"),
            ("MCP_V8_OPA_FETCH_POLICY", "a/b"),
            ("MCP_V8_OPA_CACHE_MS", "250"),
        ],
    );
    let mut opa = opa("https://h/opa", "a/b");
    opa.remembered_for = Some(Duration::from_millis(250));
    let directory = "/p".into();
    assert_eq!(both.policy, PolicyOptions::Both { directory, opa });
    assert!(both.allow_private);
}

#[test]
fn what_is_about_opa_needs_its_url() {
    let text = faults(
        &["--policy-dir=/p", "--opa-fetch-policy=a"],
        &[("MCP_V8_OPA_CACHE_MS", "1")],
    );
    for setting in ["--opa-fetch-policy", "MCP_V8_OPA_CACHE_MS (environment)"] {
        let needs = format!("{setting} needs --opa-url: it is about asking a remote OPA");
        assert!(text.contains(&needs), "{text}");
    }
}

#[test]
fn what_cannot_be_asked_is_said_with_what_would_be_right_and_a_password_is_not_shown() {
    let text = faults(&["--opa-url=localhost", "--opa-fetch-policy=/a/"], &[]);
    assert!(
        text.contains("--opa-url: \"localhost\" is not an http or https URL"),
        "{text}"
    );
    assert!(
        text.contains("--opa-fetch-policy: \"/a/\" is not the path of a policy"),
        "{text}"
    );
    let text = faults(&["--opa-url=http://user:CANARY@h"], &[]);
    assert!(text.contains("--opa-url: what is there is not"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
}

#[test]
fn rules_come_from_flags_lines_and_arrays_and_all_that_are_wrong_are_told() {
    let policy = "--policy-dir=/p";
    let rule = |host: &str| format!("host={host},header=x-key,value=CANARY");
    let (a, b) = (rule("a"), rule("b"));
    let flags = [policy, "--fetch-header", &a, "--fetch-header", &b];
    let by_flags = fetch(&flags, &[]).injection.rules;
    assert_eq!(by_flags.len(), 2);
    let lines = format!("{a}\n\n{b}\n");
    let by_lines = fetch(&[policy], &[("MCP_V8_FETCH_HEADER", &lines)]);
    assert_eq!(by_lines.injection.rules, by_flags);
    let file = file(&format!("fetch-header = [\"{a}\", \"{b}\"]\n"));
    let path = file.path().to_str().unwrap();
    let by_file = fetch(&[policy, "--config", path], &[]);
    assert_eq!(by_file.injection.rules, by_flags);
    let text = faults(
        &[
            policy,
            "--fetch-header=host=*,header=x-key,value=CANARY",
            &format!("--fetch-header={a}"),
            "--fetch-header=CANARY",
        ],
        &[],
    );
    for part in [
        "--fetch-header: rule 1: a host of * would give the header to every server",
        "--fetch-header: rule 3: it is not host=...",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(text.matches("\n  - ").count(), 2, "{text}");
    assert!(!text.contains("CANARY"), "{text}");
}

#[test]
fn values_of_headers_are_in_no_debug_text_and_no_fault() {
    let policy = "--policy-dir=/p";
    let rule = "--fetch-header=host=a,header=x-key,value=CANARY";
    let config = config(&[policy, rule], &[]);
    assert!(!format!("{config:?}").contains("CANARY"), "{config:?}");
    let file = file("fetch-header = {x = \"CANARY\"}\npolicy-dir = \"/p\"\n");
    let path = file.path().to_str().unwrap();
    let wrong = faults(&["--config", path], &[]);
    assert!(wrong.contains("is not a text"), "{wrong}");
    assert!(!wrong.contains("CANARY"), "{wrong}");
    let broken = super::file("fetch-header = \"CANARY\" x\n");
    let path = broken.path().to_str().unwrap();
    let broken = faults(&["--config", path], &[]);
    assert!(broken.contains("line 1"), "{broken}");
    assert!(!broken.contains("CANARY"), "{broken}");
    let mut said = raw::Raw::default();
    for given in [
        raw::Given::Texts(vec!["CANARY".into()]),
        raw::Given::Text("CANARY".into()),
    ] {
        let origin = raw::Origin::Flag(Setting::FetchHeader);
        said.say(Setting::FetchHeader, raw::Said { given, origin });
        assert!(!format!("{said:?}").contains("CANARY"), "{said:?}");
    }
}

#[test]
fn a_policy_is_checked_with_the_settings_of_the_server() {
    let checked =
        |arguments: &[&str], variables: &[(&str, &str)]| match try_load(arguments, variables) {
            Ok(Command::CheckPolicy { fetch, input, .. }) => (fetch.policy, input),
            other => panic!("{other:?}"),
        };
    let policy = PolicyOptions::Directory("/p".into());
    let (before, input) = checked(&["--policy-dir=/p", "policy", "check", "--input", "-"], &[]);
    assert_eq!((before, input), (policy.clone(), PathBuf::from("-")));
    let behind = ["policy", "check", "--input=/x", "--policy-dir=/p"];
    assert_eq!(checked(&behind, &[]).0, policy);
    let variable = [("MCP_V8_POLICY_DIR", "/p")];
    let plain = ["policy", "check", "--input=/x"];
    assert_eq!(checked(&plain, &variable).0, policy);
    let text = faults(&plain, &[]);
    assert!(
        text.contains("policy check needs --policy-dir or --opa-url"),
        "{text}"
    );
    assert!(faults(&["policy", "check"], &variable).contains("--input"));
    assert!(faults(&["policy"], &variable).contains("policy"));
}
