//! What goes out and what comes back.

use mcp_v8_protocol::fetch::{CallStep, FetchCall, Redirect, RequestBody};
use mcp_v8_protocol::limits::{BODY_CHUNK_BYTES_MAX, URL_BYTES_MAX};

use super::client::{World, get, header, post, with_headers};
use super::servers::{answering, lines, ok, redirect};

#[tokio::test]
async fn a_request_goes_out_and_its_response_comes_back() {
    let server = answering(|head| ok("x-a: 1\r\nX-A: 2\r\n", head.as_bytes())).await;
    let world = World::new();
    let request = with_headers(
        get(server.url("/a?b#c")),
        &[("X-Own", "v"), ("Host", "evil")],
    );
    let (response, body) = world.worker().fetch(request).await.unwrap();
    let sent = String::from_utf8(body).unwrap();
    assert!(sent.starts_with("GET /a?b HTTP/1.1\r\n"), "{sent}");
    assert_eq!(lines(&sent, "host"), [server.address.to_string()]);
    assert_eq!(lines(&sent, "x-own"), ["v"]);
    assert_eq!(lines(&sent, "accept"), ["*/*"]);
    assert_eq!(lines(&sent, "accept-encoding"), ["gzip, deflate, br, zstd"]);
    let agent = format!("mcp-v8/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines(&sent, "user-agent"), [agent]);
    assert_eq!(
        (response.status, response.status_text.as_str()),
        (200, "OK")
    );
    assert_eq!(response.url, server.url("/a?b"));
    assert!(!response.is_redirected);
    let values: Vec<_> = response
        .headers
        .iter()
        .filter(|h| h.name == "x-a")
        .collect();
    assert_eq!(values.len(), 2);
    let asked = &world.book().asked[0];
    assert_eq!(asked.url.as_str(), server.url("/a?b"));
    assert_eq!(
        (asked.headers.len(), asked.session.as_deref()),
        (1, Some("s"))
    );
}

#[tokio::test]
async fn the_scripts_own_headers_win_over_ours() {
    let server = answering(|head| ok("", head.as_bytes())).await;
    let own = [
        ("accept", "text/html"),
        ("accept-encoding", "br"),
        ("user-agent", "me"),
    ];
    let request = with_headers(get(server.url("/")), &own);
    let (_, body) = World::new().worker().fetch(request).await.unwrap();
    let sent = String::from_utf8(body).unwrap();
    for (name, value) in own {
        assert_eq!(lines(&sent, name), [value]);
    }
    let request = with_headers(get(server.url("/")), &[("range", "bytes=0-1")]);
    let (_, body) = World::new().worker().fetch(request).await.unwrap();
    let sent = String::from_utf8(body).unwrap();
    assert_eq!(lines(&sent, "accept-encoding"), ["identity"]);
    let request = post(server.url("/"), RequestBody::None);
    let (_, body) = World::new().worker().fetch(request).await.unwrap();
    let sent = String::from_utf8(body).unwrap();
    assert_eq!(lines(&sent, "content-length"), ["0"]);
}

#[tokio::test]
async fn what_the_policy_denies_is_not_connected_to() {
    let server = answering(|_| ok("", b"")).await;
    let world = World::new();
    world.book().denied = vec!["denied.test"];
    let request = get(server.url_of("denied.test", "/"));
    let why = world.worker().fetch(request).await.unwrap_err();
    let said = "GET denied.test is denied by the policy: data.mcp.fetch.allow is not true";
    assert!(why.contains(said), "{why}");
    assert_eq!(server.connections(), 0);
    assert!(world.names.lookups.lock().unwrap().is_empty());
}

#[tokio::test]
async fn injected_headers_go_out_unless_the_script_has_its_own() {
    let server = answering(|head| ok("", head.as_bytes())).await;
    let world = World::new();
    world.book().injected = vec![
        ("a.test", "authorization", "canary"),
        ("a.test", "x-many", "1"),
        ("a.test", "x-many", "2"),
        ("a.test", "user-agent", "operator"),
    ];
    let url = server.url_of("a.test", "/");
    let (_, body) = world.worker().fetch(get(url.as_str())).await.unwrap();
    let sent = String::from_utf8(body).unwrap();
    assert_eq!(lines(&sent, "authorization"), ["canary"]);
    assert_eq!(lines(&sent, "x-many"), ["1", "2"]);
    assert_eq!(lines(&sent, "user-agent"), ["operator"]);
    let own = with_headers(get(url), &[("Authorization", "mine"), ("X-MANY", "")]);
    let (_, body) = world.worker().fetch(own).await.unwrap();
    let sent = String::from_utf8(body).unwrap();
    assert_eq!(lines(&sent, "authorization"), ["mine"]);
    assert_eq!(lines(&sent, "x-many"), [""]);
    let asked = format!("{:?}", world.book().asked);
    assert!(!asked.contains("canary"), "{asked}");
}

#[tokio::test]
async fn injected_headers_and_credentials_stay_behind_when_the_host_changes() {
    let last = answering(|head| ok("", head.as_bytes())).await;
    let to = last.url_of("b.test", "/last");
    let first = answering(move |_| redirect(302, &to)).await;
    let world = World::new();
    world.book().injected = vec![
        ("a.test", "x-secret", "canary"),
        ("b.test", "x-other", "for b"),
    ];
    let request = with_headers(
        get(first.url_of("a.test", "/first")),
        &[
            ("authorization", "mine"),
            ("cookie", "c"),
            ("x-own", "kept"),
        ],
    );
    let (response, body) = world.worker().fetch(request).await.unwrap();
    let sent = String::from_utf8(body).unwrap();
    for gone in ["x-secret", "authorization", "cookie"] {
        assert_eq!(lines(&sent, gone), [""; 0], "{sent}");
    }
    assert_eq!(lines(&sent, "x-other"), ["for b"]);
    assert_eq!(lines(&sent, "x-own"), ["kept"]);
    assert_eq!(response.url, last.url_of("b.test", "/last"));
    assert!(response.is_redirected);
    let hosts: Vec<_> = (world.book().asked.iter())
        .map(|asked| asked.url.host_str().unwrap().to_owned())
        .collect();
    assert_eq!(hosts, ["a.test", "b.test"]);
}

#[tokio::test]
async fn an_error_names_nothing_that_was_injected() {
    let garbage = answering(|_| b"canary? \r\n\r\n".to_vec()).await;
    let closed = super::servers::listen(|stream| async move { drop(stream) }).await;
    let world = World::new();
    world.book().injected = vec![("a.test", "x-secret", "canary")];
    for server in [garbage, closed] {
        let request = get(server.url_of("a.test", "/"));
        let why = world.worker().fetch(request).await.unwrap_err();
        assert!(
            !why.contains("canary") && !why.contains("x-secret"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_hop_that_the_policy_denies_fails_the_request() {
    let first = answering(|_| redirect(307, "http://denied.test/")).await;
    let world = World::new();
    world.book().denied = vec!["denied.test"];
    let why = world.failure(first.url("/")).await;
    assert!(why.contains("denied.test is denied"), "{why}");
}

#[tokio::test]
async fn a_whole_body_goes_along_and_other_modes_do_not_follow() {
    let server = super::servers::listen(|mut stream| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Some(head) = super::servers::head(&mut stream).await {
            let mut body = [0; 3];
            stream.read_exact(&mut body).await.unwrap();
            let answer = match head.contains(" /a ") {
                true => redirect(308, "/b"),
                false => ok("", &body),
            };
            stream.write_all(&answer).await.unwrap();
        }
    })
    .await;
    let world = World::new();
    let request = || post(server.url("/a"), RequestBody::Whole(b"abc".to_vec()));
    let (response, body) = world.worker().fetch(request()).await.unwrap();
    assert_eq!(
        (body.as_slice(), response.is_redirected),
        (&b"abc"[..], true)
    );
    let mut manual = request();
    manual.redirect = Redirect::Manual;
    let (response, _) = world.worker().fetch(manual).await.unwrap();
    assert_eq!(
        (response.status, header(&response, "location")),
        (308, Some("/b"))
    );
    assert!(!response.is_redirected);
    let mut error = request();
    error.redirect = Redirect::Error;
    let why = world.worker().fetch(error).await.unwrap_err();
    assert!(why.contains("redirect mode"), "{why}");
}

/// Takes so many bytes of a body, and then redirects from `/a`, or answers with the size of it all.
async fn redirecting_after(taken: usize, size: usize) -> super::servers::Server {
    super::servers::listen(move |mut stream| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Some(head) = super::servers::head(&mut stream).await {
            let is_first = head.contains(" /a ");
            let mut body = vec![0; if is_first { taken } else { size }];
            stream.read_exact(&mut body).await.unwrap();
            assert!(body.iter().all(|byte| *byte == 7));
            let answer = match is_first {
                true => redirect(307, "/b"),
                false => ok("", body.len().to_string().as_bytes()),
            };
            stream.write_all(&answer).await.unwrap();
            if taken < size && is_first {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_body_of_a_known_length_goes_along_in_pieces_from_its_beginning() {
    const PIECES: usize = 64;
    let pieces = || vec![vec![7; BODY_CHUNK_BYTES_MAX]; PIECES];
    let size = PIECES * BODY_CHUNK_BYTES_MAX;
    for taken in [0, 1, size / 2, size] {
        let server = redirecting_after(taken, size).await;
        let world = World::new();
        let length = Some(size as u64);
        let stream = post(server.url("/a"), RequestBody::Stream { length });
        match world.worker().upload(stream, pieces()).await {
            Ok((response, body)) => {
                assert!(response.is_redirected);
                assert_eq!(body, size.to_string().as_bytes(), "{taken}");
            }
            // A server that goes away may be seen to go before it is heard.
            Err(why) => assert!(taken < size, "{taken}: {why}"),
        }
    }
}

#[tokio::test]
async fn a_body_of_an_unknown_length_is_gone() {
    let server = redirecting_after(3, 3).await;
    let world = World::new();
    let stream = post(server.url("/a"), RequestBody::Stream { length: None });
    let uploaded = world.worker().upload(stream, vec![vec![7; 3]]).await;
    assert!(uploaded.is_err());
}

#[tokio::test]
async fn redirects_that_never_end_are_followed_20_times() {
    let server = answering(|_| redirect(302, "/again")).await;
    let world = World::new();
    let why = world.failure(server.url("/")).await;
    assert!(why.contains("more than 20 redirects"), "{why}");
    assert_eq!(world.book().asked.len(), 21);
}

#[tokio::test]
async fn what_would_smuggle_or_is_too_long_reaches_nobody() {
    let server = answering(|_| ok("", b"")).await;
    let world = World::new();
    let mut worker = world.worker();
    let long = "a".repeat(URL_BYTES_MAX);
    let mut method = get(server.url("/"));
    method.method = "GET / HTTP/1.1\r\nhost: evil\r\n\r\nGET".to_owned();
    for request in [
        with_headers(get(server.url("/")), &[("x", "a\r\nhost: evil")]),
        with_headers(get(server.url("/")), &[("x\r\nhost: evil", "a")]),
        with_headers(get(server.url("/")), &[("x", "a\0b")]),
        get(server.url(&format!("/{long}"))),
        get(server.url_of("user:password@a.test", "/")),
        get("file:///etc/passwd"),
        method,
    ] {
        let why = worker.fetch(request).await.unwrap_err();
        assert!(why.starts_with("fetch: ") && why.len() < 200, "{why}");
    }
    assert!(world.book().asked.is_empty());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_worker_that_breaks_the_rules_is_found_out() {
    let world = World::new();
    let mut worker = world.worker();
    let id = worker.open(get("http://a.test/"));
    for step in [
        CallStep::Send(vec![1]),
        CallStep::SendEnd,
        CallStep::Open(get("http://a.test/")),
    ] {
        let call = FetchCall { exchange: id, step };
        assert!(worker.exchanges.call(call).is_err());
    }
    let call = FetchCall {
        exchange: id + 1,
        step: CallStep::Pull,
    };
    assert!(worker.exchanges.call(call).is_err());
}

#[tokio::test]
async fn a_server_that_does_not_believe_what_was_injected_is_told_to_the_rules() {
    let server =
        answering(|_| b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let world = World::new();
    world.book().injected = vec![("127.0.0.1", "authorization", "Bearer t")];
    let mut worker = world.worker();
    let url = server.url("/");
    let own = with_headers(get(url.as_str()), &[("authorization", "Bearer own")]);
    worker.fetch(own).await.unwrap();
    assert!(world.book().refused.is_empty(), "that was the script's own");
    let (response, _) = worker.fetch(get(url.as_str())).await.unwrap();
    assert_eq!(response.status, 401, "it is not tried again");
    let names = vec!["authorization".to_owned()];
    assert_eq!(world.book().refused, [(url, names)]);
}
