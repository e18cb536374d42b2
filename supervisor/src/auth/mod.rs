//! Who calls: bearer tokens, those that the operator lists and those that an authorization server signs.
//!
//! ```text
//! http ─▶ Authenticator ─▶ tokens (a file of hashes)
//!                └───────▶ jwt ─▶ keys (a file, or a server that is asked) ─▶ upstream
//! ```
//!
//! Nothing here keeps, shows or logs a token.

mod authenticator;
mod caller;
mod check;
mod jwt;
mod keys;
mod new_token;
mod options;
mod ring_verifier;
mod scopes;
mod tokens;
mod validity;

pub use authenticator::{Authenticator, NoEntry, OpenError, Prepared, Reason, SignedReason};
pub use caller::Caller;
pub use check::Listed;
pub use keys::KeysError;
pub use new_token::NewToken;
pub use options::{
    ALGORITHMS_DEFAULT, AuthOptions, JwtOptions, JwtScopes, KeySource, MalformedAlgorithms,
    Metadata, algorithms, is_public_url, is_trusted_url,
};
pub use scopes::Scope;
pub use tokens::TokenFileError;
