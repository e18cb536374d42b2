//! Workers that misbehave while they save a heap: the result stands, the server is as before, and what
//! they say of the heap is bounded, copied once and named by what it is.

use std::fs;

use e2e::endurance::{
    FAR_DEADLINE_SECS, PROMPT, Way, assert_idle, assert_words, endure, serve_with_heaps,
};
use e2e::home::Home;
use e2e::hostile::script;
use serde_json::{Value, json};

/// The SHA-256 of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// With the result told: words of what is said of the heap.
const UNSAVED: &[(&str, &[&str])] = &[
    (
        "completed unsaved=no-reason exit=0",
        &["no-reason", "plain values"],
    ),
    ("completed exit=0", &["cannot save"]),
    ("completed exit=3", &["cannot save"]),
    ("completed exit=86", &["more memory"]),
    ("completed signal=SIGSEGV", &["cannot save"]),
    ("completed signal=SIGKILL", &["SIGKILL"]),
    (
        "completed words=Check_failed:_a_thing signal=SIGTRAP",
        &["a thing"],
    ),
    ("completed close sleep", &["cannot save"]),
    ("completed torn exit=0", &["cannot save"]),
    ("completed saved_nothing sleep", &["Saved.bytes"]),
    ("completed saved_too_much sleep", &["Saved.bytes"]),
    // More than its window has.
    ("completed saved=100000000 sleep", &["cannot be copied"]),
    (
        "completed console=late sleep",
        &["Console is not legal while Saving"],
    ),
    (
        "completed completed sleep",
        &["Finished is not legal while Saving"],
    ),
    (
        "completed failed sleep",
        &["Finished is not legal while Saving"],
    ),
    (
        "completed hello sleep",
        &["Hello is not legal while Saving"],
    ),
    (
        "completed open=0 sleep",
        &["Fetch is not legal while Saving"],
    ),
    ("completed garbage sleep", &["above the limit"]),
    ("completed empty_frame sleep", &["holds no message"]),
    ("completed flood", &["Console is not legal while Saving"]),
    ("completed grow=500 sleep", &["more memory"]),
];

#[test]
fn a_result_stands_whatever_its_worker_does_afterwards() {
    let home = Home::new();
    for way in [Way::Exec, Way::Zygote] {
        let mut server = serve_with_heaps(&home, way, &[]);
        for (steps, words) in UNSAVED {
            let seen = endure(&mut server, &script(steps), FAR_DEADLINE_SECS, PROMPT);
            assert_eq!(seen["status"], "completed", "{steps}: {seen}");
            assert_eq!(seen["result"], "ok", "{steps}: {seen}");
            assert_eq!(seen["heap"], Value::Null, "{steps}: {seen}");
            let why = seen["heap_error"].as_str().unwrap_or_default();
            assert!(why.contains("the result is not affected"), "{steps}: {why}");
            assert_words(steps, why, words);
            assert_idle(&server, way, steps);
        }
        server.finish();
        home.assert_empty();
        fs::remove_file(home.path(e2e::endurance::WORKER)).expect("a link in our own directory");
    }
}

#[test]
fn what_lies_in_the_window_is_named_by_what_it_is() {
    let home = Home::new();
    for way in [Way::Exec, Way::Zygote] {
        let mut server = serve_with_heaps(&home, way, &[]);
        for steps in [
            "completed put=abc saved=3 exit=0",
            "completed put=abc saved=3 sleep",
            "completed put=abc saved=3 put=xyz saved=3 signal=SIGSEGV",
            "completed put=abc saved=3 garbage flood",
        ] {
            let seen = endure(&mut server, &script(steps), FAR_DEADLINE_SECS, PROMPT);
            assert_eq!(seen["status"], "completed", "{steps}: {seen}");
            // A worker that writes on while it is copied makes another heap of its own, no other's.
            let heap = seen["heap"].as_str().unwrap_or_default();
            assert_eq!(heap.len(), 64, "{steps}: {seen}");
            if !steps.contains("xyz") {
                assert_eq!(heap, ABC, "{steps}: {seen}");
            }
        }
        let seen = server.run_with("again", json!({"heap": ABC}));
        assert_eq!(
            (&seen["status"], &seen["input_heap"]),
            (&json!("completed"), &json!(ABC))
        );
        server.finish();
        fs::remove_file(home.path(e2e::endurance::WORKER)).expect("a link in our own directory");
    }
}

#[test]
fn a_heap_before_its_time_breaks_the_protocol() {
    let home = Home::new();
    let mut server = serve_with_heaps(&home, Way::Exec, &[]);
    for (steps, words) in [
        (
            "put=abc saved=3 sleep",
            "Saved is not legal while RunningToSave",
        ),
        (
            "unsaved=x sleep",
            "Unsaved is not legal while RunningToSave",
        ),
    ] {
        let seen = endure(&mut server, &script(steps), FAR_DEADLINE_SECS, PROMPT);
        assert_eq!(seen["status"], "failed", "{steps}: {seen}");
        assert_words(steps, seen["error"].as_str().unwrap_or_default(), &[words]);
    }
    // A script that failed leaves none, whatever follows.
    let seen = endure(
        &mut server,
        &script("failed put=abc saved=3 sleep"),
        FAR_DEADLINE_SECS,
        PROMPT,
    );
    assert_eq!(
        (&seen["status"], &seen["heap"]),
        (&json!("failed"), &Value::Null)
    );
    server.finish();
}

#[test]
fn a_heap_that_never_comes_is_given_up_and_the_result_is_told() {
    let home = Home::new();
    let mut server = serve_with_heaps(&home, Way::Exec, &[]);
    let id = server.submit(&script("completed mark=there sleep"));
    home.await_mark(e2e::endurance::WORKER, "there");
    // Whoever does not want to wait cancels; the result is there all the same.
    let refused = server.refused("cancel_execution", json!({"execution_id": id}));
    assert!(refused.contains("completed"), "{refused}");
    let seen = server.get(&id);
    assert_eq!(
        (&seen["status"], &seen["result"]),
        (&json!("completed"), &json!("ok"))
    );
    assert!(
        seen["heap_error"]
            .as_str()
            .is_some_and(|why| why.contains("cancelled")),
        "{seen}"
    );
    server.finish();
}
