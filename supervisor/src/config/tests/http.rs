//! On which address, and for whom.

use super::*;
use crate::http::{AllowedHosts, AllowedOrigins, HttpConfig, Surface, TlsFiles};

fn http(arguments: &[&str], variables: &[(&str, &str)]) -> HttpConfig {
    match config(arguments, variables).transport {
        Transport::Http(http) => *http,
        Transport::Stdio => panic!("it does not listen"),
    }
}

#[test]
fn without_a_port_nothing_is_listened_on() {
    assert!(matches!(config(&[], &[]).transport, Transport::Stdio));
    let text = faults(
        &["--bind-host=::1", "--shutdown-grace=1"],
        &[("MCP_V8_ALLOWED_HOSTS", "a.example")],
    );
    for setting in [
        "--bind-host",
        "--shutdown-grace",
        "MCP_V8_ALLOWED_HOSTS (environment)",
    ] {
        let needs = format!("{setting} needs --http-port: it is about HTTP");
        assert!(text.contains(&needs), "{needs} is not in {text}");
    }
}

#[test]
fn a_port_alone_serves_this_machine() {
    let found = http(&["--http-port=8080"], &[]);
    assert_eq!(found.address.to_string(), "127.0.0.1:8080");
    assert_eq!(found.surface, Surface::Streamable);
    assert_eq!(found.hosts, AllowedHosts::new(found.address.ip(), vec![]));
    assert_eq!(found.origins, AllowedOrigins::default());
    assert_eq!(found.tls, None);
    assert_eq!(found.shutdown_grace.as_secs(), 10);
    let found = http(&[], &[("MCP_V8_SSE_PORT", "0")]);
    assert_eq!(found.address.to_string(), "127.0.0.1:0");
    assert_eq!(found.surface, Surface::Legacy);
    let text = faults(&["--http-port=1", "--sse-port=2"], &[]);
    assert!(
        text.contains("--http-port and --sse-port exclude each other"),
        "{text}"
    );
    for bad in ["65536", "-1", "http"] {
        assert!(faults(&[&format!("--http-port={bad}")], &[]).contains("--http-port"));
    }
}

#[test]
fn other_machines_reach_only_a_server_that_was_told_so() {
    for host in ["0.0.0.0", "::", "192.168.1.2"] {
        let bound = format!("--bind-host={host}");
        let text = faults(&["--http-port=80", &bound], &[]);
        assert!(
            text.contains(&format!("whoever can reach {host} could run code")),
            "{text}"
        );
        let arguments = ["--http-port=80", &bound, "--allow-unauthenticated"];
        assert_eq!(http(&arguments, &[]).address.ip().to_string(), host);
        let notes = config(&arguments, &[]).notes;
        let note = notes.first().map(ToString::to_string).unwrap_or_default();
        assert!(note.starts_with(&format!("whoever can reach {host} can run code")));
        let denied = ["--http-port=80", &bound, "--allow-unauthenticated=false"];
        assert!(faults(&denied, &[]).contains("could run code"));
    }
    for host in ["127.0.0.2", "::1"] {
        http(&["--http-port=80", &format!("--bind-host={host}")], &[]);
    }
    let text = faults(&["--http-port=80", "--bind-host=example.com"], &[]);
    assert!(text.contains("is not an IP address"), "{text}");
}

#[test]
fn names_and_origins_are_lists() {
    let file = file("http-port = 80\nallowed-hosts = [\"a.example\", \"b.example\"]\n");
    let path = file.path().to_str().unwrap().to_owned();
    let found = http(
        &[
            "--config",
            &path,
            "--allowed-origins=https://a.example, http://localhost:5173",
        ],
        &[],
    );
    let names = ["a.example", "b.example"].map(|name| name.parse().unwrap());
    let own = found.address.ip();
    assert_eq!(found.hosts, AllowedHosts::new(own, names.to_vec()));
    let origins = ["https://a.example", "http://localhost:5173"];
    let origins = origins.map(|origin| origin.parse().unwrap()).to_vec();
    assert_eq!(found.origins, AllowedOrigins::new(origins));
    let text = faults(
        &[
            "--http-port=80",
            "--allowed-hosts=a.example,http://b",
            "--allowed-origins=*",
        ],
        &[],
    );
    assert!(
        text.contains("is not host names separated by commas"),
        "{text}"
    );
    assert!(text.contains("is not origins of web pages"), "{text}");
}

#[test]
fn a_certificate_and_its_key_go_together() {
    let port = "--http-port=443";
    let found = http(&[port, "--tls-cert=/c.pem", "--tls-key=/k.pem"], &[]);
    assert_eq!(
        found.tls,
        Some(TlsFiles {
            certificate: "/c.pem".into(),
            key: "/k.pem".into()
        })
    );
    let text = faults(&[port, "--tls-cert=/c.pem"], &[]);
    assert!(text.contains("--tls-cert needs --tls-key"), "{text}");
    let text = faults(&[port, "--tls-key=/k.pem"], &[]);
    assert!(text.contains("--tls-key needs --tls-cert"), "{text}");
}
