//! Executions and their output as resources, and the completion of their ids, in both eras.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::mcp_pair::Pair;
use serde_json::{Value, json};

/// What a client takes as one event.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

const UNKNOWN: &str = "2f1c7a52-4b0e-4c44-9d53-0f6f2a1d8e11";

/// The id of an execution of this code that has ended.
async fn ended(pair: &mut Pair, code: &str) -> String {
    let run = json!({"code": code, "wait_ms": 30_000});
    let seen = pair.ask("run_js", run).await;
    seen["execution_id"].as_str().unwrap().to_owned()
}

async fn read(pair: &mut Pair, uri: &str) -> Value {
    pair.result("resources/read", json!({"uri": uri})).await
}

/// Asserts what a result says about its caching, in its era.
fn is_kept(pair: &Pair, result: &Value, millis: u64, scope: &str) {
    if pair.is_modern() {
        assert_eq!(result["ttlMs"], millis, "{result}");
        assert_eq!(result["cacheScope"], scope, "{result}");
        let by = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(by["name"], "mcp-v8", "{result}");
    } else {
        for absent in ["ttlMs", "cacheScope", "_meta"] {
            assert!(result[absent].is_null(), "{result}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_declared_and_nothing_else() {
    let mut modern = Pair::modern(json!({})).await;
    let found = modern.result("server/discover", json!({})).await;
    let declared = found["capabilities"].as_object().unwrap();
    assert_eq!(declared["resources"], json!({}));
    assert_eq!(declared["completions"], json!({}));
    assert_eq!(declared["tools"], json!({}));
    for mut pair in [Pair::new().await, modern] {
        for absent in ["prompts/list", "resources/subscribe", "logging/setLevel"] {
            let params = json!({"uri": "v8://executions", "level": "info"});
            let (code, text) = pair.error(absent, params).await;
            assert_eq!(code, -32601, "{absent}: {text}");
        }
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_listed_newest_first_each_with_its_output() {
    for mut pair in Pair::both().await {
        let empty = pair.result("resources/list", json!({})).await;
        assert_eq!(empty["resources"], json!([]));
        is_kept(&pair, &empty, 0, "private");
        let mut ids = Vec::new();
        for _ in 0..101 {
            ids.push(ended(&mut pair, "finish 1").await);
        }
        ids.reverse();
        let mut uris = Vec::new();
        let mut params = json!({});
        let mut pages = 0;
        loop {
            let page = pair.result("resources/list", params.clone()).await;
            is_kept(&pair, &page, 0, "private");
            for resource in page["resources"].as_array().unwrap() {
                let is_output = resource["uri"].as_str().unwrap().ends_with("/output");
                let kind = if is_output {
                    "text/plain"
                } else {
                    "application/json"
                };
                assert_eq!(resource["mimeType"], kind, "{resource}");
                let about = resource["description"].as_str().unwrap();
                assert!(about.contains("completed"), "{resource}");
                uris.push(resource["uri"].as_str().unwrap().to_owned());
            }
            pages += 1;
            if page["nextCursor"].is_null() {
                break;
            }
            params["cursor"] = page["nextCursor"].clone();
        }
        let expected: Vec<String> = ids
            .iter()
            .flat_map(|id| {
                let uri = format!("v8://executions/{id}");
                [uri.clone(), format!("{uri}/output")]
            })
            .collect();
        assert_eq!(uris, expected);
        assert_eq!(pages, 2);
        let (code, text) = pair.error("resources/list", json!({"cursor": "x"})).await;
        assert!(code == -32602 && text.contains("cursor"), "{code} {text}");
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_say_what_can_be_read() {
    for mut pair in Pair::both().await {
        let list = pair.result("resources/templates/list", json!({})).await;
        let templates = list["resourceTemplates"].as_array().unwrap();
        let uris: Vec<&Value> = templates.iter().map(|it| &it["uriTemplate"]).collect();
        assert_eq!(
            uris,
            ["v8://executions/{id}", "v8://executions/{id}/output"]
        );
        is_kept(&pair, &list, 3_600_000, "public");
        let cursor = json!({"cursor": "e1-1"});
        let (code, _) = pair.error("resources/templates/list", cursor).await;
        assert_eq!(code, -32602);
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_and_its_output_are_read() {
    for mut pair in Pair::both().await {
        let id = ended(&mut pair, "out one\nout tw\u{f6}\nfinish 42").await;
        let uri = format!("v8://executions/{id}");
        let found = read(&mut pair, &uri).await;
        is_kept(&pair, &found, 60_000, "private");
        assert_eq!(found["contents"].as_array().unwrap().len(), 1);
        let content = &found["contents"][0];
        assert_eq!(content["uri"], uri);
        assert_eq!(content["mimeType"], "application/json");
        let shape: Value = serde_json::from_str(content["text"].as_str().unwrap()).unwrap();
        let got = pair.ask("get_execution", json!({"execution_id": id})).await;
        assert_eq!(shape, got);

        let uri = format!("v8://executions/{id}/output");
        let found = read(&mut pair, &uri).await;
        is_kept(&pair, &found, 60_000, "private");
        assert_eq!(found["contents"].as_array().unwrap().len(), 1);
        let content = &found["contents"][0];
        assert_eq!(content["uri"], uri);
        assert_eq!(content["mimeType"], "text/plain");
        assert_eq!(content["text"], "one\ntw\u{f6}\n");
        let page = &content["_meta"]["mcp-v8/page"];
        assert_eq!(page["total_bytes"], 9, "{page}");
        assert_eq!(page["has_more"], false, "{page}");
        assert_eq!(page["status"], "completed", "{page}");
        assert!(page["data"].is_null(), "{page}");
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_runs_is_read_as_it_stands_and_not_kept() {
    for mut pair in Pair::both().await {
        let run = json!({"code": "out first\nhang", "wait_ms": 300});
        let id = pair.ask("run_js", run).await["execution_id"].clone();
        let uri = format!("v8://executions/{}/output", id.as_str().unwrap());
        let found = read(&mut pair, &uri).await;
        is_kept(&pair, &found, 0, "private");
        assert_eq!(found["contents"][0]["text"], "first\n");
        let page = &found["contents"][0]["_meta"]["mcp-v8/page"];
        assert_eq!(page["status"], "running");
        pair.ask("cancel_execution", json!({"execution_id": id}))
            .await;
        pair.end().await;
    }
}

/// The parts of a resource that does not fit into one message: its beginning, and a note.
async fn read_cut(pair: &mut Pair, uri: &str) -> (Value, String) {
    let found = read(pair, uri).await;
    let bytes = found.to_string().len();
    assert!(bytes < MESSAGE_BYTES_MAX, "{uri}: {bytes}");
    assert!(bytes > MESSAGE_BYTES_MAX - (32 << 10), "{uri}: {bytes}");
    let parts = found["contents"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    let note = parts[1]["text"].as_str().unwrap().to_owned();
    (parts[0].clone(), note)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_one_message_is_cut_and_says_where_the_rest_is() {
    // A control character takes six bytes in JSON, and seven in JSON within JSON.
    let control = "\u{1}";
    let parts = format!("part {}\n", control.repeat(50_000)).repeat(10);
    for (code, result) in [("flood 1500000\n", "1"), (&*parts, "2")] {
        for mut pair in Pair::both().await {
            let id = ended(&mut pair, &format!("{code}finish {result}")).await;
            let uri = format!("v8://executions/{id}/output");
            let (part, note) = read_cut(&mut pair, &uri).await;
            let text = part["text"].as_str().unwrap();
            let place = &part["_meta"]["mcp-v8/page"];
            assert_eq!(place["next_byte_offset"], text.len());
            assert_eq!(place["has_more"], true);
            let call = &note[note.find('{').unwrap()..];
            let next = serde_json::from_str(call).unwrap();
            let rest = pair.ask("get_execution_output", next).await;
            assert_eq!(rest["start_byte"], text.len());
            assert_eq!(rest["has_more"], false);
            assert_eq!(rest["end_byte"], place["total_bytes"]);
            pair.end().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_long_for_one_message_is_cut() {
    // In JSON within JSON these take one byte, four and seven.
    for piece in ["xyz\u{e9}", "\"", "\u{1}"] {
        let result = piece.repeat(1_040_000 / piece.len());
        for mut pair in Pair::both().await {
            let id = ended(&mut pair, &format!("finish {result}")).await;
            let (part, note) = read_cut(&mut pair, &format!("v8://executions/{id}")).await;
            let shape: Value = serde_json::from_str(part["text"].as_str().unwrap()).unwrap();
            let kept = shape["result"].as_str().unwrap();
            assert!(result.starts_with(kept) && kept.len() < result.len());
            assert_eq!(shape["result_truncated"], true);
            let expected = format!("after {} of {} bytes", kept.len(), result.len());
            assert!(
                note.contains(&expected) && note.contains("get_execution"),
                "{note}"
            );
            pair.end().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_an_error_of_the_era() {
    for mut pair in Pair::both().await {
        let not_found = if pair.is_modern() { -32602 } else { -32002 };
        for (uri, expected, part) in [
            (
                format!("v8://executions/{UNKNOWN}"),
                not_found,
                "no execution has the id",
            ),
            (
                format!("v8://executions/{UNKNOWN}/output"),
                not_found,
                "no execution has the id",
            ),
            (
                "test://nothing".to_owned(),
                not_found,
                "v8://executions/{id}",
            ),
            (
                "v8://executions/7".to_owned(),
                -32602,
                "an execution id is a UUID",
            ),
            (
                "v8://executions//output".to_owned(),
                -32602,
                "an execution id is a UUID",
            ),
        ] {
            let answer = pair.request("resources/read", json!({"uri": uri})).await;
            let error = &answer["error"];
            assert_eq!(error["code"], expected, "{answer}");
            let text = error["message"].as_str().unwrap();
            assert!(text.contains(part), "{answer}");
            // Where -32602 stands for more than one thing, this tells them apart.
            let is_unknown = !uri.contains("executions/7") && !uri.contains("executions//");
            assert_eq!(error["data"]["uri"] == json!(uri), is_unknown, "{answer}");
        }
        let (code, text) = pair.error("resources/read", json!({"uri": 5})).await;
        assert_eq!(code, -32602, "{text}");
        pair.end().await;
    }
}

async fn complete(pair: &mut Pair, uri: &str, typed: &str) -> Value {
    let params = json!({"ref": {"type": "ref/resource", "uri": uri},
                        "argument": {"name": "id", "value": typed}});
    let result = pair.result("completion/complete", params).await;
    result["completion"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_completed_newest_first() {
    const TEMPLATE: &str = "v8://executions/{id}";
    for mut pair in Pair::both().await {
        let none = complete(&mut pair, TEMPLATE, "").await;
        assert_eq!(none, json!({"values": [], "total": 0, "hasMore": false}));
        let mut ids = Vec::new();
        for _ in 0..102 {
            ids.push(ended(&mut pair, "finish 1").await);
        }
        ids.reverse();
        let all = complete(&mut pair, "v8://executions/{id}/output", "").await;
        assert_eq!(all["values"], json!(ids[..100]));
        assert_eq!(
            (&all["total"], &all["hasMore"]),
            (&json!(102), &json!(true))
        );
        for length in [1, 2, 9, 10, 36] {
            let typed = &ids[50][..length];
            let begin: Vec<&String> = ids.iter().filter(|id| id.starts_with(typed)).collect();
            let expected = json!({"values": begin, "total": begin.len(), "hasMore": false});
            assert_eq!(complete(&mut pair, TEMPLATE, typed).await, expected);
            let upper = typed.to_uppercase();
            assert_eq!(complete(&mut pair, TEMPLATE, &upper).await, expected);
        }
        let other = complete(&mut pair, TEMPLATE, "nothing").await;
        assert_eq!(other, none);
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_is_completed() {
    let template = json!({"type": "ref/resource", "uri": "v8://executions/{id}"});
    for mut pair in Pair::both().await {
        for (reference, name, part) in [
            (
                json!({"type": "ref/prompt", "name": "x"}),
                "id",
                "no prompts",
            ),
            (
                json!({"type": "ref/resource", "uri": "v8://heaps/{id}"}),
                "id",
                "there is no template",
            ),
            (template.clone(), "code", "there is no argument code"),
            (json!({"type": "ref/x"}), "id", "do not fit"),
        ] {
            let params = json!({"ref": reference, "argument": {"name": name, "value": ""}});
            let (code, text) = pair.error("completion/complete", params).await;
            assert_eq!(code, -32602, "{text}");
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
        pair.end().await;
    }
}
