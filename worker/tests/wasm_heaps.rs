//! WebAssembly in heaps: the same as without one, and what of it a heap keeps.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fmt::Write as _;

use mcp_v8_protocol::message::FailureKind;
use mcp_v8_worker::runtime::{Outcome, UnsavableHeap, choose_tier};
use mcp_v8_worker::tier::EngineTier;
use support::{both, in_a_process, outcome, part, step, try_step};

/// How much a generation may add, in bytes: the script itself, and the cells of names.
const GROWTH_BYTES_MAX: usize = 160;

/// A script with modules, which it finds as `m0`, `m1`...
fn script(modules: &[&str], source: &str) -> String {
    let mut text = String::new();
    for (index, module) in modules.iter().enumerate() {
        let bytes = wat::parse_str(module).unwrap();
        // `var`, so that a later script on the same heap may have it again.
        writeln!(text, "var m{index} = new Uint8Array({bytes:?});").unwrap();
    }
    text + source
}

/// Each says the same in both modes: what the module is, and what is done with it.
const CASES: &[(&str, &[&str], &str)] = &[
    ("add", &[ADD], "
        const { instance, module } = await WebAssembly.instantiate(m0);
        const { add } = instance.exports;
        console.log(add(1, 2), add('3', null), add(2 ** 31, 0), add(), add.name, add.length);
        console.log(instance.exports.add === add, instance.exports === instance.exports);
        console.log(Object.keys(instance.exports), Object.isFrozen(instance.exports), instance.exports);
        console.log(Object.getPrototypeOf(instance.exports), 'prototype' in add, typeof add);
        console.log(instance, module, instance instanceof WebAssembly.Instance, module instanceof WebAssembly.Module);
        console.log(`${instance} ${module}`, new WebAssembly.Instance(module).exports.add(5, 5));
        try { new add() } catch (e) { console.log(e.name, e.message.replace(/\\S+ is/, 'it is')) }
        try { add(1n, 2) } catch (e) { console.log(e.stack) }
        try { add(Symbol(), 2) } catch (e) { console.log(e.message) }
        add({ valueOf: () => 40 }, 2)"),
    ("modules", &["(module (import \"a\" \"f\" (func)) (import \"a\" \"m\" (memory 1)) (import \"b\" \"t\" (table 1 funcref))
          (import \"b\" \"g\" (global i32)) (export \"f\" (func 0)) (export \"m\" (memory 0)) (export \"\" (table 0))
          (@custom \"note\" \"hello\"))"], "
        const module = new WebAssembly.Module(m0);
        console.log(WebAssembly.Module.imports(module), WebAssembly.Module.exports(module));
        const notes = WebAssembly.Module.customSections(module, 'note');
        console.log(notes.length, new TextDecoder().decode(notes[0]), WebAssembly.Module.customSections(module, 'x'));
        console.log(await WebAssembly.compile(m0) instanceof WebAssembly.Module);
        console.log(WebAssembly.validate(m0), WebAssembly.validate(m0.slice(1)), WebAssembly.validate(m0.buffer));
        console.log(await WebAssembly.compile(m0.buffer), Object.prototype.toString.call(WebAssembly));
        class Mine extends WebAssembly.Module { extra() { return 1 } }
        const mine = new Mine(m0);
        [mine.extra(), mine instanceof WebAssembly.Module, mine].length"),
    ("wrong arguments", &[ADD], r#"
        const module = new WebAssembly.Module(m0);
        const memory = new WebAssembly.Memory({ initial: 1 });
        const attempts = [
          () => WebAssembly.Module(m0), () => new WebAssembly.Module(), () => new WebAssembly.Module({}),
          () => new WebAssembly.Module(new Uint8Array()), () => new WebAssembly.Module(new Uint8Array(4)),
          () => WebAssembly.Instance(module), () => new WebAssembly.Instance(), () => new WebAssembly.Instance(m0),
          () => new WebAssembly.Instance(module, 1), () => new WebAssembly.Instance(memory),
          () => WebAssembly.Memory(), () => new WebAssembly.Memory(), () => new WebAssembly.Memory({}),
          () => new WebAssembly.Memory({ initial: -1 }), () => new WebAssembly.Memory({ initial: 2, maximum: 1 }),
          () => new WebAssembly.Memory({ initial: 1, shared: true }), () => memory.grow(1e6), () => memory.grow('x'),
          () => WebAssembly.Memory.prototype.grow.call({}, 1), () => WebAssembly.Memory.prototype.buffer,
          () => WebAssembly.Table(), () => new WebAssembly.Table({ element: 'no', initial: 1 }),
          () => new WebAssembly.Table({ element: 'anyfunc' }),
          () => new WebAssembly.Table({ element: 'anyfunc', initial: 1 }).set(0, () => {}),
          () => new WebAssembly.Table({ element: 'anyfunc', initial: 1 }).get(1),
          () => new WebAssembly.Table({ element: 'anyfunc', initial: 1, maximum: 1 }).grow(1),
          () => WebAssembly.Global(), () => new WebAssembly.Global(), () => new WebAssembly.Global({ value: 'no' }),
          () => new WebAssembly.Global({ value: 'i64' }, 1), () => { 'use strict'; new WebAssembly.Global({ value: 'i32' }).value = 1 },
          () => WebAssembly.Global.prototype.valueOf.call(memory), () => WebAssembly.Tag(), () => new WebAssembly.Tag({}),
          () => new WebAssembly.Tag({ parameters: ['x'] }), () => WebAssembly.Exception(), () => new WebAssembly.Exception(),
          () => new WebAssembly.Exception(new WebAssembly.Tag({ parameters: ['i32'] }), []),
          () => new WebAssembly.Exception(WebAssembly.JSTag, [1]), () => new WebAssembly.Exception(memory, []),
          () => WebAssembly.Module.exports(), () => WebAssembly.Module.imports(memory),
          () => WebAssembly.Module.customSections(module), () => WebAssembly.validate(), () => WebAssembly.validate(1),
          () => WebAssembly.Instance.prototype.exports, () => WebAssembly.Table.prototype.length,
          () => WebAssembly.Exception.prototype.is.call({}, 1),
          () => WebAssembly.compile(), () => WebAssembly.compile(new Uint8Array(9)), () => WebAssembly.compile(module),
          () => WebAssembly.instantiate(), () => WebAssembly.instantiate(1), () => WebAssembly.instantiate({}),
          () => WebAssembly.instantiate(m0, 1), () => WebAssembly.instantiate(module, null),
          () => WebAssembly.instantiate(new Uint8Array(9), {}), () => WebAssembly.instantiate(memory),
        ];
        for (const attempt of attempts) {
          let returned = 'returned';
          try {
            const value = attempt();
            returned = value instanceof Promise ? 'promised' : 'returned';
            console.log(String(attempt), returned, String(await value));
          } catch (e) { console.log(String(attempt), returned, e instanceof Error, `${e}`) }
        }"#),
    ("link errors", &["(module (import \"a\" \"f\" (func)) (import \"b\" \"m\" (memory 1)) (import \"b\" \"t\" (table 1 funcref))
          (import \"b\" \"g\" (global i64)) (import \"b\" \"x\" (tag)))"], "
        const f = () => {}, m = new WebAssembly.Memory({ initial: 1 });
        const t = new WebAssembly.Table({ element: 'anyfunc', initial: 1 }), x = new WebAssembly.Tag({ parameters: [] });
        const sets = [undefined, {}, { a: 1 }, { a: {} }, { a: { f: 1 } }, { a: { f } }, { a: { f }, b: {} },
          { a: { f }, b: { m: t } }, { a: { f }, b: { m } }, { a: { f }, b: { m, t: m } }, { a: { f }, b: { m, t } },
          { a: { f }, b: { m, t, g: 1 } }, { a: { f }, b: { m, t, g: new WebAssembly.Global({ value: 'i32' }) } },
          { a: { f }, b: { m, t, g: 1n } }, { a: { f }, b: { m, t, g: 1n, x: t } },
          { a: { f }, b: { m: new WebAssembly.Memory({ initial: 0 }), t, g: 1n, x } }, { a: { f }, b: { m, t, g: 1n, x } },
          { get a() { throw new RangeError('mine') } }];
        const module = new WebAssembly.Module(m0);
        for (const set of sets) {
          try { console.log(new WebAssembly.Instance(module, set)) } catch (e) {
            console.log(e.constructor === WebAssembly.LinkError, `${e}`)
          }
          for (const first of [m0, module]) {
            try { console.log(await WebAssembly.instantiate(first, set)) } catch (e) { console.log(`${e}`) }
          }
        }
        const seen = [];
        const log = (name, target) => new Proxy(target, { get(_, key) { seen.push(`${name}.${String(key)}`); return target[key] } });
        new WebAssembly.Instance(module, log('imports', { a: log('a', { f }), b: log('b', { m, t, g: 1n, x }) }));
        seen.join()"),
    ("imports", &[r#"(module
          (import "e" "f" (func $f (param i32 i64 f32 f64) (result f64)))
          (import "e" "g" (func $g (param externref) (result externref)))
          (import "e" "none" (func $none))
          (func (export "f") (param i32 i64 f32 f64) (result f64)
            (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
          (func (export "g") (param externref) (result externref) (call $g (local.get 0)))
          (func (export "none") (call $none))
          (export "same" (func $g)))"#], "
        const seen = [];
        const e = {
          f(...args) { seen.push([this === undefined, args.map((a) => typeof a + a)]); return args[3] * 2 },
          g: function (x) { 'use strict'; seen.push(this); return x },
          none() { return { valueOf() { seen.push('not asked') } } },
        };
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e });
        console.log(exports.f(1, 2n ** 63n, 3.1, -4.5), exports.none(), seen);
        const object = { a: 1 }, fn = () => {}, list = [1, 2], symbol = Symbol('s'), proxy = new Proxy([], {});
        for (const value of [object, fn, list, symbol, proxy, null, undefined, 1, 'x', 1n, exports, exports.f, class A {}]) {
          console.log(exports.g(value) === value, exports.same(value) === value);
        }
        console.log(exports.same === exports.g, exports.same.name, exports.g.name, exports.g(NaN));
        const again = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { ...e, g: exports.g } });
        console.log(again.exports.same === exports.g, again.exports.g(fn) === fn, again.exports.g === exports.g)"),
    ("errors of imports", &[r#"(module (import "e" "f" (func $f)) (func $inner (call $f)) (func (export "f") (call $inner)))"#], "
        const thrown = [new TypeError('mine'), { a: 1 }, 'text', undefined, null, [1], new WebAssembly.RuntimeError('made')];
        let value;
        const { f } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f() { throw value } } }).exports;
        for (value of thrown) { try { f() } catch (e) { console.log(e === value, e) } }
        const deep = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f() { try { f() } catch (e) { throw e } } } });
        value = new Error('through two');
        try { deep.exports.f() } catch (e) { console.log(e === value, e.stack) }
        const within = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f() { console.log(new Error('in').stack) } } });
        within.exports.f();
        const { f: fail } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f: () => null.x } }).exports;
        fail()"),
    ("traps", &[r#"(module (memory 1)
          (table 2 funcref) (type $t (func))
          (func (export "unreachable") unreachable)
          (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
          (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
          (func (export "call") (param i32) (call_indirect (type $t) (local.get 0)))
          (func (export "convert") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
          (func $endless (export "endless") (call $endless)))"#], "
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m0));
        for (const attempt of [() => exports.unreachable(), () => exports.divide(1, 0), () => exports.load(65536),
          () => exports.call(0), () => exports.call(9), () => exports.convert(NaN)]) {
          try { attempt() } catch (e) {
            console.log(e.constructor === WebAssembly.RuntimeError, e instanceof Error, Object.keys(e), e.stack);
          }
        }
        try { exports.endless() } catch (e) { console.log(e instanceof RangeError, e.message) }
        exports.divide(1, 0)"),
    ("a trap that nobody catches", &["(module (func (export \"f\") unreachable))"],
        "new WebAssembly.Instance(new WebAssembly.Module(m0)).exports.f()"),
    ("a start function", &[r#"(module (import "e" "f" (func $f (param i32))) (memory (export "m") 1)
          (func $start (call $f (memory.grow (i32.const 1))) (i32.store (i32.const 0) (i32.const 7))) (start $start))"#], "
        const { instance } = await WebAssembly.instantiate(m0, { e: { f: console.log } });
        console.log(instance.exports.m.buffer.byteLength, new Uint8Array(instance.exports.m.buffer)[0]);
        try { await WebAssembly.instantiate(m0, { e: { f() { throw new Error('at start') } } }) } catch (e) { console.log(e.message) }
        new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f() { throw new Error('at start') } } })"),
    ("memory", &[r#"(module (import "e" "f" (func $f)) (memory (export "m") 1 3)
          (func (export "grow") (param i32) (result i32) (call $f) (memory.grow (local.get 0)) (call $f))
          (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
          (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#], "
        const seen = [];
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m0), {
          e: { f: () => seen.push([view.byteLength, exports.m.buffer.byteLength, exports.m.buffer === view.buffer]) } });
        const { m, load, store, grow } = exports;
        let view = new Uint8Array(m.buffer);
        console.log(m === exports.m, m.buffer === m.buffer, m.buffer.byteLength, m, m.buffer);
        view[5] = 42; store(6, 43);
        console.log(load(5), view[6], grow(1), seen, view.byteLength, view.buffer.detached, m.buffer.byteLength);
        view = new Uint8Array(m.buffer);
        console.log(view[5], view[6], view.length, m.grow(0), view.length, m.buffer === view.buffer);
        view = new Uint8Array(m.buffer);
        console.log(m.grow(1), view.length, grow(1), m.buffer.byteLength);
        try { m.grow(1) } catch (e) { console.log(`${e}`) }
        for (const detach of [() => m.buffer.transfer(), () => structuredClone(m.buffer, { transfer: [m.buffer] })]) {
          try { detach(); console.log('detached') } catch (e) { console.log(e instanceof TypeError || e.name) }
        }
        const own = new WebAssembly.Memory({ initial: 0, maximum: 5 });
        console.log(own.buffer.byteLength, own.buffer === own.buffer, own.grow(2), own.buffer.byteLength);
        const zero = new WebAssembly.Memory({ initial: 0 }); const empty = zero.buffer;
        console.log(zero.grow(1), empty.detached, empty.byteLength, zero.buffer.byteLength, structuredClone(zero.buffer).byteLength);
        class Mine extends WebAssembly.Memory { get pages() { return this.buffer.byteLength / 65536 } }
        new Mine({ initial: 3 }).pages"),
    ("a memory of two instances", &[r#"(module (import "e" "m" (memory 1)) (export "m" (memory 0))
          (func (export "grow") (result i32) (memory.grow (i32.const 1)))
          (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#], "
        const m = new WebAssembly.Memory({ initial: 1, maximum: 10 });
        const module = new WebAssembly.Module(m0);
        const [a, b] = [1, 2].map(() => new WebAssembly.Instance(module, { e: { m } }).exports);
        const old = new DataView(m.buffer);
        new Uint8Array(m.buffer)[9] = 99;
        console.log(a.m === m, b.m === a.m, a.load(9), b.load(9), a.grow(), old.buffer.detached, b.grow());
        new Uint8Array(m.buffer)[2 * 65536 + 1] = 7;
        try { old.getUint8(0) } catch (e) { console.log(e.name) }
        a.load(2 * 65536 + 1) + b.load(9) + m.buffer.byteLength"),
    ("shared memory", &[r#"(module (import "e" "m" (memory 1 4 shared))
          (func (export "add") (param i32) (result i32) (i32.atomic.rmw.add (i32.const 8) (local.get 0)))
          (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#], "
        (() => {
          const m = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
          const { add, grow } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { m } }).exports;
          const cells = new Int32Array(m.buffer);
          console.log(m.buffer instanceof SharedArrayBuffer, Object.isFrozen(m.buffer), m.buffer === m.buffer);
          console.log(add(5), Atomics.add(cells, 2, 3), add(0), Atomics.load(cells, 2), Atomics.notify(cells, 2));
          console.log(grow(), cells.length, m.buffer.byteLength, m.buffer === cells.buffer, add(1), cells[2]);
        })()"),
    ("tables", &[r#"(module (table (export "t") 3 10 funcref) (type $v (func (result i32)))
          (func $one (export "one") (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
          (elem (i32.const 0) $one $two)
          (func (export "call") (param i32) (result i32) (call_indirect (type $v) (local.get 0)))
          (func (export "size") (result i32) (table.size 0)))"#], "
        const module = new WebAssembly.Module(m0);
        const { t, one, call, size } = new WebAssembly.Instance(module).exports;
        console.log(t, t.length, t.get(0) === one, t.get(1) === t.get(1), t.get(1)(), t.get(2), t.get(1).name, call(1));
        t.set(2, t.get(1)); console.log(call(2), t.grow(2), size(), t.get(4));
        t.set(0); try { call(0) } catch (e) { console.log(e.message) }
        t.set(4, one); console.log(call(4), t.grow(1, t.get(1)), call(5));
        const other = new WebAssembly.Instance(module).exports;
        t.set(0, other.one); console.log(t.get(0) === other.one, other.one === one, call(0));
        const own = new WebAssembly.Table({ element: 'anyfunc', initial: 2, maximum: 4 }, one);
        console.log(own.get(1) === one, own.length, own.grow(1), own.get(2));
        const things = new WebAssembly.Table({ element: 'externref', initial: 2 }, 'x');
        const list = [one], fn = () => 7;
        things.set(0, list); things.grow(2, fn);
        console.log(things.get(0) === list, things.get(1), things.get(3) === fn, things.get(3)());
        new WebAssembly.Table({ element: 'externref', initial: 1 }).get(0)"),
    ("globals", &[r#"(module (import "e" "c" (global $c (mut f64))) (import "e" "d" (global externref)) (import "e" "f" (global funcref))
          (global $a (export "a") (mut i32) (i32.const 5)) (global (export "b") i64 (i64.const -1))
          (global (export "r") (mut externref) (ref.null extern)) (export "c" (global 0)) (export "d" (global 1)) (export "f2" (global 2))
          (func (export "bump") (global.set $a (i32.add (global.get $a) (i32.const 1))) (global.set $c (f64.const 2.5)))
          (func (export "one") (result i32) (i32.const 1)))"#], "
        const c = new WebAssembly.Global({ value: 'f64', mutable: true }, 1.5), d = { d: 1 }, f = null;
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { c, d, f } });
        const { a, b, r } = exports;
        console.log(a, a.value, b.value, b.valueOf(), c.value, exports.c === c, exports.d.value === d, exports.f2.value);
        exports.bump(); a.value += 10; r.value = exports.bump;
        console.log(a.value, c.value, r.value === exports.bump, a === exports.a, `${a}`);
        try { b.value = 1n } catch (e) { console.log(`${e}`) }
        const fr = new WebAssembly.Global({ value: 'anyfunc', mutable: true }, exports.one);
        console.log(fr.value === exports.one, fr.value());
        const again = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { c, d: exports.one, f: exports.one } }).exports;
        console.log(again.f2.value === exports.one, again.d.value === exports.one, again.f2.value());
        try { fr.value = () => 1 } catch (e) { console.log(`${e}`) }
        const fn = () => 3, ext = new WebAssembly.Global({ value: 'externref', mutable: true }, fn);
        console.log(ext.value === fn, (ext.value = [1, 2], ext.value), new WebAssembly.Global({ value: 'i64' }).value,
          new WebAssembly.Global({ value: 'f32' }, 1.1).value, new WebAssembly.Global({ value: 'i32' }, '7').value);
        const order = [];
        new WebAssembly.Global({ get value() { order.push('value'); return 'i32' }, get mutable() { order.push('mutable') } });
        order.join()"),
    ("integers of 64 bits", &[r#"(module (func (export "f") (param i64) (result i64) (i64.mul (local.get 0) (i64.const 3)))
          (func (export "g") (param i32) (result i64) (i64.extend_i32_s (local.get 0))))"#], "
        const { f, g } = new WebAssembly.Instance(new WebAssembly.Module(m0)).exports;
        console.log(f(5n), f(2n ** 64n + 1n), f(-1n), f(true), g(-7));
        f(1)"),
    ("several results", &[r#"(module (import "e" "pair" (func $pair (param externref) (result i32 externref)))
          (func (export "three") (param i32) (result i32 i64 f32) (local.get 0) (i64.const 2) (f32.const 3))
          (func (export "swap") (param externref funcref) (result funcref externref) (local.get 1) (local.get 0))
          (func (export "pair") (param externref) (result i32 externref) (call $pair (local.get 0)))
          (func (export "same") (param externref) (result externref) (local.get 0)))"#], "
        let value = (x) => [1, x];
        const { three, swap, pair, same } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { pair: (x) => value(x) } }).exports;
        console.log(three(1), Array.isArray(three(1)), pair('x'));
        const list = [three, 1], [fn, back] = swap(list, three);
        console.log(fn === three, back === list, fn(9), same(list) === list, list[0] === three);
        const nested = pair(list); console.log(nested[1] === list);
        value = function* () { yield '5'; yield three }; console.log(pair()[0], pair()[1] === three);
        for (const wrong of [1, [1], [1, 2, 3], null]) { value = () => wrong; try { pair() } catch (e) { console.log(`${e}`) } }
        swap(1, () => {})"),
    ("references to functions", &[r#"(module (import "e" "take" (func $take (param funcref) (result funcref)))
          (func $one (result i32) (i32.const 1)) (elem declare func $one)
          (func (export "get") (result funcref) (ref.func $one))
          (func (export "give") (result funcref) (call $take (ref.func $one)))
          (func (export "pass") (param funcref) (result funcref) (local.get 0)))"#], "
        let seen;
        const { get, give, pass } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { take(f) { seen = f; return f } } }).exports;
        console.log(get() === get(), give() === get(), seen === get(), get()(), get().name, pass(get()) === get(), pass(null));
        for (const wrong of [() => {}, {}, 1, undefined]) { try { pass(wrong) } catch (e) { console.log(`${e}`) } }
        pass(pass) === pass"),
    ("garbage collected structs", &[r#"(module (type $p (struct (field (mut i32)))) (type $l (array i32))
          (func (export "make") (param i32) (result (ref $p)) (struct.new $p (local.get 0)))
          (func (export "get") (param (ref $p)) (result i32) (struct.get $p 0 (local.get 0)))
          (func (export "list") (result (ref $l)) (array.new_fixed $l 2 (i32.const 1) (i32.const 2)))
          (func (export "any") (param anyref) (result anyref) (local.get 0))
          (func (export "small") (result i31ref) (ref.i31 (i32.const 5))))"#], "
        const { make, get, list, any, small } = new WebAssembly.Instance(new WebAssembly.Module(m0)).exports;
        const p = make(7);
        console.log(typeof p, get(p), any(p) === p, any(list()) === p, p.x, Object.keys(p), Object.isExtensible(p), small());
        console.log(Object.getPrototypeOf(p), any('s'), any(null), any(any) === any, get(make(8)), get(p));
        for (const wrong of [{}, null, list(), 1, Object.preventExtensions({ __proto__: null })]) { try { get(wrong) } catch (e) { console.log(`${e}`) } }
        const frozen = Object.freeze({ __proto__: null, a: 1 });
        any(frozen) === frozen"),
    ("exceptions", &[r#"(module (import "e" "f" (func $f)) (tag $t (export "t") (param i32 externref))
          (func (export "throw") (param i32 externref) (throw $t (local.get 0) (local.get 1)))
          (func (export "catch") (result i32 externref) (block $h (result i32 externref)
            (try_table (catch $t $h) (call $f)) (i32.const -1) (ref.null extern)))
          (func (export "all") (result i32) (block $h (try_table (catch_all $h) (call $f)) (return (i32.const 0))) (i32.const 1)))"#], "
        let action;
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f: () => action() } });
        const { t, catch: attempt, all } = exports, object = {};
        console.log(t, t === exports.t);
        let caught;
        try { exports.throw(3, object) } catch (e) { caught = e }
        console.log(caught instanceof WebAssembly.Exception, caught instanceof Error, caught.is(t), caught.getArg(t, 0),
          caught.getArg(t, 1) === object, caught.constructor === WebAssembly.Exception, `${caught}`, caught.stack);
        const other = new WebAssembly.Tag({ parameters: ['i32'] });
        console.log(caught.is(other));
        for (const wrong of [() => caught.getArg(other, 0), () => caught.getArg(t, 2), () => caught.getArg(), () => caught.is(1)]) {
          try { wrong() } catch (e) { console.log(`${e}`) }
        }
        action = () => { throw caught }; console.log(attempt()[0], attempt()[1] === object, all());
        const made = new WebAssembly.Exception(t, [8, exports.all]);
        action = () => { throw made }; console.log(attempt()[0], attempt()[1] === exports.all, made.getArg(t, 1) === exports.all);
        action = () => exports.throw(9, null); console.log(attempt());
        action = () => { throw new WebAssembly.Exception(other, [1]) };
        try { attempt() } catch (e) { console.log(e.is(other), e.getArg(other, 0)) }
        action = () => { throw new Error('plain') }; try { attempt() } catch (e) { console.log(e.message, all()) }
        console.log(new WebAssembly.Exception(other, [1], { traceStack: true }).stack?.split('\\n')[1]);
        exports.throw(1, null)"),
    ("exceptions of scripts", &[r#"(module (import "e" "js" (tag $js (param externref))) (import "e" "f" (func $f))
          (func (export "catch") (result externref) (block $h (result externref)
            (try_table (catch $js $h) (call $f)) (ref.null extern)))
          (func (export "throw") (param externref) (throw $js (local.get 0))))"#], "
        let action;
        const { catch: attempt, throw: raise } = new WebAssembly.Instance(new WebAssembly.Module(m0), {
          e: { js: WebAssembly.JSTag, f: () => action() } }).exports;
        for (const value of [new Error('e'), 1, undefined, [1], attempt]) {
          action = () => { throw value }; console.log(attempt() === value);
          try { raise(value) } catch (e) { console.log(e === value) }
          action = () => raise(value); console.log(attempt() === value);
        }
        const tag = new WebAssembly.Tag({ parameters: [] });
        action = () => { throw new WebAssembly.Exception(tag, []) };
        try { attempt() } catch (e) { console.log(e.is(tag), e.is(WebAssembly.JSTag)) }
        action = () => { throw 'text' }; attempt()"),
    ("nested calls", &[r#"(module (import "e" "f" (func $f (param i32) (result i32)))
          (func (export "down") (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
            (else (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1))))))))"#], "
        const { down } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f: (n) => down(n) } }).exports;
        console.log(down(100));
        let error; try { down(1e6) } catch (e) { error = e }
        console.log(error instanceof RangeError, error.message);
        down(10)"),
    ("strings as imports", &[r#"(module (import "wasm:js-string" "length" (func $length (param externref) (result i32)))
          (import "wasm:js-string" "concat" (func $concat (param externref externref) (result (ref extern))))
          (import "'" "hello" (global $hello (ref extern)))
          (func (export "f") (param externref) (result externref) (call $concat (global.get $hello) (local.get 0)))
          (func (export "g") (param externref) (result i32) (call $length (local.get 0))))"#], r#"
        const options = { builtins: ['js-string'], importedStringConstants: "'" };
        const module = new WebAssembly.Module(m0, options);
        const { f, g } = new WebAssembly.Instance(module, {}).exports;
        console.log(f(' world'), g('four'), WebAssembly.Module.imports(module), WebAssembly.validate(m0, options));
        const { instance } = await WebAssembly.instantiate(m0, {}, options);
        const compiled = await WebAssembly.compile(m0, options);
        console.log(instance.exports.f('!'), new WebAssembly.Instance(compiled).exports.g('five5'));
        f(1)"#),
    ("wide memory", &[r#"(module (memory (export "m") i64 1 4) (func (export "load") (param i64) (result i32) (i32.load8_u (local.get 0))))"#], "
        const { m, load } = new WebAssembly.Instance(new WebAssembly.Module(m0)).exports;
        new Uint8Array(m.buffer)[3] = 33;
        console.log(m.grow(1n), m.buffer.byteLength, load(3n));
        const own = new WebAssembly.Memory({ address: 'i64', initial: 1n, maximum: 2n });
        console.log(own.grow(1n), own.buffer.byteLength);
        own.grow(1)"),
    ("clones", &[ADD], "
        const module = new WebAssembly.Module(m0), memory = new WebAssembly.Memory({ initial: 1 });
        for (const value of [module, memory, [module], { memory }, new WebAssembly.Instance(module), new WebAssembly.Instance(module).exports.add]) {
          try { structuredClone(value); console.log('cloned') } catch (e) { console.log(e instanceof Error) }
        }
        structuredClone(memory.buffer).byteLength"),
    ("a changed world", &[r#"(module (import "e" "f" (func $f (param externref) (result externref))) (memory (export "m") 1)
          (func (export "f") (param externref) (result externref) (call $f (local.get 0))))"#], "
        const changed = () => { throw new Error('changed') };
        const change = (of, keys) => { for (let i = 0; i < keys.length; i++) of[keys[i]] = changed };
        const things = [globalThis, Uint8Array.prototype.__proto__, Object, Array, Reflect, WeakSet.prototype, WeakMap.prototype,
          Promise.prototype, Function.prototype, Object.prototype, Array.prototype];
        const keys = [['Uint8Array', 'BigInt'], ['set'], ['create', 'freeze', 'defineProperty'], ['isArray'],
          ['apply', 'construct', 'getOwnPropertyDescriptor'], ['add', 'has'], ['get', 'set', 'has'], ['then', 'catch'],
          ['call', 'apply', 'bind'], ['builtins', 'kind', 'remake', 'keep'], [Symbol.iterator, 'push', 'map']];
        for (let i = 0; i < things.length; i++) change(things[i], keys[i]);
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f: (x) => x } });
        console.log(exports.f(5), exports.m.buffer.byteLength, exports.m.grow(1), new WebAssembly.Memory({ initial: 1 }).buffer.byteLength);
        const { instance } = await WebAssembly.instantiate(m0, { e: { f: (x) => [x] } });
        instance.exports.f(6)[0]"),
    ("a syntax error at run time", &[ADD], "
        new WebAssembly.Instance(new WebAssembly.Module(m0));
        JSON.parse('{')"),
];

const ADD: &str = r#"(module (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))"#;

/// A counter in a memory.
const COUNTER: &str = r#"(module (import "e" "m" (memory 1))
    (func (export "next") (result i32)
      (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.const 1))) (i32.load (i32.const 4))))"#;

