//! A server that asks who calls: what needs a token, how it says so, and which starts are refused.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use crate::tenants_parts::{FIRST, OPERATOR, SECOND, token_file, write_tokens};
use e2e::home::Home;
use e2e::http::HttpServer;
use serde_json::Value;
use ureq::http::Request;

fn start(home: &Home, arguments: &[&str]) -> HttpServer {
    let tokens = token_file(home);
    let all = [&["--auth-tokens", &tokens], arguments].concat();
    HttpServer::start(home, &all)
}

#[test]
fn nothing_but_health_is_there_for_who_brings_no_token() {
    let home = Home::new();
    let server = start(&home, &[]);
    let described = server.with_token(FIRST).get("/api/openapi.json").json();
    assert_eq!(
        described["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
    let paths = described["paths"].as_object().expect("paths");
    let mut asked: Vec<(String, String)> = Vec::new();
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            asked.push((method.to_uppercase(), path.replace(['{', '}'], "x")));
        }
    }
    assert!(asked.len() > 10);
    for (method, path) in [
        ("GET", "/mcp"),
        ("POST", "/mcp"),
        ("DELETE", "/mcp"),
        ("PATCH", "/mcp"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("GET", "/api"),
        ("GET", "/sse"),
        ("GET", "/healthz/"),
        ("GET", "/.well-known/oauth-protected-resource"),
    ] {
        asked.push((method.to_owned(), path.to_owned()));
    }
    let bad = server.with_token("mcpv8_nobodys");
    for (method, path) in &asked {
        let none = server.bare(method, path);
        assert_eq!(
            (none.status, none.error_code().as_str()),
            (401, "unauthorized"),
            "{path}"
        );
        assert_eq!(none.header("www-authenticate"), "Bearer realm=\"mcp-v8\"");
        let wrong = bad.bare(method, path);
        assert_eq!(wrong.status, 401, "{method} {path}");
        let challenge = wrong.header("www-authenticate");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        // What is not there is told to those alone who may know.
        for query in ["access_token", "token", "authorization"] {
            let answer = server.bare(method, &format!("{path}?{query}={FIRST}"));
            assert_eq!(answer.status, 401, "{method} {path} {query}");
        }
    }
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.with_token(FIRST).get("/nothing").status, 404);
    let log = server.process.log();
    assert!(
        log.contains("requests were not let in; the last one: nobody has the token"),
        "{log}"
    );
    let told = log.matches("requests were not let in").count();
    assert!(told < 5, "{told} lines tell of it");
    assert!(!log.contains("mcpv8_"), "{log}");
}

#[test]
fn figures_of_all_tenants_are_for_operators() {
    let home = Home::new();
    let server = start(&home, &[]);
    for user in [FIRST, SECOND] {
        let answer = server.with_token(user).get("/metrics");
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (403, "forbidden")
        );
    }
    let operator = server.with_token(OPERATOR);
    let answer = operator.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("mcp_v8_http_requests"));
    // Beside that it is a user of its tenant.
    let id = server.with_token(FIRST).submit("1");
    assert_eq!(operator.get(&format!("/api/executions/{id}")).status, 200);
    let other = server
        .with_token(SECOND)
        .get(&format!("/api/executions/{id}"));
    assert_eq!(other.status, 404);
}

#[test]
fn a_token_is_looked_at_before_the_body_and_there_is_one() {
    let home = Home::new();
    let server = start(&home, &[]);
    let mut stream = server.connect();
    let head = "POST /api/exec HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 4000000\r\nauthorization: Bearer nobodys\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut begin = [0; 12];
    stream
        .read_exact(&mut begin)
        .expect("it answers without the body");
    assert_eq!(&begin, b"HTTP/1.1 401");
    let twice = format!(
        "GET /api/sessions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {FIRST}\r\n\
         authorization: Bearer {FIRST}\r\nconnection: close\r\n\r\n"
    );
    let answer = server.raw(twice.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("error=\"invalid_request\""), "{answer}");
    for other in ["Basic Zmlyc3Q6cHc=", "Digest x", "mcpv8_x"] {
        let request = Request::get(server.url("/api/executions")).header("authorization", other);
        let answer = server.ask(request.body(()).expect("a request"));
        assert!([400, 401].contains(&answer.status), "{other}: {answer:?}");
    }
    let long = "x".repeat(9000);
    assert_eq!(server.with_token(&long).get("/api/executions").status, 401);
}

