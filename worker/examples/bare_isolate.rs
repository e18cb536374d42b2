//! The least that running a script in V8 can cost: one isolate and one context, without anything of
//! the worker. `scripts/bench` measures it beside the worker.
//!
//! It writes a line when it is ready; then it evaluates `1 + 1` for each line of its input, and
//! answers with the value. It ends with its input.

use std::io::{BufRead, BufReader, Write};

use deno_core::v8;

/// The flags of the worker that matter for speed and memory.
const FLAGS: &str = "--single-threaded --random-seed=42 --hash-seed=42";
/// What it evaluates.
const SOURCE: &str = "1 + 1";

fn main() -> std::io::Result<()> {
    v8::V8::set_flags_from_string(FLAGS);
    v8::V8::initialize_platform(v8::new_single_threaded_default_platform(false).make_shared());
    v8::V8::initialize();
    let mut isolate = v8::Isolate::new(v8::CreateParams::default());
    v8::scope!(let scope, &mut isolate);
    let context = v8::Context::new(scope, v8::ContextOptions::default());
    let scope = &mut v8::ContextScope::new(scope, context);

    let mut output = std::io::stdout().lock();
    writeln!(output, "ready")?;
    output.flush()?;
    for line in BufReader::new(std::io::stdin()).lines() {
        line?;
        let value = evaluate(scope).unwrap_or_else(|| "failed".to_owned());
        writeln!(output, "{value}")?;
        output.flush()?;
    }
    Ok(())
}

fn evaluate(scope: &mut v8::PinScope<'_, '_>) -> Option<String> {
    v8::scope!(let scope, scope);
    let source = v8::String::new(scope, SOURCE)?;
    let script = v8::Script::compile(scope, source, None)?;
    let value = script.run(scope)?;
    Some(value.to_rust_string_lossy(scope))
}
