//! `fetch` and what it says to a supervisor that keeps to the protocol.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::RefCell;
use std::rc::Rc;

use mcp_v8_protocol::fetch::{Header, Redirect, Request, RequestBody, Response};
use mcp_v8_worker::runtime::Realm;

mod support {
    pub(crate) mod net;
}
use support::net::{Answer, Net, head, run, run_in, text};

/// What a script comes to whose every request is answered with `hello`.
fn hello(source: &str) -> String {
    run(source, |request, _| text(request, "hello")).value
}

/// The requests that a script makes; each is answered with nothing.
fn requests(source: &str) -> Vec<Request> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let ran = run(source, move |request, _| {
        noted.borrow_mut().push(request.clone());
        text(request, "")
    });
    assert!(!ran.value.contains("Error"), "{}", ran.value);
    seen.take()
}

fn lines(request: &Request) -> String {
    let lines = request.headers.iter();
    let lines = lines.map(|it| format!("{}: {}", it.name, it.value.escape_ascii()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_response_is_read() {
    let value = hello(
        "const r = await fetch('http://a.test/x#y');
         const seen = [r.status, r.ok, r.statusText, r.type, r.url, r.redirected, r.bodyUsed, r.headers.get('content-type')];
         seen.push(await r.text(), r.bodyUsed);
         seen.join()",
    );
    assert_eq!(
        value,
        "200,true,Fine,basic,http://a.test/x,false,false,text/plain,hello,true"
    );
}

#[test]
fn a_request_is_said_once_with_what_belongs_to_it() {
    let seen = requests(
        "await fetch(new URL('http://a.test/?q=ü#part'), {
           method: 'put', headers: [['X-One', ' 1 '], ['x-one', '2'], ['Accept', 'text/html']],
           body: 'é', redirect: 'manual' });
         await fetch('https://b.test'); 0",
    );
    let [first, second] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(first.method, "PUT");
    assert_eq!(first.url, "http://a.test/?q=%C3%BC");
    assert_eq!(
        lines(first),
        "X-One: 1\nx-one: 2\nAccept: text/html\ncontent-type: text/plain;charset=UTF-8"
    );
    assert_eq!(first.redirect, Redirect::Manual);
    assert_eq!(first.body, RequestBody::Whole("é".as_bytes().to_vec()));
    assert_eq!(
        (second.method.as_str(), second.url.as_str()),
        ("GET", "https://b.test/")
    );
    assert_eq!(lines(second), "");
    assert_eq!(second.redirect, Redirect::Follow);
    assert_eq!(second.body, RequestBody::None);
}

#[test]
fn what_belongs_to_the_connection_is_not_a_scripts_to_say() {
    let seen = requests(
        "const names = ['Host', 'Connection', 'Content-Length', 'Transfer-Encoding', 'TE', 'Trailer', 'Upgrade',
           'Via', 'Expect', 'Keep-Alive', 'Proxy-Authorization', 'Sec-Fetch-Mode', 'Accept-Encoding', 'Set-Cookie'];
         const headers = new Headers(names.map((name) => [name, 'x']));
         headers.append('X-HTTP-Method-Override', 'get, TRACE');
         headers.append('Cookie', 'a=b');
         await fetch('http://a.test/', { headers });
         const request = new Request('http://a.test/');
         for (const name of names) { request.headers.append(name, 'x'); request.headers.set(name, 'x') }
         await fetch(request); 0",
    );
    assert_eq!(lines(&seen[0]), "cookie: a=b");
    assert_eq!(lines(&seen[1]), "");
}

#[test]
fn line_ends_do_not_get_into_headers_methods_or_urls() {
    let seen = requests(
        r#"let refused = 0;
        const bad = ['a\r\nX: y', 'a\nb', 'a\rb', 'a\0b'];
        for (const value of bad) {
          for (const make of [
            () => new Headers({ x: value }), () => new Headers([[value, 'x']]),
            () => new Headers().append('x', value), () => new Headers().set(value, 'x'),
            () => fetch('http://a.test/', { headers: { x: value } }),
            () => fetch('http://a.test/', { method: value }),
          ]) {
            try { await make() } catch (error) { if (error instanceof TypeError) refused++ }
          }
        }
        // URLs lose them when they are parsed; around values they are whitespace.
        await fetch('http://a.test/\r\nX: y', { headers: { x: '\r\n1\r\n' } });
        if (refused !== 24) throw new Error(refused)"#,
    );
    let [request] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(request.url, "http://a.test/X:%20y");
    assert_eq!(lines(request), "x: 1");
}

