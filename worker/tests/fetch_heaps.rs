//! Heaps that go from runs with the grant of `fetch` to runs without it, and what they keep of requests.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use mcp_v8_worker::runtime::{Realm, Snapshot};

mod support {
    pub(crate) mod net;
}
use support::net::{Answer, Net, head, run_in, text};

/// How much a generation may add, in bytes.
const GROWTH_BYTES_MAX: usize = 160;

/// A run with the grant, whose every request is answered with `hello`; its value and the heap after it.
fn granted(heap: Option<Snapshot>, source: &str) -> (String, Snapshot) {
    step(heap, source, Net::new(|request, _| text(request, "hello")))
}

/// A run without the grant.
fn closed(heap: Option<Snapshot>, source: &str) -> (String, Snapshot) {
    step(heap, source, Net::closed())
}

fn step(heap: Option<Snapshot>, source: &str, net: Net) -> (String, Snapshot) {
    let mut realm = Realm::for_heap(heap);
    let ran = run_in(&mut realm, source, net);
    let is_failure = ran.value.contains("Exception: ");
    if is_failure {
        std::mem::forget(realm);
        panic!("{}", ran.value);
    }
    (ran.value, realm.into_snapshot().unwrap())
}

const NAMES: &str =
    "[typeof fetch, typeof Headers, typeof Request, typeof Response, typeof FormData].join()";
const THERE: &str = "function,function,function,function,function";
const GONE: &str = "undefined,undefined,undefined,undefined,undefined";

#[test]
fn the_globals_follow_the_grant_of_each_run() {
    let (value, heap) = closed(None, NAMES);
    assert_eq!(value, GONE);
    let (value, heap) = granted(Some(heap), NAMES);
    assert_eq!(value, THERE);
    let (value, heap) = closed(Some(heap), NAMES);
    assert_eq!(value, GONE);
    let (value, heap) = closed(
        Some(heap),
        "Object.getOwnPropertyNames(globalThis).filter((k) => /^(fetch|Headers|Request|Response|FormData)$/.test(k)).join()",
    );
    assert_eq!(value, "");
    let (value, _) = granted(Some(heap), "await (await fetch('http://a.test/')).text()");
    assert_eq!(value, "hello");
}

#[test]
fn a_script_that_replaced_bind_sees_no_function_of_the_runtime() {
    let (_, heap) = closed(
        None,
        "var seen = []; const bind = Function.prototype.bind;
         Function.prototype.bind = function () { seen.push(`${this}`); return bind.apply(this, arguments) }; 0",
    );
    let (value, _) = granted(Some(heap), "URL = 1; seen.join() + typeof fetch");
    assert_eq!(value, "function");
}

#[test]
fn what_a_script_put_on_object_prototype_is_not_asked_while_globals_load() {
    let (_, heap) = closed(
        None,
        "var seen = [];
         for (const name of ['saveGlobalThisReference', 'setTimeOrigin'])
           Object.prototype[name] = function () { seen.push(name) };
         Object.prototype.get = Object.prototype.set = () => 1; 0",
    );
    let names = "seen.length = 0; console.log('x'); console.count(); new URL('http://a.test/');";
    let (value, heap) = closed(Some(heap), &format!("{names} seen.join() + typeof fetch"));
    assert_eq!(value, "undefined");
    let (value, heap) = granted(
        Some(heap),
        &format!("{names} new Request('http://a.test/'); seen.join() + typeof fetch"),
    );
    assert_eq!(value, "function");
    let (value, _) = closed(Some(heap), "seen.join() + typeof Request");
    assert_eq!(value, "undefined");
}

#[test]
fn a_function_that_a_heap_keeps_asks_for_nothing_without_the_grant() {
    let (_, heap) = granted(
        None,
        "const f = fetch, R = Request, r = new Request('http://a.test/'); await (await f(r.clone())).text()",
    );
    let (value, heap) = closed(
        Some(heap),
        "try { await f(new R(r)) } catch (e) { `${e.name}: ${e.message}` }",
    );
    assert_eq!(value, "TypeError: fetch is not allowed here");
    let (value, _) = granted(Some(heap), "await (await f(r)).text()");
    assert_eq!(value, "hello");
}

