//! Sessions, heaps and tags over MCP. What executions leave behind is written here as the driver
//! writes it, by a second server on the same database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::support;

use crate::mcp_pair::Pair;
use crate::support::{keep, left_behind, neighbour};
use mcp_v8::app::{ExecutionsConfig, HeapId, State, Tenant};
use mcp_v8::store::Store;
use serde_json::{Value, json};

/// A heap that is nowhere.
const NOWHERE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A pair, and the store of its neighbour.
async fn pair() -> (Pair, Store) {
    let pair = Pair::new().await;
    let store = neighbour(&pair.home).await;
    (pair, store)
}

fn id(name: &str) -> String {
    HeapId::of(name.as_bytes()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_listed_with_its_heaps_oldest_first() {
    let (mut pair, store) = pair().await;
    let none = pair.ask("list_sessions", json!({})).await;
    assert_eq!(none, json!({"sessions": [], "next_cursor": null}));
    left_behind(&store, keep("one").in_session("a b/ü").made_by("x = 1")).await;
    left_behind(&store, keep("two").in_session("a b/ü").from("one")).await;
    left_behind(&store, keep("three").in_session("other")).await;
    left_behind(&store, keep("four")).await;
    let all = pair.ask("list_sessions", json!({})).await;
    assert_eq!(all["sessions"], json!(["other", "a b/ü"]));
    let first = pair.ask("list_sessions", json!({"limit": 1})).await;
    assert_eq!(first["sessions"], json!(["other"]));
    let rest = pair
        .ask("list_sessions", json!({"cursor": first["next_cursor"]}))
        .await;
    assert_eq!(rest, json!({"sessions": ["a b/ü"], "next_cursor": null}));

    let entries = pair
        .ask("list_session_snapshots", json!({"session": "a b/ü"}))
        .await;
    let timestamp = entries["entries"][0]["timestamp"].as_str().unwrap();
    assert!(timestamp.ends_with('Z') && timestamp.contains('T'));
    assert_eq!(
        entries["entries"][0],
        json!({"index": 0, "input_heap": null, "output_heap": id("one"), "code": "x = 1",
               "timestamp": timestamp})
    );
    assert_eq!(entries["entries"][1]["input_heap"], id("one"));
    assert_eq!(entries["entries"].as_array().unwrap().len(), 2);
    assert_eq!(entries["next_index"], Value::Null);
    let some = json!({"session": "a b/ü", "fields": "output_heap, index", "from_index": 1});
    assert_eq!(
        pair.ask("list_session_snapshots", some).await,
        json!({"entries": [{"index": 1, "output_heap": id("two")}], "next_index": null})
    );
    let first = json!({"session": "a b/ü", "fields": "index", "limit": 1});
    assert_eq!(
        pair.ask("list_session_snapshots", first).await,
        json!({"entries": [{"index": 0}], "next_index": 1})
    );
    store.close().await.unwrap();
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_about_sessions_say_what_to_do() {
    let (mut pair, store) = pair().await;
    left_behind(&store, keep("one").in_session("s")).await;
    for (arguments, said) in [
        (json!({}), "the parameter session is missing"),
        (
            json!({"session": "t"}),
            "there is no session \"t\": a session is made by the first execution",
        ),
        (json!({"session": ""}), "session is an empty string"),
        (
            json!({"session": "x".repeat(129)}),
            "session is a string of 129 characters",
        ),
        (
            json!({"session": "a\nb"}),
            "session: a session is named by 1 to 128 printable characters",
        ),
        (
            json!({"session": "s", "fields": "index,heap"}),
            "fields: \"heap\" is not a field of an entry; fields: index, input_heap, output_heap, \
             code, timestamp",
        ),
        (json!({"session": "s", "limit": 0}), "limit is 0"),
        (
            json!({"session": "s", "from_index": -1}),
            "from_index is -1",
        ),
    ] {
        let error = pair.refused("list_session_snapshots", arguments).await;
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
    let error = pair
        .refused("list_sessions", json!({"cursor": "e1-1"}))
        .await;
    assert!(error.contains("it is not a cursor of this list"), "{error}");
    let error = pair.refused("list_sessions", json!({"session": "s"})).await;
    assert!(error.contains("there is no parameter session"), "{error}");
    store.close().await.unwrap();
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_set_read_deleted_and_found() {
    let (mut pair, store) = pair().await;
    left_behind(&store, keep("one").tagged(&[("env", "prod"), ("n", "1")])).await;
    left_behind(&store, keep("two").tagged(&[("env", "prod"), ("n", "2")])).await;
    left_behind(&store, keep("bare")).await;
    let get = |heap: &str| json!({"heap": id(heap)});
    assert_eq!(
        pair.ask("get_heap_tags", get("one")).await,
        json!({"tags": {"env": "prod", "n": "1"}})
    );
    assert_eq!(
        pair.ask("get_heap_tags", get("bare")).await,
        json!({"tags": {}})
    );
    let both = json!({"results": [
        {"heap": id("two"), "tags": {"env": "prod", "n": "2"}},
        {"heap": id("one"), "tags": {"env": "prod", "n": "1"}},
    ], "next_cursor": null});
    let query = |tags: Value| json!({ "tags": tags });
    assert_eq!(
        pair.ask("query_heaps_by_tags", query(json!({"env": "prod"})))
            .await,
        both
    );
    let page = json!({"tags": {"env": "prod"}, "limit": 1});
    let first = pair.ask("query_heaps_by_tags", page).await;
    assert_eq!(first["results"], json!([both["results"][0]]));
    let page = json!({"tags": {"env": "prod"}, "cursor": first["next_cursor"]});
    let rest = pair.ask("query_heaps_by_tags", page).await;
    assert_eq!(rest["results"], json!([both["results"][1]]));
    let found = pair
        .ask(
            "query_heaps_by_tags",
            query(json!({"env": "prod", "n": "1"})),
        )
        .await;
    assert_eq!(found["results"][0]["heap"], id("one"));
    for nothing in [json!({"env": "test"}), json!({"env": "prod", "n": "3"})] {
        let found = pair.ask("query_heaps_by_tags", query(nothing)).await;
        assert_eq!(found, json!({"results": [], "next_cursor": null}));
    }

    // All of them are replaced, and an absent one is deleted without complaint.
    let set = json!({"heap": id("one"), "tags": {"k": "v", "b c": "", "d": "x"}});
    assert_eq!(pair.ask("set_heap_tags", set).await, json!({"ok": true}));
    let delete = json!({"heap": id("one"), "keys": "k, b c ,absent"});
    assert_eq!(
        pair.ask("delete_heap_tags", delete).await,
        json!({"ok": true})
    );
    assert_eq!(
        pair.ask("get_heap_tags", get("one")).await,
        json!({"tags": {"d": "x"}})
    );
    pair.ask("delete_heap_tags", get("one")).await;
    assert_eq!(
        pair.ask("get_heap_tags", get("one")).await,
        json!({"tags": {}})
    );
    let none = json!({"heap": id("two"), "tags": {}});
    pair.ask("set_heap_tags", none).await;
    let left = pair
        .ask("query_heaps_by_tags", query(json!({"env": "prod"})))
        .await;
    assert_eq!(left["results"], json!([]));
    store.close().await.unwrap();
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_calls_about_tags_say_what_to_do_and_change_nothing() {
    let (mut pair, store) = pair().await;
    left_behind(&store, keep("one").tagged(&[("env", "prod")])).await;
    let heap = id("one");
    let many: serde_json::Map<String, Value> = (0..65)
        .map(|number| (number.to_string(), json!("")))
        .collect();
    let unknown = format!("no heap {NOWHERE} is known here");
    let malformed = "heap: a heap is named by 64 hexadecimal digits";
    for (tool, arguments, said) in [
        ("get_heap_tags", json!({"heap": NOWHERE}), unknown.as_str()),
        ("get_heap_tags", json!({"heap": "latest"}), malformed),
        ("get_heap_tags", json!({}), "the parameter heap is missing"),
        (
            "set_heap_tags",
            json!({"heap": NOWHERE, "tags": {"a": "b"}}),
            unknown.as_str(),
        ),
        (
            "set_heap_tags",
            json!({"heap": heap.to_uppercase(), "tags": {}}),
            malformed,
        ),
        (
            "set_heap_tags",
            json!({"heap": heap}),
            "the parameter tags is missing; it is an object",
        ),
        (
            "set_heap_tags",
            json!({"heap": heap, "tags": ["a"]}),
            "tags is an array, but must be an object of at most 64 values",
        ),
        (
            "set_heap_tags",
            json!({"heap": heap, "tags": {"a": 1, "b": null, "c": "x".repeat(1025)}}),
            "tags.a is 1, but must be a string of at most 1024 characters; tags.b is null, but must \
             be a string of at most 1024 characters; tags.c is a string of 1025 characters",
        ),
        (
            "set_heap_tags",
            json!({"heap": heap, "tags": many}),
            "tags is an object of 65 values",
        ),
        (
            "set_heap_tags",
            json!({"heap": heap, "tags": {"": "x"}}),
            "tags: \"\" is not the key of a tag: a key has 1 to 128 characters",
        ),
        (
            "set_heap_tags",
            json!({"heap": heap, "tags": {"a,b": "x"}}),
            "tags: \"a,b\" is not the key of a tag",
        ),
        (
            "delete_heap_tags",
            json!({"heap": NOWHERE}),
            unknown.as_str(),
        ),
        (
            "delete_heap_tags",
            json!({"heap": NOWHERE, "keys": "a"}),
            unknown.as_str(),
        ),
        (
            "delete_heap_tags",
            json!({"heap": heap, "keys": "env,,"}),
            "keys: \"\" is not the key of a tag",
        ),
        (
            "delete_heap_tags",
            json!({"heap": heap, "keys": ""}),
            "keys: \"\" is not the key",
        ),
        (
            "query_heaps_by_tags",
            json!({"tags": {}}),
            "tags: there is none, and none would match every heap; allowed: one tag or more",
        ),
        (
            "query_heaps_by_tags",
            json!({}),
            "the parameter tags is missing",
        ),
        (
            "query_heaps_by_tags",
            json!({"tags": {"env": "prod"}, "cursor": "s1-1"}),
            "it is not a cursor of this list",
        ),
        (
            "query_heaps_by_tags",
            json!({"tags": {" env": "prod"}}),
            "tags: \" env\" is not the key of a tag",
        ),
    ] {
        let error = pair.refused(tool, arguments).await;
        assert!(error.contains(said), "{tool}: {said:?} is not in {error:?}");
    }
    let tags = pair.ask("get_heap_tags", json!({"heap": heap})).await;
    assert_eq!(tags, json!({"tags": {"env": "prod"}}));
    store.close().await.unwrap();
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_starts_from_a_heap_that_is_there_or_not_at_all() {
    let (mut pair, store) = pair().await;
    left_behind(&store, keep("one").in_session("s")).await;
    left_behind(&store, keep("two").in_session("s").from("one")).await;
    let heaps = pair.home.heaps();
    let put = heaps.put(&Tenant::local(), b"two".to_vec()).await;
    assert_eq!(put.unwrap().id.to_string(), id("two"));
    for (arguments, said) in [
        (
            json!({"heap": NOWHERE}),
            "no heap 0000000000000000000000000000000000000000000000000000000000000000 is known \
             here: it may have expired",
        ),
        (
            json!({"heap": "new"}),
            "heap: a heap is named by 64 hexadecimal digits in lower case; use the heap that \
             get_execution returned, or \"latest\" together with session",
        ),
        (json!({"heap": ""}), "heap is an empty string"),
        (json!({"heap": 5}), "heap is 5, but must be a string"),
        (
            json!({"heap": "latest"}),
            "heap: latest is the newest heap of a session, and no session is given",
        ),
        (
            json!({"heap": "latest", "session": "t"}),
            "heap: there is no latest heap, because no execution has completed with the session \
             \"t\" yet; leave heap out to start fresh",
        ),
        (
            json!({"session": "\u{7f}"}),
            "session: a session is named by 1 to 128 printable characters",
        ),
        (
            json!({"tags": {"a": "b", " ": "c"}}),
            "tags: \" \" is not the key of a tag",
        ),
    ] {
        let mut arguments = arguments;
        arguments["code"] = json!("finish 1");
        let error = pair.refused("run_js", arguments).await;
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
    let listed = pair.ask("list_executions", json!({})).await;
    let listed = listed["executions"].as_array().unwrap().len();
    assert_eq!(listed, 2, "nothing was accepted beside the neighbour's");

    // What it was told is what it shows, from the start on.
    let told = json!({"code": "hang", "heap": "latest", "session": "s", "tags": {"a": "b"}});
    let accepted = pair.ask("run_js", told).await;
    let shown = json!({"execution_id": accepted["execution_id"]});
    let seen = pair.ask("get_execution", shown.clone()).await;
    assert_eq!(seen["input_heap"], id("two"));
    assert_eq!(seen["session"], "s");
    assert_eq!(
        (&seen["heap"], &seen["heap_error"]),
        (&Value::Null, &Value::Null)
    );
    pair.ask("cancel_execution", shown).await;
    store.close().await.unwrap();
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_shows_the_heap_it_left_or_why_there_is_none() {
    let (mut pair, store) = pair().await;
    let kept = left_behind(&store, keep("one").in_session("s").from("zero")).await;
    let seen = pair
        .ask("get_execution", json!({"execution_id": kept.to_string()}))
        .await;
    assert_eq!(seen["heap"], id("one"));
    assert_eq!(seen["heap_error"], Value::Null);
    assert_eq!(seen["input_heap"], id("zero"));
    let lost = support::lost(&store, "the disk is full; free space").await;
    let seen = pair
        .ask("get_execution", json!({"execution_id": lost.to_string()}))
        .await;
    assert_eq!(seen["status"], "completed");
    assert_eq!(seen["heap"], Value::Null);
    assert_eq!(seen["heap_error"], "the disk is full; free space");
    store.close().await.unwrap();
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateless_server_has_none_of_it_and_says_what_to_do() {
    let mut pair = Pair::with(|config| ExecutionsConfig {
        state: State::Stateless,
        ..config
    })
    .await;
    for (arguments, named) in [
        (json!({"heap": NOWHERE}), vec!["heap"]),
        (json!({"session": "s"}), vec!["session"]),
        (json!({"tags": {}}), vec!["tags"]),
        (
            json!({"heap": "latest", "session": "s"}),
            vec!["heap", "session"],
        ),
    ] {
        let mut arguments = arguments;
        arguments["code"] = json!("finish 1");
        let error = pair.refused("run_js", arguments).await;
        for name in named {
            let said = format!(
                "{name}: this server keeps no heaps, sessions or tags, because it was started with \
                 --stateless; do without, or start it without --stateless"
            );
            assert!(error.contains(&said), "{said:?} is not in {error:?}");
        }
    }
    let seen = pair
        .ask(
            "run_js",
            json!({"code": "finish 1", "heap": null, "wait_ms": 30_000}),
        )
        .await;
    for absent in ["heap", "heap_error", "input_heap", "session"] {
        assert_eq!(seen[absent], Value::Null, "{absent}");
    }
    for tool in [
        "list_sessions",
        "list_session_snapshots",
        "get_heap_tags",
        "set_heap_tags",
        "delete_heap_tags",
        "query_heaps_by_tags",
    ] {
        let answer = pair.call(tool, json!({})).await;
        let error = answer["error"]["message"].as_str().unwrap();
        assert_eq!(answer["error"]["code"], -32602);
        assert!(
            error.starts_with(&format!("{tool}: this server keeps no heaps")),
            "{error}"
        );
    }
    let answer = pair.call("list_heaps", json!({})).await;
    assert_eq!(
        answer["error"]["message"],
        "there is no tool list_heaps; tools: run_js, get_execution, get_execution_output, \
         cancel_execution, list_executions"
    );
    pair.end().await;
}