#[test]
fn headers_of_a_response_are_bytes_each_line_of_its_own_and_immutable() {
    let ran = run(
        "const { headers } = await fetch('http://a.test/');
         let error; try { headers.set('a', 'b') } catch (e) { error = e.name }
         JSON.stringify([[...headers], headers.getSetCookie(), error])",
        |request, _| {
            let line = |name: &str, value: &[u8]| Header {
                name: name.to_owned(),
                value: value.to_vec(),
            };
            let headers = vec![
                line("X-B", b"2"),
                line("Set-Cookie", b"a=1"),
                line("set-cookie", b"b=2"),
                line("x-b", b"\xe9\xff"),
                line("A", b""),
            ];
            let head = Response {
                headers,
                ..head(200, &request.url)
            };
            Answer::Response(head, [].into())
        },
    );
    assert_eq!(
        ran.value,
        r#"[[["a",""],["set-cookie","a=1"],["set-cookie","b=2"],["x-b","2, éÿ"]],["a=1","b=2"],"TypeError"]"#
    );
}

#[test]
fn nothing_of_a_body_is_asked_for_before_it_is_read() {
    let ran = run(
        "const r = await fetch('http://a.test/');
         const reader = r.body.getReader();
         await new Promise((go) => setTimeout(go, 5));
         const first = await reader.read();
         await new Promise((go) => setTimeout(go, 5));
         console.log('read');
         [first.value.length, (await reader.read()).value.length, (await reader.read()).done].join()",
        |request, _| {
            Answer::Response(head(200, &request.url), [vec![1; 3], vec![2; 4]].into())
        },
    );
    assert_eq!(ran.value, "3,4,true");
    assert_eq!(
        ran.log,
        ["0 open GET http://a.test/", "0 pull", "0 pull", "0 pull"]
    );
}

#[test]
fn a_body_that_nobody_reads_keeps_nothing_alive() {
    let ran = run(
        "const r = await fetch('http://a.test/'); r.body; 'done'",
        |request, _| text(request, "never read"),
    );
    assert_eq!(ran.value, "done");
    assert_eq!(ran.log, ["0 open GET http://a.test/"]);
}

#[test]
fn a_response_without_a_body_has_none() {
    let ran = run(
        "const all = [];
         for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304]]) {
           const r = await fetch('http://a.test/' + status, { method, redirect: 'manual' });
           all.push(r.body, r.bodyUsed, await r.text());
         }
         JSON.stringify(all)",
        |request, _| {
            let status = request.url.rsplit('/').next().unwrap().parse().unwrap();
            Answer::Response(head(status, &request.url), [].into())
        },
    );
    assert_eq!(ran.value, r#"[null,false,"",null,false,"",null,false,""]"#);
}

#[test]
fn binary_comes_and_goes_intact() {
    let ran = run(
        "const all = Uint8Array.from({ length: 256 }, (_, i) => i);
         const r = await fetch('http://a.test/', { method: 'POST', body: all });
         const got = await r.bytes();
         const again = await fetch('http://a.test/', { method: 'POST', body: new DataView(got.buffer, 128) });
         const other = new Uint8Array(await (await again.blob()).arrayBuffer());
         [got.length, got.every((v, i) => v === i), other.length, other.every((v, i) => v === i + 128)].join()",
        |request, body| {
            Answer::Response(head(200, &request.url), [body.to_vec()].into())
        },
    );
    assert_eq!(ran.value, "256,true,128,true");
}

#[test]
fn each_kind_of_body_is_sent_with_its_type() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let ran = run(
        "const post = (body, more) => fetch('http://a.test/', { method: 'POST', body, ...more });
         await post('é'); await post(new URLSearchParams({ a: '1 2', b: 'ü' }));
         await post(new Blob(['blob'], { type: 'text/x' })); await post(new Blob(['untyped']));
         await post(new Uint8Array([97, 98]).subarray(1)); await post(new Uint8Array([99]).buffer);
         await post('', {}); await post('typed', { headers: { 'Content-Type': 'text/y' } });
         await post(ReadableStream.from([new Uint8Array([100]), new Uint8Array(0), new Uint8Array([101])]), { duplex: 'half' });
         'sent'",
        move |request, body| {
            let kind = request.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-type"));
            let kind = kind.map_or("-".into(), |it| String::from_utf8_lossy(&it.value).into_owned());
            let text = String::from_utf8_lossy(body).into_owned();
            noted.borrow_mut().push(format!("{kind} {text}"));
            text_answer(request)
        },
    );
    assert_eq!(ran.value, "sent");
    assert_eq!(
        seen.take(),
        [
            "text/plain;charset=UTF-8 é",
            "application/x-www-form-urlencoded;charset=UTF-8 a=1+2&b=%C3%BC",
            "text/x blob",
            "- untyped",
            "- b",
            "- c",
            "text/plain;charset=UTF-8 ",
            "text/y typed",
            "- de",
        ]
    );
}

