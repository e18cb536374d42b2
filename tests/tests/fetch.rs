//! Requests of scripts, from the script to a server of the web and back.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use e2e::home::Home;
use e2e::processes;
use e2e::search::files_with;
use e2e::server::{PATIENCE, Server};
use e2e::web::{TEXT, Web};
use serde_json::{Value, json};

/// Allows this machine by its address, but for one method, and nothing else.
const POLICY: &str = r#"package mcp.fetch

default allow := false

allow if {
    input.url_parsed.host == "127.0.0.1"
    input.method != "DELETE"
}
"#;

/// What a server must have that is to make requests, to this machine too.
const FETCH: &[&str] = &["--policy-dir", "policies", "--fetch-allow-private"];

/// The part of the memory that a server may take for whatever passes through it, in bytes.
const ROOM_BYTES: u64 = 64 << 20;

fn write_policy(home: &Home) {
    let directory = home.path("policies");
    fs::create_dir(&directory).expect("a directory in our own");
    fs::write(directory.join("fetch.rego"), POLICY).expect("a file in our own directory");
}

/// A server that keeps nothing, and makes the requests that [`POLICY`] allows.
fn serve(home: &Home, arguments: &[&str]) -> Server {
    write_policy(home);
    let mut command = home.stateless_server("mcp-v8-worker");
    command.args(arguments);
    let mut server = Server::spawn(command);
    server.initialize();
    server
}

/// The result of a script that completes.
fn result_of(server: &mut Server, code: &str) -> String {
    let seen = server.run(code);
    assert_eq!(seen["status"], "completed", "{code}: {seen}");
    seen["result"].as_str().unwrap_or_default().to_owned()
}

/// The error that a promise of a script rejects with.
fn error_of(server: &mut Server, promise: &str) -> String {
    let code =
        format!("await {promise}.then(() => 'no error', (e) => `${{e.name}}: ${{e.message}}`)");
    result_of(server, &code)
}

#[test]
fn without_a_policy_there_is_no_fetch() {
    let home = Home::new();
    let mut server = home.start();
    let names = "[typeof fetch, typeof Request, typeof Headers, typeof Response].join()";
    let none = "undefined,undefined,undefined,undefined";
    assert_eq!(result_of(&mut server, names), none);
    server.finish();
}

#[test]
fn text_objects_and_bytes_come_as_they_are() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let text = format!("await (await fetch('{}')).text()", web.url("/text"));
    assert_eq!(result_of(&mut server, &text), TEXT);
    let json = format!(
        "const r = await fetch(new URL('{}')); const j = await r.json();
         [r.status, r.ok, r.headers.get('Content-Type'), j.answer, j.list[1]].join()",
        web.url("/json")
    );
    assert_eq!(
        result_of(&mut server, &json),
        "200,true,application/json,42,"
    );
    let bytes = format!(
        "const b = await (await fetch('{}')).bytes();
         [b.length, b.every((byte, i) => byte === i % 256)].join()",
        web.url("/bytes")
    );
    assert_eq!(result_of(&mut server, &bytes), "1024,true");
    let missing = format!(
        "const r = await fetch('{}');
         [r.status, r.ok, r.statusText, r.redirected].join()",
        web.url("/missing")
    );
    assert_eq!(
        result_of(&mut server, &missing),
        "404,false,Not Found,false"
    );
    server.finish();
}

#[test]
fn a_response_of_100_mb_passes_through_a_heap_of_8_mb() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    assert_eq!(result_of(&mut server, "1"), "1");
    let before = server.usage().resident_bytes;
    let code = format!(
        "let length = 0;
         const response = await fetch('{}');
         for await (const piece of response.body) {{
             if (piece.some((byte) => byte !== 120)) throw new Error('damaged');
             length += piece.length;
         }}
         length",
        web.url("/stream/100")
    );
    let seen = server.run_with(
        &code,
        json!({"heap_memory_max_mb": 8, "execution_timeout_secs": 120}),
    );
    assert_eq!(seen["result"], (100_u64 << 20).to_string(), "{seen}");
    let grown = server.usage().resident_bytes.saturating_sub(before);
    assert!(grown < ROOM_BYTES, "it keeps {grown} bytes of a stream");
    server.finish();
}

