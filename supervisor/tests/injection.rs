//! Headers that requests get on their way out: rules, values, and that values are shown nowhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use mcp_v8::fetch::injection::{HeaderRule, Injection, InjectionOptions};
use mcp_v8::fetch::options::FetchOptions;
use mcp_v8::policy::{Asked, PolicyOptions, input};
use mcp_v8::tenant::Tenant;
use serde_json::json;
use url::Url;

const CANARY: &str = "CANARY-7f3a";

fn environment(name: &str) -> Option<OsString> {
    match name {
        "API_KEY" => Some("from-the-environment".into()),
        "CANARY" => Some(CANARY.into()),
        "EMPTY" => Some("".into()),
        "LINES" => Some("a\r\nx-evil: b".into()),
        _ => None,
    }
}

fn rules(texts: &[&str]) -> InjectionOptions {
    let parsed = texts.iter().map(|text| HeaderRule::parse(text));
    InjectionOptions {
        rules: parsed.collect::<Result<_, _>>().unwrap(),
        file: None,
    }
}

async fn open(texts: &[&str]) -> Injection {
    Injection::open(rules(texts), &environment).await.unwrap()
}

/// Name and value of each header, in the order of names.
async fn headers(injection: &Injection, method: &str, url: &str) -> Vec<(String, String)> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let url = Url::parse(url).unwrap();
    let found = injection
        .headers_for(&Tenant::local(), &method, &url)
        .await
        .unwrap();
    assert!(found.values().all(HeaderValue::is_sensitive), "{found:?}");
    let texts = found.iter().map(|(name, value)| {
        let value = value.to_str().unwrap();
        (name.to_string(), value.to_owned())
    });
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn a_rule_of_a_tenant_is_for_its_scripts_alone() {
    let injection = open(&[
        "host=h,header=x-a,value=all",
        "host=h,header=x-a,value=one,tenant=one",
        "tenant=a, b,host=h,header=x-b,value=odd",
    ])
    .await;
    let url = Url::parse("https://h/").unwrap();
    let given = async |tenant: &str| {
        let tenant: Tenant = tenant.parse().unwrap();
        let found = injection
            .headers_for(&tenant, &Method::GET, &url)
            .await
            .unwrap();
        let value = |name| {
            found
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        (value("x-a"), value("x-b"))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(given("one").await, (text("one"), None));
    for other in ["two", "One", "one ", "local", "on"] {
        assert_eq!(given(other).await, (text("all"), None), "{other}");
    }
    assert_eq!(given("a, b").await, (text("all"), text("odd")));
    for bad in ["tenant=,", "tenant=a\u{7},", "tenant=a,tenant=b,"] {
        let rule = HeaderRule::parse(&format!("{bad}host=h,header=x-a,value=v"));
        assert!(rule.is_err(), "{bad}");
    }
    // Of rules in a file too.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("headers.json");
    let open_file = async |tenant: serde_json::Value| {
        let rules = json!([{"host": "h", "tenant": tenant, "headers": {"x-a": "v"}}]);
        fs::write(&path, rules.to_string()).unwrap();
        let file = Some(path.clone());
        let rules = Vec::new();
        Injection::open(InjectionOptions { rules, file }, &environment).await
    };
    let injection = open_file(json!("one")).await.unwrap();
    assert_eq!(headers(&injection, "GET", "https://h/").await, []);
    let one: Tenant = "one".parse().unwrap();
    let found = injection
        .headers_for(&one, &Method::GET, &url)
        .await
        .unwrap();
    assert_eq!(found["x-a"], "v");
    for bad in [json!(""), json!(1), json!(["one"]), json!(null)] {
        assert!(open_file(bad).await.is_err());
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn file(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("headers.json");
    fs::write(&path, text).unwrap();
    path
}

async fn refusal(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let options = InjectionOptions {
        rules: Vec::new(),
        file: Some(file(directory.path(), text)),
    };
    match Injection::open(options, &environment).await {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => format!("{error} {error:?}"),
    }
}

#[tokio::test]
async fn a_header_goes_to_its_host_and_methods_only() {
    let injection = open(&[
        "host=api.example.com,header=X-Key,value=one",
        "host=*.example.org,header=x-key,value=two,methods=get;POST",
    ])
    .await;
    let one = pairs(&[("x-key", "one")]);
    let two = pairs(&[("x-key", "two")]);
    for (method, url, expected) in [
        ("GET", "https://api.example.com/", &one),
        ("DELETE", "https://API.example.com:8080/x", &one),
        ("GET", "https://example.org/", &two),
        ("POST", "https://a.b.example.org/", &two),
        ("PUT", "https://example.org/", &vec![]),
        ("GET", "https://example.com/", &vec![]),
        ("GET", "http://api.example.com/", &vec![]),
        ("GET", "https://xapi.example.com/", &vec![]),
        ("GET", "https://evil.test/?api.example.com", &vec![]),
    ] {
        assert_eq!(
            &headers(&injection, method, url).await,
            expected,
            "{method} {url}"
        );
    }
}

#[tokio::test]
async fn a_header_goes_over_http_only_to_this_machine_or_where_its_rule_says_so() {
    let injection = open(&[
        "host=h,header=x-a,value=1",
        "host=h,header=x-b,value=2,scheme=http",
        "host=h,header=x-c,value=3,scheme=HTTP;https,port=80;8443",
        "host=127.0.0.1,header=x-d,value=4",
    ])
    .await;
    for (url, expected) in [
        ("https://h/", &[("x-a", "1")][..]),
        ("https://h:8443/", &[("x-a", "1"), ("x-c", "3")]),
        ("http://h/", &[("x-b", "2"), ("x-c", "3")]),
        ("http://h:8080/", &[("x-b", "2")]),
        ("http://127.0.0.1:9/", &[("x-d", "4")]),
    ] {
        let found = headers(&injection, "GET", url).await;
        assert_eq!(found, pairs(expected), "{url}");
    }
    let directory = tempfile::tempdir().unwrap();
    let text = json!([
        {"host": "h", "scheme": ["http"], "port": [80], "headers": {"x-a": "file"}},
    ]);
    let options = InjectionOptions {
        rules: Vec::new(),
        file: Some(file(directory.path(), &text.to_string())),
    };
    let injection = Injection::open(options, &environment).await.unwrap();
    let found = headers(&injection, "GET", "http://h/").await;
    assert_eq!(found, pairs(&[("x-a", "file")]));
    for url in ["https://h/", "http://h:81/"] {
        assert!(headers(&injection, "GET", url).await.is_empty(), "{url}");
    }
}

#[tokio::test]
async fn values_hold_commas_and_equals_signs_and_fields_stand_in_any_order() {
    for (rule, value) in [
        ("host=h,header=x-a,value=a,b=c,,d==", "a,b=c,,d=="),
        ("value=a, b, header: c,header=x-a,host=h", "a, b, header: c"),
        (
            "header=x-a,value=Basic dTpw=,methods=GET,host=h",
            "Basic dTpw=",
        ),
        (
            "host=h,header=x-a,value=hosts=1,hostess=2",
            "hosts=1,hostess=2",
        ),
        ("host=h,header=x-a,value=$5 $ {x}", "$5 $ {x}"),
        (
            "host=h,header=x-a,value=$${NAME} ${API_KEY}",
            "${NAME} from-the-environment",
        ),
    ] {
        let injection = open(&[rule]).await;
        let found = headers(&injection, "GET", "https://h/").await;
        assert_eq!(found, pairs(&[("x-a", value)]), "{rule}");
    }
}

#[tokio::test]
async fn rules_of_file_and_flags_are_merged_and_the_last_one_counts() {
    let directory = tempfile::tempdir().unwrap();
    let text = json!([
        {"host": "h", "headers": {"x-a": "file", "x-b": "file", "X-C": "Bearer ${API_KEY}"}},
        {"host": "H", "methods": ["get"], "headers": {"x-b": "later in the file"}},
    ]);
    let mut options = rules(&[
        "host=h,header=x-a,value=flag",
        "host=h,header=x-d,value=first",
        "host=h,header=x-d,value=last",
    ]);
    options.file = Some(file(directory.path(), &text.to_string()));
    let injection = Injection::open(options, &environment).await.unwrap();
    let found = headers(&injection, "GET", "https://h/").await;
    let expected = [
        ("x-a", "flag"),
        ("x-b", "later in the file"),
        ("x-c", "Bearer from-the-environment"),
        ("x-d", "last"),
    ];
    assert_eq!(found, pairs(&expected));
    let found = headers(&injection, "PUT", "https://h/").await;
    assert_eq!(found[1], ("x-b".to_owned(), "file".to_owned()));
}

#[tokio::test]
async fn a_value_in_a_file_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, "one\n").unwrap();
    let rule = format!(
        "host=h,header=x-a,value=Bearer ${{file:{}}}!",
        path.display()
    );
    let injection = open(&[&rule]).await;
    let found = || headers(&injection, "GET", "https://h/");
    assert_eq!(found().await, pairs(&[("x-a", "Bearer one!")]));
    fs::write(&path, "another\r\n").unwrap();
    assert_eq!(found().await, pairs(&[("x-a", "Bearer another!")]));
    // As secrets are replaced: another file under the same name.
    let other = directory.path().join("other");
    fs::write(&other, "twoother").unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(found().await, pairs(&[("x-a", "Bearer twoother!")]));
}

#[tokio::test]
async fn a_value_that_cannot_be_had_any_more_is_an_error_and_never_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, CANARY).unwrap();
    let rule = format!("host=h,header=x-a,value=${{file:{}}}", path.display());
    let injection = open(&[&rule]).await;
    let url = Url::parse("https://h/").unwrap();
    let break_it: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, [0xff, 0xfe]).unwrap(),
        |path| fs::write(path, "CANARY-7f3a\r\nx-evil: 1").unwrap(),
    ];
    for change in break_it {
        change(&path);
        let missing = injection
            .headers_for(&Tenant::local(), &Method::GET, &url)
            .await
            .unwrap_err();
        let text = missing.to_string();
        assert!(
            text.starts_with("the header x-a for h cannot be had: "),
            "{text}"
        );
        let whole = format!("{missing:?} {missing}");
        assert!(!whole.contains(CANARY), "{whole}");
        assert!(!whole.contains(&path.display().to_string()), "{whole}");
    }
    // A pipe is not waited for.
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let tenant = Tenant::local();
    let waited = injection.headers_for(&tenant, &Method::GET, &url);
    let waited = tokio::time::timeout(Duration::from_secs(5), waited).await;
    assert!(waited.unwrap().is_err());
    // Where no rule applies, nothing is missing.
    let other = Url::parse("https://other/").unwrap();
    assert!(
        injection
            .headers_for(&Tenant::local(), &Method::GET, &other)
            .await
            .unwrap()
            .is_empty()
    );
}

