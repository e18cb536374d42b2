//! What bounds authentication.

use std::time::Duration;

/// The longest bearer token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Random bytes of a token that is made here.
pub const TOKEN_RANDOM_BYTES: usize = 32;
/// The largest file of tokens, in bytes.
pub const TOKEN_FILE_BYTES_MAX: usize = 4 << 20;
/// How far clocks may differ from that of who issues tokens.
pub const JWT_LEEWAY: Duration = Duration::from_secs(60);
/// The longest name of the claim that says the tenant, in bytes.
pub const JWT_CLAIM_BYTES_MAX: usize = 128;
/// The largest set of keys, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 << 10;
/// The most keys of a set; with more it is refused.
pub const JWKS_KEYS_MAX: usize = 64;
/// How long a server may take to give its keys.
pub const JWKS_WAIT_MAX: Duration = Duration::from_secs(5);
/// How old keys may be before they are asked for again.
pub const JWKS_AGE: Duration = Duration::from_secs(10 * 60);
/// How old they may become while nobody gives newer ones; then nothing is believed any more.
pub const JWKS_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest time between two attempts to get keys, whatever tokens come.
pub const JWKS_PAUSE: Duration = Duration::from_secs(30);
/// How often the log tells of requests that were not let in.
pub const REFUSALS_LOG_INTERVAL: Duration = Duration::from_secs(10);

const _: () = {
    assert!(JWKS_PAUSE.as_secs() < JWKS_AGE.as_secs());
    assert!(JWKS_AGE.as_secs() < JWKS_AGE_MAX.as_secs());
    assert!(JWKS_WAIT_MAX.as_secs() < JWKS_PAUSE.as_secs());
    assert!(TOKEN_BYTES_MAX < super::HTTP_HEAD_BYTES_MAX);
};
