//! Heaps over the real server and the real worker: what is restored, what is refused, and that nothing
//! is lost.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use e2e::home::Home;
use e2e::server::{Server, id_of};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Generations of the walk.
const WALK: u64 = 100;
/// Chains that go on at once.
const CHAINS: usize = 30;
/// Snapshots of one session; more by the variable.
const SNAPSHOTS: u64 = 100;
const SNAPSHOTS_VARIABLE: &str = "MCP_E2E_SNAPSHOTS";
/// Servers that are killed in the middle of their work.
const KILLS: u32 = 12;

/// Runs code on a heap; the execution.
fn on(server: &mut Server, heap: &str, code: &str) -> Value {
    let seen = server.run_with(code, json!({"heap": heap}));
    assert_eq!(seen["status"], "completed", "{code}: {seen}");
    seen
}

fn heap_of(seen: &Value) -> String {
    let heap = seen["heap"].as_str().unwrap_or_default();
    assert_eq!(heap.len(), 64, "{seen}");
    heap.to_owned()
}

/// The files of stored heaps.
fn blobs(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(blobs(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "heap")
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_counter_walks_through_a_hundred_heaps_and_back() {
    let home = Home::new();
    let mut server = home.start();
    let mut heap = heap_of(&server.run("let n = 0; n"));
    let mut trail = vec![heap.clone()];
    for step in 1..=WALK {
        let seen = on(&mut server, &heap, "++n");
        assert_eq!(seen["result"], step.to_string());
        assert_eq!(seen["input_heap"], heap);
        heap = heap_of(&seen);
        trail.push(heap.clone());
    }
    // No two states are the same, and each is still what it was.
    assert_eq!(trail.iter().collect::<HashSet<_>>().len(), trail.len());
    for step in [0, 50, 99] {
        assert_eq!(
            on(&mut server, &trail[step], "n")["result"],
            step.to_string()
        );
    }
    server.finish();
    home.assert_empty();
}

#[test]
fn two_futures_of_one_heap_do_not_meet() {
    let home = Home::new();
    let mut server = home.start();
    let heap = heap_of(&server.run("const log = ['root']; log.length"));
    let left = heap_of(&on(&mut server, &heap, "log.push('left')"));
    let right = heap_of(&on(&mut server, &heap, "log.push('right')"));
    assert_ne!(left, right);
    for (heap, log) in [
        (&left, "root,left"),
        (&right, "root,right"),
        (&heap, "root"),
    ] {
        assert_eq!(on(&mut server, heap, "log.join()")["result"], log);
    }
    server.finish();
}

#[test]
fn the_whole_state_comes_back() {
    let home = Home::new();
    for way in ["zygote", "exec"] {
        let mut server = home.start_with(&["--worker-start", way]);
        let heap = heap_of(&server.run(
            "let a = 1; const b = [1, [2]]; var c = 'c'; class P { #x = 5; get x() { return this.#x } static s = 's' }
             function f(y) { return a + y } const counter = (() => { let hidden = 10; return () => ++hidden })();
             const map = new Map([[1n, /x/g], ['k', { v: 1 }]]); const set = new Set([1, NaN]);
             const bytes = new Uint8Array([1, 2, 255]); const floats = Float64Array.of(0.1, -0);
             const big = 2n ** 70n; const date = new Date(86400000); const key = Symbol.for('shared'); const own = Symbol('own');
             const settled = Promise.resolve('done'); const failed = Promise.reject(new Error('no')); failed.catch(() => {});
             const proto = Object.create({ inherited: 1 }); const frozen = Object.freeze({ z: 1 });
             const weak = new WeakMap([[b, 'by b']]); const cyclic = {}; cyclic.self = cyclic;
             Array.prototype.last = function () { return this[this.length - 1] };
             const p = new P(); const u = new URL('https://a.b/c?d=1'); function* g() { yield 1; yield 2 } const it = g(); it.next();
             const bound = f.bind(null, 41); globalThis.kept = 'kept'; let timers = 0; setTimeout(() => { timers++ }, 1); 'made'",
        ));
        let seen = on(
            &mut server,
            &heap,
            "JSON.stringify([a, b, c, p.x, P.s, f(2), counter(), [...map.keys()].map(String), map.get(1n).source, map.get('k').v,
              [...set].map(String), [...bytes], Object.is(floats[1], -0), String(big), date.getTime(), Symbol.keyFor(key), own.description,
              await settled, await failed.catch((e) => e.message), proto.inherited, Object.isFrozen(frozen), weak.get(b), cyclic.self === cyclic,
              [7, 8].last(), u.searchParams.get('d'), it.next().value, bound(), kept, timers])",
        );
        let expected = json!([
            1,
            [1, [2]],
            "c",
            5,
            "s",
            3,
            11,
            ["1", "k"],
            "x",
            1,
            ["1", "NaN"],
            [1, 2, 255],
            true,
            "1180591620717411303424",
            86_400_000,
            "shared",
            "own",
            "done",
            "no",
            1,
            true,
            "by b",
            true,
            8,
            "1",
            2,
            42,
            "kept",
            1
        ]);
        let result: Value = serde_json::from_str(seen["result"].as_str().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {seen}"));
        assert_eq!(result, expected);
        // Web globals work on a restored heap, and names can be declared again.
        let seen = on(
            &mut server,
            &heap_of(&seen),
            "let a = 'again'; class P {} console.log('said', new URL('/x', u).href);
             const waited = await new Promise((r) => setTimeout(() => r('waited'), 1));
             [a, new P().x, waited, crypto.randomUUID().length, new TextDecoder().decode(new TextEncoder().encode('é')),
              structuredClone(map).get('k').v, performance.now() >= 0, atob(btoa('q')), (await new Blob(['blob']).text())].join()",
        );
        assert_eq!(seen["result"], "again,,waited,36,é,1,true,q,blob");
        assert_eq!(seen["output"]["data"], "said https://a.b/x");
        server.finish();
    }
}

#[test]
fn the_same_code_on_the_same_heap_gives_the_same_heap_and_other_randomness() {
    let home = Home::new();
    let code = "const made = { list: [1, 2, 3], when: new Date(0), re: /a/u, u: new URL('http://x/') }; made.list.length";
    let (mut firsts, mut seconds, mut random) = (HashSet::new(), HashSet::new(), HashSet::new());
    for way in ["zygote", "exec", "zygote"] {
        let mut server = home.start_with(&["--worker-start", way]);
        let heap = heap_of(&server.run(code));
        let next = "made.list.push(4); console.log(made); made.list.length";
        let second = heap_of(&on(&mut server, &heap, next));
        for _ in 0..2 {
            let code = "String([Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint32Array(1))[0]])";
            let seen = on(&mut server, &heap, code);
            random.insert(seen["result"].to_string());
        }
        firsts.insert(heap);
        seconds.insert(second);
        server.finish();
    }
    assert_eq!((firsts.len(), seconds.len(), random.len()), (1, 1, 6));
    // Equal heaps are stored once.
    let stored = blobs(&home.path("heaps")).len();
    assert!(stored <= 2 + 6, "{stored}");
}

#[test]
fn a_heap_that_is_none_of_ours_is_refused_by_name_and_never_a_fresh_start() {
    let home = Home::new();
    let mut server = home.start();
    let heap = heap_of(&server.run("let n = 1; n"));
    let unknown = "0".repeat(64);
    for (arguments, words) in [
        (json!({"heap": unknown}), "no heap 0000"),
        (json!({"heap": heap[1..]}), "64 hexadecimal digits"),
        (
            json!({"heap": heap.to_uppercase()}),
            "64 hexadecimal digits",
        ),
        (json!({"heap": ""}), "heap"),
        (json!({"heap": "latest"}), "session"),
        (json!({"heap": "latest", "session": "nobody"}), "nobody"),
        (json!({"session": ""}), "session"),
    ] {
        let mut arguments = arguments;
        arguments["code"] = json!("typeof n");
        let text = server.refused("run_js", arguments.clone());
        assert!(text.contains(words), "{arguments}: {text}");
    }
    let listed = server.call("list_executions", json!({}));
    let count = listed["executions"].as_array().map(Vec::len);
    assert_eq!(
        count,
        Some(1),
        "what was refused was not accepted: {listed}"
    );
    server.finish();
}

#[test]
fn a_tampered_heap_is_refused_before_any_worker_sees_it() {
    let home = Home::new();
    let mut server = home.start();
    let heap = heap_of(&server.run("let n = 1; n"));
    let other = heap_of(&server.run("let n = 2; n"));
    server.finish();
    let file = |id: &str| {
        let all = blobs(&home.path("heaps"));
        let is_it = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == id);
        all.into_iter().find(is_it).expect("it is stored")
    };
    let good = fs::read(file(&heap)).expect("our own file");
    let ends = [0, 9, good.len() / 2, good.len() - 1];
    let flipped = ends.map(|at| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    });
    let cut = [0, 1, good.len() / 2, good.len() - 1].map(|length| good[..length].to_vec());
    let longer = [good.as_slice(), b"x"].concat();
    let swapped = fs::read(file(&other)).expect("our own file");
    for bad in flipped.into_iter().chain(cut).chain([longer, swapped]) {
        fs::write(file(&heap), &bad).expect("our own file");
        let mut server = home.start();
        let text = server.refused("run_js", json!({"code": "n", "heap": heap}));
        assert!(text.contains(&heap), "{text}");
        assert!(
            text.contains("damaged") || text.contains("cannot be loaded"),
            "{text}"
        );
        server.finish();
    }
    fs::write(file(&heap), &good).expect("our own file");
    let mut server = home.start();
    assert_eq!(on(&mut server, &heap, "n")["result"], "1");
    // A server with another key takes none of them.
    server.finish();
    let key = home.path("other.key");
    let key = key.to_str().expect("text");
    let mut server = home.start_with(&["--heap-key-file", key]);
    let text = server.refused("run_js", json!({"code": "n", "heap": heap}));
    assert!(text.contains(&heap), "{text}");
    server.finish();
}