#[test]
fn rules_on_the_command_line_that_mean_nothing_are_told_without_what_was_written() {
    for (rule, problem) in [
        (
            "CANARY-7f3a",
            "it is not host=...,header=...,value=...[,methods=GET;POST]",
        ),
        (" host=h,header=a,value=CANARY-7f3a", "it is not host="),
        ("host=h,value=CANARY-7f3a", "header is missing"),
        ("header=a,value=CANARY-7f3a", "host is missing"),
        ("host=h,header=a", "value is missing"),
        ("host=h,header=a,value=", "value is empty"),
        (
            "host=h,header=a,value=CANARY-7f3a,host=b",
            "host is said twice",
        ),
        (
            "host=CANARY-7f3a b,header=a,value=c",
            "the host is not a name",
        ),
        (
            "host=*,header=a,value=CANARY-7f3a",
            "would give the header to every server",
        ),
        (
            "host=h:443,header=a,value=CANARY-7f3a",
            "without scheme, port and path",
        ),
        (
            "host=h,header=CANARY-7f3a: x,value=a",
            "not the name of a header",
        ),
        (
            "host=h,header=a,value=b,methods=",
            "methods are not names of methods",
        ),
        (
            "host=h,header=a,value=b,methods=CANARY-7f3a GET",
            "methods are not names",
        ),
        (
            "host=h,header=a,value=b,scheme=CANARY-7f3a",
            "scheme is not http",
        ),
        ("host=h,header=a,value=b,scheme=", "scheme is not http"),
        (
            "host=h,header=a,value=b,port=CANARY-7f3a",
            "port is not a number",
        ),
        ("host=h,header=a,value=b,port=0", "port is not a number"),
        ("host=h,header=a,value=b,port=65536", "port is not a number"),
        ("host=h,header=a,value=${CANARY-7f3a", "without a }"),
        (
            "host=h,header=a,value=${CANARY-7f3a}",
            "neither ${NAME} nor ${file:/path}",
        ),
        (
            "host=h,header=a,value=${file:}",
            "neither ${NAME} nor ${file:/path}",
        ),
        (
            "host=h,header=a,value=${}",
            "neither ${NAME} nor ${file:/path}",
        ),
    ] {
        let error = HeaderRule::parse(rule).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(problem), "{rule}: {text}");
        assert!(
            !format!("{text} {error:?}").contains(CANARY),
            "{rule}: {text}"
        );
    }
    for header in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "TE",
        "upgrade",
        "keep-alive",
        "trailer",
        "expect",
        "accept-encoding",
    ] {
        let rule = format!("host=h,header={header},value=x");
        let text = HeaderRule::parse(&rule).unwrap_err().to_string();
        let lower = header.to_ascii_lowercase();
        assert_eq!(
            text,
            format!("the header {lower} is the server's own and cannot be given")
        );
    }
}

