//! Modules that an operator has preloaded, as scripts find them, and what they leave in heaps.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::rc::Rc;

use mcp_v8_protocol::modules::{Module, encode};
use mcp_v8_worker::runtime::{Outcome, Preloaded, Realm, Snapshot};
use support::run;

const ADD: &str = r#"(module (func (export "add") (param i32 i32) (result i32)
    local.get 0 local.get 1 i32.add))"#;

const CALLS: &str = r#"(module (import "host" "f" (func $f (result i32)))
    (func (export "f") (result i32) call $f))"#;

/// Traps as soon as there is an instance.
const TRAPS: &str = "(module (func unreachable) (start 0))";

/// How much a generation may add that touches no module, in bytes.
const GROWTH_BYTES_MAX: usize = 160;

fn modules(digest: u8) -> Rc<Preloaded> {
    let texts = [("math", ADD), ("calls", CALLS), ("traps", TRAPS)];
    let parsed = texts.map(|(name, text)| (name, wat::parse_str(text).unwrap()));
    let mut listed: Vec<Module<'_>> = parsed
        .iter()
        .map(|(name, bytes)| Module {
            name,
            digest: [digest; 32],
            bytes,
        })
        .collect();
    // V8 refuses it, whatever the supervisor has let through.
    listed.push(Module {
        name: "broken",
        digest: [digest; 32],
        bytes: b"\0asm\x01\0\0\0\x01\x7f",
    });
    let file = encode(&listed).unwrap();
    Rc::new(Preloaded::of(file.leak()).unwrap())
}

fn value(outcome: Outcome) -> String {
    match outcome {
        Outcome::Completed { result, .. } => result,
        Outcome::Failed { error, .. } => error,
    }
}

/// What a script gives without a heap, compiled before or at its first use, and on a new heap.
fn everywhere(source: &str) -> String {
    let without = |is_compiled: bool| {
        let mut realm = Realm::for_run();
        let modules = modules(0);
        if is_compiled {
            modules.compile();
        }
        realm.preload(modules);
        value(run(&mut realm, source).1)
    };
    let late = without(false);
    assert_eq!(without(true), late, "{source}");
    let mut realm = Realm::for_heap(None);
    let modules = modules(0);
    modules.compile();
    realm.preload(modules);
    assert_eq!(value(run(&mut realm, source).1), late, "{source}");
    std::mem::forget(realm);
    late
}

/// One generation with these modules.
fn step(
    heap: Option<Snapshot>,
    modules: Option<Rc<Preloaded>>,
    source: &str,
) -> (String, Snapshot) {
    let mut realm = Realm::for_heap(heap);
    if let Some(modules) = modules {
        realm.preload(modules);
    }
    let result = value(run(&mut realm, source).1);
    (result, realm.into_snapshot().unwrap())
}

#[test]
fn scripts_find_exports_and_modules() {
    for (source, result) in [
        ("math.add(2, 3)", "5"),
        ("__wasm_math instanceof WebAssembly.Module", "true"),
        (
            "new WebAssembly.Instance(__wasm_math).exports.add(4, 5)",
            "9",
        ),
        (
            "(await WebAssembly.instantiate(__wasm_math)).exports.add(4, 5)",
            "9",
        ),
        (
            "[math === math, __wasm_math === __wasm_math, globalThis.math === math].join()",
            "true,true,true",
        ),
        ("Object.isFrozen(math) && String(Object.keys(math))", "add"),
        ("typeof calls", "undefined"),
        (
            "new WebAssembly.Instance(__wasm_calls, { host: { f: () => 7 } }).exports.f()",
            "7",
        ),
        ("WebAssembly.Module.imports(__wasm_calls)[0].module", "host"),
        (
            "WebAssembly.Instance = WebAssembly.Module = undefined; math.add(1, 1)",
            "2",
        ),
    ] {
        assert_eq!(everywhere(source), result, "{source}");
    }
}

