//! The content of a heap as it is stored and as it travels: packed, or as it is where that gains nothing.

use std::fmt;

use bytes::Bytes;

use super::envelope::Damage;
use super::id::HeapId;
use super::snapshot::Snapshot;
use crate::limits::HEAP_BYTES_MAX;

/// Chosen by the table in `envelope`.
const COMPRESSION_LEVEL: i32 = 1;

/// How large a content is, and what has to be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Whether it has to be unpacked.
    pub is_packed: bool,
    /// What it takes once it is unpacked, in bytes.
    pub snapshot_bytes: u64,
    /// What it takes until then.
    pub payload_bytes: u64,
}

impl Shape {
    /// Whether anything that was packed here could have it.
    pub const fn is_possible(self) -> bool {
        let fits = if self.is_packed {
            self.payload_bytes < self.snapshot_bytes
        } else {
            self.payload_bytes == self.snapshot_bytes
        };
        fits && self.snapshot_bytes <= HEAP_BYTES_MAX as u64
    }
}

/// A content of which nothing is believed. Clones are cheap and share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed {
    is_packed: bool,
    snapshot_bytes: usize,
    payload: Bytes,
}

/// A content that has the name that it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    packed: Packed,
    snapshot: Snapshot,
}

impl Packed {
    /// What somebody says is a content of this shape.
    ///
    /// # Errors
    /// [`Damage`]: it cannot be.
    pub fn new(shape: Shape, payload: Bytes) -> Result<Self, Damage> {
        if !shape.is_possible() {
            return Err(Damage::Header);
        }
        match (payload.len() as u64).cmp(&shape.payload_bytes) {
            std::cmp::Ordering::Less => return Err(Damage::Short),
            std::cmp::Ordering::Greater => return Err(Damage::Long),
            std::cmp::Ordering::Equal => {}
        }
        Ok(Self {
            is_packed: shape.is_packed,
            snapshot_bytes: usize::try_from(shape.snapshot_bytes).map_err(|_| Damage::Header)?,
            payload,
        })
    }

    /// Packs a snapshot.
    pub(super) fn pack(snapshot: &Snapshot) -> Self {
        let packed = zstd::bulk::compress(snapshot, COMPRESSION_LEVEL).ok();
        let packed = packed.filter(|packed| packed.len() < snapshot.len() - snapshot.len() / 8);
        Self {
            is_packed: packed.is_some(),
            snapshot_bytes: snapshot.len(),
            payload: packed.map_or_else(|| snapshot.bytes(), Bytes::from),
        }
    }

    /// What a seal has shown to be of this server.
    pub(super) const fn sealed(is_packed: bool, snapshot_bytes: usize, payload: Bytes) -> Self {
        Self {
            is_packed,
            snapshot_bytes,
            payload,
        }
    }

    /// The same, where these bytes end with its own: so it is in memory once.
    pub(super) fn at_end_of(self, bytes: &Bytes) -> Self {
        let payload = bytes
            .len()
            .checked_sub(self.payload.len())
            .map(|begin| bytes.slice(begin..))
            .filter(|payload| *payload == self.payload);
        Self {
            payload: payload.unwrap_or(self.payload),
            ..self
        }
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        Shape {
            is_packed: self.is_packed,
            snapshot_bytes: self.snapshot_bytes as u64,
            payload_bytes: self.payload.len() as u64,
        }
    }

    /// Its bytes.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Unpacks it, and compares it with the name that it should have. It takes a while.
    ///
    /// # Errors
    /// [`Damage::Unpacking`], [`Damage::Content`].
    pub fn verify(self, id: HeapId) -> Result<Content, Damage> {
        let bytes = if self.is_packed {
            // It fails when there is more than the buffer takes, and takes no memory of its own.
            let bytes = zstd::bulk::decompress(&self.payload, self.snapshot_bytes)
                .map_err(|_| Damage::Unpacking)?;
            Bytes::from(bytes)
        } else {
            self.payload.clone()
        };
        if bytes.len() != self.snapshot_bytes {
            return Err(Damage::Unpacking);
        }
        if HeapId::of(&bytes) != id {
            return Err(Damage::Content);
        }
        let snapshot = Snapshot::verified(id, bytes);
        Ok(Content {
            packed: self,
            snapshot,
        })
    }
}

/// Without its bytes, which are somebody's.
impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({:?})", self.shape())
    }
}

impl Content {
    /// As it is stored.
    pub(super) const fn packed(&self) -> &Packed {
        &self.packed
    }

    /// As it is loaded.
    pub(super) fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(bytes: &[u8]) -> (HeapId, Packed) {
        let id = HeapId::of(bytes);
        let snapshot = Snapshot::verified(id, bytes.to_vec());
        (id, Packed::pack(&snapshot))
    }

    #[test]
    fn no_shape_is_believed_that_nobody_packs() {
        let shape = |is_packed, snapshot_bytes, payload_bytes| Shape {
            is_packed,
            snapshot_bytes,
            payload_bytes,
        };
        let most = HEAP_BYTES_MAX as u64;
        for good in [(false, 0, 0), (false, most, most), (true, most, 1)] {
            assert!(shape(good.0, good.1, good.2).is_possible(), "{good:?}");
        }
        for bad in [
            (false, 5, 4),
            (false, 5, 6),
            (true, 5, 5),
            (true, 0, 0),
            (false, most + 1, most + 1),
            (true, most + 1, 1),
            (true, u64::MAX, 1),
        ] {
            let shape = shape(bad.0, bad.1, bad.2);
            assert!(!shape.is_possible(), "{bad:?}");
            let short = Bytes::from_static(b"12345");
            assert!(Packed::new(shape, short).is_err());
        }
    }

    #[test]
    fn a_content_that_is_another_or_has_another_length_is_refused() {
        let (id, packed) = pack(&[7; 10_000]);
        let shape = packed.shape();
        assert!(shape.is_packed && packed.clone().verify(id).is_ok());
        let other = HeapId::of(b"other");
        assert_eq!(packed.clone().verify(other), Err(Damage::Content));
        // It unpacks to more, or to less, than was said.
        for snapshot_bytes in [9_999, 10_001] {
            let lie = Shape {
                snapshot_bytes,
                ..shape
            };
            let lie = Packed::new(lie, packed.payload().clone()).unwrap();
            assert_eq!(lie.verify(id), Err(Damage::Unpacking));
        }
        let cut = packed.payload().slice(1..);
        assert_eq!(Packed::new(shape, cut), Err(Damage::Short));
    }

    proptest! {
        #[test]
        fn what_is_packed_can_be_unpacked(bytes in prop::collection::vec(any::<u8>(), 0..2000), times in 1_usize..20) {
            let bytes = bytes.repeat(times);
            let (id, packed) = pack(&bytes);
            prop_assert!(packed.shape().is_possible());
            let again = Packed::new(packed.shape(), packed.payload().clone()).unwrap();
            let content = again.verify(id).unwrap();
            prop_assert_eq!(&*content.into_snapshot(), bytes.as_slice());
        }

        #[test]
        fn any_bytes_are_the_content_or_refused(payload in prop::collection::vec(any::<u8>(), 0..300), more in 1_u64..5000) {
            let shape = Shape {
                is_packed: true,
                snapshot_bytes: payload.len() as u64 + more,
                payload_bytes: payload.len() as u64,
            };
            let packed = Packed::new(shape, payload.into()).unwrap();
            prop_assert!(packed.verify(HeapId::of(b"something")).is_err());
        }
    }
}
