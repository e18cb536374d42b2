//! Whose something is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Somebody whose executions, heaps, sessions and tags nobody else sees. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

/// The longest name of a tenant, in bytes.
pub const TENANT_BYTES_MAX: usize = 128;

impl Tenant {
    /// The tenant of a server that does not tell its callers apart.
    pub fn local() -> Self {
        Self("local".into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not the name of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tenant is named by 1 to {TENANT_BYTES_MAX} bytes of text without control characters")]
pub struct MalformedTenant;

impl FromStr for Tenant {
    type Err = MalformedTenant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=TENANT_BYTES_MAX).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(MalformedTenant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_printable() {
        assert_eq!("a b/ü".parse(), Ok(Tenant("a b/ü".into())));
        let long = "x".repeat(TENANT_BYTES_MAX);
        assert!(long.parse::<Tenant>().is_ok());
        for bad in ["", "a\nb", &format!("{long}x")] {
            assert_eq!(bad.parse::<Tenant>(), Err(MalformedTenant));
        }
    }
}
