//! Every tool over the real server and the real worker, as a client uses it.

use std::time::{Duration, Instant};

use e2e::home::Home;
use e2e::server::{failure, id_of, is_final};
use serde_json::{Value, json};

/// A line of output with characters of 1, 2, 3 and 4 bytes: 13 bytes with its end.
const MIXED_LINE: &str = "a\u{e9}\u{20ac}\u{1f600} ok\n";

#[test]
fn run_js_waits_and_tells_everything() {
    let home = Home::new();
    let mut server = home.start();
    let seen = server.run("console.log('one'); console.error('two'); 6 * 7");
    assert_eq!(seen["status"], "completed", "{seen}");
    assert_eq!(seen["result"], "42");
    assert_eq!(seen["result_preview"], "42");
    assert_eq!(seen["result_truncated"], false);
    let heap = seen["heap"].as_str().unwrap_or_default();
    assert_eq!(heap.len(), 64, "{seen}");
    for absent in ["heap_error", "input_heap", "session", "error", "error_kind"] {
        assert!(seen[absent].is_null(), "{absent}: {seen}");
        assert!(
            seen.as_object()
                .is_some_and(|seen| seen.contains_key(absent))
        );
    }
    assert_eq!(seen["heap_memory_max_mb"], 8);
    assert_eq!(seen["execution_timeout_secs"], 30);
    assert_eq!(seen["output"]["data"], "one\n[ERROR] two");
    assert_eq!(seen["output_bytes"], 16);
    for (earlier, later) in [
        ("submitted_at", "started_at"),
        ("started_at", "completed_at"),
    ] {
        let time = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
        assert!(time(earlier).ends_with('Z'), "{seen}");
        // RFC 3339 in UTC, of one length up to the seconds: text order is time order.
        assert!(time(earlier)[..19] <= time(later)[..19], "{seen}");
    }
    let again = server.get(&id_of(&seen));
    for (name, value) in again.as_object().expect("an object") {
        assert_eq!(&seen[name], value, "{name}");
    }
    server.finish();
    home.assert_empty();
}

#[test]
fn run_js_without_a_wait_gives_an_id_at_once() {
    let home = Home::new();
    let mut server = home.start();
    let accepted = server.call("run_js", json!({"code": "1 + 1"}));
    assert_eq!(accepted.as_object().map(|object| object.len()), Some(1));
    let id = id_of(&accepted);
    assert_eq!(id.len(), 36, "a UUID: {id}");
    let seen = server.wait(&id);
    assert_eq!(seen["result"], "2");
    server.finish();
}

#[test]
fn a_failed_script_is_a_result() {
    let home = Home::new();
    let mut server = home.start();
    let seen = server.run("\n  throw new TypeError('told so')");
    assert_eq!(seen["status"], "failed", "{seen}");
    assert_eq!(seen["error_kind"], "exception");
    assert!(seen["result"].is_null());
    let error = seen["error"].as_str().unwrap_or_default();
    assert!(error.contains("TypeError: told so"), "{error}");
    assert!(error.contains(":2:9"), "line and column: {error}");

    let seen = server.run("function f(");
    assert_eq!(seen["error_kind"], "syntax", "{seen}");

    let seen = server.run_with(
        "const all = []; for (;;) all.push(new Array(1e5).fill(1.5))",
        json!({"heap_memory_max_mb": 4}),
    );
    assert_eq!(seen["status"], "failed", "{seen}");
    assert_eq!(seen["error_kind"], "memory", "{seen}");
    let error = seen["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("4 M") && error.contains("heap_memory_max_mb"),
        "{error}"
    );

    let seen = server.run("await new Promise(() => {})");
    assert_eq!(seen["error_kind"], "nothing_left_to_wait_for", "{seen}");

    assert_eq!(server.run("1")["result"], "1");
    server.finish();
}

#[test]
fn a_deadline_kills_what_runs() {
    let home = Home::new();
    let mut server = home.start();
    let seen = server.run_with(
        "console.log('before'); while (true) {}",
        json!({"execution_timeout_secs": 1}),
    );
    assert_eq!(seen["status"], "timed_out", "{seen}");
    assert_eq!(seen["output"]["data"], "before", "{seen}");
    let error = seen["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("1 s") || error.contains("1 second"),
        "{error}"
    );
    assert!(error.contains("execution_timeout_secs"), "{error}");
    assert_eq!(server.run("2")["result"], "2");
    home.assert_calm();
    server.finish();
}