fn text_answer(request: &Request) -> Answer {
    text(request, "ok")
}

#[test]
fn a_body_that_is_large_is_sent_as_it_is_asked_for() {
    let ran = run(
        "const r = await fetch('http://a.test/', { method: 'POST', body: new Uint8Array(200_000).fill(7) });
         await r.text()",
        |request, body| {
            let length = Some(200_000);
            assert_eq!(request.body, RequestBody::Stream { length });
            assert!(body.len() == 200_000 && body.iter().all(|byte| *byte == 7));
            text_answer(request)
        },
    );
    assert_eq!(ran.value, "ok");
    assert_eq!(
        ran.log,
        [
            "0 open POST http://a.test/",
            "0 send 65536",
            "0 send 65536",
            "0 send 65536",
            "0 send 3392",
            "0 send end",
            "0 pull",
            "0 pull"
        ]
    );
}

#[test]
fn a_stream_is_read_as_its_pieces_are_asked_for() {
    let ran = run(
        "let pulls = 0;
         const body = new ReadableStream({ pull(c) { pulls++; if (pulls > 3) c.close(); else c.enqueue(new Uint8Array(100_000)) } }, { highWaterMark: 0 });
         const r = await fetch('http://a.test/', { method: 'POST', body, duplex: 'half' });
         [pulls, body.locked, await r.text()].join()",
        |request, body| {
            assert_eq!(request.body, RequestBody::Stream { length: None });
            text(request, &body.len().to_string())
        },
    );
    assert_eq!(ran.value, "4,true,300000");
    let sent = ran.log.iter().filter(|line| line.contains("send ")).count();
    assert_eq!(sent, 7, "{:?}", ran.log);
}

#[test]
fn a_stream_that_fails_or_gives_no_bytes_fails_the_request() {
    let source = "const seen = [];
        const bodies = [
          new ReadableStream({ pull() { throw new Error('mine') } }),
          ReadableStream.from(['text']),
        ];
        for (const body of bodies) {
          try { await fetch('http://a.test/', { method: 'POST', body, duplex: 'half' }) }
          catch (e) { seen.push(e.name, e.message, e.cause?.message) }
        }
        seen.join()";
    let ran = run(source, |_, _| panic!("it has no whole body"));
    assert_eq!(
        ran.value,
        "TypeError,The body of the request failed,mine,TypeError,The body of the request failed,\
         A stream that is the body of a request gives Uint8Array"
    );
    assert_eq!(
        ran.log.iter().filter(|line| line.contains("abort")).count(),
        2
    );
}

#[test]
fn a_failure_is_a_type_error_with_the_supervisors_words() {
    let ran = run(
        "try { await fetch('http://a.test/') } catch (e) { `${e instanceof TypeError} ${e.message}` }",
        |_, _| Answer::Failed("policy: denied by rule mcp.fetch.allow: GET a.test"),
    );
    assert_eq!(
        ran.value,
        "true policy: denied by rule mcp.fetch.allow: GET a.test"
    );
    let ran = run(
        "const r = await fetch('http://a.test/');
         const reader = r.body.getReader(); const first = await reader.read();
         try { await reader.read() } catch (e) { `${first.value.length} ${e.name} ${e.message}` }",
        |request, _| Answer::Broken(head(200, &request.url), [vec![0; 5]].into(), "reset"),
    );
    assert_eq!(ran.value, "5 TypeError reset");
    let ran = run(
        "const r = await fetch('http://a.test/'); try { await r.text() } catch (e) { `${e.name} ${e.message}` }",
        |request, _| Answer::Broken(head(200, &request.url), [vec![0; 5]].into(), "reset"),
    );
    assert_eq!(ran.value, "TypeError reset");
}

