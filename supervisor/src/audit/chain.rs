//! Lines that hold on to each other: pure, no file.
//!
//! A line is a JSON object. It begins with its number and the SHA-256 of the line before it, and ends
//! with the MAC of all that stands before that. Without the key nobody can make a line, or change one;
//! and a line that is missing, doubled or moved breaks the chain.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::hex::{self, Hex};
use crate::key_file::KEY_BYTES;

const BLOCK_BYTES: usize = 64;
const HASH_BYTES: usize = 32;

/// What MACs are made for, so that none can stand for another.
const LINE: &[u8] = b"mcp-v8 line of an audit log";
const ANCHOR: &[u8] = b"mcp-v8 anchor of an audit log";

/// What stands between a line's content and its MAC.
const MAC_FIELD: &str = ",\"mac\":\"";
const LINE_END: &str = "\"}";

pub(super) type Hash = [u8; HASH_BYTES];

/// The key of a log.
#[derive(Clone)]
pub(super) struct ChainKey(Hmac<Sha256>);

impl ChainKey {
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        // HMAC fills a key up to its block with zeros.
        let mut block = [0; BLOCK_BYTES];
        block[..KEY_BYTES].copy_from_slice(bytes);
        Self(Hmac::<Sha256>::new(&block.into()))
    }

    fn mac(&self, purpose: &[u8], text: &[u8]) -> Hash {
        let mac = self.0.clone().chain_update(purpose).chain_update(text);
        mac.finalize().into_bytes().into()
    }

    fn verifies(&self, purpose: &[u8], text: &[u8], mac: &Hash) -> bool {
        let own = self.0.clone().chain_update(purpose).chain_update(text);
        own.verify(mac.into()).is_ok()
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey")
    }
}

/// A place in the chain: the line that was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// Its number, from 1; 0 before the first.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: Hash,
}

impl Link {
    /// Before the first line.
    pub(super) const GENESIS: Self = Self {
        seq: 0,
        hash: [0; HASH_BYTES],
    };
}

/// What every line begins with.
#[derive(Debug, Serialize)]
struct Sealed<'a, T> {
    seq: u64,
    prev: String,
    #[serde(flatten)]
    content: &'a T,
}

/// The same when it is read.
#[derive(Debug, Deserialize)]
struct Head {
    seq: u64,
    prev: String,
    #[serde(default)]
    time: String,
}

/// Adds a line to the chain. It is complete but for the end of the line.
///
/// # Errors
/// When the content is not an object that JSON has a form for.
pub(super) fn seal<T: Serialize>(
    key: &ChainKey,
    last: &mut Link,
    content: &T,
) -> Result<String, serde_json::Error> {
    let seq = last.seq + 1;
    let prev = Hex(&last.hash).to_string();
    let line = serde_json::to_string(&Sealed { seq, prev, content })?;
    let line = close(key, LINE, line);
    let hash = Sha256::digest(line.as_bytes()).into();
    *last = Link { seq, hash };
    Ok(line)
}

/// Puts the MAC in the place of an object's last brace.
fn close(key: &ChainKey, purpose: &[u8], mut object: String) -> String {
    object.pop();
    let mac = key.mac(purpose, object.as_bytes());
    object.push_str(MAC_FIELD);
    object.push_str(&Hex(&mac).to_string());
    object.push_str(LINE_END);
    object
}

/// What stands before the MAC, as an object, if that is right.
fn opened(key: &ChainKey, purpose: &[u8], text: &str) -> Option<String> {
    let (before, mac) = text.strip_suffix(LINE_END)?.rsplit_once(MAC_FIELD)?;
    let mac = hex::read(mac)?;
    let is_right = key.verifies(purpose, before.as_bytes(), &mac);
    is_right.then(|| format!("{before}}}"))
}

/// A line that is what it was when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Genuine {
    /// Its place in the chain.
    pub(super) link: Link,
    /// The hash of the line before it.
    pub(super) prev: Hash,
    /// When it was written, as it says.
    pub(super) time: String,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// The line was changed, or never written by who has the key.
    #[error("this line was changed, or was not written with this key")]
    Forged,
    /// Lines are missing, doubled or in another order.
    #[error("line {expected} of the log is to stand here, but it is line {found}")]
    Order {
        /// Which line is due.
        expected: u64,
        /// Which it is.
        found: u64,
    },
    /// The line before is not the one that was there when this one was written.
    #[error("the line before this one is not the one that it was written after")]
    Unchained,
    /// The beginning is gone.
    #[error("the log begins with line {found}, but lines from {expected} on were kept")]
    Beheaded {
        /// The first that was kept.
        expected: u64,
        /// The first that is there.
        found: u64,
    },
    /// The end is gone.
    #[error("the log ends after line {found}, but {expected} were written")]
    Cut {
        /// The last that was written for certain.
        expected: u64,
        /// The last that is there.
        found: u64,
    },
    /// The end was replaced.
    #[error("line {seq} is not the one that was written")]
    Replaced {
        /// Which.
        seq: u64,
    },
    /// The last line has no end.
    #[error("this line is not complete")]
    Torn,
    /// The line is longer than any.
    #[error("this line is longer than any that is written")]
    Long,
}

/// Reads a line without its end.
pub(super) fn read(key: &ChainKey, line: &[u8]) -> Result<Genuine, Break> {
    let text = std::str::from_utf8(line).map_err(|_| Break::Forged)?;
    let object = opened(key, LINE, text).ok_or(Break::Forged)?;
    let head: Head = serde_json::from_str(&object).map_err(|_| Break::Forged)?;
    Ok(Genuine {
        link: Link {
            seq: head.seq,
            hash: Sha256::digest(line).into(),
        },
        prev: hex::read(&head.prev).ok_or(Break::Forged)?,
        time: head.time,
    })
}

/// Whether a line comes after another.
pub(super) fn follows(line: &Genuine, last: Link) -> Result<(), Break> {
    if line.link.seq != last.seq + 1 {
        return Err(Break::Order {
            expected: last.seq + 1,
            found: line.link.seq,
        });
    }
    if line.prev != last.hash {
        return Err(Break::Unchained);
    }
    Ok(())
}

/// What was written for certain, and from where on it is kept: so that a cut at either end shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The last line.
    pub(super) last: Link,
    /// The number of the first line that is kept.
    pub(super) first_seq: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorText {
    seq: u64,
    hash: String,
    first_seq: u64,
}

impl Anchor {
    /// Before the first line.
    pub(super) const GENESIS: Self = Self {
        last: Link::GENESIS,
        first_seq: 1,
    };

    /// As a line without its end.
    pub(super) fn sealed(&self, key: &ChainKey) -> Result<String, serde_json::Error> {
        let text = serde_json::to_string(&AnchorText {
            seq: self.last.seq,
            hash: Hex(&self.last.hash).to_string(),
            first_seq: self.first_seq,
        })?;
        Ok(close(key, ANCHOR, text))
    }

    /// Reads it back; `None` for anything that is not genuine.
    pub(super) fn read(key: &ChainKey, line: &str) -> Option<Self> {
        let object = opened(key, ANCHOR, line)?;
        let text: AnchorText = serde_json::from_str(&object).ok()?;
        Some(Self {
            last: Link {
                seq: text.seq,
                hash: hex::read(&text.hash)?,
            },
            first_seq: text.first_seq,
        })
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