#[test]
fn a_request_of_100_mb_leaves_a_heap_of_8_mb() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let code = format!(
        "let left = 1600;
         const body = new ReadableStream({{
             pull(controller) {{
                 if (left-- === 0) controller.close();
                 else controller.enqueue(new Uint8Array(65536));
             }},
         }});
         await (await fetch('{}', {{method: 'POST', body, duplex: 'half'}})).text()",
        web.url("/count")
    );
    let seen = server.run_with(
        &code,
        json!({"heap_memory_max_mb": 8, "execution_timeout_secs": 120}),
    );
    assert_eq!(seen["result"], (1600_u64 << 16).to_string(), "{seen}");
    server.finish();
}

#[test]
fn a_body_that_nobody_reads_waits_and_one_beside_it_comes() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let before = server.usage().resident_bytes;
    let code = format!(
        "const unread = await fetch('{}');
         const text = await (await fetch('{}')).text();
         await unread.body.cancel();
         text",
        web.url("/stream/500"),
        web.url("/text")
    );
    assert_eq!(result_of(&mut server, &code), TEXT);
    let grown = server.usage().resident_bytes.saturating_sub(before);
    assert!(
        grown < ROOM_BYTES,
        "it keeps {grown} bytes that nobody reads"
    );
    server.finish();
}

#[test]
fn output_and_bodies_pass_each_other() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let code = format!(
        "let length = 0;
         const line = 'y'.repeat(65535);
         for await (const piece of (await fetch('{}')).body) {{
             length += piece.length;
             console.log(line);
         }}
         length",
        web.url("/stream/10")
    );
    let seen = server.run(&code);
    assert_eq!(seen["result"], (10_u64 << 20).to_string(), "{seen}");
    assert!(seen["output_bytes"].as_u64() >= Some(10 << 20), "{seen}");
    server.finish();
}

#[test]
fn bodies_of_each_kind_are_sent_as_they_are() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let echo = web.url("/echo");
    for (body, expected) in [
        ("'gr\u{fc}\u{df}e'", "gr\u{fc}\u{df}e"),
        ("JSON.stringify({a: 1})", "{\"a\":1}"),
        ("new TextEncoder().encode('bytes')", "bytes"),
        ("new Blob(['a', 'b'])", "ab"),
        ("new URLSearchParams({q: 'a b'})", "q=a+b"),
    ] {
        let code = format!(
            "const r = await fetch('{echo}', {{method: 'PUT', body: {body}}});
             r.headers.get('x-method') + ' ' + await r.text()"
        );
        assert_eq!(
            result_of(&mut server, &code),
            format!("PUT {expected}"),
            "{body}"
        );
    }
    let binary = format!(
        "const sent = Uint8Array.from({{length: 3000}}, (_, i) => i);
         const r = await fetch(new Request('{echo}', {{method: 'POST', body: sent}}));
         const came = await r.bytes();
         [came.length, came.every((byte, i) => byte === sent[i])].join()"
    );
    assert_eq!(result_of(&mut server, &binary), "3000,true");
    let form = format!(
        "const form = new FormData();
         form.append('name', 'value');
         form.append('file', new Blob(['content']), 'f.txt');
         const r = await fetch('{echo}', {{method: 'POST', body: form}});
         const text = await r.text();
         ['name=\"name\"', 'value', 'filename=\"f.txt\"', 'content'].every((w) => text.includes(w))"
    );
    assert_eq!(result_of(&mut server, &form), "true");
    let types: Vec<String> = web
        .seen()
        .iter()
        .map(|asked| asked.header("content-type").concat())
        .collect();
    assert_eq!(types[0], "text/plain;charset=UTF-8");
    assert_eq!(types[4], "application/x-www-form-urlencoded;charset=UTF-8");
    assert!(
        types[6].starts_with("multipart/form-data; boundary="),
        "{types:?}"
    );
    server.finish();
}

#[test]
fn redirects_are_followed_shown_or_refused_as_asked() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let from = web.url("/redirect/302/text");
    let followed = format!(
        "const r = await fetch('{from}'); [r.status, r.redirected, r.url, await r.text()].join()"
    );
    let expected = format!("200,true,{},{TEXT}", web.url("/text"));
    assert_eq!(result_of(&mut server, &followed), expected);
    let manual = format!("const r = await fetch('{from}', {{redirect: 'manual'}}); r.ok");
    assert_eq!(result_of(&mut server, &manual), "false");
    let error = error_of(
        &mut server,
        &format!("fetch('{from}', {{redirect: 'error'}})"),
    );
    assert!(error.starts_with("TypeError: "), "{error}");
    for (status, method, body) in [("307", "POST", "kept"), ("303", "GET", "")] {
        let from = web.url(&format!("/redirect/{status}/echo"));
        let code = format!(
            "const r = await fetch('{from}', {{method: 'POST', body: 'kept'}});
             r.headers.get('x-method') + ' ' + await r.text()"
        );
        assert_eq!(result_of(&mut server, &code), format!("{method} {body}"));
    }
    // More than goes at once: it is sent again from its beginning.
    let from = web.url("/redirect/308/count");
    let code = format!(
        "const r = await fetch('{from}', {{method: 'POST', body: new Blob([new Uint8Array(3e6)])}});
         [r.redirected, await r.text()].join()"
    );
    assert_eq!(result_of(&mut server, &code), "true,3000000");
    server.finish();
}

