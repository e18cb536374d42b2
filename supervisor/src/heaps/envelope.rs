//! What a stored heap is wrapped in: a header, a MAC over all of it, and the snapshot.
//!
//! ```text
//! magic 8 | format 2 | key 8 | id 32 | snapshot bytes 8 | payload bytes 8 | compression 1
//! | tenant, V8, fingerprint, architecture: each 1 + n | MAC 32 | payload
//! ```
//!
//! Numbers are little-endian. The MAC is HMAC-SHA256 over everything before it and the SHA-256 of the
//! payload. A snapshot is code: nothing of it is unpacked before the MAC has shown that a server with
//! this key sealed it, and the header is believed only then. Equal snapshots of a tenant and a build
//! have equal envelopes.
//!
//! Compression pays: a heap takes a quarter of the disk, the network and the page cache, and a put
//! waits some ten times as long for the disk as for zstd. Measured on heaps of the worker, built with
//! optimisation, on two cores of an AMD EPYC that were busy with other work, medians (write: temporary
//! file, fsync, rename, fsync of the directory):
//!
//! | Heap | bytes | at level 1 | compress, decompress | write plain, compressed | SHA-256 |
//! |---|---|---|---|---|---|
//! | `let x = 1` | 521 kB | 113 kB | 0.8 ms, 0.3 ms | 10 ms, 12 ms | 0.3 ms |
//! | after URL, timers, console, streams | 895 kB | 239 kB | 1.8 ms, 0.6 ms | 12 ms, 8 ms | 0.5 ms |
//! | 20,000 small objects | 3.0 MB | 394 kB | 6.5 ms, 3.0 ms | 14 ms, 6 ms | 1.7 ms |
//! | 120,000 small objects | 15.2 MB | 1.8 MB | 55 ms, 22 ms | 34 ms, 12 ms | 25 ms |
//! | 4 MB of random bytes | 4.9 MB | 4.4 MB | 6.2 ms, 0.8 ms | 10 ms, 11 ms | 4.7 ms |
//!
//! The fast levels below 1 save a tenth of the time and cost up to twice the size (level -5: 181 kB and
//! 0.64 ms for the first heap); level 3 saves a twentieth of the size and costs 1.4 to 4 times the time.
//! What does not shrink by an eighth is kept as it is, so that a fetch need not unpack it.

use std::mem;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::build::BuildId;
use super::id::HeapId;
use super::key::{KEY_NAME_BYTES, MAC_BYTES, SealKey};
use super::packed::Packed;
use crate::limits::HEAP_BYTES_MAX;
use crate::tenant::{TENANT_BYTES_MAX, Tenant};

const MAGIC: [u8; 8] = *b"\x89MCPV8H\n";
const FORMAT: u16 = 1;

/// The longest text of a header is what its one byte of length can say.
const TEXT_BYTES_MAX: usize = u8::MAX as usize;
const TEXTS: usize = 4;
const FIXED_BYTES: usize = MAGIC.len() + 2 + KEY_NAME_BYTES + 32 + 8 + 8 + 1;

/// The longest header with its MAC, in bytes.
pub(super) const HEADER_BYTES_MAX: usize = FIXED_BYTES + TEXTS * (1 + TEXT_BYTES_MAX) + MAC_BYTES;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Why an envelope is not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Damaged(Damage),
    /// Sealed for another tenant.
    Foreign,
    /// Made by another build, or in another format.
    Incompatible {
        found: String,
        wanted: String,
    },
    TooLarge {
        bytes: u64,
    },
}

