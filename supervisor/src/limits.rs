//! The limits of the service, each with a name, a unit and this one home.
//!
//! Sizes on the wire to a worker live in [`mcp_v8_protocol::limits`]; both ends must agree on those.

mod audit;
mod auth;
mod cluster;
mod fetch;
mod member;
mod operation;
mod raft;
mod tenants;

use std::num::NonZeroUsize;
use std::time::Duration;

use mcp_v8_protocol::limits as wire;
use mcp_v8_protocol::zygote::WORKERS_LIVING_MAX;

pub use self::audit::*;
pub use self::auth::*;
pub use self::cluster::*;
pub use self::fetch::*;
pub use self::member::*;
pub use self::operation::*;
pub use self::raft::*;
pub use self::tenants::*;

/// The largest source of one execution, in bytes.
pub const SOURCE_BYTES_MAX: usize = wire::SOURCE_BYTES_MAX;

/// The smallest V8 heap that a caller may ask for, in MiB.
pub const HEAP_MEMORY_MB_MIN: u64 = 4;
/// The largest V8 heap that a caller may ask for, in MiB.
pub const HEAP_MEMORY_MB_MAX: u64 = 64;
/// V8's heap when neither caller nor operator says otherwise, in MiB.
pub const HEAP_MEMORY_MB_DEFAULT: u64 = 8;
/// The smallest default heap that an operator may set, in MiB.
pub const HEAP_MEMORY_MB_SERVER_MIN: u64 = 1;

/// The shortest execution timeout, in seconds.
pub const EXECUTION_TIMEOUT_SECS_MIN: u64 = 1;
/// The longest execution timeout, in seconds.
pub const EXECUTION_TIMEOUT_SECS_MAX: u64 = 300;
/// The execution timeout when neither caller nor operator says otherwise, in seconds.
pub const EXECUTION_TIMEOUT_SECS_DEFAULT: u64 = 30;
/// CPU seconds that the kernel allows beyond the timeout: the backstop must never win against the
/// supervisor's own deadline.
pub const CPU_SECS_BEYOND_TIMEOUT: u32 = 2;
/// How often the memory of a worker that runs a script is looked at.
pub const MEMORY_LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// More memory of its own than a worker has before its script begins, in bytes. What a script may have
/// comes on top of it.
pub const WARM_WORKER_BYTES: u64 = 32 << 20;

/// Memory that a worker has resident of each byte of a preloaded WebAssembly module, compiled: V8 keeps
/// a copy of the module, and tables of what is in it.
pub const WASM_MODULE_COPIES: u64 = 4;

/// How long V8 may take to compile a preloaded WebAssembly module when the server starts.
pub const WASM_CHECK_WAIT_MAX: Duration = Duration::from_secs(30);

/// The longest text about a preloaded WebAssembly module that V8 refuses, in bytes.
pub const WASM_REFUSAL_BYTES_MAX: usize = 300;

/// The most executions that an operator may let run at once.
pub const CONCURRENT_EXECUTIONS_MAX: usize = 1024;
/// Executions that may wait for a slot.
pub const QUEUE_LENGTH_DEFAULT: usize = 256;
/// How long an execution may wait for a slot.
pub const QUEUE_WAIT_MAX: Duration = Duration::from_secs(600);

/// How long a worker may take from its start to Hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Workers that an execution is given to at most, while each ends before it has read anything.
pub const START_ATTEMPTS_MAX: u32 = 3;
/// How long a worker that closed its pipe may take to die by itself, so that its exit says why.
pub const EXIT_GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to end a killed worker. Longer means that it hangs in the kernel; it
/// is then left to the reaper, and its execution ends.
pub const REAP_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the end of an execution waits for its worker to be gone, which has just ended by itself, so
/// that what it used is told with the end.
pub const USAGE_WAIT_MAX: Duration = Duration::from_millis(20);
/// Executions that have just ended and are still known without the disk.
pub const RECENT_ENDS_MAX: NonZeroUsize = NonZeroUsize::new(512).unwrap();
/// The longest result, preview and error of one of them, together, in bytes.
pub const RECENT_END_BYTES_MAX: usize = 4 << 10;
/// How long they are known so.
pub const RECENT_END_AGE_MAX: Duration = Duration::from_secs(5);
/// How long [`crate::app::Workspace::cancel`] waits for the end that it asked for.
pub const CANCEL_WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest wait for the end of an execution in one call.
pub const WAIT_MAX: Duration = Duration::from_secs(50);
/// How often a wait looks at an execution that another server on the same directory runs.
pub const FOREIGN_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest time after which a client is told to look at an execution again.
pub const POLL_AFTER_MIN: Duration = Duration::from_millis(5);
/// The longest such time.
pub const POLL_AFTER_MAX: Duration = Duration::from_secs(2);