#[tokio::test]
async fn values_that_are_missing_at_the_start_refuse_it_and_all_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = rules(&[
        "host=h,header=x-a,value=${NOT_SET}",
        "host=h,header=x-b,value=good",
        "host=h,header=x-c,value=${file:/does/not/exist}",
        "host=h,header=x-d,value=${EMPTY}",
        "host=h,header=x-e,value=${LINES}",
    ]);
    options.file = Some(file(
        directory.path(),
        &json!([{"host": "h", "headers": {"x-f": "${NOT_SET_EITHER}"}}]).to_string(),
    ));
    let error = Injection::open(options, &environment).await.unwrap_err();
    let text = error.to_string();
    for part in [
        "--fetch-header, rule 1: the header x-a: its value is in the environment variable NOT_SET, which is not set",
        "--fetch-header, rule 3: the header x-c: its value is in the file /does/not/exist, which cannot be read",
        "--fetch-header, rule 4: the header x-d: its value is in the environment variable EMPTY",
        "--fetch-header, rule 5: the header x-e: its value is longer than 16384 bytes or holds a character",
        "headers.json, rule 1: the header x-f: its value is in the environment variable NOT_SET_EITHER",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(
        !text.contains("rule 2") && !text.contains("x-evil"),
        "{text}"
    );
}

