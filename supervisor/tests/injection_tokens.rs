//! Tokens by OAuth's client credentials, of a strict stand-in for an authorization server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::stand_in::{Reply, Request, StandIn};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use http::Method;
use mcp_v8::fetch::injection::{Injection, InjectionOptions, NoValue};
use mcp_v8::tenant::Tenant;
use serde_json::json;
use url::Url;

const SECRET: &str = "CANARY secret:+%";

fn token(text: &str, expires_in: u64) -> Reply {
    let body = json!({"access_token": text, "token_type": "Bearer", "expires_in": expires_in});
    Reply::Answer(200, body.to_string())
}

/// Refuses what RFC 6749 does not allow; `give` gets the number of the question, from 1.
async fn server(give: impl Fn(usize) -> Reply + Send + Sync + 'static) -> StandIn {
    let count = AtomicUsize::new(0);
    StandIn::start(move |request: &Request| {
        let refuse = |code: &str| Reply::Answer(401, json!({"error": code}).to_string());
        let form = request.header("content-type") == Some("application/x-www-form-urlencoded");
        let form = form.then(|| url::form_urlencoded::parse(request.body.as_bytes()));
        let Some(form) = form else {
            return refuse("invalid_request");
        };
        let form: Vec<(String, String)> = form.into_owned().collect();
        let grant = ("grant_type".to_owned(), "client_credentials".to_owned());
        let scope = ("scope".to_owned(), "read write".to_owned());
        if request.line != "POST /token HTTP/1.1" || form != [grant, scope] {
            return refuse("invalid_request");
        }
        let pair = BASE64.encode("the+client:CANARY+secret%3A%2B%25");
        if request.header("authorization") != Some(&format!("Basic {pair}")) {
            return refuse("invalid_client");
        }
        give(count.fetch_add(1, Ordering::SeqCst) + 1)
    })
    .await
}

async fn injection(url: &str) -> Injection {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("headers.json");
    let rules = json!([{
        "host": "api.example.com",
        "oauth": {
            "token_url": format!("{url}/token"),
            "client_id": "the client",
            "client_secret": "${SECRET}",
            "scope": "read write",
        },
    }]);
    std::fs::write(&path, rules.to_string()).unwrap();
    let options = InjectionOptions {
        rules: Vec::new(),
        file: Some(path),
    };
    let environment = |name: &str| (name == "SECRET").then(|| SECRET.into());
    Injection::open(options, &environment).await.unwrap()
}