/// Connections of clients at once. When there are as many, a new one takes the place of the one that has
/// been idle longest.
pub const HTTP_CONNECTIONS_MAX: usize = 8192;
/// One part in so many of the descriptors that this process may have is for connections.
pub const HTTP_DESCRIPTORS_PART: usize = 2;
/// Requests that are answered at once, streams included; more are refused. Fewer than connections, so
/// that there is always one that is idle.
pub const HTTP_REQUESTS_MAX: usize = 4096;
/// The largest body of a request, in bytes.
pub const HTTP_BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of all bodies in hand, and of what they are in memory once they are read; more are refused.
pub const HTTP_BODIES_BYTES_MAX: usize = 256 << 20;
/// The most that one of them may take so: half, which is what a tenant may have of it at most.
pub const HTTP_BODY_IN_MEMORY_BYTES_MAX: usize = HTTP_BODIES_BYTES_MAX / 2;
/// The same as of all, of those that announce no more than [`HTTP_SMALL_BODY_BYTES`], which have a room of their own.
pub const HTTP_SMALL_BODIES_BYTES_MAX: usize = 64 << 20;
/// The largest body that counts as small, in bytes.
pub const HTTP_SMALL_BODY_BYTES: usize = 64 << 10;
/// The most that one value of JSON takes in memory beside its text, in bytes: its place in an array or an
/// object that has doubled, its key, and what the allocator adds.
pub const JSON_VALUE_BYTES: usize = 192;
/// Bytes of answers that clients have not taken yet; of what only looks, more is refused.
pub const HTTP_ANSWERS_BYTES_MAX: usize = 256 << 20;
/// The pieces in which an answer goes, in bytes.
pub const HTTP_PIECE_BYTES: usize = 64 << 10;
/// Outputs that are followed at once.
pub const HTTP_STREAMS_MAX: usize = 1024;
/// How long a body may take to come.
pub const HTTP_BODY_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the body of a request may take to come that was refused without it.
pub const HTTP_REFUSED_BODY_WAIT_MAX: Duration = Duration::from_secs(5);
/// The longest head of a request, in bytes.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 << 10;
/// How long a head may take to come, and so how long a connection may be idle.
pub const HTTP_HEAD_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a client may take to agree on TLS.
pub const TLS_HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a server that ends listens to connections on which nobody asks, before it closes them: longer than
/// the pauses of those, such as proxies, that ask many times a second. Where TLS is being agreed on, once for that
/// and once for the request.
pub const HTTP_LAST_REQUEST_WAIT: Duration = Duration::from_millis(500);
/// How long what was sent may wait for a client to take it; then its connection is closed.
pub const HTTP_UNREAD_WAIT_MAX: Duration = Duration::from_secs(60);
/// What the kernel holds of an answer that a client has not taken yet, in bytes.
pub const HTTP_SEND_BUFFER_BYTES: usize = 256 << 10;
/// The pause after a connection could not be accepted, most likely for want of descriptors.
pub const HTTP_ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How soon a client is to try again that was refused because the server is busy.
pub const HTTP_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The largest piece of output in a stream, in bytes.
pub const STREAM_PIECE_BYTES_MAX: u64 = 64 << 10;
/// The shortest time between two looks at an output that is followed.
pub const STREAM_PAUSE: Duration = Duration::from_millis(20);
/// How often a stream that has nothing to say says so.
pub const STREAM_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How often the files of TLS are looked at.
pub const TLS_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long what runs may go on when the server is asked to end.
pub const SHUTDOWN_GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// How long the last answers may take after that.
pub const LAST_ANSWERS_WAIT_MAX: Duration = Duration::from_secs(5);

