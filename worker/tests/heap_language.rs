//! A script that works without a heap works with one: both modes have the same language.

mod support;

use std::collections::BTreeSet;

use support::{both, step};

/// Lists everything that can be reached from the global object, with names, kinds and attributes.
const SHAPE: &str = r"
    const seen = new Set(), lines = [];
    const show = (key) => typeof key === 'symbol' ? `[${key.description}]` : key;
    function walk(object, path) {
      if ((typeof object !== 'object' && typeof object !== 'function') || object === null) return;
      if (seen.has(object)) return;
      seen.add(object);
      const prototype = Object.getPrototypeOf(object);
      lines.push(`${path} is ${typeof object} ${Object.isExtensible(object)}`);
      for (const key of Reflect.ownKeys(object)) {
        const { value, get, set, writable, enumerable, configurable } =
          Object.getOwnPropertyDescriptor(object, key);
        const at = `${path}.${show(key)}`;
        const text = typeof value === 'string' || typeof value === 'number' ? value : typeof value;
        lines.push(`${at} ${text} ${typeof get} ${typeof set} ${writable} ${enumerable} ${configurable}`);
        walk(value, at); walk(get, at + '.get'); walk(set, at + '.set');
      }
      walk(prototype, path + '.__proto__');
    }
    // Each global is loaded at its first use.
    for (const key of Reflect.ownKeys(globalThis)) globalThis[key];
    const globals = Reflect.ownKeys(globalThis)
      .filter((key) => !['globalThis'].includes(key))
      .sort((a, b) => show(a) < show(b) ? -1 : 1);
    for (const key of globals) {
      const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(globalThis, key);
      lines.push(`${show(key)} ${writable} ${enumerable} ${configurable}`);
      walk(globalThis[key], show(key));
    }
    lines.join('\n')";

/// What V8 has in no form that a heap can keep: WebAssembly that waits for promises, and buffers of
/// memories that grow with them; and a class that has no use without modules.
const MISSING: &[&str] = &[
    "WebAssembly.Suspending",
    "WebAssembly.SuspendError",
    "WebAssembly.promising",
    "WebAssembly.Memory.prototype.toFixedLengthBuffer",
    "WebAssembly.Memory.prototype.toResizableBuffer",
    "WebAssembly.Module.prototype.__proto__",
];

#[test]
fn everything_that_a_script_can_reach_is_the_same_with_a_heap() {
    let (without, with) = both(SHAPE);
    // Of all that is listed; the first line is a preview of it.
    let lines = |text: &'static str| text.lines().skip(1).collect::<BTreeSet<_>>();
    let (without, with) = (lines(without.leak()), lines(with.leak()));
    let differences: Vec<_> = without
        .symmetric_difference(&with)
        .filter(|line| !MISSING.iter().any(|missing| line.starts_with(missing)))
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
    for missing in MISSING {
        assert!(
            without.iter().any(|line| line.starts_with(missing))
                && !with.iter().any(|line| line.starts_with(missing)),
            "{missing}"
        );
    }
    assert!(without.len() > 5000, "it walks");
}

#[test]
fn errors_have_stacks_with_a_heap_too() {
    let source = "function f() { null.x }\n try { f() } catch (e) { console.log(e.stack) }\n f()";
    let (without, with) = both(source);
    assert_eq!(without, with);
    assert!(with.contains("at f (<anonymous>:1:21)"), "{with}");
}

#[test]
fn new_parts_of_the_language_work_in_a_restored_heap() {
    let source = "
        const day = () => Temporal.PlainDate.from('2024-02-29').add({ years: 1 }).toString();
        const shared = () => new Int32Array(new SharedArrayBuffer(8)).fill(3)[1];
        class Resource { [Symbol.dispose]() { log.push('disposed') } }
        const log = [];
        const use = () => { using it = new Resource(); log.push(it instanceof Resource) };
        const all = () => (use(), [day(), shared(), log, Float16Array.of(1.1)[0],
          new Uint8Array([1, 2]).toHex(), RegExp.escape('a.b'), Error.isError(new Error()),
          Math.sumPrecise([0.1, 0.2]), new Map().getOrInsert('k', 5)].join());
        all()";
    let (first, heap) = step(None, source);
    assert_eq!(
        first,
        "2025-02-28,3,true,disposed,1.099609375,0102,\\x61\\.b,true,0.30000000000000004,5"
    );
    let (second, _) = step(Some(heap), "log.length = 0; all()");
    assert_eq!(first, second);
}
