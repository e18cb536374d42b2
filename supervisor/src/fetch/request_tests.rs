use proptest::prelude::*;

use super::*;

fn request(method: &str, url: &str) -> Request {
    Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        redirect: Redirect::Follow,
        body: RequestBody::None,
    }
}

fn with(headers: &[(&str, &[u8])]) -> Request {
    let line = |(name, value): &(&str, &[u8])| Header {
        name: (*name).to_owned(),
        value: value.to_vec(),
    };
    Request {
        headers: headers.iter().map(line).collect(),
        ..request("GET", "http://example.com/")
    }
}

#[test]
fn methods_are_tokens_in_their_normal_case() {
    for (said, meant) in [
        ("get", "GET"),
        ("Post", "POST"),
        ("delete", "DELETE"),
        ("patch", "patch"),
        ("PATCH", "PATCH"),
        ("PROPFIND", "PROPFIND"),
    ] {
        let checked = check(request(said, "http://example.com/")).unwrap();
        assert_eq!(checked.method.as_str(), meant);
    }
    let long = "A".repeat(METHOD_BYTES_MAX + 1);
    for bad in [
        "",
        "GET ",
        "GET /x HTTP/1.1\r\nhost: evil",
        "G\0T",
        "GÉT",
        &long,
    ] {
        let error = check(request(bad, "http://example.com/")).unwrap_err();
        assert_eq!(error, Malformed::Method, "{bad:?}");
    }
    for forbidden in ["CONNECT", "TRACE", "TRACK", "trace", "Connect"] {
        let error = check(request(forbidden, "http://example.com/")).unwrap_err();
        assert!(
            matches!(error, Malformed::ForbiddenMethod(_)),
            "{forbidden}"
        );
    }
}

#[test]
fn only_urls_of_http_without_credentials_are_fetched() {
    let long = format!("http://example.com/{}", "a".repeat(URL_BYTES_MAX));
    let grows = format!("http://example.com/{}", "ü".repeat(URL_BYTES_MAX / 4));
    for (url, error) in [
        ("", BadUrl::Malformed),
        ("/relative", BadUrl::Malformed),
        ("http://", BadUrl::Malformed),
        ("http://a b/", BadUrl::Malformed),
        ("file:///etc/passwd", BadUrl::Scheme("file".to_owned())),
        ("ftp://example.com/", BadUrl::Scheme("ftp".to_owned())),
        ("data:text/plain,x", BadUrl::Scheme("data".to_owned())),
        ("unix:/run/docker.sock", BadUrl::Scheme("unix".to_owned())),
        ("http://user@example.com/", BadUrl::Credentials),
        ("http://user:password@example.com/", BadUrl::Credentials),
        ("http://:password@example.com/", BadUrl::Credentials),
        ("http://example.com:25/", BadUrl::Port(25)),
        ("http://example.com:6667/", BadUrl::Port(6667)),
        ("https://example.com:10080/", BadUrl::Port(10080)),
        (&long, BadUrl::Oversized),
        (&grows, BadUrl::Oversized),
    ] {
        let found = check(request("GET", url)).map(|_| ());
        assert_eq!(found, Err(Malformed::Url(error)), "{:.80}", url);
    }
}

#[test]
fn a_url_is_read_as_the_standard_says_and_loses_its_fragment() {
    for (url, meant, place) in [
        (
            "HTTP://EXAMPLE.com:80/a#b",
            "http://example.com/a",
            "example.com",
        ),
        (
            "https://example.com:443",
            "https://example.com/",
            "example.com",
        ),
        ("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1"),
        (
            "http://2130706433:8080/",
            "http://127.0.0.1:8080/",
            "127.0.0.1:8080",
        ),
        (
            "http://[::FFFF:7f00:1]/",
            "http://[::ffff:7f00:1]/",
            "[::ffff:7f00:1]",
        ),
        (
            "http://bücher.example/",
            "http://xn--bcher-kva.example/",
            "xn--bcher-kva.example",
        ),
        (
            "http://example.com\\@evil.example/",
            "http://example.com/@evil.example/",
            "example.com",
        ),
        ("http://a/\r\nb?c d\te", "http://a/b?c%20de", "a"),
        ("http://a/{b}|c?`", "http://a/{b}|c?`", "a"),
    ] {
        let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let meant = Url::parse(meant).unwrap();
        assert_eq!(target.url, meant, "{url}");
        assert_eq!(target.place(), place, "{url}");
    }
}

