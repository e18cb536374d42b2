//! Whether callers could be known with these settings, for who wants to hear of it before the start.

use super::authenticator::OpenError;
use super::keys::{Keys, Pace};
use super::options::{AuthOptions, KeySource};
use super::tokens::{TokenFileError, Tokens};

/// What a file of tokens lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Tokens.
    pub tokens: usize,
    /// Tenants that have limits of their own.
    pub limited_tenants: usize,
}

impl AuthOptions {
    /// Reads the file of tokens, where there is one.
    pub fn read_tokens(&self) -> Option<Result<Listed, TokenFileError>> {
        let path = self.tokens.as_deref()?;
        Some(Tokens::read(path).map(|tokens| Listed {
            tokens: tokens.count(),
            limited_tenants: tokens.limits().len(),
        }))
    }

    /// Whether the issuer's keys are in a file: nobody has to be asked for them.
    pub fn keys_are_in_a_file(&self) -> bool {
        let source = self.jwt.as_ref().map(|jwt| &jwt.keys);
        matches!(source, Some(KeySource::File(_)))
    }

    /// Gets the issuer's keys, where somebody signs tokens: how many can check a signature.
    pub async fn read_keys(&self) -> Option<Result<usize, OpenError>> {
        let source = self.jwt.as_ref()?.keys.clone();
        let got = match Keys::new(source, Pace::default()) {
            Ok(keys) => keys.get().await,
            Err(error) => Err(error),
        };
        Some(got.map(|set| set.count()).map_err(OpenError::from))
    }
}