#[test]
fn an_uncaught_failure_names_the_line_of_the_script() {
    let ran = run("1;\nawait fetch('http://a.test/')", |_, _| {
        Answer::Failed("no route")
    });
    assert!(
        ran.value.starts_with("Exception: TypeError: no route"),
        "{}",
        ran.value
    );
    assert!(!ran.value.contains("ext:"), "{}", ran.value);
}

#[test]
fn a_signal_ends_a_request_at_each_stage() {
    let ran = run(
        "const seen = [], c = () => new AbortController();
         const failed = async (promise) => { try { await promise; seen.push('no') } catch (e) { seen.push(e?.name ?? e) } };
         const before = c(); before.abort('early');
         await failed(fetch('http://a.test/before', { signal: before.signal }));
         const during = c(); setTimeout(() => during.abort(), 1);
         await failed(fetch('http://a.test/silent', { signal: during.signal }));
         await failed(fetch('http://a.test/silent', { signal: AbortSignal.timeout(2) }));
         const reading = c(); const r = await fetch('http://a.test/', { signal: reading.signal });
         const reader = r.body.getReader(); await reader.read(); const next = reader.read(); reading.abort('reason');
         await failed(next); await failed(reader.closed);
         const unread = c(); const u = await fetch('http://a.test/', { signal: unread.signal }); unread.abort();
         await failed(u.text());
         const late = c(); const l = await fetch('http://a.test/', { signal: late.signal }); await l.text(); late.abort();
         const request = new Request('http://a.test/silent', { signal: AbortSignal.any([AbortSignal.timeout(1)]) });
         await failed(fetch(request)); seen.push(request.signal.aborted);
         seen.join()",
        |request, _| if request.url.ends_with("silent") { Answer::Silence } else {
            Answer::Response(head(200, &request.url), [vec![1], vec![2], vec![3]].into())
        },
    );
    assert_eq!(
        ran.value,
        "early,AbortError,TimeoutError,reason,reason,AbortError,TimeoutError,true"
    );
    let aborts = ran.log.iter().filter(|line| line.ends_with("abort"));
    assert_eq!(
        aborts.collect::<Vec<_>>(),
        ["0 abort", "1 abort", "2 abort", "3 abort", "5 abort"]
    );
}

#[test]
fn a_request_that_waits_for_room_lets_its_stream_go() {
    let ran = run(
        "const control = new AbortController(), all = new AbortController(), seen = [];
         for (let i = 0; i < 100; i++) fetch('http://a.test/', { signal: all.signal }).catch(() => {});
         const body = new ReadableStream({ cancel: (why) => void seen.push(why) });
         const waiting = fetch('http://b.test/', { method: 'POST', body, duplex: 'half', signal: control.signal });
         setTimeout(() => control.abort('mine'), 1);
         try { await waiting } catch (e) { seen.push(e) }
         all.abort(); seen.join()",
        |_, _| Answer::Silence,
    );
    assert_eq!(ran.value, "mine,mine");
}

#[test]
fn cancelling_a_body_aborts_its_exchange() {
    let ran = run(
        "const one = await fetch('http://a.test/'); await one.body.cancel();
         const two = await fetch('http://a.test/'); for await (const piece of two.body) break;
         const three = await fetch('http://a.test/'); await three.text(); 'ok'",
        |request, _| text(request, "x"),
    );
    assert_eq!(ran.value, "ok");
    let aborts: Vec<_> = ran
        .log
        .iter()
        .filter(|line| line.ends_with("abort"))
        .collect();
    assert_eq!(aborts, ["0 abort", "1 abort"], "{:?}", ran.log);
}

#[test]
fn a_clone_has_the_same_body() {
    let value = hello(
        "const r = await fetch('http://a.test/'); const c = r.clone(), d = c.clone();
         const seen = [await r.text(), await c.text(), await d.text(), c.url, c.status, c.headers !== r.headers];
         try { r.clone() } catch (e) { seen.push(e.name) }
         const q = new Request('http://a.test/', { method: 'POST', body: 'sent' }), p = q.clone();
         seen.push(await q.text(), await p.text());
         seen.join()",
    );
    assert_eq!(
        value,
        "hello,hello,hello,http://a.test/,200,true,TypeError,sent,sent"
    );
}