/// The fewest workers that are parked ahead of need.
pub const PARKED_WORKERS_MIN: usize = 1;
/// Workers that may be parked beyond one for each execution that may run at once.
pub const PARKED_WORKERS_BEYOND_CONCURRENT: usize = 2;
/// The most workers that are parked, however many executions may run at once: each takes memory.
pub const PARKED_WORKERS_MAX: usize = 64;
/// How long it takes until workers that were not needed are given up.
pub const PARKED_WORKERS_WINDOW: Duration = Duration::from_secs(5);
/// Workers that are made ahead of need at once: more would only wait for each other.
pub const FORKS_AT_ONCE_MAX: usize = 16;
/// How often the pool looks after dead workers, old fork servers and those who wait.
pub const POOL_TICK: Duration = Duration::from_millis(100);
/// How long an execution waits for a forked worker before one is executed for it: longer than a
/// burst takes, and than it takes to notice that a fork server hangs.
pub const POOL_WAIT_MAX: Duration = Duration::from_secs(5);
/// The same while there is no fork server, and one is being started.
pub const ZYGOTE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Workers of one fork server; then a new one takes over, with another memory layout.
pub const ZYGOTE_FORKS_MAX: u64 = 1000;
/// How long a fork server serves once it has forked; then a new one takes over.
pub const ZYGOTE_AGE_MAX: Duration = Duration::from_secs(60);
/// A fork server is started because of a suspicious death no more often than this; in between workers
/// are executed. What a script can do as often as it likes must not cost everybody a fork server and
/// all parked workers each time.
pub const SUSPICION_PAUSE: Duration = Duration::from_secs(5);
/// How long a fork server may take for a fork, or to tell of the end of a worker. Beyond that it
/// counts as hung, and is replaced.
pub const ZYGOTE_ANSWER_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long its word on the end of a worker is still waited for when it counts as hung: without it
/// nobody knows why the worker died, and the machine may just be slow.
pub const ZYGOTE_WORD_WAIT_MAX: Duration = Duration::from_secs(5);
/// Workers of one fork server that may crash with the excuse that memory ran out; then a new one takes
/// over. A script can bring such a crash about by itself, so it must be cheap; and whoever guesses at
/// the memory layout can come with the same excuse, so there must not be many.
pub const EXCUSED_CRASHES_MAX: u32 = 16;
/// Complaints about a fork server that may wait for it to be looked at; one is enough.
pub const COMPLAINTS_MAX: usize = 64;
/// How long the end of all fork servers and parked workers may take in all.
pub const SHUT_DOWN_WAIT_MAX: Duration = Duration::from_secs(30);
/// The pause after a fork server that did not start; it doubles with each.
pub const ZYGOTE_RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The longest such pause.
pub const ZYGOTE_RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Workers in a row that a fork server makes in vain before it is given up.
pub const ZYGOTE_FAILURES_MAX: u32 = 3;

/// Memory that a worker's control group has beyond the execution's heap and buffers, in bytes: what
/// the kernel's limit of data leaves for compilers, parsers and tables, and half as much for what that
/// limit does not see (pages of the runtime that are written to, the stack, page tables, pipes).
pub const WORKER_GROUP_ROOM_BYTES: u64 = 96 << 20;
/// How often a snapshot is in a worker's memory while it is made, in `worker/src/sandbox/rlimits.rs` too.
pub const SAVING_COPIES: u64 = 3;
/// The largest snapshot beyond an execution's heap and array buffers, in bytes: what the runtime itself
/// takes, and what V8 writes beside objects.
pub const SNAPSHOT_ROOM_BYTES: u64 = 8 << 20;
/// How long the store of heaps may take to give a heap to an execution.
pub const HEAP_FETCH_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a worker may take to save a heap.
pub const SAVE_WAIT_MAX: Duration = Duration::from_secs(20);
/// CPU seconds that the kernel allows for that.
pub const SAVE_CPU_SECS: u32 = 20;
/// Processes and threads of a worker's control group: the worker.
pub const WORKER_GROUP_PROCESSES_MAX: u64 = 1;
/// The weight of all workers together against the server and its fork servers, where these have the
/// kernel's usual 100 and both want the same processor: clients are answered while scripts compute.
pub const WORKERS_CPU_WEIGHT: u64 = 25;
/// How long an execution waits for its worker's control group before it goes on without.
pub const GROUP_WAIT_MAX: Duration = Duration::from_millis(500);

