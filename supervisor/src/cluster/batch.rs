//! Packets in one request: each with its length, four bytes, little-endian.

use crate::limits::BATCH_PACKETS_MAX;
use crate::raft::codec::{self, PacketError, Reader};
use crate::raft::packet::Packet;

const LENGTH_BYTES: usize = 4;

/// The bytes of these packets, and how many of them the other end would refuse: these are left out.
pub(super) fn encode(packets: &[Packet]) -> (Vec<u8>, usize) {
    let (mut bytes, mut lost) = (Vec::new(), 0);
    for packet in packets {
        let encoded = codec::encode(packet);
        let length = encoded.as_ref().map(|one| u32::try_from(one.len()));
        if let (Ok(one), Ok(Ok(length))) = (&encoded, length) {
            bytes.extend(length.to_le_bytes());
            bytes.extend(one);
        } else {
            lost += 1;
        }
    }
    (bytes, lost)
}

/// Reads [`encode`] back: all of it, or nothing.
///
/// # Errors
/// [`PacketError`].
pub fn decode(bytes: &[u8]) -> Result<Vec<Packet>, PacketError> {
    let mut reader = Reader::new(bytes);
    let mut packets = Vec::new();
    while !reader.rest().is_empty() {
        if packets.len() >= BATCH_PACKETS_MAX {
            return Err(PacketError::Malformed { what: "count" });
        }
        let length = reader.array::<LENGTH_BYTES>()?;
        let one = reader.take(u32::from_le_bytes(length) as usize)?;
        packets.push(codec::decode(one)?);
    }
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::sample_tests::{append, heartbeat, packet, propose};

    #[test]
    fn a_batch_is_read_as_it_was_written_or_not_at_all() {
        let packets = vec![packet(1), heartbeat(2), packet(3)];
        let (bytes, lost) = encode(&packets);
        assert_eq!((decode(&bytes), lost), (Ok(packets), 0));
        for cut in 1..bytes.len() {
            let read = decode(&bytes[..cut]);
            assert!(
                read.is_err() || read.is_ok_and(|read| read.len() < 3),
                "{cut}"
            );
        }
        let many = encode(&vec![packet(1); BATCH_PACKETS_MAX + 1]).0;
        assert!(decode(&many).is_err());
        assert_eq!(decode(&[]), Ok(Vec::new()));
    }

    /// The fuzzer's seeds. Run with `MCP_V8_WRITE_SEEDS=1` to write them anew.
    #[test]
    fn the_seeds_of_the_fuzzer_are_packets_of_each_kind() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/packets");
        let kinds = [
            ("answer", packet(1)),
            ("append", append(2, Bytes::from_static(b"entry"))),
            ("heartbeat", heartbeat(3)),
            ("propose", propose(Bytes::from_static(b"command"))),
        ];
        let all: Vec<Packet> = kinds.iter().map(|(_, packet)| packet.clone()).collect();
        let each = kinds.map(|(name, packet)| (name, encode(&[packet]).0));
        for (name, seed) in each.into_iter().chain([("all", encode(&all).0)]) {
            let file = folder.join(name);
            if std::env::var_os("MCP_V8_WRITE_SEEDS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&file, &seed).unwrap();
            }
            assert_eq!(std::fs::read(&file).unwrap(), seed, "{}", file.display());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..300),
            length in 0_u32..300,
        ) {
            if bytes.len() > LENGTH_BYTES {
                bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            }
            let _ = decode(&bytes);
        }
    }
}
