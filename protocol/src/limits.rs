//! The sizes of everything on the wire. All are in bytes unless the name says otherwise.
//!
//! Limits of the service (queue length, retention, pages) live in the supervisor; these are the
//! ones that both ends must agree on.

/// The largest source text of one execution.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;

/// The largest result text; longer ones are cut at a character boundary and flagged.
pub const RESULT_BYTES_MAX: usize = 1 << 20;

/// The largest error text (message and stack); longer ones are cut and flagged.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// The largest preview of a result (a bounded inspection of the value).
pub const PREVIEW_BYTES_MAX: usize = 4 << 10;

/// The largest piece of console output in one frame. A longer write is split.
pub const CONSOLE_CHUNK_BYTES_MAX: usize = 64 << 10;

/// The largest snapshot of a heap: the largest V8 heap and as much again of array buffers, with room for
/// what the runtime itself takes. It travels in shared memory, not in a frame.
pub const SNAPSHOT_BYTES_MAX: u64 = 160 << 20;

/// The largest text that says why a heap was not saved.
pub const UNSAVED_BYTES_MAX: usize = 4 << 10;

/// The largest version text in Hello.
pub const VERSION_BYTES_MAX: usize = 64;

/// The largest name of what snapshots depend on, in Hello.
pub const HEAP_BUILD_BYTES_MAX: usize = 64;

/// Data of a worker beyond the heap and the buffers of its execution and beyond what it has when that
/// begins. `worker/src/sandbox/rlimits.rs` says what it is for.
pub const WORKER_ROOM_BYTES: u64 = 64 << 20;

/// The stack of a worker. V8 is told to use less than one MiB; the TypeScript parser recurses as deep
/// as it is let, and that in a build without optimisation.
pub const WORKER_STACK_BYTES: u64 = 64 << 20;

/// The largest piece of a body, of a request or of a response.
pub const BODY_CHUNK_BYTES_MAX: usize = 64 << 10;

/// The longest URL of a request.
pub const URL_BYTES_MAX: usize = 64 << 10;

/// The longest method of a request.
pub const METHOD_BYTES_MAX: usize = 64;

/// Names and values of all headers of a request or a response together.
pub const HEADERS_BYTES_MAX: usize = 64 << 10;

/// Header lines of a request or a response.
pub const HEADERS_MAX: usize = 256;

/// The longest reason phrase of a response.
pub const STATUS_TEXT_BYTES_MAX: usize = 256;

/// The longest text that says why a request failed.
pub const FETCH_ERROR_BYTES_MAX: usize = 4 << 10;

/// Exchanges of one execution that are not at their end.
pub const EXCHANGES_OPEN_MAX: usize = 32;

/// WebAssembly modules that an operator may preload.
pub const WASM_MODULES_MAX: usize = 64;

/// The longest name of a preloaded module.
pub const WASM_NAME_BYTES_MAX: usize = 64;

/// The largest preloaded module.
pub const WASM_MODULE_BYTES_MAX: usize = 32 << 20;

/// All preloaded modules together. They lie in memory once, whatever the number of workers.
pub const WASM_MODULES_BYTES_MAX: usize = 64 << 20;

/// Bytes of the length prefix of a frame: a little-endian `u32` that does not count itself.
pub const FRAME_HEADER_BYTES: usize = 4;

/// Room for a message's tag, lengths and small fields beside its texts.
pub const MESSAGE_OVERHEAD_BYTES: usize = 4 << 10;

/// The largest payload of a frame to the worker.
pub const FRAME_TO_WORKER_BYTES_MAX: usize = SOURCE_BYTES_MAX + MESSAGE_OVERHEAD_BYTES;

/// The largest payload of a frame from the worker.
pub const FRAME_FROM_WORKER_BYTES_MAX: usize =
    RESULT_BYTES_MAX + PREVIEW_BYTES_MAX + MESSAGE_OVERHEAD_BYTES;

/// The largest head of a request with the first piece of its body, or of a response. A header line has
/// two lengths beside its texts.
const REQUEST_BYTES_MAX: usize = METHOD_BYTES_MAX
    + URL_BYTES_MAX
    + HEADERS_BYTES_MAX
    + 16 * HEADERS_MAX
    + BODY_CHUNK_BYTES_MAX
    + MESSAGE_OVERHEAD_BYTES;

const _: () = {
    assert!(FRAME_TO_WORKER_BYTES_MAX <= u32::MAX as usize);
    assert!(FRAME_FROM_WORKER_BYTES_MAX <= u32::MAX as usize);
    assert!(CONSOLE_CHUNK_BYTES_MAX + MESSAGE_OVERHEAD_BYTES <= FRAME_FROM_WORKER_BYTES_MAX);
    assert!(ERROR_BYTES_MAX + MESSAGE_OVERHEAD_BYTES <= FRAME_FROM_WORKER_BYTES_MAX);
    assert!(4 * VERSION_BYTES_MAX <= MESSAGE_OVERHEAD_BYTES);
    assert!(PREVIEW_BYTES_MAX <= RESULT_BYTES_MAX);
    assert!(UNSAVED_BYTES_MAX <= RESULT_BYTES_MAX);
    assert!(REQUEST_BYTES_MAX <= FRAME_FROM_WORKER_BYTES_MAX);
    assert!(REQUEST_BYTES_MAX <= FRAME_TO_WORKER_BYTES_MAX);
    assert!(WASM_MODULE_BYTES_MAX <= WASM_MODULES_BYTES_MAX);
    assert!(WASM_MODULES_BYTES_MAX <= u32::MAX as usize);
};