#[test]
fn what_a_script_calls_fetch_stays_its_own() {
    let (_, heap) = closed(None, "globalThis.fetch = () => 'mine'; var Headers = 1; 0");
    let (value, heap) = granted(Some(heap), "`${fetch()} ${Headers} ${typeof Response}`");
    assert_eq!(value, "mine 1 function");
    let (value, heap) = closed(
        Some(heap),
        "Object.hasOwn(globalThis, 'Response') + fetch()",
    );
    assert_eq!(value, "falsemine");
    let (_, heap) = granted(Some(heap), "globalThis.Response = 2; 0");
    let (value, _) = closed(Some(heap), "Response");
    assert_eq!(value, "2");
}

#[test]
fn a_response_that_was_not_read_fails_in_later_runs() {
    let (_, heap) = granted(
        None,
        "const unread = await fetch('http://a.test/'), streamed = await fetch('http://b.test/');
         const { body } = streamed; const reader = body.getReader(); unread.status",
    );
    let (value, _) = granted(
        Some(heap),
        "const seen = [unread.status, unread.headers.get('content-type')];
         for (const read of [() => unread.text(), () => reader.read()])
           try { await read(); seen.push('no') } catch (e) { seen.push(e.name, e.message) }
         // Its number is another's now.
         seen.push(await (await fetch('http://a.test/')).text());
         seen.join()",
    );
    assert_eq!(
        value,
        "200,text/plain,TypeError,The run that made this request has ended,\
         TypeError,The run that made this request has ended,hello"
    );
}

#[test]
fn a_body_that_is_read_in_part_is_let_go_at_the_end() {
    let net = Net::new(|request, _| {
        Answer::Response(head(200, &request.url), [vec![1; 9], vec![2; 9]].into())
    });
    let source =
        "const r = (await fetch('http://a.test/')).body.getReader(); (await r.read()).value.length";
    let (value, heap) = step(None, source, net);
    assert_eq!(value, "9");
    let (value, _) = closed(Some(heap), "try { await r.read() } catch (e) { e.message }");
    assert_eq!(value, "The run that made this request has ended");
}

#[test]
fn objects_of_the_api_are_kept() {
    let (_, heap) = granted(
        None,
        "const h = new Headers({ b: '2', a: '1' }), f = new FormData();
         f.append('file', new Blob(['kept'], { type: 'a/b' }), 'name'); f.append('x', 'y');
         const q = new Request('http://a.test/', { method: 'POST', body: 'sent', headers: h, signal: AbortSignal.timeout(1e6) });
         const made = new Response('text', { status: 201 }), came = await fetch('http://a.test/');
         const copy = came.clone(); await came.text(); await copy.text()",
    );
    let (value, _) = closed(
        Some(heap),
        "h.append('c', '3');
         [[...h].join(';'), await f.get('file').text(), f.get('file').name, q.method, await q.text(), q.headers.get('a'),
          q.signal.aborted, made.status, await made.text(), came.url, came.bodyUsed].join()",
    );
    assert_eq!(
        value,
        "a,1;b,2;c,3,kept,name,POST,sent,1,false,201,text,http://a.test/,true"
    );
}

#[test]
fn a_chain_of_runs_that_make_requests_does_not_grow() {
    let source = "globalThis.n = (globalThis.n ?? 0) + 1;
        const r = await fetch('http://a.test/', { method: 'POST', body: 'x', headers: { a: 'b' } }); (await r.text()).length";
    let (mut heap, mut warm) = (None, 0);
    for generation in 1..=60 {
        let (value, next) = granted(heap, source);
        assert_eq!(value, "5");
        if generation == 10 {
            warm = next.len();
        }
        heap = Some(next);
    }
    let grown = heap.unwrap().len().saturating_sub(warm);
    assert!(
        grown <= 50 * GROWTH_BYTES_MAX,
        "{grown} bytes in 50 generations"
    );
}

#[test]
fn the_grant_alone_costs_a_heap_next_to_nothing() {
    let (_, without) = closed(None, "1");
    let (_, with) = granted(None, "1");
    let more = with.len().saturating_sub(without.len());
    assert!(more < 4_000, "{more} bytes");
}
