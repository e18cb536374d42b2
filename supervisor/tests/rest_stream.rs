//! Console output as server-sent events.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::rest_api::{Api, request};
use crate::support::{PATIENCE, accepted, completed, ended, neighbour};
use axum::body::Body;
use axum::http::{Method, Response};
use http_body_util::BodyExt as _;
use mcp_v8::app::{HeapEnd, Tenant};
use mcp_v8::limits;
use mcp_v8::store::Chunk;
use serde_json::{Value, json};
use tokio::time::timeout;

const PIECE_BYTES_MAX: usize = 64 << 10;

/// An event, as a client reads it.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: Value,
}

/// A stream that is being read.
struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    async fn open(api: &Api, id: &str, query: &str, last: Option<&str>) -> Self {
        let path = format!("/api/executions/{id}/output/stream{query}");
        let mut request = request(Method::GET, &path, Body::empty());
        if let Some(last) = last {
            let headers = request.headers_mut();
            headers.insert("last-event-id", last.parse().unwrap());
        }
        Self::of(api.send(request).await)
    }

    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers()[name], value, "{name}");
        }
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = event(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let frame = timeout(PATIENCE, self.body.frame())
                .await
                .expect("an event");
            let data = frame?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// All output that is left, and the end.
    async fn rest(mut self) -> (String, Value) {
        let mut output = String::new();
        loop {
            let event = self.next().await.expect("an end");
            if event.name == "end" {
                assert_eq!(self.next().await, None);
                return (output, event.data);
            }
            output.push_str(&piece(&event));
        }
    }
}

/// The event of a block; `None` for a comment.
fn event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let mut lines = block.lines().filter_map(|line| line.strip_prefix(name));
        let found = lines.next().map(str::trim_start);
        assert_eq!(lines.next(), None, "one line each: {block}");
        found
    };
    Some(Event {
        data: serde_json::from_str(field("data:")?).unwrap(),
        name: field("event:").unwrap().to_owned(),
        id: field("id:").map(|id| id.parse().unwrap()),
    })
}