#[test]
fn a_wait_that_runs_out_says_how_it_stands() {
    let home = Home::new();
    let mut server = home.start();
    let begin = Instant::now();
    let code = "console.log('early'); await new Promise(r => setTimeout(r, 29_000)); 'late'";
    let seen = server.call("run_js", json!({"code": code, "wait_ms": 3000}));
    assert!(begin.elapsed() >= Duration::from_millis(3000));
    assert_eq!(seen["status"], "running", "{seen}");
    assert_eq!(seen["output"]["data"], "early", "{seen}");
    assert!(seen["completed_at"].is_null() && seen["result"].is_null());
    let id = id_of(&seen);
    let seen = server.call("get_execution", json!({"execution_id": id, "wait_ms": 10}));
    assert_eq!(seen["status"], "running", "{seen}");
    server.call("cancel_execution", json!({"execution_id": id}));
    let begin = Instant::now();
    assert_eq!(server.wait(&id)["status"], "cancelled");
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "nothing to wait for"
    );
    server.finish();
}

#[test]
fn output_can_be_read_while_the_code_runs() {
    let home = Home::new();
    let mut server = home.start();
    let id = server.submit(
        "for (let i = 1; ; i++) { console.log('line ' + i); await new Promise(r => setTimeout(r, 5)) }",
    );
    server.until_output(&id, 1);
    let mut offset = 1;
    let mut lines = Vec::new();
    while lines.len() < 50 {
        let arguments = json!({"execution_id": id, "line_offset": offset, "line_limit": 7});
        let page = server.call("get_execution_output", arguments);
        assert_eq!(page["status"], "running", "{page}");
        let data = page["data"].as_str().unwrap_or_default();
        lines.extend(data.lines().map(str::to_owned));
        offset = page["next_line_offset"].as_u64().unwrap_or_default();
    }
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line, &format!("line {}", index + 1));
    }
    assert_eq!(
        server.call("cancel_execution", json!({"execution_id": id})),
        json!({"ok": true})
    );
    let page = server.call("get_execution_output", json!({"execution_id": id}));
    assert_eq!(page["status"], "cancelled", "{page}");
    server.finish();
}

#[test]
fn pages_in_lines_and_in_bytes_give_the_same_text() {
    let home = Home::new();
    let mut server = home.start();
    let text = MIXED_LINE.repeat(40);
    let code = format!(
        "for (let i = 0; i < 40; i++) console.log({:?})",
        MIXED_LINE.trim_end()
    );
    let id = id_of(&server.run(&code));

    for limit in [1, 7, 39, 40, 10_000] {
        let mut read = String::new();
        let mut offset = 1;
        loop {
            let arguments = json!({"execution_id": id, "line_offset": offset, "line_limit": limit});
            let page = server.call("get_execution_output", arguments);
            check_page(&page, &text);
            let more = page["has_more"] == true;
            read.push_str(page["data"].as_str().unwrap_or_default());
            read.push('\n');
            offset = page["next_line_offset"].as_u64().unwrap_or_default();
            if !more {
                break;
            }
        }
        assert_eq!(read, text, "{limit} lines a page");
        assert_eq!(offset, 41);
    }
    for limit in [4, 5, 13, 100, 1 << 20] {
        let mut read = String::new();
        let mut offset = 0;
        loop {
            let arguments = json!({"execution_id": id, "byte_offset": offset, "byte_limit": limit});
            let page = server.call("get_execution_output", arguments);
            let data = page["data"].as_str().unwrap_or_default().to_owned();
            let next = page["next_byte_offset"].as_u64().unwrap_or_default();
            assert_eq!(data.len() as u64, next - offset, "{page}");
            assert!(next - offset <= limit && next > offset, "{page}");
            read.push_str(&data);
            offset = next;
            if page["has_more"] != true {
                break;
            }
        }
        assert_eq!(read, text, "{limit} bytes a page");
    }
    server.finish();
}

