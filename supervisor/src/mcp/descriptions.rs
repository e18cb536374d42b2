//! What a model is told about each tool.

use crate::app::Mode;

/// The description of run_js.
pub(super) fn run_js(mode: Mode) -> String {
    let (start, missing, state) = match mode {
        Mode::Stateless => (
            "in a process of its own that starts from nothing",
            ", and anything of an earlier execution",
            "",
        ),
        Mode::Stateful => (
            "in a process of its own",
            "",
            "\n\nState: without heap the code starts fresh. An execution that completes leaves all \
             of its state (variables, functions, classes, objects) behind as a heap, and names it \
             in heap: give that to the next call as heap, and the code goes on from there. A heap \
             never changes: it can be continued many times, each time apart. With session the \
             heaps of a line of work are listed under its name, and heap \"latest\" with it goes \
             on from the newest. When state cannot be saved, heap is null and heap_error says why.",
        ),
    };
    format!(
        "Run JavaScript or TypeScript in V8, {start}. The value of the last expression is the \
         result, converted with String(value): end with JSON.stringify(x) to see an object. \
         Top-level await works; console output is kept beside the result.\n\
         \n\
         With wait_ms (say 10000) the answer holds status, result or error, and the first output: \
         one call is enough for most code. Without it, or for long code, take the execution_id to \
         get_execution and get_execution_output.{state}\n\
         \n\
         There: ECMAScript with types, console, timers, URL, TextEncoder/TextDecoder, atob/btoa, \
         structuredClone, AbortController, events, streams, Blob, performance, crypto, \
         WebAssembly. Not there: files, network, fetch, import, require, process, Deno{missing}.\n\
         \n\
         Example: {{\"code\": \"const xs: number[] = [1, 2, 3]; xs.reduce((a, b) => a + b)\", \
         \"wait_ms\": 10000}} gives status \"completed\" and result \"6\"."
    )
}

pub(super) const GET_EXECUTION: &str = "\
Look at an execution: its status, its result or error, its times and limits. With wait_ms the call \
waits for the end; when the wait runs out, the execution is returned as it stands and the call can \
be repeated. A failed script is a result (status and error), not a failed call.";

pub(super) const GET_EXECUTION_OUTPUT: &str = "\
Read the console output of an execution, also while it runs. Count in lines (line_offset, \
line_limit) or in bytes (byte_offset, byte_limit), not both; without any of them, the first 100 \
lines. Continue with next_line_offset or next_byte_offset until has_more is false and the status is \
final. An offset past the end gives an empty page.";

pub(super) const CANCEL_EXECUTION: &str = "\
Kill an execution that is queued or running. Its output so far stays readable. An execution that \
has ended, or an unknown id, is an error.";

pub(super) const LIST_EXECUTIONS: &str = "\
List executions, newest first, in pages. Use it to find an id again; use get_execution for a \
result.";

pub(super) const LIST_SESSIONS: &str = "\
List the names of sessions, the last begun first. A session is there once an execution that was \
given its name has completed and left a heap behind.";

pub(super) const LIST_SESSION_SNAPSHOTS: &str = "\
List the heaps of a session, oldest first: one entry for each execution that completed with it, \
with the heap it started from, the heap it left behind, its code and its time. Give an output_heap \
to run_js as heap to go on from that point. With fields, say \"index,output_heap\", an entry has \
only those. An unknown session is an error.";

pub(super) const GET_HEAP_TAGS: &str = "\
Read the tags of a heap. An unknown heap is an error.";

pub(super) const SET_HEAP_TAGS: &str = "\
Replace all tags of a heap: what is not given is gone afterwards. Keys have 1 to 128 characters \
without commas, values up to 1024; 64 tags at most. A heap with tags does not expire. An unknown \
heap is an error.";

pub(super) const DELETE_HEAP_TAGS: &str = "\
Delete tags of a heap: those whose keys are given, separated by commas, or all of them. A tag that \
is not there is no error; an empty key and an unknown heap are.";

pub(super) const QUERY_HEAPS_BY_TAGS: &str = "\
Find heaps that have all the given tags, key and value, the newest first, each with all its tags. \
Give a heap to run_js as heap to go on from it.";
