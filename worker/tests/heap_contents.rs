//! What a heap can hold: each kind of thing in a process of its own, since V8 ends the process over
//! some. The README lists what is found here.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fmt::Write as _;

use support::{in_a_process, part, try_step};

/// What becomes of a heap with such a thing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is stored, and the thing works in a later execution as it did.
    Works,
    /// It is stored, and in a later execution the thing says that it ended.
    Ends,
    /// It is stored, and in a later execution the thing does not work.
    Breaks,
    /// It is not stored, and the execution goes on.
    Refused,
    /// V8 ends the process instead of storing it.
    Aborts,
}
use Fate::{Aborts, Breaks, Ends, Refused, Works};

struct Kind {
    name: &'static str,
    fate: Fate,
    /// Leaves the thing behind.
    make: &'static str,
    /// Says "works" in a later execution, if it does.
    check: &'static str,
}

const fn kind(name: &'static str, fate: Fate, make: &'static str, check: &'static str) -> Kind {
    Kind {
        name,
        fate,
        make,
        check,
    }
}

const KINDS: &[Kind] = &[
    kind(
        "numbers, strings, BigInt, Symbol",
        Works,
        "let a = 1.5, s = 'é😀'.repeat(3), b = 2n ** 100n, y = Symbol.for('k'), z = Symbol('own'), o = { [z]: 1 }",
        "a === 1.5 && s.length === 9 && b === 2n ** 100n && y === Symbol.for('k') && o[z] === 1",
    ),
    kind(
        "objects, arrays, Map, Set, Date, RegExp after use",
        Works,
        "const m = new Map([[1, { a: [1, , 3] }]]), s = new Set('ab'), d = new Date(5), r = /(?<x>a)b/gi; r.exec('xab'); 'ab'.replace(r, '')",
        "1 in m.get(1).a === false && s.has('b') && +d === 5 && d.toISOString() === '1970-01-01T00:00:00.005Z' && r.exec('ab').groups.x === 'a'",
    ),
    kind(
        "classes, private fields, accessors, inheritance",
        Works,
        "class A { #x = 1; static #n = 0; get x() { return this.#x + A.#n } static up() { A.#n++ } } class B extends A {} const b = new B(); A.up()",
        "A.up(); b.x === 3 && b instanceof A",
    ),
    kind(
        "arguments, with, super, private methods, static blocks",
        Works,
        "function f(a) { return [arguments, () => a] } const [args, get] = f(1); args[0] = 2; const scope = { v: 3 }; with (scope) { var g = () => v } class A { m() { return 1 } #p() { return 2 } p() { return this.#p() } static { this.s = 5 } } class B extends A { m() { return super.m() + 1 } } const b = new B()",
        "args[0] = 7; get() === 7 && (scope.v = 4, g() === 4) && b.m() === 2 && b.p() === 2 && A.s === 5",
    ),
    kind(
        "sparse, huge and numeric arrays",
        Works,
        "const s = []; s[4e9] = 1; s[1e6] = 2; const d = Array.from({ length: 1e5 }, (_, i) => i / 2), h = [, 1, , 2], n = new Array(5); h.x = 1",
        "s[1e6] === 2 && d[99999] === 49999.5 && !(0 in h) && h.x === 1 && n.length === 5 && d.push(1) === 100001",
    ),
    kind(
        "symbols and objects as keys",
        Works,
        "const y = Symbol('k'), o = {}, m = new Map([[y, 1], [o, 2], [NaN, 3], [-0, 4], [1n, 5]]), w = new WeakMap([[y, 6]]), many = new Map(Array.from({ length: 1000 }, (_, i) => [{ i }, i])), first = many.keys().next().value",
        "m.get(y) === 1 && m.get(o) === 2 && m.get(NaN) === 3 && m.get(0) === 4 && m.get(1n) === 5 && w.get(y) === 6 && many.get(first) === 0 && [...many.keys()].every((k) => many.get(k) === k.i)",
    ),
    kind(
        "closures, bound functions, getters, default parameters",
        Works,
        "let n = 0; const up = (by = 2) => n += by; const bound = up.bind(null, 5); const o = { get n() { return n } }; bound()",
        "up(); bound() === 12 && o.n === 12 && bound.name === 'bound up'",
    ),
    kind(
        "functions that ran hot",
        Works,
        "function hot(x) { let s = 0; for (let i = 0; i < 1000; i++) s += x * i; return s } for (let i = 0; i < 3000; i++) hot(i)",
        "hot(2) === 999000",
    ),
    kind(
        "asm.js functions",
        Works,
        "function M() { 'use asm'; function f(a) { a = a | 0; return (a + 1) | 0 } return { f: f } } const { f } = M(); f(1)",
        "f(2) === 3",
    ),
    kind(
        "generators, suspended",
        Works,
        "function* g() { const x = yield 1; yield x + 1 } const it = g(); it.next()",
        "it.next(5).value === 6 && it.next().done",
    ),
    kind(
        "iterators, in the middle",
        Works,
        "const a = [1, 2, 3][Symbol.iterator](), m = new Map([[1, 2], [3, 4]]).entries(), s = 'abc'[Symbol.iterator](), r = 'a1b2'.matchAll(/\\d/g), h = [1, 2, 3].values().map((x) => x * 2); for (const i of [a, m, s, r, h]) i.next()",
        "a.next().value === 2 && m.next().value[1] === 4 && s.next().value === 'b' && r.next().value[0] === '2' && h.next().value === 4",
    ),
    kind(
        "async functions, suspended",
        Works,
        "let go, done; const later = new Promise((r) => go = r); (async () => { const x = await later; done = x + 1 })(); 1",
        "go(4); await null; await null; done === 5",
    ),
    kind(
        "async generators, suspended",
        Works,
        "async function* g() { const x = yield 1; yield x + 1 } const it = g(); await it.next()",
        "(await it.next(5)).value === 6",
    ),
    kind(
        "promises, pending and settled",
        Works,
        "let go; const p = new Promise((r) => go = r), q = p.then((x) => x * 2), f = Promise.resolve(3), e = Promise.reject(new Error('no')); e.catch(() => {})",
        "go(2); await q === 4 && await f === 3 && await e.catch((x) => x.message) === 'no'",
    ),
    kind(
        "Promise.all, pending",
        Works,
        "let go; const all = Promise.all([new Promise((r) => go = r), 2]); 1",
        "go(1); (await all).join() === '1,2'",
    ),
    kind(
        "WeakMap, WeakSet",
        Works,
        "const k = {}, m = new WeakMap([[k, 1]]), s = new WeakSet([k]); m.set({}, 2)",
        "m.get(k) === 1 && s.has(k) && (m.set(s, 5), m.get(s) === 5)",
    ),
    kind(
        "WeakRef to what lives",
        Works,
        "const o = { a: 1 }, r = new WeakRef(o); r.deref(); 1",
        "r.deref() === o",
    ),
    kind(
        "WeakRef to what has gone",
        Works,
        "const r = new WeakRef({ a: 1 }); 1",
        "r.deref() === undefined",
    ),
    kind(
        "FinalizationRegistry",
        Works,
        "let seen = 0; const f = new FinalizationRegistry(() => seen++), o = {}; f.register(o, 1, o); f.register({}, 2)",
        "f.unregister(o) && (f.register({}, 3), true)",
    ),
    kind(
        "Proxy, also revoked",
        Works,
        "const p = new Proxy({}, { get: (_, k) => k + '!' }), q = Proxy.revocable({}, {}); q.revoke()",
        "let e; try { q.proxy.x } catch (x) { e = x instanceof TypeError }; p.a === 'a!' && e",
    ),
    kind(
        "errors with stacks, read or not",
        Works,
        "const read = new Error('a', { cause: 1 }), not = new TypeError('b'), all = new AggregateError([read]), caught = (() => { try { null.x } catch (e) { return e } })(); read.stack; const o = {}; Error.captureStackTrace(o)",
        "read.stack.includes('<anonymous>:1:') && not.stack.includes('TypeError: b\\n') && all.errors[0] === read && caught.stack.includes('null') && o.stack.includes('at ') && read.cause === 1",
    ),
    kind(
        "errors made in hot functions, stack not read",
        Works,
        "let e; function hot(i) { if (i === 5000) e = new Error('x'); return i } for (let i = 0; i < 6000; i++) hot(i); for (let i = 0; i < 6000; i++) [i].map(hot)",
        "e.stack.includes('at hot')",
    ),
    kind(
        "ArrayBuffer, typed arrays, DataView",
        Works,
        "const b = new ArrayBuffer(64), u = new Uint8Array(b, 8, 4).fill(7), d = new DataView(b, 8), f = new Float64Array([1.5]), small = new Uint8Array(3), h = new Float16Array([1.5]); new BigInt64Array(2)",
        "u[3] === 7 && d.getUint8(1) === 7 && u.buffer === b && f[0] === 1.5 && small.length === 3 && h[0] === 1.5 && (u[0] = 9, d.getUint8(0) === 9)",
    ),
    kind(
        "typed arrays of many megabytes",
        Works,
        "const big = new Uint8Array(6e6).fill(3); big[5] = 4",
        "big.length === 6e6 && big[5] === 4 && big[5999999] === 3",
    ),
    kind(
        "resizable ArrayBuffer with typed arrays",
        Aborts,
        "const b = new ArrayBuffer(4, { maxByteLength: 16 }), u = new Uint8Array(b); u[3] = 3; b.resize(8)",
        "b.resizable && b.byteLength === 8 && u[3] === 3 && (b.resize(16), u.length === 16)",
    ),
    kind(
        "resizable ArrayBuffer",
        Works,
        "const b = new ArrayBuffer(4, { maxByteLength: 16 }), d = new DataView(b); d.setUint8(3, 3); b.resize(8)",
        "b.resizable && b.byteLength === 8 && d.getUint8(3) === 3 && (b.resize(16), d.byteLength === 16)",
    ),
    kind(
        "SharedArrayBuffer that went out of use",
        Works,
        "(() => new Int32Array(new SharedArrayBuffer(8)).length)()",
        "true",
    ),
    kind(
        "detached ArrayBuffer",
        Works,
        "const b = new ArrayBuffer(4), u = new Uint8Array(b); b.transfer()",
        "b.detached && u.length === 0",
    ),
    kind(
        "SharedArrayBuffer",
        Refused,
        "const s = new SharedArrayBuffer(8), u = new Int32Array(s); u[1] = 5",
        "s.byteLength === 8 && Atomics.add(u, 1, 1) === 5 && u[1] === 6",
    ),
    kind(
        "growable SharedArrayBuffer",
        Refused,
        "const s = new SharedArrayBuffer(8, { maxByteLength: 16 }); new Int32Array(s)[1] = 5",
        "s.grow(16); s.byteLength === 16 && new Int32Array(s)[1] === 5",
    ),
    kind(
        "Atomics.waitAsync, waiting",
        Refused,
        "const s = new Int32Array(new SharedArrayBuffer(8)); let woken; Atomics.waitAsync(s, 0, 0).value.then((x) => woken = x); 1",
        "Atomics.notify(s, 0); await new Promise((r) => setTimeout(r, 5)); woken === 'ok'",
    ),
    kind(
        "structuredClone results",
        Works,
        "const c = structuredClone({ m: new Map([[1, new Date(3)]]), e: new RangeError('r'), b: new Uint8Array([1]).buffer })",
        "+c.m.get(1) === 3 && c.e instanceof RangeError && c.b.byteLength === 1",
    ),
    kind(
        "eval, new Function, tagged templates",
        Works,
        "const f = new Function('a', 'return a * 2'), e = eval('(x) => x + 1'), t = (s) => s, u = () => t`a${1}b`, first = u()",
        "f(2) === 4 && e(1) === 2 && u() === first && u().raw[1] === 'b'",
    ),
    kind(
        "Intl.NumberFormat",
        Refused,
        "const f = new Intl.NumberFormat('de', { style: 'currency', currency: 'EUR' }); f.format(1)",
        "f.format(1.5) === '1,50\\u00a0€'",
    ),
    kind(
        "Intl.DateTimeFormat",
        Refused,
        "const f = new Intl.DateTimeFormat('de', { dateStyle: 'full', timeZone: 'UTC' }); f.format(0)",
        "f.format(0) === 'Donnerstag, 1. Januar 1970'",
    ),
    kind(
        "Intl.Collator",
        Refused,
        "const f = new Intl.Collator('de'); f.compare('a', 'b')",
        "['ä', 'z', 'a'].sort(f.compare).join('') === 'aäz'",
    ),
    kind(
        "Intl.PluralRules",
        Refused,
        "const f = new Intl.PluralRules('en'); f.select(1)",
        "f.select(1) === 'one'",
    ),
    kind(
        "Intl.RelativeTimeFormat",
        Refused,
        "const f = new Intl.RelativeTimeFormat('en'); f.format(1, 'day')",
        "f.format(1, 'day') === 'in 1 day'",
    ),
    kind(
        "Intl.ListFormat",
        Refused,
        "const f = new Intl.ListFormat('en'); f.format(['a'])",
        "f.format(['a', 'b']) === 'a and b'",
    ),
    kind(
        "Intl.Segmenter",
        Refused,
        "const f = new Intl.Segmenter('en'); [...f.segment('ab')]",
        "[...f.segment('ab')].length === 2",
    ),
    kind(
        "Intl.Segments, in the middle",
        Refused,
        "const i = new Intl.Segmenter('en').segment('abc')[Symbol.iterator](); i.next()",
        "i.next().value.segment === 'b'",
    ),
    kind(
        "Intl.DisplayNames",
        Refused,
        "const f = new Intl.DisplayNames('en', { type: 'region' }); f.of('DE')",
        "f.of('DE') === 'Germany'",
    ),
    kind(
        "Intl.DurationFormat",
        Refused,
        "const f = new Intl.DurationFormat('en'); f.format({ hours: 1 })",
        "f.format({ hours: 1 }) === '1 hr'",
    ),
    kind(
        "Intl.Locale",
        Refused,
        "const l = new Intl.Locale('de-AT'); l.language",
        "l.region === 'AT'",
    ),
    kind(
        "toLocaleString, localeCompare, used and not kept",
        Works,
        "(1.5).toLocaleString('de'); new Date(0).toLocaleDateString('de'); 'a'.localeCompare('b'); [3, 1].toLocaleString()",
        "(1.5).toLocaleString('de') === '1,5' && 'a'.localeCompare('b') === -1",
    ),
    kind(
        "Intl objects that went out of use",
        Works,
        "(() => new Intl.DateTimeFormat('de').format(0) + new Intl.Collator('de').compare('a', 'b'))()",
        "true",
    ),
    kind(
        "Temporal.PlainDate",
        Refused,
        "const d = Temporal.PlainDate.from('2024-02-29')",
        "d.add({ days: 1 }).toString() === '2024-03-01'",
    ),
    kind(
        "Temporal.Instant, ZonedDateTime, Duration",
        Refused,
        "const i = Temporal.Instant.from('2024-01-01T00:00Z'), z = i.toZonedDateTimeISO('UTC'), u = Temporal.Duration.from('PT1H')",
        "z.year === 2024 && u.hours === 1 && i.epochMilliseconds > 0",
    ),
    kind(
        "Temporal, used and not kept",
        Works,
        "Temporal.PlainDate.from('2024-02-29').add({ days: 1 }).toString()",
        "Temporal.PlainDate.from('2024-02-29').day === 29",
    ),
    kind(
        "DisposableStack, using",
        Works,
        "let n = 0; const s = new DisposableStack(); s.defer(() => n++)",
        "s.dispose(); n === 1",
    ),
    kind(
        "timers, ended and cancelled",
        Works,
        "let n = 0; await new Promise((r) => setTimeout(r, 1)); const t = setInterval(() => n++, 1); clearInterval(t)",
        "await new Promise((r) => setTimeout(r, 3)); clearInterval(t); n === 0",
    ),
    kind(
        "AbortController, AbortSignal.timeout, any",
        Works,
        "const c = new AbortController(); let seen = 0; c.signal.addEventListener('abort', () => seen++); const s = AbortSignal.timeout(1e6), a = AbortSignal.any([c.signal, s]); 1",
        "c.abort('why'); seen === 1 && a.aborted && a.reason === 'why' && !s.aborted",
    ),
    kind(
        "EventTarget, Event, CustomEvent",
        Works,
        "const t = new EventTarget(); let seen; t.addEventListener('x', (e) => seen = e.detail); const e = new CustomEvent('x', { detail: 4 })",
        "t.dispatchEvent(e); seen === 4",
    ),
    kind(
        "URL, URLSearchParams",
        Works,
        "const u = new URL('http://a.b/c?d=e'), p = u.searchParams, i = p.entries()",
        "p.append('f', 'g'); u.href === 'http://a.b/c?d=e&f=g' && i.next().value[0] === 'd'",
    ),
    kind(
        "TextEncoder, TextDecoder",
        Works,
        "const e = new TextEncoder(), d = new TextDecoder('utf-16le')",
        "d.decode(new Uint8Array([65, 0])) === 'A' && e.encode('é').length === 2",
    ),
    kind(
        "TextDecoder in the middle of a character",
        Ends,
        "const d = new TextDecoder(); d.decode(new Uint8Array([0xe2, 0x82]), { stream: true })",
        "d.decode(new Uint8Array([0xac])) === '€'",
    ),
    kind(
        "Blob, File, object URLs",
        Works,
        "const b = new Blob(['ab', new Uint8Array([99])]), f = new File([b], 'n'), s = b.slice(1), u = URL.createObjectURL(b)",
        "await b.text() === 'abc' && await f.text() === 'abc' && await s.text() === 'bc' && u.startsWith('blob:')",
    ),
    kind(
        "ReadableStream with a reader that waits",
        Works,
        "let c; const s = new ReadableStream({ start(x) { c = x } }), r = s.getReader(); let got; r.read().then((x) => got = x.value); 1",
        "c.enqueue(7); await null; await null; await null; got === 7",
    ),
    kind(
        "TransformStream, WritableStream, pipes",
        Works,
        "const t = new TransformStream({ transform(x, c) { c.enqueue(x * 2) } }), w = t.writable.getWriter(), r = t.readable.getReader(); w.write(1); 1",
        "(await r.read()).value === 2 && (w.write(4), (await r.read()).value === 8)",
    ),
    kind(
        "TextDecoderStream in the middle of a character",
        Ends,
        "const t = new TextDecoderStream(), w = t.writable.getWriter(), r = t.readable.getReader(); w.write(new Uint8Array([65, 0xe2, 0x82])); const first = (await r.read()).value",
        "w.write(new Uint8Array([0xac])).catch(() => {}); first === 'A' && (await r.read()).value === '€'",
    ),
    kind(
        "tee of a stream, in the middle",
        Works,
        "const [a, b] = new ReadableStream({ start(c) { c.enqueue(1); c.enqueue(2); c.close() } }).tee(); const ra = a.getReader(); await ra.read()",
        "(await ra.read()).value === 2 && (await b.getReader().read()).value === 1",
    ),
    kind(
        "CryptoKey",
        Works,
        "const k = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['encrypt']); crypto.randomUUID()",
        "(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: new Uint8Array(12) }, k, new Uint8Array(1))).byteLength === 17",
    ),
    kind(
        "performance marks, console.time, count, group",
        Works,
        "performance.mark('m'); console.time('t'); console.count('c'); console.group('g')",
        "console.timeEnd('t'); console.count('c'); console.groupEnd(); performance.getEntriesByName('m').length === 1",
    ),
    kind(
        "DOMException",
        Works,
        "const e = new DOMException('m', 'AbortError')",
        "e.code === 20 && e.stack.includes('AbortError')",
    ),
    kind(
        "changed prototypes and globals",
        Works,
        "Array.prototype.last = function () { return this.at(-1) }; globalThis.x = 1; delete globalThis.atob; Object.freeze(Object.prototype)",
        "[1, 2].last() === 2 && x === 1 && typeof atob === 'undefined' && Object.isFrozen(Object.prototype)",
    ),
    kind(
        "let, const, class, var, function, and again",
        Works,
        "let a = 1; const b = 2; class C {} var d = 3; function e() { return 4 }",
        "d += 1; a + b + d + e() === 11 && new C() instanceof C",
    ),
    kind(
        "a deeply nested structure",
        Works,
        "let deep = null; for (let i = 0; i < 1e5; i++) deep = { deep }; 1",
        "let n = 0; for (let o = deep; o; o = o.deep) n++; n === 1e5",
    ),
    kind(
        "a million properties",
        Works,
        "const o = {}; for (let i = 0; i < 1e5; i++) o['k' + i] = i; const m = new Map(Object.entries(o))",
        "o.k99999 === 99999 && m.size === 1e5",
    ),
    kind(
        "ropes, slices and other strings",
        Works,
        "let s = 'ab'; for (let i = 0; i < 12; i++) s += s + i; const t = s.slice(100, 5000), u = JSON.parse(JSON.stringify(s)), w = '\\u{1F600}'.repeat(1000).slice(1)",
        "t === s.slice(100, 5000) && u === s && w.length === 1999",
    ),
    kind(
        "JSON.rawJSON, frozen and sealed objects",
        Works,
        "const r = JSON.rawJSON('1e1000'), f = Object.freeze({ a: [1] }), s = Object.seal({ b: 1 })",
        "JSON.stringify(r) === '1e1000' && Object.isFrozen(f) && Object.isSealed(s)",
    ),
    kind(
        "Array.fromAsync, for await, in the middle",
        Works,
        "let go; const wait = new Promise((r) => go = r); let out; Array.fromAsync([wait, 2]).then((x) => out = x); 1",
        "go(1); for (let i = 0; i < 20; i++) await null; out.join() === '1,2'",
    ),
    kind(
        "WebAssembly modules and memories",
        Works,
        "const m = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), y = new WebAssembly.Memory({ initial: 1 }); new Uint8Array(y.buffer)[0] = 4",
        "new WebAssembly.Instance(m); new Uint8Array(y.buffer)[0] === 4",
    ),
];