#[test]
fn a_form_goes_and_comes_back() {
    let ran = run(
        r#"const form = new FormData();
         form.append('a "quoted"\nname', 'one\ntwo'); form.append('empty', '');
         form.append('file', new Blob([new Uint8Array([0, 13, 10, 45, 45, 255])], { type: 'x/y' }), 'f"ü.bin');
         form.append('plain', new Blob(['--']));
         const r = await fetch('http://a.test/', { method: 'POST', body: form });
         const got = await r.formData();
         const seen = [];
         for (const [name, value] of got) {
           seen.push(name, typeof value === 'string' ? value : [value.name, value.type, [...await value.bytes()].join(' ')].join('|'));
         }
         JSON.stringify(seen)"#,
        |request, body| {
            let mut head = head(200, &request.url);
            head.headers = request.headers.clone();
            Answer::Response(head, body.chunks(7).map(<[u8]>::to_vec).collect())
        },
    );
    assert_eq!(
        ran.value,
        r#"["a \"quoted\"\r\nname","one\r\ntwo","empty","","file","f\"ü.bin|x/y|0 13 10 45 45 255","plain","blob|application/octet-stream|45 45"]"#
    );
}

#[test]
fn a_hundred_megabytes_pass_through_a_heap_of_eight() {
    const PIECES: usize = 1600;
    let ran = run(
        "let bytes = 0, sum = 0;
         const r = await fetch('http://a.test/');
         for await (const piece of r.body) { bytes += piece.length; sum += piece[0] }
         [bytes, sum].join()",
        |request, _| {
            let piece = vec![1; 64 << 10];
            let pieces = std::iter::repeat_n(piece, PIECES);
            Answer::Response(head(200, &request.url), pieces.collect())
        },
    );
    assert_eq!(ran.value, format!("{},{PIECES}", PIECES << 16));
    assert_eq!(ran.log.len(), PIECES + 2);
}

#[test]
fn a_hundred_megabytes_are_piped_from_one_request_into_another() {
    const PIECES: usize = 1600;
    let ran = run(
        "const from = await fetch('http://a.test/');
         const r = await fetch('http://b.test/', { method: 'POST', body: from.body, duplex: 'half' });
         await r.text()",
        |request, body| {
            if request.method == "POST" {
                return text(request, &body.len().to_string());
            }
            let pieces = std::iter::repeat_n(vec![1; 64 << 10], PIECES);
            Answer::Response(head(200, &request.url), pieces.collect())
        },
    );
    assert_eq!(ran.value, (PIECES << 16).to_string());
}

#[test]
fn ten_thousand_requests_at_once_take_their_turns() {
    let source = "const all = Array.from({ length: 10_000 }, async (_, i) => {
           const r = await fetch('http://a.test/' + i); return r.text(); });
         let sum = 0; for (const text of await Promise.all(all)) sum += text.length; sum";
    let mut net = Net::new(|request, _| text(request, "four"));
    // Each that waits is some objects and promises.
    net.limits.heap_bytes = 48 << 20;
    let ran = run_in(&mut Realm::for_run(), source, net);
    assert_eq!(ran.value, "40000");
    assert_eq!(ran.log.len(), 30_000);
}

#[test]
fn ten_thousand_requests_one_after_the_other_leave_nothing_behind() {
    let ran = run(
        "let sum = 0; for (let i = 0; i < 10_000; i++) sum += (await (await fetch('http://a.test/' + i)).text()).length; sum",
        |request, _| text(request, "four"),
    );
    assert_eq!(ran.value, "40000");
}

#[test]
fn short_bodies_that_are_read_late_do_not_stand_in_the_way() {
    let ran = run(
        "const all = await Promise.all(Array.from({ length: 100 }, (_, i) => fetch('http://a.test/' + i)));
         (await Promise.all(all.map((r) => r.text()))).join('').length",
        |request, _| text(request, "four"),
    );
    assert_eq!(ran.value, "400");
}

#[test]
fn long_bodies_that_nobody_reads_refuse_further_requests_in_words() {
    let ran = run(
        "const all = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => fetch('http://a.test/' + i)));
         const failed = all.filter((r) => r.status === 'rejected');
         const lengths = await Promise.all(all.filter((r) => r.value).map(async (r) => (await r.value.bytes()).length));
         [failed.length, failed[0].reason.message.slice(0, 29), lengths.every((n) => n === 20_000 * 10)].join()",
        |request, _| {
            let pieces = std::iter::repeat_n(vec![1; 20_000], 10);
            Answer::Response(head(200, &request.url), pieces.collect())
        },
    );
    assert_eq!(ran.value, "8,Too many requests are open. E,true");
}