/// What is wrong with a damaged heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It does not begin as one.
    #[error("it does not begin like a stored heap")]
    Alien,
    /// Bytes are missing.
    #[error("it is cut short")]
    Short,
    /// There are bytes behind its end.
    #[error("it is longer than it should be")]
    Long,
    /// A header that no server writes.
    #[error("its header makes no sense")]
    Header,
    /// Another server's key.
    #[error(
        "it is sealed with another key; give the server that key (--heap-key-file) if the heap is \
         to be trusted"
    )]
    OtherKey,
    /// It was changed.
    #[error("its seal is broken")]
    Seal,
    /// It was put under another heap's name.
    #[error("another heap was put in its place")]
    Misnamed,
    /// The payload does not unpack to what the header says.
    #[error("its content cannot be unpacked")]
    Unpacking,
    /// The snapshot is not the one of this name.
    #[error("its content does not match its name")]
    Content,
}

/// Whose envelope it is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) build: &'a BuildId,
    pub(super) id: HeapId,
}

/// Wraps the content of a snapshot whose name is the label's.
pub(super) fn seal(key: &SealKey, label: Label<'_>, packed: &Packed) -> Vec<u8> {
    let (shape, payload) = (packed.shape(), packed.payload());
    let compression = if shape.is_packed { ZSTD } else { PLAIN };
    let mut blob = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
    blob.extend(MAGIC);
    blob.extend(FORMAT.to_le_bytes());
    blob.extend(key.name());
    blob.extend(label.id.as_bytes());
    blob.extend(shape.snapshot_bytes.to_le_bytes());
    blob.extend(shape.payload_bytes.to_le_bytes());
    blob.push(compression);
    for text in texts(label) {
        // Tenants and builds are bounded (asserted below).
        blob.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        blob.extend(text.as_bytes());
    }
    let digest = match compression {
        PLAIN => *label.id.as_bytes(),
        _ => Sha256::digest(payload).into(),
    };
    let mac = key.mac(&[&blob, &digest]);
    blob.extend(mac);
    blob.extend(payload);
    blob
}

fn texts(label: Label<'_>) -> [&str; TEXTS] {
    let build = label.build;
    [
        label.tenant.name(),
        build.v8(),
        build.fingerprint(),
        build.architecture(),
    ]
}

/// Opens an envelope that must have this label. Memory is taken for the snapshot only, and only once
/// the seal has been found good.
pub(super) fn open(key: &SealKey, label: Label<'_>, blob: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (envelope, digest, length) = unseal(key, label, blob)?;
    let (snapshot, digest) = match envelope.compression {
        PLAIN => (envelope.payload.to_vec(), digest),
        _ => {
            // It fails when there is more than the buffer takes, and takes no memory of its own.
            let snapshot =
                zstd::bulk::decompress(envelope.payload, length).map_err(|_| Damage::Unpacking)?;
            let digest = Sha256::digest(&snapshot).into();
            (snapshot, digest)
        }
    };
    if snapshot.len() != length {
        return Err(Damage::Unpacking.into());
    }
    if digest != *label.id.as_bytes() {
        return Err(Damage::Content.into());
    }
    Ok(snapshot)
}

/// The same, and leaves the content packed. Whoever gets it looks whether it has its name.
pub(super) fn open_packed(
    key: &SealKey,
    label: Label<'_>,
    blob: &Bytes,
) -> Result<Packed, Refusal> {
    let (envelope, _, length) = unseal(key, label, blob)?;
    let payload = blob.slice_ref(envelope.payload);
    Ok(Packed::sealed(
        envelope.compression == ZSTD,
        length,
        payload,
    ))
}

/// What an envelope says that it was made by. It is believed once the envelope was opened for that.
pub(super) fn said_build(blob: &[u8]) -> Result<BuildId, Refusal> {
    let [_, v8, fingerprint, architecture] = Envelope::read(blob)?.texts;
    let build = BuildId::with_architecture(v8, fingerprint, architecture);
    Ok(build.map_err(|_| Damage::Header)?)
}

