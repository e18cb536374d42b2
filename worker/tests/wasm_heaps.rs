//! WebAssembly in heaps: the same as without one, and what of it a heap keeps.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "wasm_heaps/cases.rs"]
mod cases;
mod support;

use std::fmt::Write as _;

use cases::{ADD, CASES};
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