#[test]
fn what_is_too_large_is_refused_with_its_limit() {
    let value = hello(
        "const seen = [];
         for (const [url, init] of [
           ['http://a.test/' + 'x'.repeat(70_000), {}],
           ['http://a.test/', { headers: { x: 'y'.repeat(70_000) } }],
           ['http://a.test/', { headers: Array.from({ length: 300 }, (_, i) => ['h' + i, 'x']) }],
           ['http://a.test/', { method: 'M'.repeat(100) }],
         ]) try { await fetch(url, init) } catch (e) { seen.push(e.name + ' ' + e.message) }
         seen.join('\\n')",
    );
    assert_eq!(
        value,
        "TypeError The URL of the request has 70014 bytes, and at most 65536 are allowed\n\
         TypeError The list of headers of the request has 70001 bytes, and at most 65536 are allowed\n\
         TypeError The list of headers of the request has 300 lines, and at most 256 are allowed\n\
         TypeError The method of the request has 100 bytes, and at most 64 are allowed"
    );
}

#[test]
fn redirects_are_the_supervisors_and_the_flag_is_told() {
    let seen = requests(
        "for (const redirect of ['follow', 'manual', 'error']) await fetch('http://a.test/', { redirect });
         await fetch(new Request('http://a.test/', { redirect: 'error' })); 0",
    );
    let flags: Vec<_> = seen.iter().map(|request| request.redirect).collect();
    let expected = [
        Redirect::Follow,
        Redirect::Manual,
        Redirect::Error,
        Redirect::Error,
    ];
    assert_eq!(flags, expected);
    let ran = run(
        "const r = await fetch('http://a.test/', { redirect: 'manual' });
         const f = await fetch('http://a.test/');
         [r.status, r.type, r.headers.get('location'), r.redirected, f.redirected, f.url].join()",
        |request, _| {
            let mut head = head(302, "http://a.test/");
            head.headers[0].name = "Location".to_owned();
            if request.redirect == Redirect::Follow {
                head.status = 200;
                head.is_redirected = true;
                head.url = "http://b.test/end".to_owned();
            }
            Answer::Response(head, [].into())
        },
    );
    assert_eq!(
        ran.value,
        "302,basic,text/plain,false,true,http://b.test/end"
    );
}

#[test]
fn data_and_blob_urls_need_no_supervisor() {
    let ran = run(
        "const seen = [];
         for (const url of ['data:,a%20b', 'data:text/html;charset=utf-8;base64,w6k=', 'data:;x=y,z', 'data:nonsense,1', 'data:text/a; base64 ,eA==']) {
           const r = await fetch(url); seen.push(r.headers.get('content-type'), await r.text());
         }
         const url = URL.createObjectURL(new Blob(['blob'], { type: 'a/b' }));
         const r = await fetch(url); seen.push(r.headers.get('content-type'), await r.text());
         for (const bad of ['data:x', 'data:;base64,*', 'blob:null/none', 'file:///etc/passwd', 'ftp://a.test/', 'about:blank', 'javascript:1'])
           try { await fetch(bad); seen.push('no') } catch (e) { seen.push(e.name) }
         seen.join('|')",
        |_, _| panic!("nobody is asked"),
    );
    assert_eq!(
        ran.value,
        "text/plain;charset=US-ASCII|a b|text/html;charset=utf-8|é|text/plain;x=y|z|\
         text/plain;charset=US-ASCII|1|text/a|x|a/b|blob|TypeError|TypeError|TypeError|TypeError|TypeError|TypeError|TypeError"
    );
}

#[test]
fn timers_go_on_while_a_response_is_awaited() {
    let ran = run(
        "let ticks = 0; const timer = setInterval(() => { if (++ticks === 3) { clearInterval(timer); c.abort('enough') } }, 1);
         const c = new AbortController();
         try { await fetch('http://a.test/', { signal: c.signal }) } catch (e) { `${e} ${ticks}` }",
        |_, _| Answer::Silence,
    );
    assert_eq!(ran.value, "enough 3");
}

#[test]
fn what_a_script_does_to_the_language_does_not_reach_the_runtime() {
    let value = hello(
        "Array.prototype[Symbol.iterator] = () => { throw new Error('stolen') };
         Array.prototype.push = Map.prototype.get = String.prototype.split = RegExp.prototype.exec = Promise.prototype.then = Object.prototype.get = () => { throw new Error('stolen') };
         const r = await fetch('http://a.test/', { method: 'POST', headers: { a: 'b' }, body: 'x' });
         r.status + ' ' + r.headers.get('content-type')",
    );
    assert_eq!(value, "200 text/plain");
}