/// An envelope whose seal is good and whose label is this one, with the SHA-256 of its payload and the
/// length of its snapshot.
fn unseal<'a>(
    key: &SealKey,
    label: Label<'_>,
    blob: &'a [u8],
) -> Result<(Envelope<'a>, [u8; 32], usize), Refusal> {
    let envelope = Envelope::read(blob)?;
    if envelope.key != key.name() {
        return Err(Damage::OtherKey.into());
    }
    let digest: [u8; 32] = Sha256::digest(envelope.payload).into();
    if !key.verify(&[envelope.covered, &digest], envelope.mac) {
        return Err(Damage::Seal.into());
    }
    // From here on the header is what a server with this key wrote.
    if envelope.id != *label.id.as_bytes() {
        return Err(Damage::Misnamed.into());
    }
    let [tenant, build @ ..] = envelope.texts;
    let [wanted_tenant, wanted_build @ ..] = texts(label);
    if tenant != wanted_tenant {
        return Err(Refusal::Foreign);
    }
    if build != wanted_build {
        let [v8, fingerprint, architecture] = build;
        let found = BuildId::with_architecture(v8, fingerprint, architecture)
            .map_err(|_| Damage::Header)?;
        return Err(Refusal::Incompatible {
            found: found.to_string(),
            wanted: label.build.to_string(),
        });
    }
    if envelope.snapshot_bytes > HEAP_BYTES_MAX as u64 {
        return Err(Refusal::TooLarge {
            bytes: envelope.snapshot_bytes,
        });
    }
    let length = usize::try_from(envelope.snapshot_bytes).map_err(|_| Damage::Header)?;
    Ok((envelope, digest, length))
}

impl From<Damage> for Refusal {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// An envelope whose parts have been found, and of which nothing is believed yet.
struct Envelope<'a> {
    key: [u8; KEY_NAME_BYTES],
    id: [u8; 32],
    snapshot_bytes: u64,
    compression: u8,
    texts: [&'a str; TEXTS],
    covered: &'a [u8],
    mac: &'a [u8; MAC_BYTES],
    payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(blob: &'a [u8]) -> Result<Self, Refusal> {
        let mut rest = Rest(blob);
        let begins = blob.len().min(MAGIC.len());
        if blob[..begins] != MAGIC[..begins] {
            return Err(Damage::Alien.into());
        }
        rest.array::<{ MAGIC.len() }>()?;
        let format = u16::from_le_bytes(*rest.array()?);
        if format != FORMAT {
            return Err(Refusal::Incompatible {
                found: format!("a server that writes heaps in format {format}"),
                wanted: format!("one that writes format {FORMAT}"),
            });
        }
        let key = *rest.array()?;
        let id = *rest.array()?;
        let snapshot_bytes = u64::from_le_bytes(*rest.array()?);
        let payload_bytes = u64::from_le_bytes(*rest.array()?);
        let [compression] = *rest.array()?;
        if !matches!(compression, PLAIN | ZSTD) {
            return Err(Damage::Header.into());
        }
        let mut texts = [""; TEXTS];
        for text in &mut texts {
            let [length] = *rest.array()?;
            *text = str::from_utf8(rest.take(length.into())?).map_err(|_| Damage::Header)?;
        }
        let covered = &blob[..blob.len() - rest.0.len()];
        let mac = rest.array()?;
        let payload = rest.0;
        match (payload.len() as u64).cmp(&payload_bytes) {
            std::cmp::Ordering::Less => return Err(Damage::Short.into()),
            std::cmp::Ordering::Greater => return Err(Damage::Long.into()),
            std::cmp::Ordering::Equal => {}
        }
        Ok(Self {
            key,
            id,
            snapshot_bytes,
            compression,
            texts,
            covered,
            mac,
            payload,
        })
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Damage> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = mem::take(&mut self.0)
            .split_at_checked(length)
            .ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(taken)
    }
}

const _: () = {
    assert!(TENANT_BYTES_MAX <= TEXT_BYTES_MAX);
    assert!(super::build::BUILD_TEXT_BYTES_MAX <= TEXT_BYTES_MAX);
};

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
