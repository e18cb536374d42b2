//! Heaps chain: what the choice of runtime rests on (`mcp_v8_worker::runtime`).

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use mcp_v8_worker::runtime::{Realm, plain_walks};
use support::{in_a_process, part, step};

/// How much a generation may add, in bytes: the script itself, and the cell of a name that it declares
/// again. V8 alone takes 544.
const GROWTH_BYTES_MAX: usize = 160;

#[test]
fn a_thousand_generations_that_use_web_globals_do_not_grow() {
    let source = "
        globalThis.count = (globalThis.count ?? 0) + 1;
        const url = new URL(`https://example.org/?n=${count}`);
        await new Promise((resolve) => setTimeout(resolve, 0));
        console.log('step', { count, url });
        new TextDecoder().decode(new TextEncoder().encode(url.searchParams.get('n')))";
    let (mut heap, mut warm) = (None, 0);
    for generation in 1..=1000 {
        let (result, next) = step(heap, source);
        assert_eq!(result, generation.to_string());
        if generation == 10 {
            warm = next.len();
        }
        heap = Some(next);
    }
    let grown = heap.map_or(0, |heap| heap.len()) - warm;
    assert!(
        grown <= 990 * GROWTH_BYTES_MAX,
        "{grown} bytes in 990 generations"
    );
}

#[test]
fn state_and_web_globals_survive() {
    let (_, heap) = step(
        None,
        "let a = 1; const f = () => ++a; class P { #x = 5; get x() { return this.#x } }
         const p = new P(); const m = new Map([[1n, /x/g]]); const u = new URL('http://a.b/c');
         const blob = new Blob(['kept']); const ctl = new AbortController(); setTimeout(() => a++, 1); a",
    );
    let (result, heap) = step(
        Some(heap),
        "let a2 = f(); [a2, p.x, m.get(1n).source, u.host, await blob.text(), ctl.signal.aborted,
          new URL('x', u).href, await new Promise((r) => setTimeout(() => r('timer'), 1))].join()",
    );
    assert_eq!(result, "3,5,x,a.b,kept,false,http://a.b/x,timer");
    let (result, _) = step(Some(heap), "const f = 7; let P = 8; f + P");
    assert_eq!(result, "15", "a name can be declared again, in its kind");
}

/// V8 keeps a list of all that is reachable otherwise, a fifth of the work.
#[test]
fn a_snapshot_is_made_without_a_look_at_what_is_reachable() {
    let before = plain_walks();
    drop(Realm::for_heap(None).into_snapshot().unwrap());
    assert_eq!(plain_walks() - before, 1);
}

#[test]
fn equal_states_have_equal_bytes_and_random_numbers_differ() {
    let source = "let x = [1, { y: 'z' }]; x.length";
    assert_eq!(step(None, source).1, step(None, source).1);
    let (_, heap) = step(None, "let r = Math.random(); 1");
    let numbers: Vec<String> = (0..5)
        .map(|_| step(Some(heap.clone()), "Math.random()").0)
        .collect();
    for (index, number) in numbers.iter().enumerate() {
        assert!(!numbers[..index].contains(number), "{numbers:?}");
    }
}

#[test]
fn equal_states_have_equal_bytes_in_every_process() {
    const NAME: &str = "equal_states_have_equal_bytes_in_every_process";
    const FIRST: &str = "const all = [new URL('http://a.b/'), 1n, /x/y, Temporal.Now];
        for (let i = 0; i < 30; i++) {
          const some = [];
          for (let j = 0; j < 10000; j++) some.push({ i, j, text: String(j).split('') });
          all.push(new Float64Array(100), new Uint8Array(10), some[i], new Map([[some, 1]]).size);
        }
        1";
    const SECOND: &str = "for (let i = 0; i < 30; i++) all[i] = [all[i], new Uint8Array(100)]; 1";
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let Some(part) = part() else {
        for (before, input, output) in [
            ("", "", "a1"),
            ("", "a1", "a2"),
            // As in a worker that was forked from a warm runtime.
            ("warm", "", "b1"),
            ("warm", "b1", "b2"),
        ] {
            let output = in_a_process(NAME, &[before, &file(input), &file(output)].join(" "));
            assert!(output.status.success(), "{output:?}");
        }
        let read = |name: &str| std::fs::read(file(name)).unwrap();
        assert!(read("a1") == read("b1"), "a new heap");
        assert!(read("a2") == read("b2"), "a heap from a heap");
        return;
    };
    let [before, input, output] = part.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{part}")
    };
    let _warm = (before == "warm").then(Realm::for_run);
    let heap = std::fs::read(input).ok();
    let source = if heap.is_some() { SECOND } else { FIRST };
    std::fs::write(output, step(heap, source).1).unwrap();
}
