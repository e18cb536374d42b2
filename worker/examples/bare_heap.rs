//! The floor of an execution that keeps its heap: V8's own restore and snapshot, in one process, with
//! nothing of the worker: no web globals, no inspector, no jail. `scripts/bench` measures it beside the
//! server.
//!
//! Each step restores the heap of the one before, evaluates `++n` and makes a snapshot. It does as many
//! as its first argument says, on a heap that holds as many objects as its second says, and writes a
//! line for each: microseconds of the restore, of the snapshot, of CPU time, and bytes of the heap.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use deno_core::v8;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The flags of the worker that matter for speed, memory and equal bytes.
const FLAGS: &str = "--single-threaded --random-seed=42 --hash-seed=42";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || -> Result<usize, Box<dyn Error>> {
        Ok(arguments.next().ok_or("two numbers are needed")?.parse()?)
    };
    let (steps, objects) = (number()?, number()?);
    v8::V8::set_flags_from_string(FLAGS);
    v8::V8::initialize_platform(v8::new_single_threaded_default_platform(false).make_shared());
    v8::V8::initialize();
    let first = format!(
        "var n = 0; var kept = []; for (let i = 0; i < {objects}; i++) kept.push({{ i }}); n"
    );
    let (_, mut heap) = step(None, &first)?;
    let mut output = std::io::stdout().lock();
    for _ in 0..steps {
        let before = cpu_micros()?;
        let (times, next) = step(Some(heap), "++n")?;
        let cpu = cpu_micros()? - before;
        let [restore, snapshot] = times;
        writeln!(output, "{restore} {snapshot} {cpu} {}", next.len())?;
        heap = next;
    }
    Ok(())
}

/// Microseconds until the script has run, and of the snapshot; and that.
fn step(heap: Option<Vec<u8>>, source: &str) -> Result<([u128; 2], Vec<u8>), Box<dyn Error>> {
    let begin = Instant::now();
    let mut isolate = match heap {
        None => v8::Isolate::snapshot_creator(None, None),
        Some(heap) => v8::Isolate::snapshot_creator_from_existing_snapshot(heap.into(), None, None),
    };
    let ran = {
        v8::scope!(let scope, &mut isolate);
        let context = v8::Context::new(scope, v8::ContextOptions::default());
        let scope = &mut v8::ContextScope::new(scope, context);
        scope.set_default_context(context);
        let source = v8::String::new(scope, source).ok_or("a short text")?;
        let script = v8::Script::compile(scope, source, None).ok_or("it compiles")?;
        script.run(scope).is_some()
    };
    if !ran {
        return Err("the script failed".into());
    }
    let restored = begin.elapsed();
    let begin = Instant::now();
    let blob = isolate
        .create_blob(v8::FunctionCodeHandling::Keep)
        .ok_or("V8 makes no snapshot")?;
    let saved = begin.elapsed();
    Ok(([restored.as_micros(), saved.as_micros()], blob.to_vec()))
}

fn cpu_micros() -> Result<i64, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds())
}
