//! Who is let in, case by case.

use super::*;

fn guard(bound: &str, hosts: &str, origins: &str) -> Guard {
    let some = |list: &str| -> Vec<String> {
        let parts = list.split(',').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let hosts = some(hosts)
        .iter()
        .map(|host| host.parse().unwrap())
        .collect();
    let origins = some(origins)
        .iter()
        .map(|origin| origin.parse().unwrap())
        .collect();
    Guard {
        hosts: AllowedHosts::new(bound.parse().unwrap(), hosts),
        origins: AllowedOrigins::new(origins),
        is_tls: false,
    }
}

fn judged(guard: &Guard, uri: &str, given: &[(&str, &str)]) -> &'static str {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    match guard.judge(&uri.parse().unwrap(), &headers) {
        Ok(()) => "",
        Err(refusal) => refusal.code.name(),
    }
}

#[test]
fn a_server_on_loopback_is_called_by_names_of_loopback() {
    let guard = guard("127.0.0.1", "", "");
    let host = |host| judged(&guard, "/mcp", &[("host", host)]);
    for own in [
        "localhost",
        "LOCALHOST:80",
        "127.0.0.1",
        "127.0.0.1:8080",
        "127.9.9.9",
        "[::1]",
        "[::1]:8080",
    ] {
        assert_eq!(host(own), "", "{own}");
    }
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "192.168.1.2",
        "10.0.0.1:80",
        "[::2]",
        "0.0.0.0",
        "127.0.0.1.evil.example",
        "localhost.",
    ] {
        assert_eq!(host(foreign), "foreign_host", "{foreign}");
    }
    for none in [
        "",
        "user@localhost",
        "local host",
        "localhost:x",
        "localhost/x",
        "\u{e9}",
    ] {
        assert_eq!(host(none), "bad_host", "{none:?}");
    }
}

#[test]
fn a_server_on_all_addresses_is_called_by_any_address_and_by_listed_names() {
    let guard = guard("0.0.0.0", "App.example.com,2001:db8::1", "");
    let host = |host| judged(&guard, "/mcp", &[("host", host)]);
    for own in [
        "192.168.1.2:80",
        "[2001:db8::2]",
        "app.example.com:443",
        "APP.EXAMPLE.COM",
    ] {
        assert_eq!(host(own), "", "{own}");
    }
    assert_eq!(host("example.com"), "foreign_host");
    let any = self::guard("127.0.0.1", "*", "");
    assert_eq!(judged(&any, "/", &[("host", "whatever.example")]), "");
}

#[test]
fn a_request_names_one_host() {
    let guard = guard("127.0.0.1", "", "");
    assert_eq!(judged(&guard, "/", &[]), "bad_host");
    let two = [("host", "localhost"), ("host", "localhost")];
    assert_eq!(judged(&guard, "/", &two), "bad_host");
    let line = |uri| judged(&guard, uri, &[("host", "localhost:1")]);
    assert_eq!(line("http://localhost:1/"), "");
    assert_eq!(line("http://evil.example/"), "bad_host");
}

#[test]
fn pages_of_the_server_and_listed_ones_may_call() {
    let guard = guard(
        "127.0.0.1",
        "app.example.com",
        "https://Tool.example:8443,http://localhost:5173,https://usual.example:443,http://[::1]:80",
    );
    let from = |host, origin| judged(&guard, "/mcp", &[("host", host), ("origin", origin)]);
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("app.example.com", "https://app.example.com"),
        ("localhost:8080", "https://tool.example:8443"),
        ("localhost:8080", "HTTP://LOCALHOST:5173"),
        ("localhost:8080", "https://usual.example"),
        ("localhost:8080", "https://usual.example:443"),
        ("localhost:8080", "http://[::1]"),
        // The usual port is that of the scheme, on either side.
        ("localhost:80", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("app.example.com", "https://app.example.com:443"),
    ] {
        assert_eq!(from(host, origin), "", "{origin}");
    }
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8081"),
        ("localhost:8080", "http://127.0.0.1:8080"),
        ("localhost:8080", "null"),
        ("localhost:8080", ""),
        ("localhost:8080", "https://tool.example"),
        ("localhost:8080", "http://tool.example:8443"),
        ("localhost:8080", "http://usual.example:443"),
        ("localhost:8080", "https://usual.example:80"),
        ("localhost:8080", "http://localhost"),
        ("localhost:443", "http://localhost"),
        ("localhost:8080", "http://localhost:8080/"),
        ("localhost:8080", "http://u@localhost:8080"),
        ("localhost:8080", "http://localhost:"),
        ("localhost:8080", "https://evil.example"),
        ("localhost:8080", "\u{e9}"),
    ] {
        assert_eq!(from(host, origin), "foreign_origin", "{origin}");
    }
    let two = [
        ("host", "localhost:8080"),
        ("origin", "http://localhost:8080"),
        ("origin", "https://evil.example"),
    ];
    assert_eq!(judged(&guard, "/mcp", &two), "foreign_origin");
}

#[test]
fn a_page_of_the_same_name_on_another_scheme_is_another_page() {
    let plain = guard("127.0.0.1", "app.example.com", "");
    let from =
        |guard: &Guard, host, origin| judged(guard, "/mcp", &[("host", host), ("origin", origin)]);
    assert_eq!(
        from(&plain, "localhost", "https://localhost"),
        "foreign_origin"
    );
    assert_eq!(
        from(&plain, "app.example.com", "https://app.example.com"),
        ""
    );
    let tls = Guard {
        is_tls: true,
        ..plain
    };
    assert_eq!(from(&tls, "localhost", "https://localhost"), "");
    assert_eq!(
        from(&tls, "localhost", "http://localhost"),
        "foreign_origin"
    );
    assert_eq!(
        from(&tls, "app.example.com", "http://app.example.com"),
        "foreign_origin"
    );
}

#[test]
fn a_picture_on_a_page_of_others_is_refused() {
    let guard = guard("127.0.0.1", "", "https://page.example");
    let from = |site| {
        judged(
            &guard,
            "/sse",
            &[("host", "localhost"), ("sec-fetch-site", site)],
        )
    };
    assert_eq!(from("cross-site"), "foreign_origin");
    assert_eq!(from("same-site"), "foreign_origin");
    assert_eq!((from("same-origin"), from("none")), ("", ""));
    let allowed = [
        ("host", "localhost"),
        ("origin", "https://page.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(judged(&guard, "/mcp", &allowed), "");
}

#[test]
fn only_hosts_and_origins_are_listed() {
    for bad in ["", "a b", "http://a", "a:80", "u@a", "*.a", "a/b"] {
        assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
    }
    for bad in [
        "",
        "*",
        "null",
        "a.example",
        "https://",
        "https://a/",
        "https://a/b",
        "ftp://a",
        "https://u@a",
        "https://*.a",
        "https://a?b",
    ] {
        assert!(bad.parse::<Origin>().is_err(), "{bad}");
    }
}
