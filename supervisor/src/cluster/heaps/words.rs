//! What nodes say to each other about heaps, and its bytes.

use bincode::{Decode, Encode};

use crate::heaps::{BuildId, HeapId, Shape, Wanted};
use crate::limits::{HEAP_PIECE_BYTES, HEAP_WORD_BYTES_MAX};

/// The first byte of what is said. A node that reads another one says that it cannot.
const FORMAT: u8 = 1;

/// What is said makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is said about a heap makes no sense to this version")]
pub(in crate::cluster) struct Garbled;

/// What one node says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Said {
    /// It wants a heap.
    Fetch(Name),
    /// It wants the piece that begins there.
    FetchMore { transfer: u64, offset: u64 },
    /// It wants one more node to have a heap, which begins so.
    Keep {
        name: Name,
        size: Size,
        piece: Vec<u8>,
    },
    /// It goes on there.
    KeepMore {
        transfer: u64,
        offset: u64,
        piece: Vec<u8>,
    },
    /// It asks which of these the other one has.
    Which(Vec<Place>),
}

/// Where a heap is: the folder of its tenant, and its name.
pub(super) type Place = ([u8; 16], [u8; 32]);

/// What the other one says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Told {
    /// It has it, and it begins so.
    Begins {
        transfer: u64,
        size: Size,
        piece: Vec<u8>,
    },
    /// It goes on so.
    Piece(Vec<u8>),
    /// It does not have it.
    Missing,
    /// It has it, for this build.
    OtherBuild(String),
    /// What comes next may come.
    GoOn { transfer: u64 },
    /// It has it, and keeps it.
    Kept,
    /// It does not keep or give it, for this reason.
    Refused(String),
    /// It has no room at this moment.
    Busy,
    /// It knows nothing of this transfer, or not at this place.
    Lost,
    /// Of those that were asked about it has these, in their order.
    Has(Vec<bool>),
}

/// Which heap is meant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Name {
    tenant: String,
    heap: [u8; 32],
    v8: String,
    fingerprint: String,
    architecture: String,
}

/// How large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Size {
    is_packed: bool,
    snapshot_bytes: u64,
    payload_bytes: u64,
}

impl Name {
    pub(super) fn new(wanted: &Wanted) -> Self {
        Self {
            tenant: wanted.tenant.name().to_owned(),
            heap: *wanted.id.as_bytes(),
            v8: wanted.build.v8().to_owned(),
            fingerprint: wanted.build.fingerprint().to_owned(),
            architecture: wanted.build.architecture().to_owned(),
        }
    }

    /// The heap; tenants and builds have names that can be checked.
    pub(super) fn read(&self) -> Result<Wanted, Garbled> {
        let build = BuildId::with_architecture(&self.v8, &self.fingerprint, &self.architecture);
        Ok(Wanted {
            tenant: self.tenant.parse().map_err(|_| Garbled)?,
            id: HeapId::from_bytes(self.heap),
            build: build.map_err(|_| Garbled)?,
        })
    }
}

impl Size {
    pub(super) const fn new(shape: Shape) -> Self {
        Self {
            is_packed: shape.is_packed,
            snapshot_bytes: shape.snapshot_bytes,
            payload_bytes: shape.payload_bytes,
        }
    }

    /// The shape, which a heap can have.
    pub(super) fn read(self) -> Result<Shape, Garbled> {
        let shape = Shape {
            is_packed: self.is_packed,
            snapshot_bytes: self.snapshot_bytes,
            payload_bytes: self.payload_bytes,
        };
        shape.is_possible().then_some(shape).ok_or(Garbled)
    }
}

/// How long the piece is that begins there.
pub(super) fn piece_bytes(payload_bytes: u64, offset: u64) -> usize {
    let rest = payload_bytes.saturating_sub(offset);
    usize::try_from(rest).map_or(HEAP_PIECE_BYTES, |rest| rest.min(HEAP_PIECE_BYTES))
}

const fn config() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<HEAP_WORD_BYTES_MAX>,
> {
    bincode::config::standard().with_limit::<HEAP_WORD_BYTES_MAX>()
}

/// Its bytes.
pub(super) fn encode<T: Encode>(word: &T) -> Result<Vec<u8>, Garbled> {
    let bytes = bincode::encode_to_vec((FORMAT, word), config()).map_err(|_| Garbled)?;
    let fits = bytes.len() <= HEAP_WORD_BYTES_MAX;
    fits.then_some(bytes).ok_or(Garbled)
}