#[test]
fn what_the_policy_denies_names_rule_host_and_method() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let elsewhere = format!("http://localhost:{}/text", web.port());
    let hop = web.url("/away/302/localhost/text");
    let here = web.url("/text");
    for (promise, words) in [
        (format!("fetch('{elsewhere}')"), ["GET", "localhost"]),
        (
            "fetch('https://example.test/', {method: 'POST'})".to_owned(),
            ["POST", "example.test"],
        ),
        (
            format!("fetch('{here}', {{method: 'DELETE'}})"),
            ["DELETE", "127.0.0.1"],
        ),
        // Each hop is asked for.
        (format!("fetch('{hop}')"), ["GET", "localhost"]),
    ] {
        let error = error_of(&mut server, &promise);
        assert!(error.starts_with("TypeError: "), "{promise}: {error}");
        for word in words.into_iter().chain(["data.mcp.fetch.allow"]) {
            assert!(error.contains(word), "{promise}: no {word} in: {error}");
        }
    }
    let paths: Vec<String> = web.seen().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/away/302/localhost/text"], "nobody else was asked");
    server.finish();
}

#[test]
fn private_addresses_are_refused_unless_they_are_allowed() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, &["--policy-dir", "policies"]);
    let error = error_of(&mut server, &format!("fetch('{}')", web.url("/text")));
    assert!(error.starts_with("TypeError: "), "{error}");
    assert!(web.seen().is_empty(), "nobody was asked");
    server.finish();
}

#[test]
fn an_aborted_request_rejects_and_the_next_goes_well() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let never = web.url("/never");
    let early = format!("fetch('{never}', {{signal: AbortSignal.abort()}})");
    let error = error_of(&mut server, &early);
    assert!(error.starts_with("AbortError"), "{error}");
    assert!(web.seen().is_empty(), "nobody was asked");
    let late = format!("fetch('{never}', {{signal: AbortSignal.timeout(100)}})");
    let error = error_of(&mut server, &late);
    assert!(error.starts_with("TimeoutError"), "{error}");
    let is_gone = processes::within(PATIENCE, || web.abandoned() == 1);
    assert!(is_gone, "the connection was not closed");
    let midway = format!(
        "const controller = new AbortController();
         const response = await fetch('{}', {{signal: controller.signal}});
         const reader = response.body.getReader();
         await reader.read();
         controller.abort(new Error('enough'));
         let why = 'none';
         try {{ while (!(await reader.read()).done); }} catch (e) {{ why = e.message; }}
         why + ', then ' + (await (await fetch('{}')).text()).trim()",
        web.url("/stream/100"),
        web.url("/text")
    );
    let expected = format!("enough, then {}", TEXT.trim());
    assert_eq!(result_of(&mut server, &midway), expected);
    server.finish();
}

#[test]
fn requests_end_with_their_script() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let never = format!("await fetch('{}')", web.url("/never"));
    let id = server.submit(&never);
    assert!(processes::within(PATIENCE, || web.seen().len() == 1));
    server.call("cancel_execution", json!({"execution_id": id}));
    assert_eq!(server.get(&id)["status"], "cancelled");
    assert!(
        processes::within(PATIENCE, || web.abandoned() == 1),
        "cancelled"
    );
    let seen = server.run_with(&never, json!({"execution_timeout_secs": 1}));
    assert_eq!(seen["status"], "timed_out", "{seen}");
    assert!(
        processes::within(PATIENCE, || web.abandoned() == 2),
        "timed out"
    );
    let thrown = format!(
        "fetch('{}'); setTimeout(() => {{ throw new Error('x') }}, 300)",
        web.url("/never")
    );
    let seen = server.run(&thrown);
    assert_eq!(seen["status"], "failed", "{seen}");
    let is_asked = web.seen().len() == 3;
    let is_gone = processes::within(PATIENCE, || web.abandoned() == web.seen().len());
    assert!(is_asked && is_gone, "failed: {}", web.seen().len());
    server.finish();
}

