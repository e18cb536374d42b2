//! What a policy is told of a request: the same document for every policy.
//!
//! ```json
//! {"operation": "fetch", "url": "https://api.example.com/v1?q=1", "method": "GET",
//!  "headers": {"accept": "text/html"},
//!  "url_parsed": {"scheme": "https", "host": "api.example.com", "port": 443, "path": "/v1", "query": "q=1"},
//!  "tenant": "local", "session": null}
//! ```
//!
//! Nothing that is injected is in it: policies are asked before that is known.

use http::HeaderMap;
use serde_json::{Map, Value, json};
use url::Url;

use super::Asked;

/// The document that is `input` to a policy.
pub fn document(asked: &Asked) -> Value {
    json!({
        "operation": "fetch",
        "url": asked.url.as_str(),
        "method": asked.method.as_str(),
        "headers": headers(&asked.headers),
        "url_parsed": parts(&asked.url),
        "tenant": asked.tenant.name(),
        "session": asked.session,
    })
}

/// Names in small letters, as this type has them; what comes several times is one text, in order.
fn headers(headers: &HeaderMap) -> Value {
    let of = |name| {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        texts.collect::<Vec<_>>().join(", ")
    };
    let named = headers.keys();
    let named = named.map(|name| (name.as_str().to_owned(), Value::String(of(name))));
    Value::Object(named.collect::<Map<_, _>>())
}

/// The port is the one that is connected to, also where the URL leaves it out. A name has no dot at its
/// end, which it may have in the URL: a rule against a host holds for both.
fn parts(url: &Url) -> Value {
    let host = url.host_str().unwrap_or_default();
    json!({
        "scheme": url.scheme(),
        "host": host.strip_suffix('.').unwrap_or(host),
        "port": url.port_or_known_default(),
        "path": url.path(),
        "query": url.query().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::Tenant;
    use http::{HeaderValue, Method};

    fn asked(url: &str) -> Asked {
        Asked {
            tenant: Tenant::local(),
            session: None,
            method: Method::GET,
            url: Url::parse(url).unwrap(),
            headers: HeaderMap::new(),
        }
    }

    #[test]
    fn a_document_says_who_wants_what_and_where() {
        let mut asked = asked("https://API.example.com/v1/a%20b?q=1&r=%2F");
        asked.session = Some("plan".to_owned());
        asked.method = Method::POST;
        asked.headers.append("X-One", HeaderValue::from_static("a"));
        asked.headers.append("x-two", HeaderValue::from_static("b"));
        asked
            .headers
            .append("X-ONE", HeaderValue::from_static("c, d"));
        let latin = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        asked.headers.append("x-latin", latin);
        let expected = json!({
            "operation": "fetch",
            "url": "https://api.example.com/v1/a%20b?q=1&r=%2F",
            "method": "POST",
            "headers": {"x-one": "a, c, d", "x-two": "b", "x-latin": "caf\u{fffd}"},
            "url_parsed": {
                "scheme": "https",
                "host": "api.example.com",
                "port": 443,
                "path": "/v1/a%20b",
                "query": "q=1&r=%2F",
            },
            "tenant": "local",
            "session": "plan",
        });
        assert_eq!(document(&asked), expected);
    }

    #[test]
    fn the_parts_of_a_url_are_those_that_are_connected_to() {
        for (url, host, port) in [
            ("http://example.com", "example.com", 80),
            ("http://example.com.:8080/", "example.com", 8080),
            ("https://[::1]/", "[::1]", 443),
            ("http://0x7f.1/", "127.0.0.1", 80),
            ("http://user:word@example.com/", "example.com", 80),
            ("https://b\u{fc}cher.example/", "xn--bcher-kva.example", 443),
        ] {
            let parts = parts(&Url::parse(url).unwrap());
            assert_eq!(parts["host"], host, "{url}");
            assert_eq!(parts["port"], port, "{url}");
            assert_eq!(parts["path"], "/", "{url}");
            assert_eq!(parts["query"], "", "{url}");
        }
    }
}