#[test]
fn webassembly_is_the_same_in_both_modes() {
    let mut wrong = String::new();
    for (name, modules, source) in CASES {
        let (without, with) = both(&script(modules, source));
        if without != with {
            writeln!(
                wrong,
                "==== {name}\n---- without a heap\n{without}\n---- with one\n{with}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn modules_live_on_in_a_heap() {
    let (_, heap) = step(
        None,
        &script(
            &[ADD, r#"(module (import "'" "hi" (global (ref extern))) (export "hi" (global 0)) (@custom "note" "n"))"#],
            "const module = await WebAssembly.compile(m0); let { add } = new WebAssembly.Instance(module).exports;
             const greets = new WebAssembly.Module(m1, { builtins: [], importedStringConstants: \"'\" });
             const kept = new WeakMap([[module, 'in a map']]); m0 = m1 = undefined; add(1, 2)",
        ),
    );
    let (result, heap) = step(
        Some(heap),
        "({ add } = new WebAssembly.Instance(module).exports);
         [add(2, 3), kept.get(module), module instanceof WebAssembly.Module, WebAssembly.Module.exports(module)[0].name,
          new WebAssembly.Instance(greets).exports.hi.value, WebAssembly.Module.customSections(greets, 'note').length].join()",
    );
    assert_eq!(result, "5,in a map,true,add,hi,1");
    let (result, _) = step(
        Some(heap),
        "(await WebAssembly.instantiate(module)).exports.add(4, 5)",
    );
    assert_eq!(result, "9");
}

#[test]
fn what_ended_with_its_execution_says_so() {
    let module = r#"(module (memory (export "memory") 1) (table (export "table") 1 funcref) (tag (export "tag"))
        (global (export "global") i32 (i32.const 5)) (type $s (struct)) (func (export "f") (result i32) (i32.const 1))
        (func (export "make") (result (ref $s)) (struct.new $s)) (func (export "take") (param externref)))"#;
    let (_, heap) = step(
        None,
        &script(
            &[module],
            "const module = new WebAssembly.Module(m0); const instance = new WebAssembly.Instance(module);
             const { f, memory, table, global, tag, make } = instance.exports; const struct = make();
             const own = new WebAssembly.Table({ element: 'externref', initial: 1 }); f()",
        ),
    );
    let (result, heap) = step(
        Some(heap),
        "const fresh = () => new WebAssembly.Instance(module).exports;
         const attempts = [() => f(), () => instance.exports.f(), () => table.get(0), () => table.length, () => own.grow(1),
           () => global.value, () => new WebAssembly.Exception(tag, []), () => fresh().take(struct), () => fresh().take(f),
           () => fresh().table.set(0, f)];
         for (const attempt of attempts) {
           try { attempt(); throw new Error(`it works: ${attempt}`) } catch (e) {
             if (!(e instanceof WebAssembly.RuntimeError)) throw e;
             if (!e.message.includes('instantiate the module again')) throw e;
           }
         }
         let message; try { f() } catch (e) { message = e.message }
         [message, typeof f, f.name, fresh().f(), instance.exports.f === f].join('|')",
    );
    assert_eq!(
        result,
        "This function of WebAssembly belongs to an execution that has ended. A heap keeps WebAssembly modules and \
         memories, and globals and tags that a script made, but no instances, exported functions and tables: \
         instantiate the module again|function|0|1|true"
    );
    // And it stays so.
    let (result, _) = step(Some(heap), "try { f() } catch (e) { e.name }");
    assert_eq!(result, "RuntimeError");
}

#[test]
fn memories_live_on_with_their_bytes() {
    let (result, heap) = step(
        None,
        &script(
            &[COUNTER],
            "const m = new WebAssembly.Memory({ initial: 1, maximum: 3 }), module = new WebAssembly.Module(m0);
             let view = new Int32Array(m.buffer); const untouched = new WebAssembly.Memory({ initial: 2 });
             const count = () => { const { next } = new WebAssembly.Instance(module, { e: { m } }).exports; next(); return next() };
             count() + view[1]",
        ),
    );
    assert_eq!(result, "4");
    let (result, heap) = step(
        Some(heap),
        "const first = [view[1], view.buffer === m.buffer, m.buffer.byteLength, untouched.buffer.byteLength, m instanceof WebAssembly.Memory];
         view[1] = 10;
         first.push(count(), view.length, m.grow(1), count(), new Int32Array(m.buffer)[1], m.buffer.byteLength);
         first.join()",
    );
    assert_eq!(result, "2,true,65536,131072,true,12,0,1,14,14,131072");
    let (result, heap) = step(
        Some(heap),
        "try { m.grow(2) } catch (e) { first.push(e.message) }
         try { m.buffer.transfer() } catch (e) { first.push(e.name) }
         [first.slice(-2), m.grow(1), count(), m.buffer.byteLength].join()",
    );
    assert_eq!(
        result,
        "WebAssembly.Memory.grow(): Maximum memory size exceeded,TypeError,2,16,196608"
    );
    // Not touched in this one.
    let (_, heap) = step(Some(heap), "1");
    let (result, _) = step(Some(heap), "new Int32Array(m.buffer)[1] + count()");
    assert_eq!(result, "34");
}

#[test]
fn memories_of_instances_and_of_64_bits_live_on() {
    let module = r#"(module (memory (export "m") 1) (memory (export "w") i64 1 2)
        (func (export "store") (i32.store8 (i32.const 3) (i32.const 33))))"#;
    let (_, heap) = step(
        None,
        &script(
            &[module],
            "const { instance } = await WebAssembly.instantiate(m0); instance.exports.store();
             const wide = instance.exports.w; new Uint8Array(wide.buffer)[1] = 5; 1",
        ),
    );
    let (result, heap) = step(
        Some(heap),
        "[new Uint8Array(instance.exports.m.buffer)[3], wide.grow(1n), new Uint8Array(wide.buffer)[1]].join()",
    );
    assert_eq!(result, "33,1,5");
    let (result, _) = step(
        Some(heap),
        "let e; try { wide.grow(1n) } catch (error) { e = error.name } [e, instance.exports.m.grow(1), wide.buffer.byteLength].join()",
    );
    assert_eq!(result, "RangeError,1,131072");
}

#[test]
fn shared_memories_live_on() {
    let (_, heap) = step(
        None,
        "const m = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }); new Int32Array(m.buffer)[0] = 5",
    );
    let source = "m.grow(0) + Atomics.add(new Int32Array(m.buffer), 0, 1) + m.buffer.constructor.name + m.buffer.byteLength";
    let (result, heap) = step(Some(heap), source);
    assert_eq!(result, "6SharedArrayBuffer65536");
    let (result, _) = step(Some(heap), source);
    assert_eq!(result, "7SharedArrayBuffer65536");
}

#[test]
fn a_memory_that_is_too_large_for_a_heap_does_not_cost_the_rest() {
    let (_, heap) = step(
        None,
        "let rest = 'kept'; const large = new WebAssembly.Memory({ initial: 1100 }); new Uint8Array(large.buffer)[0] = 1",
    );
    assert!(heap.len() < 4 << 20, "{}", heap.len());
    let (result, _) = step(
        Some(heap),
        "let e; try { large.buffer } catch (error) { e = error.message } [rest, e].join()",
    );
    assert_eq!(
        result,
        "kept,This WebAssembly.Memory was larger than a heap keeps"
    );
}

#[test]
fn globals_and_tags_of_scripts_live_on() {
    let module = r#"(module (import "e" "g" (global $g (mut i64))) (import "e" "t" (tag $t (param i32)))
        (func (export "f") (global.set $g (i64.add (global.get $g) (i64.const 1))) (throw $t (i32.const 7))))"#;
    let source = "try { new WebAssembly.Instance(module, { e: { g, t } }).exports.f() } catch (e) { caught = e }
         [g.value, caught.is(t), caught.getArg(t, 0), thing.value.a].join()";
    let (result, heap) = step(
        None,
        &script(
            &[module],
            &format!(
                "const g = new WebAssembly.Global({{ value: 'i64', mutable: true }}, 5n), object = {{ a: 1 }}; let caught;
                 const t = new WebAssembly.Tag({{ parameters: ['i32'] }}), module = new WebAssembly.Module(m0);
                 const thing = new WebAssembly.Global({{ value: 'externref' }}, object); {source}"
            ),
        ),
    );
    assert_eq!(result, "6,true,7,1");
    let (result, heap) = step(
        Some(heap),
        &format!("{source} + [caught.constructor.name, thing.value === object]"),
    );
    assert_eq!(result, "7,true,7,1Exception,true");
    let (result, _) = step(Some(heap), "g.value += 10n; `${g.value} ${g.valueOf()}`");
    assert_eq!(result, "17 17");
}

#[test]
fn chains_of_heaps_that_use_webassembly_do_not_grow() {
    let source = script(
        &[COUNTER],
        "globalThis.m ??= new WebAssembly.Memory({ initial: 1 });
         const { instance } = await WebAssembly.instantiate(m0, { e: { m } });
         try { new WebAssembly.Instance(new WebAssembly.Module(m0)) } catch {}
         new Uint8Array(m.buffer); instance.exports.next()",
    );
    let (mut heap, mut warm) = (None, 0);
    for generation in 1..=60 {
        let (result, next) = step(heap, &source);
        assert_eq!(result, generation.to_string());
        if generation == 20 {
            warm = next.len();
        }
        heap = Some(next);
    }
    let grown = heap.map_or(0, |heap| heap.len()) - warm;
    assert!(
        grown <= 40 * GROWTH_BYTES_MAX,
        "{grown} bytes in 40 generations"
    );
}

#[test]
fn a_heap_costs_nothing_for_webassembly_that_it_does_not_use() {
    let (_, without) = step(None, "1");
    let (_, with) = step(None, "WebAssembly; 1");
    assert!(
        with.len() > without.len() + (20 << 10),
        "it is loaded at its first use"
    );
}

#[test]
fn equal_scripts_with_webassembly_leave_equal_bytes() {
    const NAME: &str = "equal_scripts_with_webassembly_leave_equal_bytes";
    let first = script(
        &[COUNTER, ADD],
        "const m = new WebAssembly.Memory({ initial: 1 }), module = new WebAssembly.Module(m0);
         const { next } = new WebAssembly.Instance(module, { e: { m } }).exports;
         const { instance: { exports: { add } } } = await WebAssembly.instantiate(m1);
         let n = 0; for (let i = 0; i < 100000; i++) n = add(next(), n);
         const t = new WebAssembly.Table({ element: 'anyfunc', initial: 2 }, add); const bytes = new Uint8Array(m.buffer); n",
    );
    let second = "new WebAssembly.Instance(module, { e: { m } }).exports.next()";
    let chain = || {
        let heap = step(None, &first).1;
        step(Some(heap), second).1
    };
    if let Some(file) = part() {
        std::fs::write(file, chain()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let files = ["a", "b"].map(|name| folder.path().join(name));
    for file in &files {
        let output = in_a_process(NAME, file.to_str().unwrap());
        assert!(output.status.success(), "{output:?}");
    }
    let [a, b] = files.map(|file| std::fs::read(file).unwrap());
    assert!(a == b, "in two processes");
    assert!(a == chain(), "in this one");
    assert!(chain() == chain(), "twice in one");
}

#[test]
fn what_a_script_lets_go_is_collected() {
    // Each memory reserves gigabytes of addresses, so that not many fit at once.
    let (result, _) = step(
        None,
        &script(
            &[COUNTER],
            "const module = new WebAssembly.Module(m0); let n = 0;
             for (let i = 0; i < 3000; i++) {
               const m = new WebAssembly.Memory({ initial: 1 });
               n += new WebAssembly.Instance(module, { e: { m } }).exports.next() + new Int32Array(m.buffer)[1];
             }
             n",
        ),
    );
    assert_eq!(result, "6000");
}

#[test]
fn a_heap_that_holds_on_to_an_instance_is_refused_and_the_result_is_not_lost() {
    let module = r#"(module (import "e" "f" (func $f)) (func (export "f") (call $f)))"#;
    let source = |use_it: &str| {
        script(
            &[module],
            &format!(
                "let kept; const f = () => {{ kept = new Error('kept'); {use_it} }};
                 new WebAssembly.Instance(new WebAssembly.Module(m0), {{ e: {{ f }} }}).exports.f(); 'done'"
            ),
        )
    };
    let (result, refusal) = try_step(None, &source(""));
    assert_eq!(result, "done");
    assert!(
        matches!(refusal, Err(UnsavableHeap::WebAssembly)),
        "{refusal:?}"
    );
    // As the text says.
    let (_, heap) = step(None, &source("kept.stack"));
    let (result, _) = step(Some(heap), "kept.stack.split('\\n').length > 3");
    assert_eq!(result, "true");
}

#[test]
fn errors_that_went_through_webassembly_can_be_kept() {
    let module = r#"(module (import "e" "f" (func $f)) (func (export "f") (call $f)) (func (export "trap") unreachable))"#;
    let (_, heap) = step(
        None,
        &script(
            &[module],
            "const kept = [], keep = (f) => { try { f() } catch (e) { kept.push(e) } };
             const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m0), { e: { f: () => null.x } });
             keep(exports.f); keep(exports.trap);
             keep(() => new WebAssembly.Module(m0.slice(0, 9))); keep(() => new WebAssembly.Instance(new WebAssembly.Module(m0)));
             keep(() => exports.f(Symbol())); keep(() => new WebAssembly.Memory());
             try { await WebAssembly.compile(m0.slice(1)) } catch (e) { kept.push(e) }",
        ),
    );
    let (result, _) = step(
        Some(heap),
        "kept.map((e) => `${e.name} ${e.stack.includes('<anonymous>')}`).join()",
    );
    assert_eq!(
        result,
        "TypeError true,RuntimeError true,CompileError true,TypeError true,TypeError true,TypeError true,CompileError true"
    );
}

/// Scripts that take memory in a way of their own until there is no more.
const BOMBS: &[&str] = &[
    "const a = []; for (;;) { const m = new WebAssembly.Memory({ initial: 64 }); new Uint8Array(m.buffer).fill(1); a.push(m) }",
    "const m = new WebAssembly.Memory({ initial: 1 }); for (;;) { m.grow(64); new Uint8Array(m.buffer).fill(1) }",
    "const a = []; for (;;) a.push(new WebAssembly.Table({ element: 'anyfunc', initial: 1e6 }))",
    "const a = []; for (;;) a.push(new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])))",
    "const t = new WebAssembly.Table({ element: 'externref', initial: 0 }); for (;;) t.grow(1, { t })",
];

#[test]
fn webassembly_that_takes_all_memory_ends_as_a_memory_failure() {
    const NAME: &str = "webassembly_that_takes_all_memory_ends_as_a_memory_failure";
    if let Some(bomb) = part() {
        let bytes = 400 << 20;
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_DATA, bytes, bytes)
            .unwrap();
        let outcome = outcome(None, BOMBS[bomb.parse::<usize>().unwrap()]);
        assert!(
            matches!(
                outcome,
                Outcome::Failed {
                    kind: FailureKind::Memory,
                    ..
                }
            ),
            "{outcome:?}"
        );
        return;
    }
    for (index, bomb) in BOMBS.iter().enumerate() {
        let output = in_a_process(NAME, &index.to_string());
        let said = String::from_utf8_lossy(&output.stderr);
        // The runtime says so itself, or V8 or the kernel in its stead.
        let is_memory = [
            "the heap limit was reached",
            "out of memory",
            "Out of memory",
        ]
        .iter()
        .any(|words| said.contains(words));
        assert!(output.status.success() || is_memory, "{bomb}: {output:?}");
    }
}

#[test]
fn without_executable_memory_there_is_no_webassembly() {
    const NAME: &str = "without_executable_memory_there_is_no_webassembly";
    if part().is_none() {
        let output = in_a_process(NAME, "jitless");
        assert!(output.status.success(), "{output:?}");
        return;
    }
    choose_tier(EngineTier::Jitless);
    let (without, with) = both("[typeof WebAssembly, 'WebAssembly' in globalThis].join()");
    assert_eq!(without, "\"undefined,false\"\nundefined,false");
    assert_eq!(with, without);
}
