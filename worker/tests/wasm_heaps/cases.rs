//! Modules and scripts that say the same with a heap and without one.

/// Each says the same in both modes: what the module is, and what is done with it.
pub(crate) const CASES: &[(&str, &[&str], &str)] = &[
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

pub(crate) const ADD: &str = r#"(module (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))"#;