/// Reads [`encode`] back. All bytes have to be used.
pub(super) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, Garbled> {
    let (&format, rest) = bytes.split_first().ok_or(Garbled)?;
    if format != FORMAT || bytes.len() > HEAP_WORD_BYTES_MAX {
        return Err(Garbled);
    }
    let (word, used) = bincode::decode_from_slice(rest, config()).map_err(|_| Garbled)?;
    (used == rest.len()).then_some(word).ok_or(Garbled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Name> {
        (".{0,40}", any::<[u8; 32]>(), ".{0,9}", ".{0,9}", ".{0,9}").prop_map(
            |(tenant, heap, v8, fingerprint, architecture)| Name {
                tenant,
                heap,
                v8,
                fingerprint,
                architecture,
            },
        )
    }

    fn size() -> impl Strategy<Value = Size> {
        (any::<bool>(), any::<u64>(), any::<u64>()).prop_map(
            |(is_packed, snapshot_bytes, payload_bytes)| Size {
                is_packed,
                snapshot_bytes,
                payload_bytes,
            },
        )
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..200)
    }

    fn said() -> impl Strategy<Value = Said> {
        prop_oneof![
            name().prop_map(Said::Fetch),
            any::<(u64, u64)>().prop_map(|(transfer, offset)| Said::FetchMore { transfer, offset }),
            (name(), size(), piece()).prop_map(|(name, size, piece)| Said::Keep {
                name,
                size,
                piece
            }),
            (any::<u64>(), any::<u64>(), piece()).prop_map(|(transfer, offset, piece)| {
                Said::KeepMore {
                    transfer,
                    offset,
                    piece,
                }
            }),
            prop::collection::vec(any::<Place>(), 0..9).prop_map(Said::Which),
        ]
    }

    fn told() -> impl Strategy<Value = Told> {
        prop_oneof![
            (any::<u64>(), size(), piece()).prop_map(|(transfer, size, piece)| Told::Begins {
                transfer,
                size,
                piece
            }),
            piece().prop_map(Told::Piece),
            ".{0,40}".prop_map(Told::OtherBuild),
            ".{0,40}".prop_map(Told::Refused),
            any::<u64>().prop_map(|transfer| Told::GoOn { transfer }),
            prop::collection::vec(any::<bool>(), 0..9).prop_map(Told::Has),
            prop_oneof![
                Just(Told::Missing),
                Just(Told::Kept),
                Just(Told::Busy),
                Just(Told::Lost)
            ],
        ]
    }

    proptest! {
        #[test]
        fn what_is_heard_is_what_was_said(said in said(), told in told()) {
            let bytes = encode(&said).unwrap();
            prop_assert_eq!(decode::<Said>(&bytes[..bytes.len() - 1]), Err(Garbled));
            let longer = [bytes.as_slice(), &[0]].concat();
            prop_assert_eq!(decode::<Said>(&longer), Err(Garbled));
            prop_assert_eq!(decode(&bytes), Ok(said));
            prop_assert_eq!(decode(&encode(&told).unwrap()), Ok(told));
        }

        #[test]
        fn any_bytes_are_heard_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Said>(&bytes);
            if let Some(format) = bytes.first_mut() {
                *format = FORMAT;
            }
            if let Ok(Said::Keep { name, size, .. }) = decode::<Said>(&bytes) {
                let _ = (name.read(), size.read());
            }
            let _ = decode::<Told>(&bytes);
        }

        #[test]
        fn pieces_are_the_whole(payload in 0_u64..5 * HEAP_PIECE_BYTES as u64) {
            let mut offset = 0;
            while offset < payload {
                let piece = piece_bytes(payload, offset);
                prop_assert!((1..=HEAP_PIECE_BYTES).contains(&piece));
                offset += piece as u64;
            }
            prop_assert_eq!((offset, piece_bytes(payload, offset)), (payload, 0));
        }
    }

    #[test]
    fn the_largest_piece_fits_and_no_larger_one() {
        let wanted = Wanted {
            tenant: "t".repeat(crate::tenant::TENANT_BYTES_MAX).parse().unwrap(),
            id: HeapId::of(b""),
            build: BuildId::with_architecture(&"a".repeat(128), &"b".repeat(128), &"c".repeat(128))
                .unwrap(),
        };
        let keep = |bytes| Said::Keep {
            name: Name::new(&wanted),
            size: Size {
                is_packed: false,
                snapshot_bytes: u64::MAX,
                payload_bytes: u64::MAX,
            },
            piece: vec![255; bytes],
        };
        let bytes = encode(&keep(HEAP_PIECE_BYTES)).unwrap();
        assert_eq!(decode::<Said>(&bytes), Ok(keep(HEAP_PIECE_BYTES)));
        assert_eq!(encode(&keep(HEAP_WORD_BYTES_MAX)), Err(Garbled));
        assert_eq!(Name::new(&wanted).read(), Ok(wanted));
    }

    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        // A piece that says it has 2^60 bytes.
        let lie = [FORMAT, 1, 253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert_eq!(decode::<Told>(&lie), Err(Garbled));
        let size = Size {
            is_packed: true,
            snapshot_bytes: 1 << 60,
            payload_bytes: 10,
        };
        assert_eq!(size.read(), Err(Garbled));
    }
}
