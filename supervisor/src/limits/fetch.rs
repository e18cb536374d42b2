//! The bounds of what scripts ask of other servers, and of who is asked about it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use mcp_v8_protocol::limits as wire;

/// How long a policy may take to answer, all waiting included. Later is a no.
pub const POLICY_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer of OPA that is read, in bytes.
pub const OPA_ANSWER_BYTES_MAX: usize = 256 << 10;
/// Questions to OPA that are open at once; more wait. One tenant has half at most, as of evaluations.
pub const OPA_QUESTIONS_MAX: usize = 512;
/// Decisions of OPA that are remembered at once.
pub const OPA_DECISIONS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not 0");
/// How long one evaluation of embedded policies may take.
pub const REGO_EVALUATION_TIME_MAX: Duration = Duration::from_millis(500);
/// Steps of an evaluation between two looks at the clock.
pub const REGO_STEPS_PER_LOOK: NonZeroU32 = NonZeroU32::new(256).expect("it is not 0");
/// Evaluations at once, each on a thread of its own; more wait.
pub const REGO_EVALUATIONS_MAX: usize = 32;
/// The files of one policy directory.
pub const POLICY_FILES_MAX: usize = 256;
/// The largest file of policies, in bytes.
pub const POLICY_FILE_BYTES_MAX: usize = 1 << 20;
/// The largest `data.json` beside them, in bytes.
pub const POLICY_DATA_BYTES_MAX: usize = 16 << 20;
/// How often policy files are looked at.
pub const POLICY_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How often it is logged that a policy gives no answer.
pub const POLICY_SILENCE_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The rules of header injection.
pub const HEADER_RULES_MAX: usize = 1024;
/// The largest file with such rules, in bytes.
pub const HEADER_RULES_BYTES_MAX: usize = 1 << 20;
/// The longest value of an injected header, in bytes.
pub const HEADER_VALUE_BYTES_MAX: usize = 16 << 10;
/// How long a file with such a value may take to be read.
pub const HEADER_FILE_TIMEOUT: Duration = Duration::from_secs(2);
/// Files with such values that are looked at at once. Each takes a thread, for as long as the system likes.
pub const HEADER_FILES_AT_ONCE_MAX: usize = 64;
/// How often it is logged of a file that it cannot be read.
pub const HEADER_FILE_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// How long a server may take to give a token.
pub const TOKEN_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer of such a server, in bytes.
pub const TOKEN_ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long a token counts as good when its server does not say.
pub const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(300);
/// The longest that a token counts as good, whatever its server says.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its end a token is renewed, unless that is more than half of its time.
pub const TOKEN_RENEWED_BEFORE: Duration = Duration::from_secs(30);
/// How long a token is new: no other is asked for instead of it, whoever does not believe it.
pub const TOKEN_NEW: Duration = Duration::from_secs(10);
/// How long a server that gave no token is not asked again.
pub const TOKEN_RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Requests that one execution makes.
pub const FETCH_REQUESTS_MAX: u32 = 1000;
/// Requests of one tenant that are under way at once.
pub const FETCH_OPEN_PER_TENANT_MAX: usize = 128;
/// Requests of all tenants that are under way at once.
pub const FETCH_OPEN_MAX: usize = 512;
/// Pulls of one exchange that are not answered: so many pieces of a body may be on their way to a worker.
pub const FETCH_PULLS_MAX: u32 = 4;
/// Words to one worker that wait to be taken; who has more to say waits.
pub const FETCH_WORDS_LENGTH: usize = wire::EXCHANGES_OPEN_MAX;
/// Bytes of all bodies that one execution sends.
pub const FETCH_REQUEST_BYTES_MAX: u64 = 1 << 30;
/// Bytes of all bodies that one execution receives, counted as they come and again as they are decoded.
pub const FETCH_RESPONSE_BYTES_MAX: u64 = 1 << 30;
/// Redirects that are followed for one request, as in the Fetch standard.
pub const FETCH_REDIRECTS_MAX: u32 = 20;
/// Connections for requests of scripts, idle ones included. When there are as many, those are given up.
pub const FETCH_CONNECTIONS_MAX: usize = 1024;
/// One part in so many of the descriptors that this process may have is for such connections.
pub const FETCH_DESCRIPTORS_PART: usize = 4;
/// How long it may take to look up a host, to connect to it, and to agree on TLS.
pub const FETCH_CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long an address is tried before the next one is tried beside it.
pub const FETCH_NEXT_ADDRESS_WAIT: Duration = Duration::from_millis(250);
/// Addresses of a host that are tried.
pub const FETCH_ADDRESSES_MAX: usize = 8;
/// Addresses of a host that are tried beside each other. Each has a descriptor.
pub const FETCH_ADDRESSES_AT_ONCE_MAX: usize = 2;
/// How long a server may take nothing of what is written to it. Then its connection is broken, also when
/// nobody waits for it any more.
pub const FETCH_STALL_MAX: Duration = Duration::from_secs(30);
/// Hosts that are looked up at once for all tenants.
pub const FETCH_LOOKUPS_MAX: usize = 64;
/// What all decoders of bodies may keep of what they have decoded last, in MiB: zstd and Brotli copy from it.
pub const FETCH_WINDOWS_MIB_MAX: usize = 512;
/// The same of one tenant's.
pub const FETCH_WINDOWS_PER_TENANT_MIB_MAX: usize = 256;
/// Hosts that are looked up at once for one tenant. Each takes a thread, for as long as the system likes.
pub const FETCH_LOOKUPS_PER_TENANT_MAX: usize = 16;
/// How long a server may take to answer once it has the request, and how long it may take to take a
/// piece of it.
pub const FETCH_HEAD_WAIT_MAX: Duration = Duration::from_secs(120);
/// How long a piece of a response's body may take that a script waits for.
pub const FETCH_PIECE_WAIT_MAX: Duration = Duration::from_secs(120);
/// How long a connection is kept that is not used.
pub const FETCH_IDLE_MAX: Duration = Duration::from_secs(15);
/// Connections of one tenant to one host that are kept while they are not used.
pub const FETCH_IDLE_PER_HOST_MAX: usize = 8;
/// Tenants that are remembered while none of their scripts runs.
pub const FETCH_TENANTS_MAX: usize = 256;
/// The room for the head of a response over HTTP/1.1, in bytes; also for what is read ahead of its body.
pub const FETCH_HEAD_BUFFER_BYTES: usize = 2 * wire::HEADERS_BYTES_MAX;
/// What a server may send over HTTP/2 of a body that is not pulled, in bytes.
pub const FETCH_HTTP2_STREAM_BYTES: u32 = 256 << 10;
/// The same of all bodies of one connection: more than those of one execution that it never reads.
pub const FETCH_HTTP2_CONNECTION_BYTES: u32 = 16 << 20;
/// Frames of HTTP/2 that a server may send in a second on one connection without any of a body in them; each KiB in
/// one counts as one more. Good servers send a few for each answer.
pub const FETCH_HTTP2_IDLE_FRAMES_MAX: usize = 10_000;
/// The largest window that a body in zstd may need, as a power of two: that of RFC 9659.
pub const FETCH_ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// The same in Brotli: that of RFC 7932. What some add to it, windows of a GiB, is refused.
pub const FETCH_BROTLI_WINDOW_LOG_MAX: u32 = 24;

const _: () = {
    // A connection is there for each request that is under way once idle ones are given up.
    assert!(FETCH_LOOKUPS_PER_TENANT_MAX < FETCH_LOOKUPS_MAX);
    assert!(FETCH_OPEN_MAX < FETCH_CONNECTIONS_MAX);
    assert!(FETCH_WINDOWS_PER_TENANT_MIB_MAX < FETCH_WINDOWS_MIB_MAX);
    assert!(1 << (FETCH_BROTLI_WINDOW_LOG_MAX - 20) <= FETCH_WINDOWS_PER_TENANT_MIB_MAX);
    assert!(1 << (FETCH_ZSTD_WINDOW_LOG_MAX - 20) <= FETCH_WINDOWS_PER_TENANT_MIB_MAX);
    assert!(FETCH_OPEN_PER_TENANT_MAX < FETCH_OPEN_MAX);
    assert!(wire::EXCHANGES_OPEN_MAX < FETCH_OPEN_PER_TENANT_MAX);
    assert!(
        wire::EXCHANGES_OPEN_MAX * (FETCH_HTTP2_STREAM_BYTES as usize)
            < FETCH_HTTP2_CONNECTION_BYTES as usize
    );
};
