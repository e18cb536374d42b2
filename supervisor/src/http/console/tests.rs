//! What is sent, and with which headers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::ALLOW;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::files::FILES;
use super::*;

/// What the whole may have, in bytes: it is loaded at once.
const BYTES_MAX: usize = 60 << 10;

async fn ask(method: &str, path: &str, known: Option<&HeaderValue>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = known {
        request = request.header(IF_NONE_MATCH, tag);
    }
    let request = request.body(Body::empty()).unwrap();
    router().oneshot(request).await.unwrap()
}

async fn body(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

fn has_guards(response: &Response) {
    for (name, value) in GUARDS {
        assert_eq!(response.headers().get(&name), Some(&value), "{name}");
    }
}

#[test]
fn every_file_of_the_folder_is_served_and_all_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
    let there: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let all = FILES.iter().chain([&PAGE]);
    let served = all.clone().map(|file| file.name.to_owned()).collect();
    assert_eq!(there, served);
    let bytes: usize = all.map(|file| file.content.len()).sum();
    assert!(bytes <= BYTES_MAX, "{bytes}");
}

#[test]
fn nothing_in_them_names_another_place() {
    for file in FILES.iter().chain([&PAGE]) {
        let text = std::str::from_utf8(file.content).unwrap();
        // The one address is the name of a format.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http://",
            "https://",
            "//cdn",
            "@import",
            "innerHTML",
            "eval(",
        ] {
            assert!(!text.contains(word), "{}: {word}", file.name);
        }
    }
    let page = std::str::from_utf8(PAGE.content).unwrap();
    for word in ["<style", "style=", "onclick", "onload"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[tokio::test]
async fn each_is_sent_as_it_is_with_all_that_guards_it() {
    let page = ask("GET", "/console", None).await;
    assert_eq!(page.status(), StatusCode::OK);
    has_guards(&page);
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(body(page).await, PAGE.content);
    for file in &FILES {
        let got = ask("GET", &format!("/console/{}", file.name), None).await;
        assert_eq!(got.status(), StatusCode::OK, "{}", file.name);
        has_guards(&got);
        assert_eq!(got.headers()[CONTENT_TYPE], file.kind);
        assert_eq!(body(got).await, file.content);
    }
    let head = ask("HEAD", "/console", None).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert!(body(head).await.is_empty());
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let first = ask("GET", "/console/main.js", None).await;
    let tag = first.headers()[ETAG].clone();
    let again = ask("GET", "/console/main.js", Some(&tag)).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    has_guards(&again);
    assert_eq!(again.headers()[ETAG], tag);
    assert!(body(again).await.is_empty());
    let other = ask("GET", "/console/text.js", Some(&tag)).await;
    assert_eq!(other.status(), StatusCode::OK);
    let tags: BTreeSet<_> = FILES.iter().map(|file| file.tag().as_bytes()).collect();
    assert_eq!(tags.len(), FILES.len());
}

#[tokio::test]
async fn there_is_nothing_else() {
    for path in [
        "/console/x",
        "/console/index.html",
        "/console/..%2fCargo.toml",
    ] {
        let got = ask("GET", path, None).await;
        assert_eq!(got.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let posted = ask("POST", "/console", None).await;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(posted.headers()[ALLOW], "GET,HEAD");
    let with_slash = ask("GET", "/console/", None).await;
    assert_eq!(with_slash.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(with_slash.headers()["location"], "../console");
}