#[test]
fn thirty_chains_go_on_at_once_and_none_sees_another() {
    let home = Home::new();
    let mut server = home.start_with(&["--max-concurrent-executions", "4"]);
    let mut heaps: Vec<Option<String>> = vec![None; CHAINS];
    for step in 0..4 {
        let calls: Vec<i64> = heaps
            .iter()
            .enumerate()
            .map(|(chain, heap)| {
                let code = match heap {
                    None => format!("const own = {chain}; let steps = 0; own + ':' + steps"),
                    Some(_) => "own + ':' + ++steps".to_owned(),
                };
                let mut arguments = json!({"code": code, "wait_ms": 50_000});
                if let Some(heap) = heap {
                    arguments["heap"] = json!(heap);
                }
                server.send_call("run_js", arguments)
            })
            .collect();
        for (chain, call) in calls.into_iter().enumerate() {
            let seen = server.called(call);
            assert_eq!(seen["result"], format!("{chain}:{step}"), "{seen}");
            heaps[chain] = Some(heap_of(&seen));
        }
    }
    server.finish();
    home.assert_empty();
}

#[test]
fn thirty_megabytes_of_state_come_back() {
    let home = Home::new();
    let mut server = home.start();
    let large = json!({"heap_memory_max_mb": 64, "execution_timeout_secs": 120});
    let seen = server.run_with(
        "const rows = []; for (let i = 0; i < 250_000; i++) rows.push({ i, half: i / 2, name: 'row ' + i }); rows.length",
        large.clone(),
    );
    assert_eq!(seen["result"], "250000", "{seen}");
    let heap = heap_of(&seen);
    let mut arguments = large;
    arguments["heap"] = json!(heap);
    let seen = server.run_with("rows[249_999].name + rows[3].half", arguments);
    assert_eq!(seen["result"], "row 2499991.5", "{seen}");
    // The same heap under the usual limit is too large, and says so.
    let seen = server.run_with("1", json!({"heap": heap}));
    assert_eq!(seen["status"], "failed", "{seen}");
    let error = seen["error"].as_str().unwrap_or_default();
    assert!(error.contains("The stored heap holds"), "{error}");
    assert!(error.contains("heap_memory_max_mb"), "{error}");
    server.finish();
}