/// The text of a piece, which is where it says that it is.
fn piece(event: &Event) -> String {
    assert_eq!(event.name, "output", "{event:?}");
    let text = event.data["data"].as_str().unwrap();
    let start = event.data["start_byte"].as_u64().unwrap();
    let next = event.data["next_byte_offset"].as_u64().unwrap();
    assert_eq!(next - start, text.len() as u64);
    assert!(!text.is_empty() && text.len() <= PIECE_BYTES_MAX);
    assert_eq!(event.id, Some(next));
    text.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_pushed_while_the_code_runs() {
    let api = Api::stateless().await;
    let id = api
        .submit("out one\nsleep 700\npart two\nsleep 700\nout \nfinish 1")
        .await;
    let mut stream = Stream::open(&api, &id, "", None).await;
    let first = stream.next().await.unwrap();
    assert_eq!(
        first.data,
        json!({"data": "one\n", "start_byte": 0, "next_byte_offset": 4})
    );
    let begin = Instant::now();
    let second = stream.next().await.unwrap();
    assert_eq!(
        second.data,
        json!({"data": "two", "start_byte": 4, "next_byte_offset": 7})
    );
    assert!(begin.elapsed() < Duration::from_secs(5));
    let seen = api.get(&format!("/api/executions/{id}")).await.ok();
    assert_eq!(seen["status"], "running", "it was pushed only at the end");
    let (rest, end) = stream.rest().await;
    assert_eq!(rest, "\n");
    assert_eq!(end, api.get(&format!("/api/executions/{id}")).await.ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_what_has_ended_is_the_output_and_the_end() {
    let api = Api::stateless().await;
    let id = api.run("out a\nout b\nfinish 1").await["execution_id"].clone();
    let id = id.as_str().unwrap();
    let mut stream = Stream::open(&api, id, "", None).await;
    assert_eq!(piece(&stream.next().await.unwrap()), "a\nb\n");
    let end = stream.next().await.unwrap();
    assert_eq!((end.name.as_str(), end.id), ("end", Some(4)));
    assert_eq!(
        end.data,
        api.get(&format!("/api/executions/{id}")).await.ok()
    );
    assert_eq!(stream.next().await, None);

    let silent = api.run("finish 1").await["execution_id"].clone();
    let (output, end) = Stream::open(&api, silent.as_str().unwrap(), "", None)
        .await
        .rest()
        .await;
    assert_eq!((output.as_str(), &end["result"]), ("", &json!("1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_where_it_was_cut_off() {
    let api = Api::stateless().await;
    let id = api.run("out abcdef\nfinish 1").await["execution_id"].clone();
    let id = id.as_str().unwrap();
    for (query, last, left) in [
        ("?byte_offset=2", None, "cdef\n"),
        ("?byte_offset=2", Some("4"), "ef\n"),
        ("", Some("0"), "abcdef\n"),
        ("", Some("7"), ""),
        ("?byte_offset=7", None, ""),
        ("?byte_offset=9007199254740991", None, ""),
        ("", Some("9007199254740991"), ""),
    ] {
        let stream = Stream::open(&api, id, query, last).await;
        let (output, end) = stream.rest().await;
        assert_eq!(output, left, "{query} {last:?}");
        assert_eq!(end["status"], "completed");
    }
    for bad in [
        "",
        "x",
        "-1",
        "1.0",
        "+1",
        " 1x",
        "9007199254740992",
        "99999999999999999999",
        "\u{e9}",
    ] {
        let path = format!("/api/executions/{id}/output/stream");
        let mut request = request(Method::GET, &path, Body::empty());
        let value = axum::http::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        request.headers_mut().insert("last-event-id", value.clone());
        api.ask(request).await.error(400, "invalid_argument");
    }
    let path = format!("/api/executions/{id}/output/stream");
    let mut twice = request(Method::GET, &path, Body::empty());
    for id in ["1", "1"] {
        let headers = twice.headers_mut();
        headers.append("last-event-id", id.parse().unwrap());
    }
    api.ask(twice).await.error(400, "invalid_argument");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_piece_splits_a_character() {
    let api = Api::stateless().await;
    // Three bytes each: no border of a piece is one of characters by itself.
    let euros = "\u{20ac}".repeat(20_000);
    let code = format!("part a\npart {euros}\npart {euros}\npart \u{1f600}{euros}\nout \nfinish 1");
    let wanted = format!("a{euros}{euros}\u{1f600}{euros}\n");
    let id = api.submit(&code).await;
    let (live, _) = Stream::open(&api, &id, "", None).await.rest().await;
    assert!(live == wanted, "{} of {}", live.len(), wanted.len());
    let mut stream = Stream::open(&api, &id, "", None).await;
    let first = piece(&stream.next().await.unwrap());
    // "a", and as many characters of three bytes as fit.
    assert_eq!(first.len(), 1 + (PIECE_BYTES_MAX - 1) / 3 * 3);
    let last = first.len().to_string();
    drop(stream);
    let (rest, _) = Stream::open(&api, &id, "", Some(&last)).await.rest().await;
    assert!(first + &rest == wanted);
    // Within a character the stream begins with all of it.
    let (rest, _) = Stream::open(&api, &id, "?byte_offset=2", None)
        .await
        .rest()
        .await;
    assert!(rest == wanted[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_up_nobody_and_misses_nothing() {
    let api = Api::stateless().await;
    let bytes = 4 << 20;
    let id = api
        .submit(&format!("out first\nsleep 200\nflood {bytes}\nfinish 1"))
        .await;
    let mut stream = Stream::open(&api, &id, "", None).await;
    let first = piece(&stream.next().await.unwrap());
    let view = ended(&api.executions, id.parse().unwrap()).await;
    assert_eq!(view.output_bytes, bytes + 6);
    let (rest, _) = stream.rest().await;
    assert_eq!((first.len() + rest.len()) as u64, bytes + 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_execution_is_killed_or_the_server_goes() {
    let api = Api::stateless().await;
    let id = api.submit("out x\nsleep 60000").await;
    let mut stream = Stream::open(&api, &id, "", None).await;
    assert_eq!(piece(&stream.next().await.unwrap()), "x\n");
    api.executions.cancel(id.parse().unwrap()).await.unwrap();
    let (output, end) = stream.rest().await;
    assert_eq!((output.as_str(), &end["status"]), ("", &json!("cancelled")));

    let id = api.submit("sleep 60000").await;
    let mut stream = Stream::open(&api, &id, "", None).await;
    let executions = api.executions.clone();
    let (_, event) = tokio::join!(executions.shut_down(), stream.next());
    let event = event.unwrap();
    // Who reads quickly sees the end, who does not that nothing can be read any more.
    assert!(
        ["end", "failure"].contains(&event.name.as_str()),
        "{event:?}"
    );
    assert_eq!(stream.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_of_another_server_is_followed_too() {
    let api = Api::new().await;
    let store = neighbour(&api.home).await;
    let view = accepted();
    let id = view.id;
    let room = store.reserve(&view.tenant).await.unwrap();
    room.accept(view.clone(), Arc::default());
    store.flush(&Tenant::local()).await.unwrap();
    let mut stream = Stream::open(&api, &id.to_string(), "", None).await;
    store
        .reserve(&Tenant::local())
        .await
        .unwrap()
        .append(Chunk {
            id,
            start_byte: 0,
            newlines_before: 0,
            data: "far\n".to_owned(),
        });
    assert_eq!(piece(&stream.next().await.unwrap()), "far\n");
    store
        .end(completed(view, HeapEnd::NotKept), None)
        .await
        .unwrap();
    let (output, end) = stream.rest().await;
    assert_eq!((output.as_str(), &end["status"]), ("", &json!("completed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_cannot_go_on_says_why() {
    let api = Api::new().await;
    let id = api.run("out lost\nfinish 1").await["execution_id"].clone();
    let path = api.home.directory.path().join("data/executions.db");
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("DELETE FROM output", []).unwrap();
    let mut stream = Stream::open(&api, id.as_str().unwrap(), "", None).await;
    let event = stream.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.id), ("failure", None));
    assert_eq!(event.data["error"]["code"], "internal");
    assert_eq!(stream.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_says_that_it_is_still_there() {
    let api = Api::stateless().await;
    let id = api.submit("sleep 60000").await;
    let mut stream = Stream::open(&api, &id, "", None).await;
    let begin = Instant::now();
    let frame = timeout(PATIENCE, stream.body.frame())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(frame.unwrap().into_data().unwrap(), ": still there\n\n");
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_secs(14), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn followed_outputs_have_a_limit() {
    let api = Api::stateless().await;
    let id = api.submit("sleep 60000").await;
    let path = format!("/api/executions/{id}/output/stream");
    let mut followed = Vec::new();
    for _ in 0..limits::HTTP_STREAMS_MAX {
        let response = api.send(request(Method::GET, &path, Body::empty())).await;
        assert_eq!(response.status(), 200);
        followed.push(response);
    }
    let refused = api.get(&path).await;
    refused.error(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    followed.pop();
    let response = api.send(request(Method::GET, &path, Body::empty())).await;
    assert_eq!(response.status(), 200);
    api.executions.cancel_all().await;
}