/// Bytes of a worker's standard error that are kept to explain its death: the last ones.
pub const STDERR_TAIL_BYTES_MAX: usize = 2 << 10;
/// Requests that may wait for the spawning thread: a start and an end for each worker, twice over.
pub const SPAWN_QUEUE_LENGTH: usize = 4 * CONCURRENT_EXECUTIONS_MAX;
/// What a pipe holds, in bytes. Of a longer message something has been read once all of it is written.
/// (Where pages are larger than usual, so is a pipe; a lost execution is then less often begun again.)
pub const PIPE_BYTES_MAX: usize = 64 << 10;
/// Messages of one worker; each call of the console is one. What has to be dropped of its output is read
/// all the same, and this bounds the work. Only a script that prints without a pause for more than a minute
/// comes to so many, and what is kept of its output was full long before.
pub const FRAMES_MAX: u64 = 1 << 27;
/// Those of them that may be about requests: each piece of a body is asked for by one. In full pieces these
/// are 256 GiB, in pieces of a KiB they are 4 GiB; each costs the server more than a call of the console.
pub const FETCH_CALLS_MAX: u64 = 1 << 22;
/// While so many bytes of replies wait for a worker to read them, no more are taken for it.
pub const REPLIES_BYTES_MAX: usize = 2 * wire::BODY_CHUNK_BYTES_MAX;
/// Bytes read from a worker at once.
pub const LINK_READ_BYTES: usize = 64 << 10;

/// Console output kept for one execution, in bytes. The rest is dropped and flagged.
pub const OUTPUT_BYTES_MAX: u64 = 16 << 20;
/// The largest stored piece of output, in bytes: what one lookup reads at most before its page.
pub const OUTPUT_CHUNK_BYTES_MAX: usize = 128 << 10;

/// Lines of an output page when the caller does not say.
pub const PAGE_LINES_DEFAULT: u64 = 100;
/// The most lines of one output page.
pub const PAGE_LINES_MAX: u64 = 10_000;
/// Bytes of an output page when the caller does not say.
pub const PAGE_BYTES_DEFAULT: u64 = 4096;
/// The most bytes of one output page, in both modes.
pub const PAGE_BYTES_MAX: u64 = 1 << 20;

/// The longest body of a message over HTTP, in bytes.
pub const MCP_BODY_BYTES_MAX: usize = HTTP_BODY_BYTES_MAX;
/// How long such a body may take to come.
pub const MCP_BODY_WAIT_MAX: Duration = HTTP_BODY_WAIT_MAX;
/// MCP requests over HTTP that are worked on at once. Each holds up to a body in memory.
pub const MCP_REQUESTS_MAX: u32 = 512;
/// Bytes of the answers of MCP that are being made, or that clients have not taken yet.
pub const MCP_ANSWERS_BYTES_MAX: usize = 256 << 20;
/// What an answer takes that is being made, in bytes: as much as the largest, but for text that is all
/// control characters.
pub const MCP_ANSWER_BYTES: usize = 16 << 20;
/// How long an answer waits for room before it is refused.
pub const MCP_ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Streams of events that clients listen to at once, beside those of requests.
pub const MCP_STREAMS_MAX: u32 = 1024;
/// Sessions that are open at once. When there are as many, a new one takes the place of one that nothing
/// uses, of the peer that has most.
pub const MCP_SESSIONS_MAX: usize = 4096;
/// How long a session is kept that nothing uses.
pub const MCP_SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// How often sessions are looked at that nothing may use.
pub const MCP_SESSION_LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// How long an answer over HTTP may take before its stream is opened without it.
pub const MCP_FIRST_BYTE_WAIT: Duration = Duration::from_secs(5);
/// How often something is sent on a stream of events, if only a comment. Proxies end connections
/// that were silent for a minute.
pub const MCP_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long a client may take to read a piece of a stream of events.
pub const MCP_STALL_MAX: Duration = Duration::from_secs(60);
/// How long a session may take to take a message that is not answered.
pub const MCP_ACCEPT_WAIT_MAX: Duration = Duration::from_secs(10);
/// After what time a client is told to come again that was turned away.
pub const MCP_RETRY_AFTER: Duration = Duration::from_secs(2);
/// After what time a client is told to come again whose stream broke off.
pub const MCP_RECONNECT_PAUSE: Duration = Duration::from_secs(3);
/// How long calls may take to end when the server stops; then their streams are ended.
pub const MCP_DRAIN_WAIT_MAX: Duration = Duration::from_secs(90);
/// Messages of a conversation over HTTP+SSE that may wait for its client to read.
pub const SSE_OUTBOUND_LENGTH: usize = 16;
/// Messages of a client over HTTP+SSE that may wait to be taken up.
pub const SSE_INBOUND_LENGTH: usize = 16;
/// Requests of a conversation over HTTP+SSE that may be unanswered.
pub const SSE_IN_FLIGHT_MAX: usize = 64;
/// Ended conversations over HTTP+SSE that are told from unknown ones.
pub const SSE_ENDED_REMEMBERED_MAX: usize = 1024;