/// Both coordinates of a page of whole lines mean the same text.
fn check_page(page: &Value, text: &str) {
    let number = |name: &str| page[name].as_u64().unwrap_or(u64::MAX);
    let bytes = usize::try_from(number("start_byte")).unwrap_or(0)
        ..usize::try_from(number("end_byte")).unwrap_or(0);
    let data = page["data"].as_str().unwrap_or_default();
    assert_eq!(text[bytes].trim_end_matches('\n'), data, "{page}");
    let lines = number("end_line") + 1 - number("start_line");
    assert_eq!(lines, data.lines().count() as u64, "{page}");
    assert_eq!(number("total_bytes"), text.len() as u64, "{page}");
    assert_eq!(number("total_lines"), text.lines().count() as u64, "{page}");
}

#[test]
fn a_page_past_the_end_is_empty_and_can_be_asked_again() {
    let home = Home::new();
    let mut server = home.start();
    let id = id_of(&server.run("console.log('only')"));
    for arguments in [
        json!({"execution_id": id, "line_offset": 2}),
        json!({"execution_id": id, "line_offset": 1_000_000}),
        json!({"execution_id": id, "byte_offset": 5}),
        json!({"execution_id": id, "byte_offset": 9_007_199_254_740_991_u64}),
    ] {
        let page = server.call("get_execution_output", arguments);
        assert_eq!(page["data"], "", "{page}");
        assert_eq!(page["has_more"], false, "{page}");
        assert_eq!(page["next_line_offset"], 2, "{page}");
        assert_eq!(page["next_byte_offset"], 5, "{page}");
        assert_eq!(page["total_bytes"], 5, "{page}");
    }
    let id = id_of(&server.run("0"));
    let page = server.call("get_execution_output", json!({"execution_id": id}));
    assert_eq!(page["data"], "");
    assert_eq!(page["total_lines"], 0);
    server.finish();
}