#[test]
fn many_requests_at_once_all_come() {
    let (home, web) = (Home::new(), Web::start());
    let mut server = serve(&home, FETCH);
    let code = format!(
        "const texts = await Promise.all(Array.from({{length: 200}}, async (_, i) => {{
             const r = await fetch('{}', {{method: 'POST', body: String(i)}});
             return await r.text();
         }}));
         texts.every((text, i) => text === String(i))",
        web.url("/echo")
    );
    assert_eq!(result_of(&mut server, &code), "true");
    assert_eq!(web.seen().len(), 200);
    server.finish();
}

#[test]
fn an_injected_header_is_seen_by_the_server_and_nowhere_else() {
    let (home, web) = (Home::new(), Web::start());
    write_policy(&home);
    let canary = format!("canary-{}-in-the-mine", std::process::id());
    let mut command = home.server("mcp-v8-worker");
    command.args(FETCH).env("CANARY", &canary).args([
        "--fetch-header",
        "host=127.0.0.1,header=X-Key,value=${CANARY}",
    ]);
    let mut server = Server::spawn(command);
    server.initialize();
    let mut told = Vec::new();
    let code = format!(
        "const r = await fetch('{}', {{method: 'POST', body: 'x'}});
         globalThis.kept = [...r.headers].join() + await r.text() + r.url;
         console.log(r, kept);
         kept",
        web.url("/echo")
    );
    let first = server.run(&code);
    assert_eq!(first["status"], "completed", "{first}");
    let heap = first["heap"].as_str().expect("it is kept").to_owned();
    told.push(first);
    // From that heap on, with errors too.
    let errors = format!(
        "const name = Object.getOwnPropertyNames(globalThis).join();
         const refused = await fetch('{}', {{redirect: 'error'}}).catch(String);
         const denied = await fetch('{}', {{method: 'DELETE'}}).catch(String);
         [kept, name, refused, denied].join()",
        web.url("/redirect/302/text"),
        web.url("/text")
    );
    let second = server.run_with(&errors, json!({"heap": heap}));
    assert_eq!(second["status"], "completed", "{second}");
    told.push(second);
    // The script's own header wins.
    let own = format!(
        "(await fetch('{}', {{headers: {{'x-key': 'mine'}}}})).status",
        web.url("/text")
    );
    told.push(server.run(&own));
    let keys: Vec<String> = web
        .seen()
        .iter()
        .map(|asked| asked.header("x-key").concat())
        .collect();
    assert_eq!(keys, [canary.as_str(), &canary, "mine"]);
    for seen in &told {
        assert!(!seen.to_string().contains(&canary), "{seen}");
    }
    let heap = told[1]["heap"].as_str().expect("it is kept").to_owned();
    let halves = canary.split_at(canary.len() / 2);
    let search = format!(
        "JSON.stringify(Object.values(globalThis).map(String)).includes('{}' + '{}')",
        halves.0, halves.1
    );
    let found = server.run_with(&search, json!({"heap": heap}));
    assert_eq!(found["result"], "false", "{found}");
    assert!(!server.log().contains(&canary), "it is in the log");
    assert_eq!(files_with(&home.path(""), &canary), Vec::<PathBuf>::new());
    server.finish();
}

#[test]
fn requests_that_cannot_be_made_say_why() {
    let home = Home::new();
    let mut server = serve(&home, FETCH);
    for promise in [
        "fetch('http://127.0.0.1:1/')",
        "fetch('ftp://127.0.0.1/')",
        "fetch('http://127.0.0.1:1/', {headers: {'x': 'a\\r\\nb: c'}})",
        "fetch('http://127.0.0.1:1/', {method: 'TRACE'})",
        "fetch('http://127.0.0.1:1/?' + 'x'.repeat(100000))",
    ] {
        let asked = promise.replace("fetch(", "(async (...all) => await fetch(...all))(");
        let error = error_of(&mut server, &asked);
        assert!(error.starts_with("TypeError: "), "{promise}: {error}");
        assert!(error.len() > "TypeError: ".len(), "{promise}: {error}");
    }
    let begin = std::time::Instant::now();
    assert_eq!(server.run("'next'")["result"], Value::from("next"));
    assert!(begin.elapsed() < Duration::from_secs(10));
    server.finish();
}