#[test]
fn a_session_is_a_log_and_its_latest_heap_goes_on() {
    let count = std::env::var(SNAPSHOTS_VARIABLE)
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(SNAPSHOTS);
    let home = Home::new();
    let mut server = home.start();
    let first = server.run_with(
        "let n = 1; n",
        json!({"session": "walk", "tags": {"kind": "first"}}),
    );
    let first = heap_of(&first);
    for step in 2..=count {
        let seen = server.run_with("++n", json!({"session": "walk", "heap": "latest"}));
        assert_eq!(seen["result"], step.to_string(), "{seen}");
    }
    // A failed execution leaves no entry, and a session is a label: without a heap it starts fresh.
    let seen = server.run_with("throw 1", json!({"session": "walk", "heap": "latest"}));
    assert_eq!(seen["heap"], Value::Null, "{seen}");
    let seen = server.run_with("typeof n", json!({"session": "walk"}));
    assert_eq!(seen["result"], "undefined", "{seen}");
    server.finish();

    let mut server = home.start();
    assert_eq!(
        server.call("list_sessions", json!({}))["sessions"],
        json!(["walk"])
    );
    let mut entries = Vec::new();
    let mut from = json!(0);
    while !from.is_null() {
        let page = json!({"session": "walk", "fields": "index,input_heap,output_heap,code", "from_index": from});
        let page = server.call("list_session_snapshots", page);
        entries.extend(page["entries"].as_array().cloned().unwrap_or_default());
        from = page["next_index"].clone();
    }
    assert_eq!(entries.len() as u64, count + 1);
    assert_eq!(entries[0]["output_heap"], first);
    assert_eq!(entries[0]["code"], "let n = 1; n");
    for (index, pair) in entries.windows(2).enumerate() {
        assert_eq!(pair[0]["index"], index as u64);
        if (index as u64) < count - 1 {
            assert_eq!(pair[1]["input_heap"], pair[0]["output_heap"]);
        }
    }
    let tagged = server.call("query_heaps_by_tags", json!({"tags": {"kind": "first"}}));
    assert_eq!(tagged["results"][0]["heap"], first, "{tagged}");
    server.finish();
}