async fn authorization(injection: &Injection) -> Result<String, NoValue> {
    let url = Url::parse("https://api.example.com/").unwrap();
    let found = injection
        .headers_for(&Tenant::local(), &Method::GET, &url)
        .await?;
    let value = &found["authorization"];
    assert!(value.is_sensitive());
    Ok(value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let server = server(|number| token(&format!("t{number}"), 3600)).await;
    let injection = injection(&server.url).await;
    assert!(
        server.seen().is_empty(),
        "it is asked for when it is needed"
    );
    for _ in 0..5 {
        assert_eq!(
            authorization(&injection.clone()).await.unwrap(),
            "Bearer t1"
        );
    }
    assert_eq!(server.seen().len(), 1);
    let other = Url::parse("https://other.example.com/").unwrap();
    assert!(
        injection
            .headers_for(&Tenant::local(), &Method::GET, &other)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn those_who_come_at_once_share_one_question_also_when_its_asker_goes_away() {
    let server = server(|number| {
        let body = json!({"access_token": format!("t{number}"), "token_type": "bearer"});
        Reply::Late(Duration::from_millis(400), 200, body.to_string())
    })
    .await;
    let injection = injection(&server.url).await;
    let first = authorization(&injection);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), first)
            .await
            .is_err()
    );
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let injection = injection.clone();
            tokio::spawn(async move { authorization(&injection).await })
        })
        .collect();
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap(), "Bearer t1");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_nobody_waits_for_that() {
    let server = server(|number| match number {
        1 => token("t1", 4),
        _ => Reply::Late(
            Duration::from_millis(300),
            200,
            json!({"access_token": "t2", "token_type": "Bearer", "expires_in": "3600"}).to_string(),
        ),
    })
    .await;
    let injection = injection(&server.url).await;
    assert_eq!(authorization(&injection).await.unwrap(), "Bearer t1");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let began = Instant::now();
    assert_eq!(authorization(&injection).await.unwrap(), "Bearer t1");
    assert!(began.elapsed() < Duration::from_millis(250));
    while authorization(&injection).await.unwrap() != "Bearer t2" {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_token_that_has_ended_is_never_used() {
    let server = server(|number| match number {
        1 => token("t1", 1),
        _ => Reply::Answer(503, "{}".to_owned()),
    })
    .await;
    let injection = injection(&server.url).await;
    assert_eq!(authorization(&injection).await.unwrap(), "Bearer t1");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let error = authorization(&injection).await.unwrap_err();
    assert_eq!(error.header, "authorization");
    assert!(error.why.contains("refused with status 503"), "{error}");
}

#[tokio::test]
async fn a_token_that_is_not_believed_is_given_up_unless_it_is_new() {
    let server = server(|number| token(&format!("t{number}"), 3600)).await;
    let injection = injection(&server.url).await;
    let url = Url::parse("https://api.example.com/").unwrap();
    let given = async || {
        injection
            .headers_for(&Tenant::local(), &Method::GET, &url)
            .await
            .unwrap()
    };
    let first = given().await;
    for _ in 0..20 {
        injection.refused(&Tenant::local(), (&Method::GET, &url), &first);
        assert_eq!(given().await, first);
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    let elsewhere = Url::parse("https://other.example.com/").unwrap();
    injection.refused(&Tenant::local(), (&Method::GET, &elsewhere), &first);
    assert_eq!(given().await, first);
    for _ in 0..20 {
        // Those who were refused with the first one do not cost the second.
        injection.refused(&Tenant::local(), (&Method::GET, &url), &first);
        assert_eq!(authorization(&injection).await.unwrap(), "Bearer t2");
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_server_that_refuses_is_left_alone_for_a_while_and_asked_again_later() {
    let server = server(|number| match number {
        1 => Reply::Answer(400, r#"{"error": "invalid_scope"}"#.to_owned()),
        _ => token("t2", 3600),
    })
    .await;
    let injection = injection(&server.url).await;
    for _ in 0..20 {
        let error = authorization(&injection).await.unwrap_err();
        let text = error.to_string();
        let expected = "the header authorization for api.example.com cannot be had: the server that \
                        gives its token refused: invalid_scope";
        assert_eq!(text, expected);
    }
    assert_eq!(server.seen().len(), 1);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(authorization(&injection).await.unwrap(), "Bearer t2");
}

#[tokio::test]
async fn answers_that_make_no_sense_give_no_token_and_show_nothing() {
    let huge = format!(
        r#"{{"access_token": "{}", "token_type": "Bearer"}}"#,
        "x".repeat(100 << 10)
    );
    let replies: Vec<Reply> = [
        r#"{"access_token": "CANARY"}"#,
        r#"{"access_token": "CANARY", "token_type": "mac"}"#,
        r#"{"access_token": "", "token_type": "Bearer"}"#,
        r#"{"access_token": "CANARY\r\nx-evil: 1", "token_type": "Bearer"}"#,
        r#"{"access_token": 1, "token_type": "Bearer"}"#,
        r#"{"access_token": "CANARY", "token_type": "Bearer", "expires_in": -1}"#,
        "CANARY",
        &huge,
    ]
    .into_iter()
    .map(|body| Reply::Answer(200, body.to_owned()))
    .chain([
        Reply::Answer(
            400,
            r#"{"error": "CANARY", "error_description": "CANARY"}"#.to_owned(),
        ),
        Reply::Answer(302, "{}".to_owned()),
        Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nCANARY".to_vec()),
        Reply::Bytes(Vec::new()),
    ])
    .collect();
    for reply in replies {
        let shown = format!("{reply:?}");
        let shown: String = shown.chars().take(120).collect();
        let reply = Arc::new(reply);
        let server = server(move |_| (*reply).clone()).await;
        let injection = injection(&server.url).await;
        let error = authorization(&injection).await.expect_err(&shown);
        assert!(
            !format!("{error} {error:?} {injection:?}").contains("CANARY"),
            "{shown}: {error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    let server = server(|_| Reply::Silence).await;
    let injection = injection(&server.url).await;
    let began = Instant::now();
    let error = authorization(&injection).await.unwrap_err();
    assert!(error.why.contains("did not answer in time"), "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
}
