//! A new token for an operator to hand out.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::tokens::TokenHash;
use crate::limits;
use crate::tenant::Tenant;

/// What tells tokens of this server from other secrets, for those who look for leaked ones.
const PREFIX: &str = "mcpv8_";

/// A token that nobody has yet. Shown, it is what the operator needs; debugged, it is not.
pub struct NewToken {
    token: String,
    tenant: Tenant,
    is_operator: bool,
}

impl NewToken {
    /// Makes one out of the system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn make(tenant: Tenant, is_operator: bool) -> Result<Self, getrandom::Error> {
        let mut secret = [0; limits::TOKEN_RANDOM_BYTES];
        getrandom::fill(&mut secret)?;
        Ok(Self {
            token: format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(secret)),
            tenant,
            is_operator,
        })
    }

    /// What its owner sends.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What stands in the file of tokens.
    pub fn entry(&self) -> String {
        let tenant = toml::Value::String(self.tenant.name().to_owned());
        let hash = TokenHash::of(self.token.as_bytes());
        let operator = if self.is_operator {
            "operator = true\n"
        } else {
            ""
        };
        format!("[[tokens]]\ntenant = {tenant}\ntoken_sha256 = \"{hash}\"\n{operator}")
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The token, which is shown this once; its owner sends it as \"Authorization: Bearer ...\":\n\n\
             {}\n\n\
             The entry for the file that --auth-tokens names, which holds no secret:\n\n\
             {}",
            self.token,
            self.entry()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::Tokens;
    use super::*;

    #[test]
    fn its_entry_lets_it_in_and_shows_nothing_of_it() {
        for name in ["acme", "a \"b\" \\ c", "日本"] {
            let new = NewToken::make(name.parse().unwrap(), name == "acme").unwrap();
            assert_eq!(new.token().len(), PREFIX.len() + 43);
            let tokens = Tokens::parse(&new.entry()).unwrap();
            let caller = tokens.find(new.token().as_bytes()).unwrap();
            assert_eq!(caller.tenant().name(), name);
            assert_eq!(caller.is_operator(), name == "acme");
            let secret = &new.token()[PREFIX.len()..];
            assert!(!new.entry().contains(secret) && !format!("{new:?}").contains(secret));
            assert!(new.to_string().contains(new.token()));
            let other = NewToken::make(name.parse().unwrap(), false).unwrap();
            assert_ne!(new.token(), other.token());
            assert!(tokens.find(other.token().as_bytes()).is_none());
        }
    }
}