/// Executions of a list page when the caller does not say.
pub const LIST_LENGTH_DEFAULT: u32 = 100;
/// The most executions of one list page.
pub const LIST_LENGTH_MAX: u32 = 1000;

/// Characters of a name that a client made up which it is shown back.
pub const SHOWN_CHARS_MAX: usize = 80;
/// The longest name of a session, in characters.
pub const SESSION_NAME_CHARS_MAX: usize = 128;
/// Tags that a heap may have, and that a query may ask for.
pub const TAGS_MAX: usize = 64;
/// The longest key of a tag, in characters.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// The longest value of a tag, in characters.
pub const TAG_VALUE_CHARS_MAX: usize = 1024;
/// Entries of a session in one page.
pub const SESSION_ENTRIES_LENGTH_MAX: u32 = 10_000;
/// Bytes of code in a page of session entries, and of tags in a page of heaps: a page that has more is
/// cut, but holds one at least.
pub const STATE_PAGE_BYTES_MAX: usize = 4 << 20;

/// Commands that may wait for the store's writer; senders wait beyond that. A piece of output is one,
/// so this bounds what a slow disk can pile up in memory.
pub const WRITER_QUEUE_LENGTH: usize = 64;
/// How long a new execution may wait for room in that queue before it is refused.
pub const ACCEPT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Commands of one transaction.
pub const WRITER_BATCH_LENGTH_MAX: usize = 256;
/// Bytes of texts in one transaction, about.
pub const WRITER_BATCH_BYTES_MAX: usize = 4 << 20;
/// How long a write that nobody waits for may be held back to share a transaction.
pub const WRITER_LINGER: Duration = Duration::from_millis(5);
/// How long the store waits for another server's write on the same database.
pub const STORE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a batch that failed is tried again before it is given up.
pub const WRITER_RETRIES: u32 = 3;
/// The pause before such a try.
pub const WRITER_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Connections that read at once; more readers wait.
pub const STORE_READERS: usize = 4;
/// How often retention and the sweep for dead servers run.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
/// How often a store that could not write tries again by itself.
pub const STORE_PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How long ended executions are kept.
pub const RETENTION_AGE_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many ended executions are kept.
pub const RETENTION_COUNT_DEFAULT: u64 = 20_000;
/// How many bytes of code, results, errors and output of ended executions are kept.
pub const RETENTION_BYTES_DEFAULT: u64 = 2 << 30;
/// How long a heap that nothing needs is kept after its last use.
pub const HEAP_RETENTION_AGE_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many bytes the heaps that nothing needs may take.
pub const HEAP_RETENTION_BYTES_DEFAULT: u64 = 4 << 30;
/// A heap that was put or used more lately than this is never collected, whatever the retention says: a
/// put is durable before its row is written, and clocks differ (S3 refuses those that are 15 minutes
/// wrong).
pub const HEAP_GRACE: Duration = Duration::from_secs(20 * 60);
/// How long after its start a server first looks for heaps that can go.
pub const HEAP_COLLECTION_DELAY: Duration = Duration::from_secs(5);
/// How often it does from then on.
pub const HEAP_COLLECTION_INTERVAL: Duration = Duration::from_secs(60);
/// How often it also looks for heaps that it does not know, which takes a listing of all.
pub const HEAP_ORPHANS_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Heaps that are looked up at once while garbage is collected.
pub const HEAP_COLLECTION_LENGTH: u32 = 256;
/// The clock of a place that all nodes of a cluster see differs by less than this from a node's own, or that
/// node removes nothing from it.
pub const HEAP_CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(5 * 60);
/// A doomed heap that was removed from such a place by another node is looked for by the others after so long.
pub const HEAP_DOOM_AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// How many bytes the local copies of heaps in S3 may take.
pub const HEAP_CACHE_BYTES_DEFAULT: u64 = 4 << 30;