#[test]
fn headers_cannot_smuggle_lines() {
    for value in ["a\r\nhost: evil", "a\nb", "a\rb", "a\0b", "\u{7f}"] {
        let error = check(with(&[("x", value.as_bytes())])).unwrap_err();
        let name = HeaderName::from_static("x");
        assert_eq!(error, Malformed::HeaderValue(name), "{value:?}");
    }
    for name in ["", "a b", "a:", "a\r\nb", "ü", "a\0"] {
        let error = check(with(&[(name, b"x")])).unwrap_err();
        assert_eq!(error, Malformed::HeaderName(name.to_owned()));
    }
}

#[test]
fn values_are_bytes_and_lose_the_blanks_around_them() {
    let checked = check(with(&[("X-A", b" \t\xe9b \r\n"), ("x-a", b"")])).unwrap();
    let found: Vec<_> = checked
        .headers
        .get_all("x-a")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    assert_eq!(found, [b"\xe9b".as_slice(), b""]);
}

#[test]
fn headers_of_framing_and_connections_are_ours() {
    let names = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "connection",
        "Keep-Alive",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Proxy-Authorization",
        "Proxy-Connection",
        "HTTP2-Settings",
    ];
    for name in names {
        let checked = check(with(&[(name, b"x"), ("kept", b"y")])).unwrap();
        assert_eq!(checked.headers.len(), 1, "{name}");
    }
    let checked = check(with(&[("X-HTTP-Method-Override", b"PUT, trace")])).unwrap();
    assert!(checked.headers.is_empty());
    let checked = check(with(&[("X-HTTP-Method-Override", b"PUT")])).unwrap();
    assert_eq!(checked.headers.len(), 1);
}

#[test]
fn headers_are_bounded() {
    let many = vec![("a", b"".as_slice()); HEADERS_MAX + 1];
    assert_eq!(check(with(&many)).unwrap_err(), Malformed::TooManyHeaders);
    assert!(check(with(&many[1..])).is_ok());
    let large = vec![b'x'; HEADERS_BYTES_MAX];
    let error = check(with(&[("a", &large)])).unwrap_err();
    assert_eq!(error, Malformed::OversizedHeaders);
    assert!(check(with(&[("a", &large[1..])])).is_ok());
}

#[test]
fn bodies_go_with_methods_that_have_one() {
    let body = |method: &str, body| {
        let request = Request {
            body,
            ..request(method, "http://example.com/")
        };
        check(request).map(|checked| checked.body)
    };
    for method in ["GET", "head"] {
        for stream in [
            RequestBody::Whole(Vec::new()),
            RequestBody::Stream { length: None },
        ] {
            let error = body(method, stream).unwrap_err();
            assert!(matches!(error, Malformed::BodyNotAllowed(_)));
        }
    }
    let whole = RequestBody::Whole(vec![0; BODY_CHUNK_BYTES_MAX]);
    assert!(body("POST", whole).is_ok());
    let whole = RequestBody::Whole(vec![0; BODY_CHUNK_BYTES_MAX + 1]);
    assert_eq!(body("POST", whole), Err(Malformed::OversizedBody));
}

proptest! {
    /// What passes says the same to whoever reads it, and nothing that frames a message.
    #[test]
    fn what_passes_is_safe_to_send(
        method in "[ -~\r\n\0]{0,8}",
        url in "(http|https|HTTP|ftp)://[ -~]{0,20}",
        name in "[!-~]{0,16}",
        value in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let mut request = request(&method, &url);
        request.headers.push(Header { name, value });
        let Ok(checked) = check(request) else { return Ok(()) };
        let target = &checked.target;
        prop_assert_eq!(target.uri.host(), target.url.host_str());
        prop_assert!(!target.url.as_str().contains(['\r', '\n', '\0', ' ']));
        prop_assert!(target.url.fragment().is_none() && target.url.username().is_empty());
        for (name, value) in &checked.headers {
            prop_assert!(!OUR_HEADERS.contains(name));
            prop_assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
    }
}
