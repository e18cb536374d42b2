//! Requests of the scripts of several tenants: how many, and which headers they get.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;

use e2e::home::Home;
use e2e::http::{Client, HttpServer};
use e2e::web::Web;

use crate::tenants_parts::{FIRST, SECOND, token_file, write_tokens};

const POLICY: &str = "package mcp.fetch\n\nallow if input.url_parsed.host == \"127.0.0.1\"\n";

/// A server whose scripts make requests to this machine.
fn start(home: &Home, tokens: &str, more: &[&str]) -> HttpServer {
    let directory = home.path("policies");
    fs::create_dir(&directory).expect("a directory in our own");
    fs::write(directory.join("fetch.rego"), POLICY).expect("a file in our own directory");
    let directory = directory.display().to_string();
    let fetch = [
        "--policy-dir",
        &directory,
        "--fetch-allow-private",
        "--auth-tokens",
        tokens,
    ];
    HttpServer::start(home, &[&fetch, more].concat())
}

/// The statuses that these requests get, or why they fail, one after the other.
fn fetched(client: &Client, urls: &[String]) -> Vec<String> {
    let urls = serde_json::to_string(urls).expect("JSON");
    let code = format!(
        "const all = [];
         for (const url of {urls}) all.push(await fetch(url).then((r) => r.status, (e) => e.message));
         all.join('|')"
    );
    let view = client.run(&code);
    assert_eq!(view["status"], "completed", "{view}");
    let result = view["result"].as_str().expect("a text");
    result.split('|').map(str::to_owned).collect()
}

#[test]
fn requests_a_minute_are_bounded_by_tenant_and_each_hop_is_one() {
    let (home, web) = (Home::new(), Web::start());
    let tokens = fs::read_to_string(token_file(&home)).expect("it is there");
    let tokens = tokens.replacen(
        "tenant = \"first\"\n",
        "tenant = \"first\"\nlimits = { fetches_per_minute = 4 }\n",
        1,
    );
    let tokens = write_tokens(&home, &tokens);
    let server = start(&home, &tokens, &["--tenant-fetches-per-minute", "1"]);
    let (first, second) = (server.with_token(FIRST), server.with_token(SECOND));
    let (text, redirect) = (web.url("/text"), web.url("/redirect/302/text"));
    let all = fetched(
        &first,
        &[text.clone(), redirect, text.clone(), text.clone()],
    );
    assert_eq!(all[..3], ["200", "200", "200"]);
    let refused = &all[3];
    for part in ["fetches_per_minute", "4 requests a minute", "try again in"] {
        assert!(refused.contains(part), "{part} is not in {refused}");
    }
    // It is over for all of its scripts, also for those that come later.
    assert!(fetched(&first, &[text.clone()])[0].contains("fetches_per_minute"));
    // And for nobody else, who has what the flag gives.
    let other = fetched(&second, &[text.clone(), text]);
    assert_eq!(other[0], "200");
    assert!(other[1].contains("1 request"), "{other:?}");
    assert_eq!(web.seen().len(), 5, "what is refused never goes out");
}

#[test]
fn a_header_of_one_tenant_is_on_no_request_of_another() {
    let (home, web) = (Home::new(), Web::start());
    let tokens = token_file(&home);
    let rules = home.path("headers.json");
    let in_file = r#"[
        {"host": "127.0.0.1", "tenant": "first", "headers": {"x-filed": "of-the-first"}},
        {"host": "127.0.0.1", "headers": {"x-shared": "of-all"}}
    ]"#;
    fs::write(&rules, in_file).expect("a file in our own directory");
    let rules = rules.display().to_string();
    let more = [
        "--fetch-header",
        "host=127.0.0.1,header=x-key,value=of-the-first,tenant=first",
        "--fetch-header",
        "host=127.0.0.1,header=x-other,value=of-the-second,tenant=second",
        "--fetch-header-config",
        &rules,
    ];
    let server = start(&home, &tokens, &more);
    let urls = [web.url("/text"), web.url("/redirect/302/text")];
    for token in [FIRST, SECOND] {
        assert_eq!(fetched(&server.with_token(token), &urls), ["200", "200"]);
    }
    let seen = web.seen();
    assert_eq!(seen.len(), 6, "each hop is one");
    let headers = |at: usize| {
        let names = ["x-key", "x-filed", "x-other", "x-shared"];
        names.map(|name| seen[at].header(name).concat())
    };
    for at in 0..3 {
        assert_eq!(headers(at), ["of-the-first", "of-the-first", "", "of-all"]);
        assert_eq!(headers(at + 3), ["", "", "of-the-second", "of-all"]);
    }
}