#[test]
fn they_are_globals_that_scripts_may_have_for_themselves() {
    for (source, result) in [
        ("let math = 1; math", "1"),
        ("const __wasm_math = 2; __wasm_math", "2"),
        ("var math = 3; math", "3"),
        ("function math() { return 4 } math()", "4"),
        ("class math { static x = 5 } math.x", "5"),
        ("math = 6; math", "6"),
        ("var math; math.add(3, 4)", "7"),
        ("delete globalThis.math && typeof math", "undefined"),
        (
            "math.add(1, 1); delete globalThis.math; typeof math",
            "undefined",
        ),
        ("Object.freeze(globalThis); math.add(4, 4)", "8"),
        (
            "'math' in globalThis && !Object.keys(globalThis).includes('math')",
            "true",
        ),
        ("({ ...globalThis }).math", "undefined"),
        ("(() => { let math = 9; return math })()", "9"),
        (
            "Object.getOwnPropertyDescriptor(globalThis, 'math').get.toString()",
            "function () { [native code] }",
        ),
        (
            "math; const d = Object.getOwnPropertyDescriptor(globalThis, 'math'); [d.configurable, d.writable].join()",
            "true,true",
        ),
    ] {
        assert_eq!(everywhere(source), result, "{source}");
    }
}

#[test]
fn what_goes_wrong_with_one_is_an_exception_where_it_is_used() {
    let text = everywhere(
        "const r = []; for (let i = 0; i < 2; i++) try { traps } catch (e) { r.push(e.name) } r.join()",
    );
    assert_eq!(text, "RuntimeError,RuntimeError");
    assert!(everywhere("broken").starts_with("CompileError: "));
    assert_eq!(
        everywhere("try { __wasm_broken } catch (e) {} math.add(1, 2)"),
        "3"
    );
}

#[test]
fn a_heap_that_touches_none_holds_nothing_of_them_and_does_not_grow() {
    let source = "globalThis.n = (globalThis.n ?? 0) + 1; n";
    let (_, mut heap) = step(None, Some(modules(0)), source);
    let (_, again) = step(None, Some(modules(0)), source);
    assert!(*heap == *again, "equal states have equal heaps");
    let (_, without) = step(None, None, source);
    assert!(
        heap.len() < without.len() + 4096,
        "{} {}",
        heap.len(),
        without.len()
    );
    for generation in 2..12 {
        let before = heap.len();
        let (result, next) = step(Some(heap), Some(modules(0)), source);
        assert_eq!(result, generation.to_string());
        assert!(
            generation == 2 || next.len() <= before + GROWTH_BYTES_MAX,
            "{before} {}",
            next.len()
        );
        heap = next;
    }
    // And it is of use where there are no modules.
    assert_eq!(
        step(
            Some(heap),
            None,
            "[n, typeof math, typeof __wasm_math].join()"
        )
        .0,
        "11,undefined,undefined"
    );
}

#[test]
fn a_heap_gets_them_anew_and_keeps_what_a_script_made() {
    let source = "const kept = __wasm_calls; math.add(1, 2); let calls = 'mine'; globalThis.traps = 'set'; 1";
    let (_, heap) = step(None, Some(modules(0)), source);
    let on = |modules, source: &str| step(Some(heap.clone()), modules, source).0;
    assert_eq!(on(Some(modules(0)), "math.add(3, 4)"), "7");
    assert_eq!(on(Some(modules(0)), "[calls, traps].join()"), "mine,set");
    let used = "try { new WebAssembly.Instance(kept, { host: { f: () => 8 } }).exports.f() } catch (e) { e.message }";
    assert_eq!(on(Some(modules(0)), used), "8");
    for other in [None, Some(modules(1))] {
        assert!(
            on(other, used).starts_with("the WebAssembly module calls of this heap is not among"),
            "{}",
            on(None, used)
        );
    }
    // Many generations of use neither grow nor wear.
    let mut heap = heap;
    for generation in 0..8 {
        let before = heap.len();
        let (result, next) = step(
            Some(heap),
            Some(modules(0)),
            "math.add(__wasm_math ? 1 : 0, 4)",
        );
        assert_eq!(result, "5");
        assert!(
            generation < 2 || next.len() <= before + GROWTH_BYTES_MAX,
            "{before} {}",
            next.len()
        );
        heap = next;
    }
}
