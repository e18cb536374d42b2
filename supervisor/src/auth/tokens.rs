//! The tokens that an operator lists: a file with the hash of each, and whose it is.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::caller::{Caller, Role};
use super::scopes::Scopes;
use super::validity::{Revocation, Validity};
use crate::limits;
use crate::private_file::{self, NotPrivate};
use crate::quota::TenantLimits;
use crate::tenant::{MalformedTenant, Tenant};

/// Why a file of tokens cannot be used. Its text is for the operator, and shows nothing of a token.
#[derive(Debug, thiserror::Error)]
#[error("the file of tokens {} {problem}", .path.display())]
pub struct TokenFileError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}; whoever can write it can let anybody in: it has to be private (chmod 600)")]
    Exposed(NotPrivate),
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is no file")]
    NoFile,
    #[error("is larger than {} bytes", limits::TOKEN_FILE_BYTES_MAX)]
    TooLarge,
    #[error("is malformed: line {line}: {problem}")]
    Malformed { line: usize, problem: String },
    #[error("lists no token")]
    Empty,
}

/// Digits of a hash that tell tokens apart, in the audit log.
const TOKEN_ID_DIGITS: usize = 12;

/// What a token is known by. A token is long and random: so its hash says nothing of it, and looking it up
/// takes no time that would.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// As much of it as tells the tokens of a server apart.
    pub(super) fn beginning(self) -> String {
        let mut digits = self.to_string();
        digits.truncate(TOKEN_ID_DIGITS);
        digits
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

/// A text that is not the hash of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("token_sha256 is the SHA-256 of a token in 64 hexadecimal digits")]
pub(super) struct MalformedHash;

impl TryFrom<String> for TokenHash {
    type Error = MalformedHash;

    fn try_from(text: String) -> Result<Self, MalformedHash> {
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(MalformedHash);
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2).ok_or(MalformedHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| MalformedHash)?;
        }
        Ok(Self(hash))
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.try_into().map_err(serde::de::Error::custom)
    }
}

/// The name of a tenant in the file.
struct Name(Tenant);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = text.parse().map(Self);
        name.map_err(|error: MalformedTenant| serde::de::Error::custom(error))
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    tokens: Vec<Spanned<WrittenToken>>,
    #[serde(default)]
    tenants: Vec<Spanned<WrittenTenant>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    tenant: Name,
    token_sha256: TokenHash,
    #[serde(default)]
    operator: bool,
    /// What it lets its holder do; all, if it does not say.
    #[serde(default)]
    scopes: Scopes,
    limits: Option<TenantLimits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTenant {
    tenant: Name,
    limits: TenantLimits,
}

/// A token that is let in.
#[derive(Debug)]
struct Entry {
    tenant: Tenant,
    role: Role,
    scopes: Scopes,
    revocation: Revocation,
}

impl Entry {
    /// Whether it says of a token what another says.
    fn means(&self, other: &Self) -> bool {
        (&self.tenant, self.role, self.scopes) == (&other.tenant, other.role, other.scopes)
    }
}

/// All of a file.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    entries: HashMap<TokenHash, Entry>,
    limits: HashMap<Tenant, TenantLimits>,
    /// The first that it names, as many as have figures of their own.
    tenants: Vec<Tenant>,
}

impl From<NotPrivate> for Problem {
    fn from(why: NotPrivate) -> Self {
        match why {
            NotPrivate::Unreadable(error) => Self::Unreadable(error),
            NotPrivate::NoFile => Self::NoFile,
            NotPrivate::Public { .. } | NotPrivate::Alien => Self::Exposed(why),
        }
    }
}

impl Tokens {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, TokenFileError> {
        let read = text(path).and_then(|text| Self::parse(&text));
        read.map_err(|problem| TokenFileError {
            path: path.to_owned(),
            problem,
        })
    }

    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let written: Written = toml::from_str(text).map_err(|error| Problem::Malformed {
            line: error.span().map_or(1, |span| line(text, &span)),
            problem: error.message().to_owned(),
        })?;
        let mut read = Self::default();
        for tenant in written.tenants {
            let at = line(text, &tenant.span());
            let WrittenTenant { tenant, limits } = tenant.into_inner();
            read.name(&tenant.0);
            if read.limits.insert(tenant.0, limits).is_some() {
                return Err(twice(at, "the tenant has limits already"));
            }
        }
        for token in written.tokens {
            let at = line(text, &token.span());
            let token = token.into_inner();
            let tenant = token.tenant.0;
            read.name(&tenant);
            let role = match token.operator {
                true => Role::Operator,
                false => Role::User,
            };
            if let Some(limits) = token.limits
                && read.limits.insert(tenant.clone(), limits).is_some()
            {
                return Err(twice(at, "the tenant has limits already"));
            }
            let entry = Entry {
                tenant,
                role,
                scopes: token.scopes,
                revocation: Revocation::default(),
            };
            if read.entries.insert(token.token_sha256, entry).is_some() {
                return Err(twice(at, "the token is listed already"));
            }
        }
        if read.entries.is_empty() && read.limits.is_empty() {
            return Err(Problem::Empty);
        }
        Ok(read)
    }

    /// Who has this token.
    pub(super) fn find(&self, token: &[u8]) -> Option<Caller> {
        let entry = self.entries.get(&TokenHash::of(token))?;
        let validity = Validity {
            expires: None,
            revoked: entry.revocation.clone(),
        };
        let caller = Caller::new(entry.tenant.clone(), entry.role, validity);
        Some(caller.with_scopes(entry.scopes))
    }

    fn name(&mut self, tenant: &Tenant) {
        if self.tenants.len() < limits::METRICS_TENANTS_MAX && !self.tenants.contains(tenant) {
            self.tenants.push(tenant.clone());
        }
    }

    /// The first tenants that it names, as many as have figures of their own.
    pub(super) fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The limits that tenants have of their own.
    pub(super) fn limits(&self) -> &HashMap<Tenant, TenantLimits> {
        &self.limits
    }

    /// Takes the place of an older file: tokens that mean the same in both go on, those that do not
    /// are taken away.
    pub(super) fn replace(mut self, older: &Self) -> Self {
        for (hash, old) in &older.entries {
            match self.entries.get_mut(hash) {
                Some(new) if new.means(old) => {
                    new.revocation = old.revocation.clone();
                }
                Some(_) | None => old.revocation.revoke(),
            }
        }
        self
    }
}

fn twice(line: usize, problem: &str) -> Problem {
    Problem::Malformed {
        line,
        problem: problem.to_owned(),
    }
}

fn text(path: &Path) -> Result<String, Problem> {
    let file = private_file::open(path)?;
    let most = limits::TOKEN_FILE_BYTES_MAX;
    let mut text = String::new();
    let length = file.take(most as u64 + 1).read_to_string(&mut text)?;
    if length > most {
        return Err(Problem::TooLarge);
    }
    Ok(text)
}

/// The line in which something stands, from 1.
fn line(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or_default();
    before.matches('\n').count() + 1
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