#[tokio::test]
async fn a_file_that_means_nothing_is_told_without_what_is_written_there() {
    for (text, problem) in [
        (
            "[{\"host\": \"h\", \"headers\": {\"a\": \"CANARY-7f3a\" x}}]",
            "is not a JSON array (line 1, column",
        ),
        ("{\"host\": \"CANARY-7f3a\"}", "is not a JSON array"),
        ("[\"CANARY-7f3a\"]", "rule 1: the rule is not an object"),
        (
            "[{\"host\": \"h\", \"headers\": {\"a\": {\"b\": \"CANARY-7f3a\"}}}]",
            "a value in headers is not a text",
        ),
        (
            "[{\"host\": \"h\", \"headers\": [\"CANARY-7f3a\"]}]",
            "headers is not an object",
        ),
        (
            "[{\"host\": \"h\", \"headers\": {}}]",
            "headers or oauth is missing",
        ),
        ("[{\"host\": \"h\"}]", "headers or oauth is missing"),
        (
            "[{\"headers\": {\"a\": \"CANARY-7f3a\"}}]",
            "host is missing",
        ),
        (
            "[{\"host\": [\"CANARY-7f3a\"], \"headers\": {\"a\": \"b\"}}]",
            "host is not a text",
        ),
        (
            "[{\"host\": \"h\", \"header\": \"a\", \"value\": \"CANARY-7f3a\"}]",
            "unknown key \"header\"; valid keys: host",
        ),
        (
            "[{\"host\": \"h\", \"methods\": \"GET\", \"headers\": {\"a\": \"CANARY-7f3a\"}}]",
            "methods is not an array",
        ),
        (
            "[{\"host\": \"h\", \"scheme\": \"CANARY-7f3a\", \"headers\": {\"a\": \"b\"}}]",
            "scheme is not an array of texts",
        ),
        (
            "[{\"host\": \"h\", \"port\": [\"CANARY-7f3a\"], \"headers\": {\"a\": \"b\"}}]",
            "port is not a number",
        ),
        (
            "[{\"host\": \"h\", \"headers\": {\"Host\": \"CANARY-7f3a\"}}]",
            "the header host is the server's own",
        ),
        (
            "[{\"host\": \"h\", \"oauth\": {\"token_url\": \"https://u:CANARY-7f3a@h\", \"client_id\": \"a\", \"client_secret\": \"b\"}}]",
            "token_url is not an http or https URL",
        ),
        (
            "[{\"host\": \"h\", \"oauth\": {\"token_url\": \"https://h\", \"client_id\": \"CANARY-7f3a\"}}]",
            "client_secret is missing",
        ),
        (
            "[{\"host\": \"h\", \"oauth\": {\"token_url\": \"http://h\", \"client_id\": \"a\", \"client_secret\": \"${NOT_SET}\"}}]",
            "oauth: client_secret: its value is in the environment variable NOT_SET",
        ),
        (
            "[{\"host\": \"h\", \"oauth\": {\"secret\": \"CANARY-7f3a\"}}]",
            "unknown key \"secret\"; valid keys: token_url",
        ),
    ] {
        let told = refusal(text).await;
        assert!(told.contains(problem), "{text}: {told}");
        assert!(!told.contains(CANARY), "{text}: {told}");
    }
    let options = InjectionOptions {
        rules: Vec::new(),
        file: Some("/does/not/exist".into()),
    };
    let missing = Injection::open(options, &environment)
        .await
        .unwrap_err()
        .to_string();
    assert!(missing.contains("/does/not/exist, the file with rules for headers, cannot be read"));
}

