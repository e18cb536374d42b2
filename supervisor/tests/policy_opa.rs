//! Policies in a remote OPA: a strict stand-in that answers as OPA documents its data API, and worse.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::stand_in;

use std::fs;
use std::time::{Duration, Instant};

use crate::stand_in::{Reply, Request, StandIn};
use http::{HeaderMap, HeaderValue, Method};
use mcp_v8::policy::{Asked, Denied, OpaOptions, Permit, Policy, PolicyOptions, input};
use mcp_v8::tenant::Tenant;
use serde_json::{Value, json};

const YES: &str = r#"{"result": {"allow": true}}"#;

fn asked(url: &str) -> Asked {
    let mut headers = HeaderMap::new();
    headers.insert("x-canary", HeaderValue::from_static("CANARY-OF-THE-SCRIPT"));
    Asked {
        tenant: Tenant::local(),
        session: Some("plan".to_owned()),
        method: Method::POST,
        url: url.parse().unwrap(),
        headers,
    }
}

/// Refuses, as OPA does, whatever is no question to its data API.
async fn opa(answers: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> StandIn {
    StandIn::start(move |request: &Request| {
        let refuse = |status, code: &str| {
            let body = json!({"code": code, "message": "the stand-in says no"});
            Reply::Answer(status, body.to_string())
        };
        if request.line != "POST /v1/data/mcp/fetch HTTP/1.1" {
            return refuse(404, "resource_not_found");
        }
        if request.header("content-type") != Some("application/json") {
            return refuse(400, "invalid_parameter");
        }
        match serde_json::from_str::<Value>(&request.body) {
            Ok(Value::Object(body)) if body.len() == 1 && body.contains_key("input") => {
                answers(&body["input"])
            }
            _ => refuse(400, "invalid_parameter"),
        }
    })
    .await
}

async fn policy(url: &str, remembered_for: Option<Duration>) -> Policy {
    let mut options = OpaOptions::new(url.parse().unwrap(), "mcp/fetch").unwrap();
    options.remembered_for = remembered_for;
    Policy::open(PolicyOptions::Opa(options)).await.unwrap()
}

async fn decide(reply: Reply) -> Result<Permit, Denied> {
    let opa = opa(move |_| reply.clone()).await;
    let policy = policy(&opa.url, None).await;
    let decided = policy.decide(&asked("https://api.example.com/x")).await;
    assert!(!opa.seen().is_empty(), "nothing was asked");
    decided
}

async fn answered(body: &str) -> Result<Permit, Denied> {
    decide(Reply::Answer(200, body.to_owned())).await
}

fn is_unanswered(decided: &Result<Permit, Denied>) -> bool {
    matches!(decided, Err(Denied::Unanswered { .. }))
}

#[tokio::test]
async fn opa_gets_the_whole_document_and_nothing_else_and_its_yes_counts() {
    let server = opa(|_| Reply::Answer(200, YES.to_owned())).await;
    let policy = policy(&format!("{}/", server.url), None).await;
    let asked = asked("https://API.example.com/v1?q=1");
    let permit = policy.decide(&asked).await.unwrap();
    assert!(!permit.private_addresses);
    let seen = server.seen();
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(body, json!({"input": input::document(&asked)}));
    assert_eq!(body["input"]["headers"]["x-canary"], "CANARY-OF-THE-SCRIPT");
    let names: Vec<&str> = seen[0]
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in names {
        let known = [
            "content-type",
            "accept",
            "user-agent",
            "host",
            "content-length",
        ];
        assert!(known.contains(&name), "{name}");
    }
}

#[tokio::test]
async fn private_addresses_need_a_yes_of_their_own() {
    let permit = answered(r#"{"result": {"allow": true, "allow_private": true}}"#).await;
    assert!(permit.unwrap().private_addresses);
    let permit = answered(r#"{"result": {"allow": true, "allow_private": "yes"}}"#).await;
    assert!(!permit.unwrap().private_addresses);
    let denied = answered(r#"{"result": {"allow": false, "allow_private": true}}"#).await;
    assert!(matches!(denied, Err(Denied::ByRule { .. })));
}

#[tokio::test]
async fn whatever_is_no_clear_yes_is_a_no_that_names_rule_host_and_method() {
    for body in [
        r#"{"result": {"allow": false}}"#,
        r#"{"result": {}}"#,
        r#"{"result": true}"#,
        r#"{"result": {"allow": "true"}}"#,
        r#"{"warning": {"code": "api_usage_warning", "message": "x"}}"#,
        "{}",
    ] {
        let denied = answered(body).await.unwrap_err();
        assert!(matches!(denied, Denied::ByRule { .. }), "{body}");
        assert_eq!(
            denied.to_string(),
            "POST api.example.com is denied by the policy: data.mcp.fetch.allow is not true"
        );
    }
    for body in [
        "",
        "true",
        "[]",
        "<html></html>",
        r#"{"result": {"allow": true}"#,
    ] {
        let denied = answered(body).await;
        assert!(is_unanswered(&denied), "{body}: {denied:?}");
    }
}

#[tokio::test]
async fn errors_redirects_and_broken_answers_are_a_no() {
    for status in [201, 204, 301, 400, 401, 404, 500, 503] {
        let denied = decide(Reply::Answer(status, YES.to_owned())).await;
        assert!(is_unanswered(&denied), "{status}: {denied:?}");
    }
    let elsewhere = opa(|_| Reply::Answer(200, YES.to_owned())).await;
    let there = format!(
        "HTTP/1.1 307 Away\r\nlocation: {}/v1/data/mcp/fetch\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    assert!(is_unanswered(
        &decide(Reply::Bytes(there.into_bytes())).await
    ));
    assert!(elsewhere.seen().is_empty(), "the redirect was followed");
    let good = stand_in::whole(200, YES).into_bytes();
    for length in [0, 5, 20, 60, good.len() - 1] {
        let denied = decide(Reply::Bytes(good[..length].to_vec())).await;
        assert!(is_unanswered(&denied), "cut after {length}: {denied:?}");
    }
    for garbage in [
        b"\0\0\0\0".to_vec(),
        b"HTTP/1.1 99999 x\r\n\r\n".to_vec(),
        vec![b'x'; 1 << 20],
    ] {
        assert!(is_unanswered(&decide(Reply::Bytes(garbage)).await));
    }
}

#[tokio::test]
async fn a_huge_answer_is_a_no_whether_its_length_is_said_or_not() {
    let filler = " ".repeat(300 << 10);
    assert!(is_unanswered(&answered(&format!("{filler}{YES}")).await));
    let said = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{YES}",
        u64::MAX
    );
    assert!(is_unanswered(
        &decide(Reply::Bytes(said.into_bytes())).await
    ));
    let endless = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{filler}{YES}");
    assert!(is_unanswered(
        &decide(Reply::Bytes(endless.into_bytes())).await
    ));
    let headers = format!("HTTP/1.1 200 OK\r\n{}", "x-more: y\r\n".repeat(100_000));
    assert!(is_unanswered(
        &decide(Reply::Bytes(headers.into_bytes())).await
    ));
}

#[tokio::test]
async fn a_slow_opa_is_a_no_in_time_however_it_is_slow() {
    let began = Instant::now();
    let drips = stand_in::whole(200, YES).into_bytes();
    let late = Reply::Late(Duration::from_secs(20), 200, YES.to_owned());
    let all = tokio::join!(
        decide(Reply::Silence),
        decide(Reply::Drips(drips)),
        decide(late)
    );
    for denied in [all.0, all.1, all.2] {
        assert!(is_unanswered(&denied), "{denied:?}");
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(4) && took < Duration::from_secs(10),
        "{took:?}"
    );
}

#[tokio::test]
async fn an_opa_that_is_not_there_is_a_no_and_one_that_comes_later_is_asked() {
    let gone = opa(|_| Reply::Answer(200, YES.to_owned())).await;
    let url = gone.url.clone();
    drop(gone);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let policy = policy(&url, None).await;
    let denied = policy
        .decide(&asked("https://api.example.com/?CANARY"))
        .await;
    let text = denied.unwrap_err().to_string();
    assert_eq!(
        text,
        "POST api.example.com is denied: the policy data.mcp.fetch.allow gave no answer"
    );
}

#[tokio::test]
async fn questions_share_a_connection() {
    let server = opa(|_| Reply::Answer(200, YES.to_owned())).await;
    let policy = policy(&server.url, None).await;
    for at in 0..20 {
        let url = format!("https://api.example.com/{at}");
        policy.clone().decide(&asked(&url)).await.unwrap();
    }
    assert_eq!((server.seen().len(), server.connections()), (20, 1));
}

#[tokio::test]
async fn decisions_are_remembered_only_when_asked_for_and_only_for_the_same_document() {
    let start = || opa(|_| Reply::Answer(200, YES.to_owned()));
    let request = asked("https://api.example.com/");
    let server = start().await;
    let forgetful = policy(&server.url, None).await;
    for _ in 0..3 {
        forgetful.decide(&request).await.unwrap();
    }
    assert_eq!(server.seen().len(), 3);
    let server = start().await;
    let mindful = policy(&server.url, Some(Duration::from_millis(400))).await;
    for _ in 0..3 {
        mindful.decide(&request).await.unwrap();
    }
    assert_eq!(server.seen().len(), 1);
    let mut other = request.clone();
    other
        .headers
        .insert("x-canary", HeaderValue::from_static("other"));
    mindful.decide(&other).await.unwrap();
    other.tenant = "other".parse().unwrap();
    mindful.decide(&other).await.unwrap();
    assert_eq!(server.seen().len(), 3);
    tokio::time::sleep(Duration::from_millis(500)).await;
    mindful.decide(&request).await.unwrap();
    assert_eq!(server.seen().len(), 4);
    let broken = opa(|_| Reply::Answer(500, "{}".to_owned())).await;
    let mindful = policy(&broken.url, Some(Duration::from_secs(60))).await;
    for _ in 0..3 {
        assert!(is_unanswered(&mindful.decide(&request).await));
    }
    assert_eq!(broken.seen().len(), 3, "a failure is no decision");
}

#[tokio::test]
async fn with_policies_here_and_in_opa_both_must_allow() {
    let directory = tempfile::tempdir().unwrap();
    let text = "package mcp.fetch\nallow if input.url_parsed.host != \"denied.example\"\nallow_private if true\n";
    fs::write(directory.path().join("fetch.rego"), text).unwrap();
    let server = opa(|input| {
        let allow = input["url_parsed"]["host"] != "refused.example";
        let private = input["url_parsed"]["path"] == "/private";
        let result = json!({"result": {"allow": allow, "allow_private": private}});
        Reply::Answer(200, result.to_string())
    })
    .await;
    let opa = OpaOptions::new(server.url.parse().unwrap(), "mcp/fetch").unwrap();
    let directory = directory.path().to_owned();
    let both = PolicyOptions::Both { directory, opa };
    let policy = Policy::open(both).await.unwrap();
    let decide = |url: &str| {
        let (policy, asked) = (policy.clone(), asked(url));
        async move { policy.decide(&asked).await }
    };
    assert!(
        !decide("https://a.example/")
            .await
            .unwrap()
            .private_addresses
    );
    assert!(
        decide("https://a.example/private")
            .await
            .unwrap()
            .private_addresses
    );
    assert!(matches!(
        decide("https://refused.example/").await,
        Err(Denied::ByRule { .. })
    ));
    let so_far = server.seen().len();
    assert!(matches!(
        decide("https://denied.example/").await,
        Err(Denied::ByRule { .. })
    ));
    assert_eq!(server.seen().len(), so_far, "opa is not asked in vain");
}