#[test]
fn lists_are_paged_newest_first_and_filtered() {
    let home = Home::new();
    let mut server = home.start();
    let mut ids: Vec<String> = (0..5).map(|n| id_of(&server.run(&n.to_string()))).collect();
    let failed = id_of(&server.run("throw 1"));
    ids.push(failed.clone());
    ids.reverse();

    let mut listed = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = server.call("list_executions", json!({"limit": 2, "cursor": cursor}));
        let executions = page["executions"].as_array().expect("a list");
        assert!(executions.len() <= 2, "{page}");
        for execution in executions {
            assert_eq!(execution["id"], execution["execution_id"]);
            assert!(execution["started_at"].is_string() && execution["completed_at"].is_string());
            listed.push(id_of(execution));
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(listed, ids);

    let page = server.call("list_executions", json!({"status": "failed"}));
    let executions = page["executions"].as_array().expect("a list");
    assert_eq!(executions.len(), 1, "{page}");
    assert_eq!(id_of(&executions[0]), failed);
    let page = server.call("list_executions", json!({"status": "running"}));
    assert_eq!(page["executions"], json!([]));
    server.finish();
}

#[test]
fn progress_is_told_while_a_call_waits() {
    let home = Home::new();
    let mut server = home.start();
    let begin = Instant::now();
    let id = server.send(
        "tools/call",
        json!({
            "name": "run_js",
            "arguments": {
                "code": "await new Promise(r => setTimeout(r, 3500)); 'done'",
                "wait_ms": 20_000,
            },
            "_meta": {"progressToken": "token-1"},
        }),
    );
    let seen = server.called(id);
    assert_eq!(seen["result"], "done");
    let told = std::mem::take(&mut server.notifications);
    let limit = 1 + usize::try_from(begin.elapsed().as_secs()).unwrap_or(usize::MAX);
    assert!((2..=limit).contains(&told.len()), "{told:?}");
    let mut before = -1.0;
    for notification in &told {
        assert_eq!(notification["method"], "notifications/progress");
        let params = &notification["params"];
        assert_eq!(params["progressToken"], "token-1");
        assert_eq!(params["total"], 20_000.0);
        let progress = params["progress"].as_f64().unwrap_or(-1.0);
        assert!(progress > before, "it must grow: {told:?}");
        before = progress;
        assert!(
            params["message"]
                .as_str()
                .is_some_and(|text| text.contains("running"))
        );
    }
    // Nobody asked: nobody is told.
    let _ = server.run("await new Promise(r => setTimeout(r, 1500))");
    assert!(
        server.notifications.is_empty(),
        "{:?}",
        server.notifications
    );
    server.finish();
}

#[test]
fn cancel_ends_what_runs_and_what_waits_once() {
    let home = Home::new();
    let mut server = home.start_with(&["--max-concurrent-executions", "1"]);
    let running = server.submit("console.log('here'); while (true) {}");
    server.until_output(&running, 5);
    let queued = server.submit("'never'");
    assert_eq!(server.get(&queued)["status"], "queued");

    for id in [&queued, &running] {
        let done = server.call("cancel_execution", json!({"execution_id": id}));
        assert_eq!(done, json!({"ok": true}));
        let seen = server.get(id);
        assert_eq!(seen["status"], "cancelled", "{seen}");
        assert!(seen["completed_at"].is_string(), "{seen}");
        let text = server.refused("cancel_execution", json!({"execution_id": id}));
        assert!(
            text.contains("not running") && text.contains("cancelled"),
            "{text}"
        );
    }
    assert!(server.get(&queued)["started_at"].is_null());
    home.assert_calm();
    let page = server.call("get_execution_output", json!({"execution_id": running}));
    assert_eq!(page["data"], "here");

    let ended = id_of(&server.run("1"));
    let text = server.refused("cancel_execution", json!({"execution_id": ended}));
    assert!(
        text.contains("not running") && text.contains("completed"),
        "{text}"
    );
    server.finish();
}

#[test]
fn a_cancel_that_races_with_the_end_has_one_outcome() {
    let home = Home::new();
    let mut server = home.start();
    for n in 0..20_u64 {
        let id = server.submit("1");
        std::thread::sleep(Duration::from_millis(n * 4));
        let call = server.send_call("cancel_execution", json!({"execution_id": id}));
        let answer = server.answer(call);
        let status = server.get(&id)["status"].clone();
        if answer["result"]["isError"] == true {
            assert_eq!(status, "completed", "{answer}");
            assert!(failure(&answer).contains("completed"), "{answer}");
        } else {
            assert_eq!(status, "cancelled", "{answer}");
        }
    }
    server.finish();
}

#[test]
fn a_cancelled_call_of_run_js_cancels_its_execution_and_others_only_stop_waiting() {
    let home = Home::new();
    let mut server = home.start();
    let slow = server.submit("await new Promise(r => setTimeout(r, 2500)); 'lived'");
    let arguments = json!({"execution_id": slow, "wait_ms": 40_000});
    let waiting = server.send_call("get_execution", arguments);
    let endless = json!({"code": "for (;;) {}", "wait_ms": 40_000});
    let running = server.send_call("run_js", endless);
    let listed = |server: &mut e2e::server::Server, status: &str| {
        let page = server.call("list_executions", json!({"status": status}));
        page["executions"].as_array().map_or(0, Vec::len)
    };
    while listed(&mut server, "running") < 2 {}
    for request in [waiting, running] {
        server.notify(
            "notifications/cancelled",
            json!({"requestId": request, "reason": "test"}),
        );
    }
    while listed(&mut server, "cancelled") < 1 {}
    let seen = server.wait(&slow);
    assert_eq!(seen["result"], "lived", "{seen}");
    assert_eq!(listed(&mut server, "cancelled"), 1);
    server.close_input();
    assert!(
        server.last_answers().is_empty(),
        "a cancelled request has no answer"
    );
    server.finish();
}

#[test]
fn many_calls_at_once_get_each_their_own_answer() {
    let home = Home::new();
    let mut server = home.start_with(&["--max-concurrent-executions", "64"]);
    let calls: Vec<(i64, usize)> = (0..64)
        .map(|n| {
            let code = format!("console.log('out {n}'); {n}");
            (
                server.send_call("run_js", json!({"code": code, "wait_ms": 50_000})),
                n,
            )
        })
        .collect();
    for (call, n) in calls.into_iter().rev() {
        let seen = server.called(call);
        assert!(is_final(&seen), "{seen}");
        assert_eq!(seen["result"], n.to_string());
        assert_eq!(seen["output"]["data"], format!("out {n}"));
    }
    home.assert_calm();
    server.finish();
}
