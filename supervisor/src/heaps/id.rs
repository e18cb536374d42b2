//! The name of a heap.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::hex::{self, Hex};

/// The name of a heap: the SHA-256 of its snapshot. Equal heaps have equal names; whoever does not
/// know the content cannot guess the name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeapId([u8; 32]);

impl HeapId {
    /// The name of a heap with this content.
    pub fn of(snapshot: &[u8]) -> Self {
        Self(Sha256::digest(snapshot).into())
    }

    /// The name with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 hexadecimal digits in lower case.
impl fmt::Display for HeapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for HeapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not the name of a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a heap is named by 64 hexadecimal digits in lower case; use the heap that get_execution \
     returned"
)]
pub struct MalformedHeapId;

impl FromStr for HeapId {
    type Err = MalformedHeapId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::read(text).map(Self).ok_or(MalformedHeapId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        let id = HeapId::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn only_one_spelling_is_a_name() {
        let good = HeapId::of(b"").to_string();
        for bad in [
            "",
            "latest",
            &good[1..],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace('b', "g"),
            &format!("{}é", &good[2..]),
        ] {
            assert_eq!(bad.parse::<HeapId>(), Err(MalformedHeapId), "{bad}");
        }
    }
}