/// Executions removed in one transaction, so that a sweep never holds up the others for long.
pub const RETENTION_BATCH_LENGTH: u32 = 64;

/// The largest snapshot of a heap that is kept, in bytes: what a script may have, in V8's heap and in
/// buffers, and what the runtime takes.
pub const HEAP_BYTES_MAX: usize = 160 << 20;
/// The same once it is sealed.
pub const SEALED_HEAP_BYTES_MAX: usize = HEAP_BYTES_MAX + (4 << 10);
/// Heaps that are ready to be loaded again, because they were used lately, in bytes.
pub const RECENT_HEAPS_BYTES_MAX: usize = 64 << 20;
/// Heaps that are sealed, sent, read or unsealed at once; more wait. Each takes memory and a thread.
pub const HEAPS_IN_HAND_MAX: usize = 32;
/// Heaps that a listing is ahead of who reads it.
pub const HEAP_LISTING_LENGTH: usize = 256;
/// How long a put waits for another process that puts or removes the same heap.
pub const HEAP_LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often it looks meanwhile.
pub const HEAP_LOCK_POLL_INTERVAL: Duration = Duration::from_millis(2);
/// A heap half written that is older was left by a server that died: no put takes that long.
pub const HEAP_LEFTOVER_AGE_MIN: Duration = Duration::from_secs(60 * 60);
/// Names that a server remembers to be durable; others it makes durable again when it finds them.
pub const DURABLE_NAMES_MAX: NonZeroUsize = NonZeroUsize::new(16 << 10).expect("it is not 0");

/// How long a server of the operator (OPA, one that gives tokens) may take to be connected to.
pub const UPSTREAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection to one is kept that is not used.
pub const UPSTREAM_IDLE_MAX: Duration = Duration::from_secs(15);

/// How long S3 may take to be connected to.
pub const S3_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long S3 may take to answer, beyond the time that bytes take to and fro.
pub const S3_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The slowest S3 that is waited for.
pub const S3_BYTES_PER_SEC_MIN: usize = 2 << 20;
/// The largest listing or error of S3 that is read, in bytes: a thousand of the longest names.
pub const S3_XML_BYTES_MAX: usize = 4 << 20;
/// How often S3 is asked for the same thing before it counts as out of reach.
pub const S3_ATTEMPTS_MAX: u32 = 4;
/// The longest pause before S3 is asked again; it doubles with each.
pub const S3_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
pub const S3_RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a connection to S3 is kept that is not used: less than S3 itself keeps it.
pub const S3_IDLE_MAX: Duration = Duration::from_secs(15);
/// How long before their end credentials for S3 are renewed.
pub const CREDENTIALS_RENEWED_BEFORE: Duration = Duration::from_secs(120);
/// How long those who give credentials to containers and instances may take to answer.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(1);
/// How often they are asked.
pub const METADATA_ATTEMPTS_MAX: u32 = 2;
/// The largest answer of theirs, in bytes.
pub const METADATA_BYTES_MAX: usize = 64 << 10;

