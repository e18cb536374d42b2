use http::HeaderValue;

use super::*;

fn hop(method: Method, url: &str, body: Body) -> Hop {
    let mut headers = HeaderMap::new();
    for name in ["authorization", "cookie", "content-type", "x-own"] {
        headers.insert(name, HeaderValue::from_static("v"));
    }
    Hop {
        method,
        target: Target::parse(url).unwrap(),
        headers,
        body,
        followed: 0,
        is_downgraded: false,
    }
}

fn whole() -> Body {
    Body::Whole("abc".into())
}

fn to(location: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_bytes(location.as_bytes()).unwrap();
    headers.insert(header::LOCATION, value);
    headers
}

fn follow(hop: &Hop, status: u16, location: &str) -> Result<Option<Hop>, Astray> {
    let status = StatusCode::from_u16(status).unwrap();
    after(hop, Redirect::Follow, status, &to(location))
}

fn names(hop: &Hop) -> Vec<&str> {
    let mut names: Vec<_> = hop.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn methods_change_as_the_standard_says() {
    for (status, method, next, keeps_body) in [
        (301, Method::POST, Method::GET, false),
        (302, Method::POST, Method::GET, false),
        (303, Method::POST, Method::GET, false),
        (307, Method::POST, Method::POST, true),
        (308, Method::POST, Method::POST, true),
        (301, Method::PUT, Method::PUT, true),
        (302, Method::DELETE, Method::DELETE, true),
        (303, Method::PUT, Method::GET, false),
    ] {
        let first = hop(method.clone(), "http://a/", whole());
        let found = follow(&first, status, "/b").unwrap().unwrap();
        assert_eq!(found.method, next, "{status} {method}");
        let (body, type_is_kept) = match keeps_body {
            true => (whole(), true),
            false => (Body::None, false),
        };
        assert_eq!(found.body, body, "{status} {method}");
        assert_eq!(names(&found).contains(&"content-type"), type_is_kept);
    }
    for status in [301, 302, 303, 307, 308] {
        let first = hop(Method::HEAD, "http://a/", Body::None);
        let found = follow(&first, status, "/b").unwrap().unwrap();
        assert_eq!(found.method, Method::HEAD);
    }
}

#[test]
fn other_responses_are_the_scripts() {
    let first = hop(Method::GET, "http://a/", Body::None);
    for status in [200, 201, 300, 304, 305, 306, 404, 500] {
        assert_eq!(follow(&first, status, "/b"), Ok(None), "{status}");
    }
    let nowhere = HeaderMap::new();
    let found = after(&first, Redirect::Follow, StatusCode::FOUND, &nowhere);
    assert_eq!(found, Ok(None));
}

#[test]
fn places_are_resolved_against_where_the_redirect_came_from() {
    let first = hop(Method::GET, "https://a.example:444/x/y?z", Body::None);
    for (location, url) in [
        ("../b", "https://a.example:444/b"),
        ("?q", "https://a.example:444/x/y?q"),
        ("//b.example/c", "https://b.example/c"),
        ("http://b.example/c#d", "http://b.example/c"),
        ("#d", "https://a.example:444/x/y?z"),
        ("/ü", "https://a.example:444/%C3%BC"),
        ("", "https://a.example:444/x/y?z"),
    ] {
        let found = follow(&first, 302, location).unwrap().unwrap();
        assert_eq!(found.target.url.as_str(), url, "{location}");
        assert_eq!(found.followed, 1);
    }
}

#[test]
fn places_that_cannot_be_fetched_fail_the_request() {
    let first = hop(Method::GET, "http://a.example/", Body::None);
    for (location, why) in [
        ("file:///etc/passwd", BadUrl::Scheme("file".to_owned())),
        ("data:,x", BadUrl::Scheme("data".to_owned())),
        ("javascript:1", BadUrl::Scheme("javascript".to_owned())),
        ("http://", BadUrl::Malformed),
        ("http://u:p@b.example/", BadUrl::Credentials),
        ("http://b.example:22/", BadUrl::Port(22)),
    ] {
        let from = "a.example".to_owned();
        let found = follow(&first, 302, location);
        assert_eq!(found, Err(Astray::BadTarget { from, why }), "{location}");
    }
    let mut two = to("/b");
    two.append(header::LOCATION, HeaderValue::from_static("/c"));
    let found = after(&first, Redirect::Follow, StatusCode::FOUND, &two);
    assert_eq!(found, Err(Astray::Ambiguous("a.example".to_owned())));
}

#[test]
fn credentials_stay_with_their_origin() {
    let first = hop(Method::GET, "https://a.example/", Body::None);
    let all = ["authorization", "content-type", "cookie", "x-own"];
    for same in ["/b", "https://a.example:443/b"] {
        assert_eq!(names(&follow(&first, 302, same).unwrap().unwrap()), all);
    }
    for other in [
        "http://a.example/",
        "https://a.example:444/",
        "https://b.a.example/",
        "https://b.example/",
    ] {
        let away = follow(&first, 302, other).unwrap().unwrap();
        assert_eq!(names(&away), ["content-type", "x-own"], "{other}");
        let back = follow(&away, 302, "https://a.example/").unwrap().unwrap();
        assert_eq!(names(&back), ["content-type", "x-own"], "{other}");
    }
}

#[test]
fn a_stream_is_not_sent_twice() {
    let first = hop(Method::POST, "http://a/", Body::Stream { length: None });
    let spent = Astray::SpentBody("a".to_owned());
    for status in [301, 302, 307, 308] {
        assert_eq!(follow(&first, status, "/b"), Err(spent.clone()), "{status}");
    }
    let found = follow(&first, 303, "/b").unwrap().unwrap();
    assert_eq!((found.method, found.body), (Method::GET, Body::None));
}

#[test]
fn a_body_of_a_known_length_goes_along_where_it_is_wanted() {
    let body = Body::Stream { length: Some(9) };
    let first = hop(Method::POST, "http://a/", body);
    for status in [301, 302, 303] {
        let next = follow(&first, status, "/b").unwrap().unwrap();
        assert_eq!((next.method, next.body), (Method::GET, Body::None));
    }
    for status in [307, 308] {
        let next = follow(&first, status, "/b").unwrap().unwrap();
        assert_eq!((next.method, next.body), (Method::POST, first.body.clone()));
    }
}

#[test]
fn the_way_from_https_to_http_is_remembered() {
    let first = hop(Method::GET, "https://a/", Body::None);
    let next = follow(&first, 302, "https://b/").unwrap().unwrap();
    assert!(!next.is_downgraded);
    let next = follow(&next, 302, "http://b/").unwrap().unwrap();
    assert!(next.is_downgraded);
    let back = follow(&next, 302, "https://b/").unwrap().unwrap();
    assert!(back.is_downgraded);
}

#[test]
fn redirects_are_counted() {
    let mut at = hop(Method::GET, "http://a/", Body::None);
    for _ in 0..FETCH_REDIRECTS_MAX {
        at = follow(&at, 302, "/").unwrap().unwrap();
    }
    assert_eq!(follow(&at, 302, "/"), Err(Astray::TooMany("a".to_owned())));
    assert_eq!(follow(&at, 200, "/"), Ok(None));
}

#[test]
fn other_modes_follow_nothing() {
    let first = hop(Method::GET, "http://a/", Body::None);
    let found = after(&first, Redirect::Manual, StatusCode::FOUND, &to("/b"));
    assert_eq!(found, Ok(None));
    let found = after(&first, Redirect::Error, StatusCode::FOUND, &to("/b"));
    assert_eq!(found, Err(Astray::NotWanted("a".to_owned())));
    let found = after(&first, Redirect::Error, StatusCode::OK, &to("/b"));
    assert_eq!(found, Ok(None));
}
