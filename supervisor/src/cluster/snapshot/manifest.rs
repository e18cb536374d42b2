//! What names a snapshot's file within the message that offers it.

use crate::hex::Hex;
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::raft::log::Position;

const FORMAT: u8 = 1;
const MANIFEST_BYTES: usize = 1 + 8 + 8 + 8 + 32;

/// A file, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// The last entry that is in it.
    pub at: Position,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of all of it.
    pub sha256: [u8; 32],
}

/// Bytes that name no snapshot, or one that is larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this names no snapshot that may be sent")]
pub struct NoManifest;

impl Manifest {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoded = vec![FORMAT];
        encoded.extend(self.at.index.to_le_bytes());
        encoded.extend(self.at.term.to_le_bytes());
        encoded.extend(self.bytes.to_le_bytes());
        encoded.extend(self.sha256);
        encoded
    }

    /// Reads [`Self::encode`] back.
    ///
    /// # Errors
    /// [`NoManifest`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NoManifest> {
        let encoded: &[u8; MANIFEST_BYTES] = bytes.try_into().map_err(|_| NoManifest)?;
        let number = |at: usize| {
            let part = encoded.get(at..at + 8).and_then(<[u8]>::first_chunk);
            part.map(|part| u64::from_le_bytes(*part)).ok_or(NoManifest)
        };
        let manifest = Self {
            at: Position {
                index: number(1)?,
                term: number(9)?,
            },
            bytes: number(17)?,
            sha256: *encoded.last_chunk().ok_or(NoManifest)?,
        };
        let is_known = encoded.first() == Some(&FORMAT);
        let is_sound = is_known && (1..=SNAPSHOT_BYTES_MAX).contains(&manifest.bytes);
        is_sound.then_some(manifest).ok_or(NoManifest)
    }

    /// The name of the file, where it was received and verified.
    pub fn file_name(&self) -> String {
        format!("{}.snapshot", Hex(&self.sha256))
    }

    /// The name of the part of it that has come.
    pub(super) fn part_name(&self) -> String {
        format!("{}.part", Hex(&self.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let manifest = Manifest {
            at: Position { index: 5, term: 2 },
            bytes: 77,
            sha256: [0xab; 32],
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        assert!(manifest.file_name().starts_with("abab"));
        for cut in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..cut]).is_err());
        }
        let empty = Manifest {
            bytes: 0,
            ..manifest
        };
        let huge = Manifest {
            bytes: SNAPSHOT_BYTES_MAX + 1,
            ..manifest
        };
        for bad in [empty.encode(), huge.encode(), [bytes, vec![0]].concat()] {
            assert_eq!(Manifest::decode(&bad), Err(NoManifest));
        }
    }
}