#[test]
fn a_store_that_fails_costs_the_heap_and_not_the_result() {
    let home = Home::new();
    let mut server = home.start();
    let heap = heap_of(&server.run("let n = 1; n"));
    // The directory goes: what a full or broken disk does, whoever runs the test.
    fs::rename(home.path("heaps"), home.path("away")).expect("a rename");
    fs::write(home.path("heaps"), "in the way").expect("our own file");
    let seen = server.run("6 * 7");
    assert_eq!(seen["status"], "completed", "{seen}");
    assert_eq!(seen["result"], "42");
    assert_eq!(seen["heap"], Value::Null);
    let why = seen["heap_error"].as_str().unwrap_or_default();
    assert!(why.contains("the result is not affected"), "{seen}");
    fs::remove_file(home.path("heaps")).expect("our own file");
    fs::rename(home.path("away"), home.path("heaps")).expect("a rename");
    let seen = on(&mut server, &heap, "n + 1");
    assert_eq!(seen["result"], "2");
    heap_of(&seen);
    server.finish();
}

/// Whenever a server is killed: what it has acknowledged is there, and what its database names is there.
#[test]
fn a_killed_server_loses_no_heap_that_it_has_told_of() {
    let home = Home::new();
    let mut told: Option<(String, String)> = None;
    for round in 0..KILLS {
        let mut server = home.start();
        if let Some((heap, result)) = &told {
            assert_eq!(&on(&mut server, heap, "String(n)")["result"], result);
            let page = json!({"session": "s", "fields": "output_heap", "from_index": 0});
            let entries = server.call("list_session_snapshots", page);
            let entries = entries["entries"].as_array().cloned().unwrap_or_default();
            for entry in entries.iter().rev().take(3) {
                on(
                    &mut server,
                    entry["output_heap"].as_str().unwrap_or_default(),
                    "n",
                );
            }
        }
        let heap = told.as_ref().map(|(heap, _)| heap.clone());
        let mut arguments = json!({"session": "s", "code": "let n = 0; n", "wait_ms": 50_000});
        if let Some(heap) = heap {
            arguments["heap"] = json!(heap);
            arguments["code"] = json!("++n");
        }
        for _ in 0..2 {
            let call = server.send_call("run_js", arguments.clone());
            let seen = server.called(call);
            let heap = heap_of(&seen);
            let result = seen["result"].as_str().unwrap_or_default().to_owned();
            arguments["code"] = json!("++n");
            arguments["heap"] = json!(heap);
            told = Some((heap, result));
        }
        // In the middle of the next: before, while and after its heap is saved, stored and written.
        server.send_call("run_js", arguments);
        thread::sleep(Duration::from_millis(u64::from(round) * 5));
        server.signal(Signal::SIGKILL);
        server.wait_exit(Duration::from_secs(10));
    }
    let mut server = home.start();
    let (heap, result) = told.expect("something was told");
    assert_eq!(on(&mut server, &heap, "String(n)")["result"], result);
    server.finish();
}

#[test]
fn two_servers_share_heaps_and_sessions() {
    let home = Home::new();
    let (mut one, mut other) = (home.start(), home.start());
    let heap = heap_of(&one.run_with("let n = 1; n", json!({"session": "both"})));
    assert_eq!(on(&mut other, &heap, "++n")["result"], "2");
    let seen = other.run_with("n += 10", json!({"session": "both", "heap": "latest"}));
    assert_eq!(seen["result"], "11", "{seen}");
    let seen = one.run_with("n", json!({"session": "both", "heap": "latest"}));
    assert_eq!(seen["result"], "11", "{seen}");
    let id = id_of(&seen);
    assert_eq!(other.get(&id)["heap"], seen["heap"]);
    one.finish();
    other.finish();
    home.assert_empty();
}

#[test]
fn a_stateless_server_keeps_no_heap_and_says_so() {
    let home = Home::new();
    let mut server = Server::spawn(home.stateless_server("mcp-v8-worker"));
    server.initialize();
    let seen = server.run("typeof WebAssembly + 1");
    assert_eq!(
        (&seen["result"], &seen["heap"]),
        (&json!("object1"), &Value::Null)
    );
    let tools = server.ask("tools/list", json!({}));
    assert!(!tools.to_string().contains("list_sessions"), "{tools}");
    server.finish();
    assert!(blobs(&home.path("heaps")).is_empty());
}