#[test]
fn clients_are_told_where_to_get_a_token() {
    let home = Home::new();
    let resource = "https://mcp.example.com/mcp";
    let arguments = [
        "--auth-resource",
        resource,
        "--auth-server",
        "https://id.example.com",
        "--auth-server",
        "https://id.example.org/realms/a",
    ];
    let server = start(&home, &arguments);
    for path in ["", "/mcp"] {
        let told = server.get(&format!("/.well-known/oauth-protected-resource{path}"));
        assert_eq!(told.status, 200, "{told:?}");
        let told = told.json();
        assert_eq!(told["resource"], resource);
        let servers = ["https://id.example.com", "https://id.example.org/realms/a"];
        assert_eq!(told["authorization_servers"], serde_json::json!(servers));
        assert_eq!(
            told["bearer_methods_supported"],
            serde_json::json!(["header"])
        );
    }
    let refused = server.get("/mcp");
    let place = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
    let expected = format!("Bearer realm=\"mcp-v8\", resource_metadata=\"{place}\"");
    assert_eq!(refused.header("www-authenticate"), expected);
    assert!(
        server.get("/.well-known/oauth-protected-resource").json()["scopes_supported"].is_null()
    );
    // A page may ask before it has one, and read where to get it.
    let preflight = Request::options(server.url("/mcp"))
        .header("origin", server.url(""))
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization");
    let answer = server.ask(preflight.body(()).expect("a request"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("authorization")
    );
}

fn outcome(home: &Home, arguments: &[&str]) -> (Output, String) {
    let mut command = home.server("mcp-v8-worker");
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().expect("it can be executed");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

#[test]
fn a_start_without_good_tokens_is_refused() {
    let home = Home::new();
    let port = ["--http-port", "0", "--auth-tokens"];
    let with = |path: &str| {
        let (output, text) = outcome(&home, &[&port[..], &[path]].concat());
        assert_eq!(output.status.code(), Some(1), "{text}");
        text
    };
    let path = token_file(&home);
    for mode in [0o644, 0o620, 0o604] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let text = with(&path);
        assert!(
            text.contains("is open to others") && text.contains("chmod 600"),
            "{text}"
        );
    }
    let text = with(&write_tokens(
        &home,
        "[[tokens]]\ntenant = \"a\"\ntoken_sha256 = \"abc\"\n",
    ));
    assert!(
        text.contains("line 3") && text.contains("64 hexadecimal digits"),
        "{text}"
    );
    let text = with(&write_tokens(&home, ""));
    assert!(text.contains("lists no token"), "{text}");
    let text = with("/nonexistent/tokens.toml");
    assert!(text.contains("cannot be read"), "{text}");
}

#[test]
fn settings_that_do_not_go_together_are_told_all_at_once() {
    let home = Home::new();
    let arguments = [
        "--http-port",
        "0",
        "--jwks-url",
        "http://id.example.com/jwks",
        "--jwks-file",
        "keys.json",
        "--jwt-algorithms",
        "HS256",
        "--auth-server",
        "https://id.example.com",
        "--allow-unauthenticated",
    ];
    let (output, text) = outcome(&home, &arguments);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for said in [
        "--jwks-url: what is there is not a URL of https",
        "--jwks-url and --jwks-file exclude each other",
        "--jwt-algorithms: \"HS256\" is not some of RS256",
        "needs --jwt-issuer",
        "needs --jwt-audience",
        "--auth-server needs --auth-resource",
        "--allow-unauthenticated and --jwks-url exclude each other",
    ] {
        assert!(text.contains(said), "{said:?} is not in:\n{text}");
    }
    let (output, text) = outcome(&home, &["--auth-tokens", "x"]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--auth-tokens needs --http-port"), "{text}");
}

#[test]
fn with_authentication_other_machines_may_come() {
    let home = Home::new();
    let server = start(&home, &["--bind-host", "0.0.0.0"]);
    let log = server.process.log();
    assert!(
        log.contains("tokens that are sent to 0.0.0.0 can be read on the way"),
        "{log}"
    );
}

#[test]
fn a_new_token_is_shown_once_and_its_entry_lets_it_in() {
    let home = Home::new();
    let mut command = home.command();
    command.args(["token", "new", "--tenant", "acme \"co\"", "--operator"]);
    let output = command.output().expect("it can be executed");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let token = text
        .lines()
        .find(|line| line.starts_with("mcpv8_"))
        .expect("a token");
    let entry = &text[text.find("[[tokens]]").expect("an entry")..];
    assert!(!entry.contains(token));
    let tokens = write_tokens(&home, entry);
    let server = HttpServer::start(&home, &["--auth-tokens", &tokens]);
    let client = server.with_token(token);
    let ran = client.run("6 * 7");
    assert_eq!(ran["result"], "42", "{ran}");
    assert_eq!(client.get("/metrics").status, 200);
    assert_eq!(
        server.get("/metrics").json()["error"]["code"],
        Value::from("unauthorized")
    );
    for arguments in [&["token", "new"][..], &["token", "new", "--tenant", ""]] {
        let mut command = home.command();
        let output = command
            .args(arguments)
            .output()
            .expect("it can be executed");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn clients_are_told_what_a_token_can_be_for_where_tokens_say_that() {
    let home = Home::new();
    let keys = home.path("keys.json");
    std::fs::write(&keys, r#"{"keys": []}"#).expect("a file in our own directory");
    let keys = keys.display().to_string();
    let arguments = [
        "--jwks-file",
        &keys,
        "--jwt-issuer=https://id.example.com",
        "--jwt-audience=https://mcp.example.com/mcp",
        "--jwt-scopes",
        "--auth-resource=https://mcp.example.com/mcp",
        "--auth-server=https://id.example.com",
    ];
    let server = start(&home, &arguments);
    let told = server.get("/.well-known/oauth-protected-resource").json();
    assert_eq!(told["scopes_supported"], serde_json::json!(["read", "run"]));
    let challenge = server.get("/mcp");
    let challenge = challenge.header("www-authenticate");
    assert!(challenge.ends_with(", scope=\"read run\""), "{challenge}");
}