#[tokio::test]
async fn secrets_are_in_no_debug_text_and_in_no_input_of_a_policy() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("key"), CANARY).unwrap();
    fs::write(
        directory.path().join("fetch.rego"),
        "package mcp.fetch\nallow := true\n",
    )
    .unwrap();
    let in_file = format!(
        "host=h,header=x-c,value=${{file:{}/key}}",
        directory.path().display()
    );
    let mut injection = rules(&[
        "host=h,header=x-a,value=CANARY-7f3a",
        "host=h,header=x-b,value=${CANARY}",
        &in_file,
    ]);
    let text = json!([
        {"host": "h", "headers": {"x-d": CANARY}},
        {"host": "h", "oauth": {"token_url": "http://127.0.0.1:1/", "client_id": CANARY, "client_secret": CANARY}},
    ]);
    injection.file = Some(file(directory.path(), &text.to_string()));
    let options = FetchOptions {
        policy: PolicyOptions::Directory(directory.path().to_owned()),
        injection,
        allow_private: false,
    };
    assert!(!format!("{options:?}").contains(CANARY), "{options:?}");
    let parts = options.open_with(&environment).await.unwrap();
    assert!(!format!("{parts:?}").contains(CANARY), "{parts:?}");
    let url = Url::parse("https://h/").unwrap();
    let error = parts
        .injection
        .headers_for(&Tenant::local(), &Method::GET, &url)
        .await
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    assert!(!format!("{parts:?}").contains(CANARY), "{parts:?}");
    let asked = Asked {
        tenant: Tenant::local(),
        session: None,
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
    };
    assert!(parts.policy.decide(&asked).await.is_ok());
    assert!(!input::document(&asked).to_string().contains(CANARY));
    // Values that were looked up do not show themselves either.
    let injection = open(&["host=h,header=x-a,value=CANARY-7f3a", &in_file]).await;
    let found = injection
        .headers_for(&Tenant::local(), &Method::GET, &asked.url)
        .await
        .unwrap();
    assert_eq!(found["x-c"], CANARY);
    assert!(
        !format!("{found:?} {injection:?}").contains(CANARY),
        "{found:?}"
    );
}