const NAME: &str = "each_kind_of_thing_has_the_fate_that_the_readme_tells";

/// The kind's fate as a process of its own finds it, and what was said about it.
fn fate(index: usize) -> (Fate, String) {
    let output = in_a_process(NAME, &index.to_string());
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("fate: "));
    let fates = [
        ("works", Works),
        ("refused", Refused),
        ("ends", Ends),
        ("breaks", Breaks),
    ];
    let told = line.and_then(|line| fates.iter().find(|(word, _)| line.starts_with(word)));
    match (told, said.contains("stored")) {
        (Some((_, fate)), _) => (*fate, line.unwrap_or_default().to_owned()),
        (None, true) => (Breaks, String::from_utf8_lossy(&output.stderr).into_owned()),
        (None, false) => (Aborts, format!("{:?}", output.status)),
    }
}

#[test]
fn each_kind_of_thing_has_the_fate_that_the_readme_tells() {
    if let Some(part) = part() {
        return find_fate(&KINDS[part.parse::<usize>().unwrap()]);
    }
    let mut wrong = String::new();
    for (index, kind) in KINDS.iter().enumerate() {
        let (found, why) = fate(index);
        if found != kind.fate {
            writeln!(
                wrong,
                "{}: {found:?}, not {:?}: {why}",
                kind.name, kind.fate
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[allow(clippy::print_stdout, reason = "it is how one process tells another")]
fn find_fate(kind: &Kind) {
    let (_, heap) = try_step(None, kind.make);
    let heap = match heap {
        Ok(heap) => heap,
        Err(why) => return println!("\nfate: refused: {why}"),
    };
    println!("\nstored");
    // The heap of a heap, so that what is kept is kept again.
    let (_, heap) = try_step(Some(heap), "0");
    let (start, value) = kind.check.rsplit_once("; ").unwrap_or(("", kind.check));
    let check = format!(
        "(await (async () => {{ try {{ {start}; return {value} }} catch (error) {{ return `${{error}}` }} }})())"
    );
    let (result, heap) = try_step(Some(heap.unwrap()), &check);
    heap.unwrap();
    match result.as_str() {
        "true" => println!("fate: works"),
        ends if ends.contains("make a new one") => println!("fate: ends: {ends}"),
        _ => println!("fate: breaks: {result}"),
    }
}
