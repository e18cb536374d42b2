//! What a model is told about this server as a whole.

use super::tools::Defaults;
use crate::app::Mode;

/// The instructions of a server with these defaults in this mode.
pub(super) fn instructions(defaults: Defaults, mode: Mode) -> String {
    let Defaults {
        heap_memory_max_mb,
        execution_timeout_secs,
    } = defaults;
    let state = match mode {
        Mode::Stateless => {
            "Each execution starts from nothing: no variable, module or file of an earlier \
             execution is there."
        }
        Mode::Stateful => {
            "Without heap it starts fresh. The heap that a completed execution returns holds its \
             whole state: run_js with that heap goes on from there, as often as you like, also \
             much later. With a session of your own naming, heap \"latest\" goes on from its \
             newest; list_session_snapshots shows all of them, tags find heaps again."
        }
    };
    let kept = match mode {
        Mode::Stateless => "Executions and their output are kept until the server ends.",
        Mode::Stateful => {
            "Executions, output and heaps are kept across restarts, until they expire; heaps of \
             sessions and with tags do not."
        }
    };
    format!(
        "Runs JavaScript and TypeScript in V8. Each execution is a process of its own. {state}\n\
         \n\
         Workflow: call run_js with code and wait_ms 10000. The answer has status, result or \
         error, and the first console output. When the status is still queued or running, call \
         get_execution with the execution_id and wait_ms; read more output with \
         get_execution_output; stop it with cancel_execution; list_executions finds ids again.\n\
         \n\
         The result is the value of the last expression as String(value) gives it: end with \
         JSON.stringify(x) for objects. Top-level await works, promises are awaited, types are \
         stripped. A script that throws is a result with status failed and an error with line and \
         column; mend the code and run it again. A tool error (isError) means that the call itself \
         was wrong or the server could not serve it, and says what to do.\n\
         \n\
         Limits: code 1 MiB; {heap_memory_max_mb} MB of heap (heap_memory_max_mb, 4 to 64); \
         {execution_timeout_secs} s of run time (execution_timeout_secs, 1 to 300); console output \
         16 MiB; result 1 MiB. There are no files, no network, no fetch, no imports, no Node or \
         Deno API; there are console, timers, URL, encoding, streams, crypto, WebAssembly and the \
         rest of the language. {kept}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest text that clients pass on to a model, in bytes.
    const INSTRUCTIONS_BYTES_MAX: usize = 2048;

    #[test]
    fn they_fit_what_clients_pass_on() {
        for mode in [Mode::Stateless, Mode::Stateful] {
            let text = instructions(
                Defaults {
                    heap_memory_max_mb: 64,
                    execution_timeout_secs: 300,
                },
                mode,
            );
            assert!(text.len() <= INSTRUCTIONS_BYTES_MAX, "{} bytes", text.len());
        }
    }
}
