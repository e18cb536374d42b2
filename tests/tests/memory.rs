//! Scripts that run into the kernel's limit of memory where V8 has no way out: each ends as a memory
//! failure that says what to do, however the worker died, and however it was started.

use e2e::home::Home;
use serde_json::json;

/// Each dies in a way of its own: by a null pointer, by V8's or ICU's abort, by C++'s, by Rust's.
const SCRIPTS: &[&str] = &[
    "const a = []; for (;;) a.push(new Intl.DateTimeFormat('de', { dateStyle: 'full' }))",
    "const a = []; for (;;) a.push(new Intl.Collator('de'))",
    "const a = []; for (;;) a.push(new Intl.NumberFormat('de', { style: 'currency', currency: 'EUR' }))",
    "JSON.parse('['.repeat(2e7))",
    "eval('[' + '1,'.repeat(5e6) + ']')",
    "new RegExp('(?:' + 'a|b'.repeat(5e5) + ')').test('x')",
];

#[test]
fn want_of_memory_is_told_however_the_worker_dies_of_it() {
    // The parser of TypeScript takes more for these than there is.
    let declarations = "class A {}\n".repeat(90_000);
    for start in ["zygote", "exec"] {
        let home = Home::new();
        let mut server = home.start_with(&["--worker-start", start]);
        for code in SCRIPTS.iter().copied().chain([declarations.as_str()]) {
            let limits = json!({"heap_memory_max_mb": 8, "execution_timeout_secs": 60});
            let seen = server.run_with(code, limits);
            let about = &code[..code.len().min(60)];
            assert_eq!(seen["error_kind"], "memory", "{start}: {about}: {seen}");
            let error = seen["error"].as_str().unwrap_or_default();
            assert!(
                error.contains("raise heap_memory_max_mb"),
                "{about}: {error}"
            );
        }
        assert_eq!(server.run("20 + 22")["result"], "42");
        server.finish();
        home.assert_empty();
    }
}