const _: () = {
    // An answer reaches a client before a proxy gives up.
    assert!(MCP_FIRST_BYTE_WAIT.as_secs() < 60 && MCP_KEEP_ALIVE_INTERVAL.as_secs() < 60);
    assert!(WAIT_MAX.as_secs() < MCP_DRAIN_WAIT_MAX.as_secs());
    // What a clock says can be off by so much, and nothing young goes.
    assert!(HEAP_CLOCK_DIFFERENCE_MAX.as_secs() < HEAP_GRACE.as_secs() / 2);
    // A submit notes a use of its heap when the last one is half as old as that.
    assert!(ACCEPT_WAIT_MAX.as_secs() + HEAP_FETCH_WAIT_MAX.as_secs() < HEAP_GRACE.as_secs() / 2);
    assert!(HEAP_MEMORY_MB_SERVER_MIN <= HEAP_MEMORY_MB_MIN);
    assert!(HEAP_MEMORY_MB_MIN <= HEAP_MEMORY_MB_DEFAULT);
    assert!(HEAP_MEMORY_MB_DEFAULT <= HEAP_MEMORY_MB_MAX);
    assert!((2 * HEAP_MEMORY_MB_MAX) << 20 < HEAP_BYTES_MAX as u64);
    assert!(EXECUTION_TIMEOUT_SECS_MIN <= EXECUTION_TIMEOUT_SECS_DEFAULT);
    assert!(EXECUTION_TIMEOUT_SECS_DEFAULT <= EXECUTION_TIMEOUT_SECS_MAX);
    assert!(EXECUTION_TIMEOUT_SECS_MAX + (CPU_SECS_BEYOND_TIMEOUT as u64) < u32::MAX as u64);
    // A console frame fits a piece that is not yet half full, so that nothing is split again.
    assert!(2 * wire::CONSOLE_CHUNK_BYTES_MAX <= OUTPUT_CHUNK_BYTES_MAX);
    assert!((OUTPUT_CHUNK_BYTES_MAX as u64) < PAGE_BYTES_MAX);
    assert!(PAGE_BYTES_MAX <= OUTPUT_BYTES_MAX);
    assert!(PAGE_LINES_DEFAULT <= PAGE_LINES_MAX && PAGE_BYTES_DEFAULT <= PAGE_BYTES_MAX);
    assert!(STREAM_PIECE_BYTES_MAX <= PAGE_BYTES_MAX);
    assert!(LIST_LENGTH_DEFAULT <= LIST_LENGTH_MAX);
    // A slow disk piles up less than the output of one execution.
    assert!((WRITER_QUEUE_LENGTH * OUTPUT_CHUNK_BYTES_MAX) as u64 <= OUTPUT_BYTES_MAX / 2);
    // A held-back write is durable long before 50 ms.
    assert!(WRITER_LINGER.as_millis() <= 5);
    assert!(QUEUE_LENGTH_DEFAULT as u64 <= RETENTION_COUNT_DEFAULT);
    assert!(START_ATTEMPTS_MAX > 0);
    assert!(PARKED_WORKERS_MIN <= PARKED_WORKERS_MAX);
    assert!(ZYGOTE_ANSWER_WAIT_MAX.as_millis() < ZYGOTE_WAIT_MAX.as_millis());
    assert!(ZYGOTE_ANSWER_WAIT_MAX.as_millis() < ZYGOTE_WORD_WAIT_MAX.as_millis());
    assert!(REAP_WAIT_MAX.as_millis() + EXIT_GRACE.as_millis() < SHUT_DOWN_WAIT_MAX.as_millis());
    assert!(OUTPUT_BYTES_MAX < FRAMES_MAX);
    assert!(ZYGOTE_WAIT_MAX.as_millis() < POOL_WAIT_MAX.as_millis());
    assert!(POOL_WAIT_MAX.as_millis() < HELLO_TIMEOUT.as_millis());
    // A fork server is known by its successor for a while: both have room for all workers.
    assert!(2 * (CONCURRENT_EXECUTIONS_MAX + PARKED_WORKERS_MAX) <= WORKERS_LIVING_MAX);
    assert!(HTTP_REQUESTS_MAX < HTTP_CONNECTIONS_MAX);
    assert!(2 * HTTP_LAST_REQUEST_WAIT.as_millis() < LAST_ANSWERS_WAIT_MAX.as_millis());
    assert!(SOURCE_BYTES_MAX < HTTP_BODY_BYTES_MAX);
    assert!(HTTP_BODY_BYTES_MAX < HTTP_BODIES_BYTES_MAX);
    assert!(STDERR_TAIL_BYTES_MAX <= wire::ERROR_BYTES_MAX / 2);
};
