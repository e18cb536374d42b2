//! Heaps that somebody made who has the key: sealed, named and summed up as they should be, and
//! hostile inside. V8 trusts a snapshot, so its worker may do anything in its jail; nothing else may.

use std::io::Read as _;
use std::process::Command;

use e2e::home::{Home, program};
use e2e::worker;
use mcp_v8_protocol::codec::FrameReader;
use mcp_v8_protocol::message::{FromWorker, Hello};
use serde_json::{Value, json};

/// How many are tried.
const FORGED: usize = 60;

/// A heap with some of everything that a snapshot has.
const STATE: &str = "
    let text = 'text'.repeat(50), list = Array.from({length: 200}, (_, i) => ({i, s: 'x' + i}));
    const map = new Map(list.map(x => [x.s, x])), bytes = new Uint8Array(1000).fill(7);
    class Kept { #secret = 42; get secret() { return this.#secret } }
    const kept = new Kept(), url = new URL('http://a.example/b?c#d'), big = 2n ** 100n;
    function* numbers() { let n = 0; for (;;) yield n++; }
    const generator = numbers(); generator.next();
    const promised = Promise.resolve(1);
    list.length";

/// Uses all of it.
const USE: &str = "
    const seen = [text.length, list.map(x => x.s).join().length, map.get('x7').i, kept.secret,
      bytes.reduce((a, b) => a + b), url.href, String(big), generator.next().value, await promised];
    list.push({i: 200, s: 'x200'});
    JSON.stringify(seen)";

#[test]
fn a_forged_heap_that_passes_every_check_costs_its_own_execution_at_most() {
    let home = Home::new();
    let mut server = home.start();
    let first = server.run(STATE);
    let genuine = first["heap"].as_str().expect("a heap").to_owned();
    let expected = server.run_with(USE, json!({"heap": genuine}))["result"].clone();
    assert!(expected.is_string(), "{expected}");
    let (mut died, mut lived) = (0, 0);
    for forged in forge(&home, &genuine) {
        let arguments = json!({
            "code": USE, "heap": forged, "wait_ms": 50_000, "execution_timeout_secs": 5,
        });
        let answer = server.call("run_js", arguments);
        match answer["status"].as_str() {
            Some("completed") => lived += 1,
            Some("failed" | "timed_out") => died += 1,
            _ => panic!("{forged}: {answer}"),
        }
        assert_ne!(answer["execution_id"], Value::Null, "{forged}: {answer}");
    }
    // A byte here and there is not looked at; most of them matter.
    assert!(died > 0 && lived > 0, "{died} died, {lived} lived");
    assert_eq!(
        server.run_with(USE, json!({"heap": genuine}))["result"],
        expected
    );
    home.assert_calm();
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.finish();
    home.assert_empty();
}

/// Forged copies of a heap, by name.
fn forge(home: &Home, genuine: &str) -> Vec<String> {
    let hello = hello();
    let forged = Command::new(program("examples/forge_heap"))
        .arg(home.path("heaps"))
        .arg(home.path("heaps").join("heap.key"))
        .args([hello.v8_version, hello.heap_build, genuine.to_owned()])
        .arg(FORGED.to_string())
        .output()
        .expect("it can be executed");
    assert!(
        forged.status.success(),
        "{}",
        String::from_utf8_lossy(&forged.stderr)
    );
    let names = String::from_utf8(forged.stdout).expect("names");
    names.lines().map(str::to_owned).collect()
}

/// What a worker that keeps heaps says of itself.
fn hello() -> Hello {
    let mut started = worker::spawn(&program("mcp-v8-worker"), &["--mode", "stateful"])
        .expect("it can be executed");
    let mut frames = FrameReader::default();
    let mut bytes = [0; 4096];
    loop {
        let read = started.from_worker.read(&mut bytes).expect("a pipe");
        assert!(read > 0, "the worker says nothing");
        frames.push(bytes.get(..read).unwrap_or_default());
        let message = frames
            .next_message()
            .expect("a worker keeps to the protocol");
        if let Some(FromWorker::Hello(hello)) = message {
            started.child.kill().expect("it is ours");
            started.child.wait().expect("it is ours");
            return hello;
        }
    }
}
